"""One time step of a network as a function: state in, state out.

Networks keep their state in four places, and each is found by looking, not by asking:

- in attributes and buffers of their modules (SpikingJelly, Sinabs, snnTorch with `init_hidden`): whatever a call
  changes is state;
- in what a neuron returns behind its spikes and takes back (Norse, snnTorch, our own cells);
- in what the network as a whole returns behind its output and takes back (Norse's SequentialState);
- in local variables of a multi-step neuron, which starts from rest in every call. `CARRIERS` knows those of ours.

The network then runs one frame at a time. That this is the same network is not taken on trust: `stepwise` runs it
both ways, in double precision, and refuses by name what does not carry over.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from snn_energy.counting.neurons import NeuronRow, named_neurons
from snn_energy.errors import MODEL_ERRORS, first_line
from snn_energy.exporting.failures import ExportError

_MODULE_FIELDS = frozenset(vars(nn.Module()))


@dataclass(slots=True)
class Box:
    """What one patched module remembers: `old` from the step before, `new` for the next, one value for each call."""

    module: str
    names: tuple[str, ...]
    old: list[Any] = field(default_factory=list)
    new: list[Any] = field(default_factory=list)

    def take(self) -> Any:
        """What this call starts from; None at rest."""
        place = len(self.new)
        return self.old[place] if place < len(self.old) else None

    def put(self, value: Any) -> None:
        """What this call leaves behind."""
        self.new.append(value)


Carrier = Callable[[Any, Box], Callable[..., Any]]
"""Makes the method that takes the place of a module's own, on one time step."""


def _multi_step(neuron: Any, box: Box) -> Callable[..., Any]:
    def forward(current: Tensor) -> Tensor:
        now, membrane = current[0], box.take()
        spikes, membrane = neuron.step(now, torch.zeros_like(now) if membrane is None else membrane)
        box.put(membrane)
        out: Tensor = spikes.unsqueeze(0)
        return out

    return forward


def _integrator(readout: Any, box: Box) -> Callable[..., Any]:
    def forward(currents: Tensor) -> Tensor:
        now, value = currents[0], box.take()
        value = torch.add(now, torch.zeros_like(now) if value is None else value, alpha=readout.decay)
        box.put(value)
        return value.unsqueeze(0)

    return forward


def _recurrent(layer: Any, box: Box) -> Callable[..., Any]:
    own = layer.step

    def step(current: Tensor, spikes: Tensor, state: Any) -> tuple[Tensor, Any]:
        before = box.take()
        fired, after = own(current, spikes if before is None else before, state)
        box.put(fired)
        return fired, after

    return step


CARRIERS: dict[str, tuple[str, tuple[str, ...], Carrier]] = {
    "snn_energy.models.neurons.LIF": ("forward", ("membrane",), _multi_step),
    "snn_energy.models.neurons.IF": ("forward", ("membrane",), _multi_step),
    "snn_energy.models.cells.LeakyIntegrator": ("forward", ("membrane",), _integrator),
    "snn_energy.models.spiking_recurrent.RecurrentLayer": ("step", ("spikes",), _recurrent),
}
"""Qualified class -> the method to replace, what its state is called, and what makes the replacement."""

