"""Spiking neurons that nobody registered, recognised by what they do: they keep state and put out spikes.

A module is detected when what it returns is a spike train by value (at most ternary, or small integers, times one
scale) and follows from its input together with

- tensors that its own last call left in its attributes or buffers, or
- what its own last call returned, handed in again, or
- earlier steps of its input, where it runs all time steps by itself: slices along one axis of size T are worked through
  one after another, and T results are put together again.

To know what follows from what, the tags of the tensors carry the past that they depend on; only while a module runs
that may still turn out to be a neuron. That is a class of the user's own (not torch's), holds no recognised neuron and
is part of none, and has returned nothing but spikes so far: any other is out after its first call. A stateless
threshold, a pool of spikes or a counter beside the data is none, nor is what merely contains neurons.

No equation is known of such a neuron. Its operators stay counted as they run, and its record charges nothing. Its state
variables are those tensors of the first two sorts; of the third at least one, and one is reported.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snn_energy.counting.counts import DETECTED
from snn_energy.counting.neuron_tally import NeuronTally
from snn_energy.counting.neurons import NeuronRow, holds_weights
from snn_energy.counting.observe import Operand
from snn_energy.counting.tags import Origin, Past, tensors_in, version_of
from snn_energy.counting.values import MAX_LEVEL

if TYPE_CHECKING:
    from snn_energy.counting.recorder import Recorder

PATIENCE = 16
"""Calls after which a module without a sign of state is taken for stateless."""

_BEFORE = -1
"""Stands for the last call where single steps are numbered from 0."""
_ASSEMBLE = {"stack", "cat"}
_FRESH = {"zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty"}
_OVERWRITE = {"zero", "fill"}
_DETECTED = NeuronRow(
    qualified_name="", kind=DETECTED, equation="", adds=0, muls=0, compares=0, state_variables=1
)  # fmt: skip


@dataclass(slots=True)
class _Candidate:
    """A module that may turn out to be a neuron."""

    module: nn.Module
    name: str
    weighted: bool
    operand: Operand
    tally: NeuronTally = field(default_factory=lambda: NeuronTally(_DETECTED))
    proven: bool = False
    quiet_calls: int = 0
    left: list[weakref.ref[Tensor]] = field(default_factory=list)
    """What the last call left in the module, or returned: state, if the next one reads it."""
    returned: list[weakref.ref[Tensor]] = field(default_factory=list)
    first_step: int = 0
    checks: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    """Of each call since: elements that are no multiple of a spike, smallest and largest (0-dim, on the device)."""

    @property
    def unit(self) -> float | None:
        """Height of a spike, once the module is a neuron that has fired."""
        return self.operand.values.unit if self.proven and self.operand.values.magnitudes else None

    def check(self, spikes: Tensor, unit: float) -> None:
        """Note without a synchronisation whether these are multiples of `unit`."""
        levels = spikes if unit == 1 else spikes / unit
        off = torch.count_nonzero(
            levels != levels.round() if unit == 1 else (levels - levels.round()).abs() > _ROUNDING
        )
        self.checks.append((off, *torch.aminmax(levels)))

    def passes(self) -> bool:
        """Read the checks off the device, all together."""
        if not self.checks:
            return True
        off, low, high = (torch.stack(found).double() for found in zip(*self.checks, strict=True))
        self.checks.clear()
        return not off.any().item() and bool((torch.maximum(-low, high) <= MAX_LEVEL).all().item())


@dataclass(slots=True)
class _Probe:
    """One running call of a candidate that is not proven yet."""

    candidate: _Candidate
    before: dict[int, tuple[Tensor, int]]
    """The tensors that the module held before the call, and their write counters, by identity."""
    state: list[Tensor]
    inputs: list[Tensor]
    mixed: bool = False
    """The last call met this one."""
    sliced: dict[int, int] = field(default_factory=dict)
    """Axes that were taken apart -> their size."""
    assembled: set[int] = field(default_factory=set)
    """Sizes to which steps were put together in order, each of them following from earlier ones."""
    written: set[int] = field(default_factory=set)
    """Steps that were written into a larger tensor and follow from earlier ones."""


class Behaviour:
    """Watches the candidates of one model."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._candidates = {id(module): made for module, made in _candidates(recorder)}
        self.running: list[_Probe] = []
        """The calls under observation, outermost first; no operator needs to be followed while there are none."""

    @property
    def tallies(self) -> Iterator[tuple[str, NeuronTally]]:
        """The detected neurons, by name."""
        self._drop_others()
        return ((c.name, c.tally) for c in self._candidates.values() if c.proven)

    def begin_batch(self) -> None:
        """Time steps start again from zero."""
        self._drop_others()
        for candidate in self._candidates.values():
            candidate.tally.read()
            candidate.first_step = 0

    def _drop_others(self) -> None:
        for key in [key for key, candidate in self._candidates.items() if not candidate.passes()]:
            del self._candidates[key]

    def stop(self) -> None:
        """Forget the running calls, after an exception."""
        self.running.clear()

    def watches(self, module: nn.Module) -> bool:
        """True if a call of this module has to be looked at when it is through."""
        return id(module) in self._candidates

    def enter(self, module: nn.Module, args: Any) -> None:
        """Begin to observe a call, if its module is a candidate."""
        candidate = self._candidates.get(id(module))
        if candidate is None or candidate.proven:
            return
        inputs = list(tensors_in(args))
        known = {id(tensor) for ref in candidate.returned if (tensor := ref()) is not None}
        handed = [tensor for tensor in inputs if id(tensor) in known]
        state = [t for ref in candidate.left if (t := ref()) is not None and any(t is own for own in _held(module))]
        if len(handed) < len(inputs):  # of its own results alone it makes a chain, no state
            state += handed
        for tensor in state:
            self._mark(tensor, {**(self._past(tensor) or {}), id(module): (_BEFORE, _BEFORE)})
        before = {id(tensor): (tensor, version_of(tensor)) for tensor in _held(module)}
        self.running.append(_Probe(candidate, before, state, inputs))

    def leave(self, module: nn.Module, output: Any) -> None:
        """End the observation of a call; `output` is None after an exception."""
        probe = None
        if self.running and self.running[-1].candidate.module is module:
            probe = self.running.pop()
        candidate = self._candidates.get(id(module))
        if candidate is None or output is None:
            return
        spikes = next(tensors_in(output), None)
        if spikes is not None and not spikes.numel():
            return
        if spikes is not None and candidate.unit is not None and spikes.is_floating_point():
            candidate.check(spikes, candidate.unit)
            candidate.first_step = candidate.tally.add(spikes, candidate.first_step)
            return
        if spikes is None or not self._takes(candidate, spikes):
            del self._candidates[id(module)]
            return
        axis = None if probe is None else self._evidence(probe, spikes)
        if probe is not None:
            held = list(_held(module))
            same = {key for key, (tensor, version) in probe.before.items() if version_of(tensor) == version}
            changed = [tensor for tensor in held if id(tensor) not in same and self._is_data(tensor)]
            candidate.left = [weakref.ref(t) for t in changed]
            candidate.returned = [weakref.ref(t) for t in tensors_in(output)]
        if axis is not None and probe is not None:
            self._prove(candidate, probe, spikes, axis)
        elif not candidate.proven:
            candidate.quiet_calls += 1
            if candidate.quiet_calls >= PATIENCE:
                del self._candidates[id(module)]
                return
        candidate.first_step = candidate.tally.add(spikes, candidate.first_step)

    def _takes(self, candidate: _Candidate, spikes: Tensor) -> bool:
        """True as long as the module has returned nothing but spikes."""
        if not (spikes.is_floating_point() or spikes.dtype is torch.bool):
            return False
        return _is_spikes(spikes, candidate.operand)

    def _evidence(self, probe: _Probe, spikes: Tensor) -> int | None:
        """Time axis of the output if state was seen at work: -1 for a single step; None without evidence."""
        past = (self._past(spikes) or {}).get(id(probe.candidate.module))
        if past is not None and past[0] == _BEFORE and probe.mixed:
            return -1
        if past is None and not probe.written:  # a tensor that was written piece by piece tells nothing itself
            return None
        for axis, steps in probe.sliced.items():
            together = steps in probe.assembled or probe.written >= set(range(1, steps))
            if steps > 1 and together and steps in spikes.shape and not _only_passes_spikes(probe):
                return axis if axis < spikes.dim() and spikes.shape[axis] == steps else spikes.shape.index(steps)
        return None

    def _prove(self, candidate: _Candidate, probe: _Probe, spikes: Tensor, axis: int) -> None:
        candidate.proven = True
        others = [other.module for other in self._candidates.values() if other is not candidate]
        for outer in others:  # what contains a neuron is none itself
            if any(inner is candidate.module for _, inner in outer.named_modules()):
                del self._candidates[id(outer)]
        self.running.clear()
        if axis >= 0:
            candidate.tally.row = replace(_DETECTED, time_axis=axis)
            candidate.first_step = 0
            return
        sizes = {id(tensor): tensor.numel() for tensor in probe.state}
        variables = max(1, round(sum(sizes.values()) / spikes.numel()))
        candidate.tally.row = replace(_DETECTED, state_variables=variables)

    # -- what depends on what --------------------------------------------------------------------------------------

    def before(
        self, name: str, args: tuple[Any, ...], tensors: tuple[Tensor, ...], *, writes: bool = False
    ) -> Past | None:
        """The past that the result of an operator depends on; notes where the last call and this one meet."""
        if name in _FRESH or name in _OVERWRITE:
            return None
        if name == "copy":
            tensors = tensors[1:]
        pasts = [self._past(tensor) for tensor in tensors]
        joined = _joined(pasts)
        if name == "copy" or writes:
            self._write(joined)
        if name in _ASSEMBLE:
            self._assemble(pasts)
        elif joined is not None and len(tensors) > 1:
            self._meet(tensors, pasts)
        if name == "select" and tensors:
            dim = _argument(args, 1)
            axis, index = dim % max(1, tensors[0].dim()), _argument(args, 2)
            size = tensors[0].shape[axis]
            return self._slice(tensors[0], joined, axis, index % size if size else 0)
        return joined

    def after_unbind(self, args: tuple[Any, ...], source: Tensor, pieces: Iterable[Any], past: Past | None) -> None:
        """Number the slices that `unbind` makes of a tensor."""
        axis = _argument(args, 1) % max(1, source.dim())
        for index, piece in enumerate(pieces):
            self._mark(piece, self._slice(source, past, axis, index))

    def _slice(self, source: Tensor, past: Past | None, axis: int, index: int) -> Past | None:
        probe = self.running[-1]
        own = id(probe.candidate.module)
        if (past is not None and own in past) or not self._is_data(source):
            return past
        probe.sliced[axis] = source.shape[axis]
        return {**(past or {}), own: (index, index)}

    def _assemble(self, pasts: list[Past | None]) -> None:
        for probe in self.running:
            steps = [None if past is None else past.get(id(probe.candidate.module)) for past in pasts]
            if all(step is not None and step[1] == i and (step[0] < i or not i) for i, step in enumerate(steps)):
                probe.assembled.add(len(pasts))

    def _write(self, past: Past | None) -> None:
        for probe in self.running:
            step = None if past is None else past.get(id(probe.candidate.module))
            if step is not None and step[0] < step[1]:
                probe.written.add(step[1])

    def _meet(self, tensors: tuple[Tensor, ...], pasts: list[Past | None]) -> None:
        for probe in self.running:
            if probe.mixed:
                continue
            own = id(probe.candidate.module)
            found = [None if past is None else past.get(own) for past in pasts]
            seen = {step[0] == _BEFORE for step in found if step is not None}
            if True in seen:
                fresh = (t for t, step in zip(tensors, found, strict=True) if step is None)
                probe.mixed = False in seen or any(self._is_data(tensor) for tensor in fresh)

    def _past(self, tensor: Tensor) -> Past | None:
        tag = self._recorder.tag(tensor)
        return None if tag is None else tag.past

    def _mark(self, tensor: Tensor, past: Past | None) -> None:
        self._recorder.follows_from(tensor, past)

    def _is_data(self, tensor: Tensor) -> bool:
        return self._recorder.origin(tensor) is Origin.DATA


def _candidates(recorder: Recorder) -> Iterator[tuple[nn.Module, _Candidate]]:
    inside: set[int] = set()
    for module in recorder.modules:
        if id(module) in recorder.neuron_rows:
            inside.update(id(child) for _, child in module.named_modules())
    for module in recorder.modules:
        if type(module).__module__.split(".")[0] == "torch" or isinstance(module, torch.jit.ScriptModule):
            continue
        below = {id(child) for _, child in module.named_modules()}
        if id(module) in inside or below & recorder.neuron_rows.keys():
            continue
        name = recorder.paths[id(module)] or "(model)"
        yield module, _Candidate(module, name, holds_weights(module), recorder.operand(name))


def _held(module: nn.Module) -> Iterator[Tensor]:
    """Tensors that a module keeps, parameters and modules aside."""
    for name, value in vars(module).items():
        if name not in ("_parameters", "_modules") and value is not None:
            yield from tensors_in(value)


def _argument(args: tuple[Any, ...], position: int) -> int:
    value = args[position] if position < len(args) else 0
    return value if isinstance(value, int) else 0  # a named axis


def _joined(pasts: list[Past | None]) -> Past | None:
    found: Past | None = None
    for past in pasts:
        if past is None or past is found:
            continue
        found = past if found is None else _merged(found, past)
    return found