_STATE_NAMES = {
    "snn_energy.models.cells.LIFCell": ("membrane",),
    "snn_energy.models.cells.IFCell": ("membrane",),
    "snn_energy.models.cells.ALIFCell": ("membrane", "adaptation"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state tensor: its name ("blocks.0.neuron.membrane"), shape for the example, axis of the samples, start.

    `batch_axis` is None for a tensor whose shape does not follow the batch; `rest` is the value that every element has
    before the first time step.
    """

    name: str
    module: str
    shape: tuple[int, ...]
    batch_axis: int | None
    rest: float


_MISSING = object()
Snapshot = dict[str, dict[str, Any]]
"""What the modules of a network keep in attributes and buffers, by path and name."""


@dataclass(slots=True)
class Attribute:
    """A value that calls change, in a module's dict or among its buffers."""

    path: str
    module: nn.Module
    key: str
    rest: Any
    is_buffer: bool

    @property
    def _home(self) -> dict[str, Any]:
        return self.module._buffers if self.is_buffer else self.module.__dict__

    def read(self) -> Any:
        """The value now."""
        return self._home.get(self.key)

    def write(self, value: Any) -> None:
        """Set it."""
        self._home[self.key] = value

    def restore(self) -> None:
        """Set it to what it was before the first call."""
        if self.rest is _MISSING:
            self._home.pop(self.key, None)
        else:
            self._home[self.key] = _cloned(self.rest)


def snapshot(network: nn.Module) -> Snapshot:
    """Copy what the modules keep, before a call."""
    return {
        path: {key: _cloned(value) for key, value in _kept(module).items()} for path, module in network.named_modules()
    }


def moving_attributes(network: nn.Module, before: Snapshot) -> list[Attribute]:
    """The attributes and buffers with tensors in them that calls since `before` have changed, put at rest."""
    found = []
    for path, module in network.named_modules():
        old = before.get(path, {})
        for key, value in _kept(module).items():
            if key in old and not _changed(old[key], value):
                continue
            if any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(value)):
                slot = Attribute(path, module, key, old.get(key, _MISSING), key in module._buffers)
                slot.restore()
                found.append(slot)
    return found


def copied(model: nn.Module) -> nn.Module:
    """A copy in eval mode on the CPU. Errors: ExportError."""
    try:
        return copy.deepcopy(model).cpu().eval()
    except MODEL_ERRORS as problem:
        raise ExportError(
            f"{type(model).__qualname__}: cannot be copied for the export: {first_line(problem)}; reset the"
            " network's state first"
        ) from problem


def frames_of(output: Tensor) -> bool:
    """Whether the output of one frame has the time steps on its first axis; the samples are two or more."""
    return output.dim() > 1 and output.shape[0] == 1


class Steps:
    """A copy of a network, called once for each time step.

    Args: `model`; `frame`, one time step's input `n ...` (two samples or more); `frames`, whether the network takes
    its time steps itself, as `t n ...` (it is then called with one frame), or is called once for each of them; `carry`,
    whether state goes from step to step: without, every step starts from rest.

    Errors: ExportError for a network that cannot be copied or called so.
    """

    def __init__(self, model: nn.Module, frame: Tensor, *, frames: bool, carry: bool = True) -> None:
        self.frames, self._root_state = frames, False
        self.rows: dict[str, NeuronRow] = named_neurons(model)
        self.network = copied(model)
        rest = snapshot(self.network)
        self._attributes: list[Attribute] = []
        self._boxes: list[Box] = []
        self._root: list[Any] = [None]
        if carry:
            self._patch()
        self._discover(frame, rest, carry=carry)

    # -- finding the state ---------------------------------------------------------------------------------------

    def _patch(self) -> None:
        for path, module in self.network.named_modules():
            rule = next((CARRIERS[name] for name in _bases(module) if name in CARRIERS), None)
            if rule is not None:
                method, names, make = rule
                box = Box(path, names)
                module.__dict__[method] = make(module, box)
                self._boxes.append(box)
            elif path in self.rows and self.rows[path].returned_states:
                names = next((_STATE_NAMES[name] for name in _bases(module) if name in _STATE_NAMES), ())
                box = Box(path, names)
                module.__dict__["forward"] = _taking_back(module.forward, box)
                self._boxes.append(box)

    def _discover(self, frame: Tensor, rest: Snapshot, *, carry: bool) -> None:
        """Run from rest, twice: once to find what is changed, once, with one sample more, to find the batch axis."""
        self._begin([])
        output = self._call(frame)
        if not isinstance(output, Tensor):
            output = self._take_root_state(frame, output)
        several = {box.module for box in self._boxes if len(box.new) > 1 and box.module in self.rows}
        several = {path for path in several if self.rows[path].returned_states}
        if several:  # handed on inside a time step, as from window to window: no state between steps
            for path in several:
                self.network.get_submodule(path).__dict__.pop("forward")
            self._boxes = [box for box in self._boxes if box.module not in several]
        self.handed_on = tuple(sorted(several))
        self._attributes = moving_attributes(self.network, rest) if carry else []
        self.restore()
        self._begin([])
        first = self._call(frame)
        small = self._read()
        self.restore()
        self._begin([])
        grown = torch.cat([frame, frame[:1]])
        self._call(grown)
        big = self._read()
        self.restore()
        self.carried = frozenset(box.module for box in self._boxes) | {slot.path for slot in self._attributes}
        self._take_states(small, big)
        self._stacked = frames_of(first) if self.frames else False

    def _take_root_state(self, frame: Tensor, output: Any) -> Any:
        where = type(self.network).__qualname__
        pair = isinstance(output, tuple) and len(output) == 2 and isinstance(output[0], Tensor)
        takes = len(inspect.signature(self.network.forward).parameters) > 1
        if not (pair and takes and not self.frames):
            got = f"a {type(output).__name__} of {len(output)}" if isinstance(output, tuple) else type(output).__name__
            raise ExportError(
                f"{where}: expected one tensor of logits, or logits and a state that it takes back (got {got});"
                " wrap the network in one that returns its logits alone"
            )
        self._root_state = True
        try:
            with torch.no_grad():
                self.network(frame, output[1])
        except MODEL_ERRORS as problem:
            raise ExportError(
                f"{where}: does not take back the state that it returns: {first_line(problem)}; wrap the network in"
                " one that returns its logits alone"
            ) from problem
        return output[0]

    def _take_states(self, small: list[Any], big: list[Any]) -> None:
        flat, self._spec = pytree.tree_flatten_with_path(small)
        grown = pytree.tree_leaves(big)
        names = self._names([path for path, _ in flat])
        rests = self._rests(small)
        states = []
        self._constant: list[Any] = []
        self._is_state: list[bool] = []
        for (_, leaf), other, (module, name), rest in zip(flat, grown, names, rests, strict=True):
            self._is_state.append(isinstance(leaf, Tensor))
            self._constant.append(leaf)
            if not isinstance(leaf, Tensor):
                continue
            axes = [i for i, (a, b) in enumerate(zip(leaf.shape, other.shape, strict=True)) if a != b]
            if len(axes) > 1:
                raise ExportError(
                    f"{module} ({name}): its state {list(leaf.shape)} has no axis for the samples; export a network"
                    " whose state has one entry for each sample"
                )
            states.append(
                State(
                    name=name,
                    module=module,
                    shape=tuple(leaf.shape),
                    batch_axis=axes[0] if axes else None,
                    rest=rest,
                )
            )
        self.states: tuple[State, ...] = tuple(states)

    def _names(self, paths: Sequence[Any]) -> list[tuple[str, str]]:
        """(Module, name) of each leaf of `_read`: where it lies, and the last thing it is called by."""
        homes: list[tuple[str, tuple[str, ...]]] = [(slot.path, (slot.key,)) for slot in self._attributes]
        homes += [(box.module, box.names) for box in self._boxes] + [("", ())]
        found: list[tuple[str, str]] = []
        taken: set[str] = set()
        for path in paths:
            home, own = homes[path[0].idx]
            keys = [str(getattr(part, "key", getattr(part, "name", ""))) for part in path[1:]]
            last = next((key for key in reversed(keys) if key and not key.isdigit()), "")
            places = [part.idx for part in path[1:] if hasattr(part, "idx")]
            if not last and own:
                last = own[min(places[-1], len(own) - 1)] if len(own) > 1 and places else own[0]
            module = home or ".".join(map(str, places[:-1] or places))
            name = stem = f"{module}.{last or 'state'}" if module else last or "state"
            number = 2
            while name in taken:
                name, number = f"{stem}_{number}", number + 1
            taken.add(name)
            found.append((home, name))
        return found

    def _rests(self, small: list[Any]) -> list[float]:
        """Value before the first step: the attribute's own, or zero."""
        rests: list[float] = []
        for i, value in enumerate(small):
            leaves = pytree.tree_leaves(value)
            before: list[Any] = []
            if i < len(self._attributes):
                rest = self._attributes[i].rest
                before = [] if rest is _MISSING else pytree.tree_leaves(rest)
            if len(before) != len(leaves):
                before = [None] * len(leaves)
            rests += [_number(one) for one in before]
        return rests

    # -- running -------------------------------------------------------------------------------------------------

    def __call__(self, frame: Tensor, leaves: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Frame `n ...` and state tensors -> (output `n ...`, state tensors); the copy is left at rest."""
        given = iter(leaves)
        flat = [next(given) if mine else one for mine, one in zip(self._is_state, self._constant, strict=True)]
        self._begin(pytree.tree_unflatten(flat, self._spec))
        try:
            output = self._call(frame)
            if isinstance(output, tuple):
                output = output[0]
            after = [leaf for leaf, mine in zip(pytree.tree_leaves(self._read()), self._is_state, strict=True) if mine]
        finally:
            self.restore()
        return (output[0] if self._stacked else output), after

    def at_rest(self, batch: int, like: Tensor) -> list[Tensor]:
        """The state before the first time step."""
        found = []
        for state in self.states:
            shape = list(state.shape)
            if state.batch_axis is not None:
                shape[state.batch_axis] = batch
            found.append(torch.full(shape, state.rest, dtype=like.dtype))
        return found

    def run(self, frames: Tensor) -> Tensor:
        """Frames `t n ...` -> the outputs of all time steps, `t n ...`."""
        state, outputs = self.at_rest(frames.shape[1], frames), []
        with torch.no_grad():
            for frame in frames.unbind(0):
                output, state = self(frame, state)
                outputs.append(output)
        return torch.stack(outputs)

    def restore(self) -> None:
        """Put the copy at rest."""
        for slot in self._attributes:
            slot.restore()
        for box in self._boxes:
            box.old, box.new = [], []
        self._root = [None]

    def _begin(self, values: list[Any]) -> None:
        if not values:
            for box in self._boxes:
                box.old, box.new = [], []
            self._root = [None]
            return
        slots = len(self._attributes)
        for slot, value in zip(self._attributes, values, strict=False):
            slot.write(value)
        for box, value in zip(self._boxes, values[slots:], strict=False):
            box.old, box.new = list(value), []
        self._root = [values[-1]]

    def _call(self, frame: Tensor) -> Any:
        where = type(self.network).__qualname__
        try:
            with torch.no_grad():
                if self.frames:
                    return self.network(frame.unsqueeze(0))
                if not self._root_state:
                    return self.network(frame)
                state = self._root[0]
                output, self._root[0] = self.network(frame) if state is None else self.network(frame, state)
                return output
        except MODEL_ERRORS as problem:
            raise ExportError(
                f"{where}: cannot run one time step of shape {list(frame.shape)}: {first_line(problem)}; give an"
                " example that the network takes, with its time steps on axis 0 where it takes all of them"
            ) from problem

    def _read(self) -> list[Any]:
        return [slot.read() for slot in self._attributes] + [list(box.new) for box in self._boxes] + [self._root[0]]


def steps_of(model: nn.Module, frame: Tensor, time_steps: int, *, frames: bool) -> Steps:
    """The network step by step. One that hands its state on inside a step, and has one step only, carries none."""
    steps = Steps(model, frame, frames=frames)
    if time_steps == 1 and steps.handed_on and steps.states:
        return Steps(model, frame, frames=frames, carry=False)
    return steps


def _taking_back(own: Callable[..., Any], box: Box) -> Callable[..., Any]:
    """A neuron that returns (spikes, state ...) and takes back the state of the step before, whatever it is given."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        before = box.take()
        output = own(*args, **kwargs) if before is None else own(args[0], *before)
        box.put(tuple(output[1:]) if isinstance(output, tuple) else ())
        return output

    return forward


def _bases(module: nn.Module) -> Iterator[str]:
    return (f"{base.__module__}.{base.__qualname__}" for base in type(module).__mro__)


def _kept(module: nn.Module) -> dict[str, Any]:
    own = {key: value for key, value in vars(module).items() if key not in _MODULE_FIELDS}
    return own | {key: value for key, value in module._buffers.items() if value is not None}


def _cloned(value: Any) -> Any:
    return pytree.tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf, value)


def _changed(before: Any, after: Any) -> bool:
    old, new = pytree.tree_leaves(before), pytree.tree_leaves(after)
    if len(old) != len(new):
        return True
    for a, b in zip(old, new, strict=True):
        if isinstance(a, Tensor) != isinstance(b, Tensor):
            return True
        if isinstance(a, Tensor) and (a.shape != b.shape or a.dtype is not b.dtype or not torch.equal(a, b)):
            return True
    return False


def _number(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, Tensor) and value.numel() and bool((value == value.reshape(-1)[0]).all()):
        return float(value.reshape(-1)[0])
    return 0.0