def _merged(a: Past, b: Past) -> Past:
    merged = dict(a)
    for key, (low, high) in b.items():
        mine = merged.get(key)
        merged[key] = (low, high) if mine is None else (min(low, mine[0]), max(high, mine[1]))
    return merged


_SAMPLE = 1024
_ROUNDING = 1e-2


def _is_spikes(x: Tensor, operand: Operand) -> bool:
    """Add `x` to what `operand` has seen; False once that is no spike train."""
    if x.layout is not torch.strided or x.is_quantized or x.is_nested or x.is_meta:
        return False
    if x.is_floating_point() and x.numel():
        flat = x.detach().reshape(-1)
        some = flat[:: -(-flat.numel() // _SAMPLE)]  # enough to tell real values at once
        if some.any().item() and torch.unique(some).numel() > 2 * MAX_LEVEL + 1:
            return False
        low, high = (value.item() for value in torch.aminmax(x))
        if low == high == 0:
            return True
        if not (abs(low) < float("inf") and abs(high) < float("inf")):  # also true of NaN
            return False
    operand.look(x, now=True)
    return not operand.values.many


def _only_passes_spikes(probe: _Probe) -> bool:
    """True for what gets spikes and returns spikes, with no weights in between to make a current of them."""
    if probe.candidate.weighted:
        return False
    operand = Operand(f"input of {probe.candidate.name!r}")
    return all(_is_spikes(tensor, operand) for tensor in probe.inputs)
