"""The recorder of one trace: operators report to it, and it turns into a `Trace` when the data are through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any, Protocol
from weakref import ref

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from snn_energy.counting.counts import Coverage, ElementwiseCounts, NeuronCounts, OperatorRecord
from snn_energy.counting.inside import NeuronScope
from snn_energy.counting.kept import KeptTensors
from snn_energy.counting.naming import eager_name, stem
from snn_energy.counting.neuron_tally import NeuronTally
from snn_energy.counting.neurons import NeuronRow, holds_weights, multiplies, neuron_row
from snn_energy.counting.observe import Operand, is_dyadic
from snn_energy.counting.projections import PairProjection, WeightProjection
from snn_energy.counting.repeats import repeat_of_input
from snn_energy.counting.sights import StepMaps
from snn_energy.counting.stateful import Behaviour
from snn_energy.counting.tags import ATTRIBUTE, Origin, Past, Tag, drop_tag, hang_tag, read_tag, tensors_in, version_of

ROOT = "(model)"


class Site(Protocol):
    """What a module hook worked out for a module, to be used again at its next call with an input of this shape."""

    shape: torch.Size
    other: Site | None
    """For another shape."""

    def fits(self, x: Tensor, tag: Tag) -> bool:
        """True while it holds for the input `x`, of which `tag` is known."""

    def count(self, recorder: Recorder, x: Tensor, tag: Tag) -> Callable[[Tensor | None], None]:
        """Count a call; returns what to do with its output, which is None after an exception."""


class Entry(Protocol):
    """An operator's entry in the certificate."""

    def again(self, calls: int = 1) -> None:
        """Enter more calls of the same kind, from the same module and without a bound."""

    def once(self, path: str) -> None:
        """Enter one call from the module of this path, without a bound."""


class Owing(Protocol):
    """A site whose calls are charged together."""

    def charge(self) -> None:
        """Charge all calls since the last time."""


Charge = Callable[[int], None]
"""Charges so many calls like one that was seen."""


@dataclass(slots=True)
class _OperatorTally:
    """Running entry of the certificate."""

    reason: str
    calls: int = 0
    bound: int = 0
    modules: dict[str, None] = field(default_factory=dict)

    def again(self, calls: int = 1) -> None:
        """Enter more calls of the same kind, from the same module and without a bound."""
        self.calls += calls

    def once(self, path: str) -> None:
        """Enter one call from the module of this path, without a bound."""
        self.calls += 1
        self.modules[path or ROOT] = None


@dataclass(slots=True)
class _ArithmeticTally:
    """Running sums of one module's arithmetic of one kind."""

    calls: int = 0
    adds: int = 0
    muls: int = 0
    compares: int = 0
    specials: int = 0

    def more(self, adds: int, muls: int, compares: int, specials: int, calls: int = 1) -> None:
        """Add one call, or several."""
        self.calls += calls
        self.adds += adds
        self.muls += muls
        self.compares += compares
        self.specials += specials

    def again(self, one: _ArithmeticTally, calls: int = 1) -> None:
        """Add more calls like this one."""
        self.calls += calls
        self.adds += calls * one.adds
        self.muls += calls * one.muls
        self.compares += calls * one.compares
        self.specials += calls * one.specials


class Recorder:
    """Collects the facts of one trace, over all its batches."""

    def __init__(self, model: nn.Module, *, fold: bool = True) -> None:
        self.fold = fold
        """Whether a batch norm right behind a projection folds into it."""
        self.paths: dict[int, str] = {id(m): eager_name(name) for name, m in model.named_modules()}
        self.modules = [module for _, module in model.named_modules()]  # keeps the identities of `paths` alive
        self.stack: list[nn.Module] = []
        self.path = ""
        """Path of the innermost running module that the model knows; "" for the model itself."""
        self.scopes: list[NeuronScope] = []
        """The neurons with weights that are running, outermost first."""
        self.muted = False
        """True where all but products belongs to a neuron's equation."""
        self._outer: list[tuple[str, bool]] = []
        self.called: set[int] = set()
        self.products = 0
        """Products reported so far."""
        self.used_parameters: set[str] = set()
        self.projections: dict[tuple[object, ...], WeightProjection | PairProjection] = {}
        self._arithmetic: dict[tuple[str, str], _ArithmeticTally] = {}
        self._operators: dict[tuple[str, str], _OperatorTally] = {}
        self.neuron_tallies: dict[str, NeuronTally] = {}
        self.neuron_rows: dict[int, NeuronRow] = {}
        self.mixed: set[int] = set()
        """Neurons whose products are counted as they run."""
        self._known: dict[int, tuple[Tensor, Tag]] = {}
        self._inputs: list[int] = []
        self._borrowed: list[ref[Tensor]] = []
        """Tensors that the trace did not make, and that the model wrote to: their tags are taken off at the end."""
        self._written: dict[int, StorageWeakRef] = {}
        self.uncharged: list[Owing] = []
        """Sites with calls of the present batch."""
        self.journal: list[Charge] | None = None
        """While it is a list, arithmetic and notes are also left here as functions that charge the same again."""
        self.draft: list[Callable[[], None]] | None = None
        """While it is a list, arithmetic and notes go there instead, as functions that charge them."""
        self.sites: dict[int, Site] = {}
        """By identity of the module; only modules that the model knows."""
        self.token = object()
        """Marks the tags of this trace; a tag must not keep the recorder alive."""
        self.batch = 0
        """Number of the present batch."""
        self.repeating = False
        """Whether any tensor of the present batch is known to repeat itself."""
        self._step_of: dict[str, int] = {}
        self._many: tuple[FrameType | None, int] = (None, 0)
        for module in self.modules:
            row = neuron_row(module)
            if row is not None:
                self.neuron_rows[id(module)] = row
        self._weighted: set[int] = set()
        """What holds weights inside a neuron: does work of its own, element-wise operators included."""
        for module in self.modules:
            row = self.neuron_rows.get(id(module))
            if row is not None and multiplies(row, module):
                self.mixed.add(id(module))
                inner = (child for _, child in module.named_modules() if child is not module)
                self._weighted.update(id(child) for child in inner if holds_weights(child))
        self._parameters: dict[str, Tensor] = {
            eager_name(name): parameter for name, parameter in model.named_parameters()
        }
        self._lazy = [p for p in self._parameters.values() if nn.parameter.is_lazy(p)]
        self._parameter_memory = {_address(p) for p in self._parameters.values() if not nn.parameter.is_lazy(p)}
        self._weight_names: dict[tuple[object, ...], str] = {}
        self._weight_users: dict[int | str, list[WeightProjection]] = {}
        """Projections by the memory of their weights, and by the names of the parameters these come from."""
        for name, parameter in self._parameters.items():
            self._known[id(parameter)] = (parameter, Tag(self.token, Origin.WEIGHT, names=(name,)))
        self.kept = KeptTensors(self)
        for module in self.modules:
            for name, buffer in module.named_buffers(recurse=False):
                self._keep(f"{self.paths[id(module)]}.{name}".lstrip("."), buffer, module, name)
        for module, attribute, tensor in self._plain_tensors():  # a mask kept so is as constant as a buffer
            self._keep(f"{self.paths[id(module)]}.{attribute}", tensor, module, attribute)
        self.behaviour = Behaviour(self)

    def _keep(self, name: str, tensor: Tensor, module: nn.Module, attribute: str) -> None:
        """Take a tensor that a module keeps for a constant, until data show otherwise."""
        if id(tensor) not in self._known:
            self._known[id(tensor)] = (tensor, Tag(self.token, Origin.CONSTANT, names=(name,), kept=(name,)))
            self.kept.add(name, module, attribute)

    # -- where we are ------------------------------------------------------------------------------------------

    @property
    def module(self) -> nn.Module | None:
        """The innermost module that is running."""
        return self.stack[-1] if self.stack else None

    def enter(self, module: nn.Module) -> None:
        """Step into a module; one made on the fly is charged to the nearest module that the model knows."""
        self.stack.append(module)
        self.called.add(id(module))
        self._outer.append((self.path, self.muted))
        self.path = self.paths.get(id(module), self.path)
        if self.scopes:
            self.scopes[-1].enter(module)
            self.muted = self.muted and id(module) not in self._weighted

    def leave(self) -> None:
        """Step out of the innermost module."""
        module = self.stack.pop()
        self.path, self.muted = self._outer.pop()
        if self.scopes:
            self.scopes[-1].leave(module)

    def leave_all(self) -> None:
        """Step out of everything, after an exception."""
        while self.stack:
            self.leave()
        self.scopes.clear()
        self.behaviour.stop()

    def open_neuron(self, module: nn.Module, args: Any) -> None:
        """The innermost module, which has just been entered, is a neuron that multiplies by weights of its own."""
        self.scopes.append(NeuronScope(module, self.neuron_rows[id(module)], args))
        self.muted = True

    def closes(self, module: nn.Module) -> bool:
        """True if this module, which is about to be left, is the innermost such neuron; it is then closed."""
        if not self.scopes or self.scopes[-1].module is not module:
            return False
        self.scopes.pop()
        return True

    def begin_batch(self, inputs: Iterable[Tensor], batch_axis: int = 0) -> None:
        """Declare the tensors of the next call as data; time steps start again from zero."""
        for tally in self.neuron_tallies.values():
            tally.read()
        self.behaviour.begin_batch()
        for key in self._inputs:
            del self._known[key]
        self._inputs = []
        self._step_of.clear()
        self.batch += 1
        self.kept.forget()
        self.repeating = False
        for tensor in inputs:
            if id(tensor) not in self._known:
                repeats = repeat_of_input(tensor, batch_axis)
                self.repeating = self.repeating or repeats is not None
                self._known[id(tensor)] = (tensor, Tag(self.token, Origin.DATA, repeats=repeats))
                self._inputs.append(id(tensor))

    def at(self, path: str, stack: Sequence[nn.Module], do: Callable[[], None]) -> None:
        """Do something as if these modules were running, innermost last; `path` is that of the innermost."""
        before = self.stack, self.path
        self.stack, self.path = list(stack), path
        try:
            do()
        finally:
            self.stack, self.path = before

    # -- what a tensor is --------------------------------------------------------------------------------------

    def tag(self, tensor: Tensor) -> Tag | None:
        """What is known of a tensor, or None for one that no operator of this trace produced."""
        tag: Tag | None = getattr(tensor, ATTRIBUTE, None)
        if tag is not None and tag.owner is self.token and tag.version >= 0 and tag.version == tensor._version:
            return tag  # much the commonest case
        known = self._known.get(id(tensor))
        if known is None:
            return read_tag(tensor, self.token)
        tag = known[1]
        if tag.version != (version := version_of(tensor)):  # a result may have been written into it, and changed since
            tag.version = version
            tag.forget_values()
        return tag

    def origin(self, tensor: Tensor) -> Origin:
        """What a tensor depends on; a tensor from outside the trace is a constant, unless data were written into it."""
        tag = self.tag(tensor)
        origin = Origin.CONSTANT if tag is None else tag.origin
        if origin is not Origin.DATA and self._written:
            written = self._written.get(_address(tensor))
            if written is not None and not written.expired():  # type: ignore[no-untyped-call]
                return Origin.DATA
        return origin

    def joint_origin(self, tensors: Iterable[Tensor]) -> tuple[Origin, tuple[str, ...]]:
        """Origin of what is computed from `tensors`, and the parameters among their ancestors."""
        origin = Origin.CONSTANT
        names: list[str] = []
        for tensor in tensors:
            own = self.origin(tensor)
            if own is Origin.DATA or (tensor.dim() and self.tag(tensor) is None):
                return Origin.DATA, ()  # a tensor of unknown origin may hide data: what comes of it is never free
            if own is Origin.WEIGHT:
                origin = Origin.WEIGHT
                tag = self.tag(tensor)
                names.extend(tag.names if tag else ())
        return origin, tuple(dict.fromkeys(names))

    def recipe(
        self, func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[object, ...] | None:
        """How an operator makes a weight, or None where that cannot be told from its arguments."""
        if func._schema.is_mutable:
            return None
        parts: list[object] = [func]
        for key, value in (*enumerate(args), *kwargs.items()):
            part: object = value
            if isinstance(value, Tensor):
                part = self._recipe_of(value)
                if part is None:
                    return None
            elif not isinstance(value, (bool, int, float, str, torch.dtype, torch.device, type(None))):
                if not isinstance(value, (tuple, list)) or not all(isinstance(one, (int, float)) for one in value):
                    return None
                part = tuple(value)
            parts.append((key, part))
        return tuple(parts)

    def _recipe_of(self, tensor: Tensor) -> tuple[object, ...] | None:
        known = self._known.get(id(tensor))
        if known is None:
            tag = read_tag(tensor, self.token)
            return None if tag is None else tag.recipe
        if known[1].origin is Origin.DATA:
            return None
        # Parameters, buffers and attributes stay alive, so their identity is theirs alone.
        return (id(tensor), version_of(tensor), tensor.data_ptr())

    def mark(self, tensor: Tensor, tag: Tag, version: int | None = None) -> None:
        """Hang a tag on a tensor that an operator returned; for a view, with the write counter of its base."""
        known = self._known.get(id(tensor))
        if known is not None:
            known[1].past = tag.past
            return
        hang_tag(tensor, tag, version)

    def follows_from(self, tensor: Tensor, past: Past | None) -> None:
        """Note which steps a tensor follows from."""
        tag = self.tag(tensor)
        if tag is not None:
            tag.past = past
            if id(tensor) not in self._known:
                hang_tag(tensor, tag)  # a tag that a write made stale is a copy

    def wrote_data(self, tensor: Tensor) -> None:
        """Note that data were written into memory that began as a constant, unless parameters live there."""
        if not self.is_parameter_memory(tensor):
            self._written[_address(tensor)] = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]

    def is_parameter_memory(self, tensor: Tensor) -> bool:
        """True if a tensor is a parameter or a view of one."""
        if self._lazy:  # the first batch gives them their memory
            made = [p for p in self._lazy if not nn.parameter.is_lazy(p)]
            self._parameter_memory.update(_address(p) for p in made)
            self._lazy = [p for p in self._lazy if nn.parameter.is_lazy(p)]
        address = _address(tensor)
        if address in self._parameter_memory:
            return True
        tag = self.tag(tensor)
        owners = () if tag is None else (self._parameters.get(name) for name in tag.names)
        if any(p is not None and not nn.parameter.is_lazy(p) and _address(p) == address for p in owners):
            self._parameter_memory.add(address)  # `parameter.data = ...` gave it another
            return True
        return False

    def projection_before(self, tag: Tag | None) -> WeightProjection | None:
        """The projection whose result a tensor is, untouched since."""
        found = None if tag is None or tag.projection is None else self.projections.get(tag.projection)
        return found if isinstance(found, WeightProjection) else None

    def spike_scale(self, tensor: Tensor) -> float | None:
        """Height of the spikes of a tensor that is known to hold nothing else."""
        tag = self.tag(tensor)
        return None if tag is None else tag.spike_scale

    def grid(self, tensor: Tensor) -> float | None:
        """A power of two of which every value of a tensor is known to be a multiple >= 0."""
        tag = self.tag(tensor)
        if tag is None or tag.grid is not None or tag.spike_scale is None:
            return None if tag is None else tag.grid
        return tag.spike_scale if is_dyadic(tag.spike_scale) else None

    def top(self, tensor: Tensor) -> int | None:
        """How many times its grid no value of a tensor surpasses."""
        tag = self.tag(tensor)
        return None if tag is None else 1 if tag.grid is None and tag.spike_scale is not None else tag.top

    def scaled(self, tensor: Tensor) -> bool:
        """Whether constants of the network gave a tensor's values their heights."""
        tag = self.tag(tensor)
        return tag is not None and tag.scaled

    def bits(self, tensor: Tensor) -> int:
        """Bits of one value: those of the quantiser that it went through, else of its type."""
        tag = self.tag(tensor)
        return tensor.element_size() * 8 if tag is None or tag.bits is None else tag.bits

    # -- names -------------------------------------------------------------------------------------------------

    def weight_name(self, names: tuple[str, ...], weight: Tensor) -> str | None:
        """Row name of a projection whose weight comes from these parameters; None if they are not named.

        A weight that is part of a parameter (the key rows of an attention's joint projection) names its rows.
        """
        if not names:
            return None
        module = self.module
        key = (id(module), names, weight.storage_offset(), weight.numel())
        known = self._weight_names.get(key)
        if known is None:
            self.used_parameters.update(names)
            known = self._weight_names[key] = self._name_weight(module, names, weight)
        return known

    def _name_weight(self, module: nn.Module | None, names: tuple[str, ...], weight: Tensor) -> str:
        path, part = self.path, self._part(names, weight)
        local = {} if module is None else {id(p): n for n, p in module.named_parameters(recurse=False)}
        for name in names:
            shared = local.get(id(self._parameters.get(name)))
            if shared is not None and not name.startswith(f"{path}."):
                names = (f"{path}.{shared}" if path else shared,)
                break
        whole = stem(names)
        owner, _, leaf = whole.rpartition(".")
        if path and whole == path:  # a module's weight times something else of that module, like its norm's scale
            return path + part
        if owner == path:
            return ((path or ROOT) if leaf == "weight" else whole) + part
        if whole.startswith(f"{path}.") or not path:
            return (owner if leaf == "weight" else whole) + part
        return f"{path}[{owner if leaf == 'weight' else whole}]{part}"

    def _part(self, names: tuple[str, ...], weight: Tensor) -> str:
        parameter = self._parameters.get(names[0])
        if len(names) != 1 or parameter is None or weight.numel() >= parameter.numel():
            return ""
        if parameter.dim() < 1 or not parameter.stride(0) or weight.dtype is not parameter.dtype:
            return ""
        first = (weight.storage_offset() - parameter.storage_offset()) // parameter.stride(0)
        rows = weight.numel() * parameter.shape[0] // parameter.numel()
        return f"[{first}:{first + rows}]"

    def watch_weight(self, projection: WeightProjection, names: tuple[str, ...]) -> None:
        """Remember where a projection's weights live, so that a write to them is noticed."""
        sources = [projection.source, *(self._parameters[n] for n in names if n in self._parameters)]
        places: set[int | str] = {*names, *map(_address, sources)}
        for place in places:
            users = self._weight_users.setdefault(place, [])
            if not any(user is projection for user in users):
                users.append(projection)

    def owners(self, names: tuple[str, ...]) -> tuple[Tensor, ...]:
        """The parameters of these names."""
        return tuple(self._parameters[name] for name in names if name in self._parameters)

    def before_write(self, tensor: Tensor) -> None:
        """Settle every projection whose weights are about to be written; remember a tensor of somebody else."""
        if id(tensor) not in self._known and getattr(tensor, ATTRIBUTE, None) is None:
            self._borrowed.append(ref(tensor))
        places: list[int | str] = [_address(tensor)]
        if self.is_parameter_memory(tensor) and (tag := self.tag(tensor)) is not None:
            places += tag.names  # `parameter.data = ...` may have moved it
        for place in places:
            for projection in self._weight_users.get(place, ()):
                if not projection.stale:
                    projection.settle()

    def is_buffer(self, tensor: Tensor, *suffixes: str) -> bool:
        """True for a registered buffer whose name ends in one of the suffixes."""
        known = self._known.get(id(tensor))
        return known is not None and known[1].origin is Origin.CONSTANT and known[1].names[0].endswith(suffixes)

    def step_in(self, frame: FrameType | None) -> int:
        """How many products the running call `frame` has made before; 0 for those that make one only."""
        if frame is None:
            return 0
        known, step = self._many
        self._many = (frame, step + 1 if known is frame else 0)  # holding the frame keeps its identity from others
        return self._many[1]

    def numbered(self, name: str) -> str:
        """`name`, or `name#2` and so on if earlier projections took it."""
        taken = {projection.name for projection in self.projections.values()}
        if name not in taken:
            return name
        number = 2
        while f"{name}#{number}" in taken:
            number += 1
        return f"{name}#{number}"

    # -- what operators report ---------------------------------------------------------------------------------

    def operand(self, name: str) -> Operand:
        """A fresh operand, named for error messages."""
        return Operand(f"layer {name!r}")

    def note(self, status: str, operator: str, *, reason: str = "", bound: int = 0, calls: int = 1) -> None:
        """Enter one call of an operator, or several, into the certificate."""
        if self.draft is not None:
            self.draft.append(partial(self.note, status, operator, reason=reason, bound=bound, calls=calls))
            return
        tally = self._operators.get((status, operator))
        if tally is None:
            tally = self._operators[status, operator] = _OperatorTally(reason)
        tally.calls += calls
        tally.bound += bound
        tally.modules[self.path or ROOT] = None
        if self.journal is not None:
            self.journal.append(tally.again)

    def entry(self, status: str, operator: str, module: nn.Module) -> Entry:
        """The entry of an operator in the certificate that a call in `module` noted before, for more calls of it."""
        tally = self._operators.get((status, operator))
        if tally is None:
            tally = self._operators[status, operator] = _OperatorTally("")
        tally.modules[self.paths[id(module)] or ROOT] = None
        return tally

    def free_entry(self, operator: str, reason: str) -> Entry:
        """The entry of a free operator in the certificate."""
        return self._operators.setdefault(("free", operator), _OperatorTally(reason))

    def arithmetic(
        self, kind: str, *, adds: int = 0, muls: int = 0, compares: int = 0, specials: int = 0, calls: int = 1
    ) -> None:
        """Charge element-wise arithmetic, of one call or several, to the module that runs."""
        if self.draft is not None:
            charge = partial(self.arithmetic, kind, adds=adds, muls=muls, compares=compares, specials=specials)
            self.draft.append(partial(charge, calls=calls))
            return
        key = (self.path or ROOT, kind)
        tally = self._arithmetic.get(key)
        if tally is None:
            tally = self._arithmetic[key] = _ArithmeticTally()
        tally.more(adds, muls, compares, specials, calls)
        if self.journal is not None:
            self.journal.append(partial(tally.again, _ArithmeticTally(1, adds, muls, compares, specials)))

    def neuron(
        self,
        module: nn.Module,
        shape: Tensor,
        maps: StepMaps | None = None,
        copy: Callable[[], Tensor] | None = None,
    ) -> None:
        """Record one call of a recognised neuron from its output; see `NeuronTally.add` for what may be known of that.

        Where the neuron's row says so, `shape` is its input instead.
        """
        name, tally = self._neuron_tally(module)
        self._step_of[name] = tally.add(shape, self._step_of.get(name, 0), maps, copy=copy)

    def neuron_steps(self, module: nn.Module, spikes: Tensor) -> None:
        """Record one call of a single-step neuron for each slice along the first axis."""
        name, tally = self._neuron_tally(module)
        self._step_of[name] = tally.add(spikes, self._step_of.get(name, 0), calls=len(spikes))

    def _neuron_tally(self, module: nn.Module) -> tuple[str, NeuronTally]:
        name = self.paths.get(id(module), self.path) or ROOT
        tally = self.neuron_tallies.get(name)
        if tally is None:
            tally = self.neuron_tallies[name] = NeuronTally(self.neuron_rows[id(module)])
        return name, tally

    def is_spikes(self, tensor: Tensor, scale: float | None) -> Tag:
        """Note what a neuron returned; `scale` is the height of its spikes where its row guarantees one."""
        tag = Tag(self.token, Origin.DATA, spike_scale=scale, scaled=True)
        hang_tag(tensor, tag)
        return tag

    def is_data(self, tensor: Tensor) -> None:
        """Note that a tensor from inside a neuron depends on the samples."""
        fresh = getattr(tensor, ATTRIBUTE, None) is None and id(tensor) not in self._known  # much the commonest case
        if fresh or self.tag(tensor) is None:
            hang_tag(tensor, Tag(self.token, Origin.DATA))

    def are_data(self, value: Any) -> None:
        """The same of all tensors of a nested structure."""
        if isinstance(value, Tensor):
            self.is_data(value)
        elif type(value) is tuple:  # what cells return: much the commonest case
            for item in value:
                self.are_data(item)
        else:
            for tensor in tensors_in(value):
                self.is_data(tensor)

    def hidden(self, module: nn.Module, args: Any, output: Any) -> None:
        """List a layer that multiplies by its weights, but whose product no operator reported since it was entered.

        Its work ran where a dispatch mode cannot see it: in another thread, with modes switched off, or in C++ code.
        """
        size = max(sum(t.numel() for t in tensors_in(values)) for values in (args, output))
        weights = sum(p.numel() for p in module.parameters(recurse=False) if p.dim() > 1)
        if size:  # every weight meets every element of the larger side at most once
            self.note("uncounted", f"unseen: {type(module).__name__}", bound=max(1, size * weights))

    def end_batch(self, outputs: Iterable[Tensor], inputs: Iterable[Tensor]) -> None:
        """List a result of the model that no operator of this trace produced; take our tags off the others."""
        self.kept.settle()
        for site in self.uncharged:
            site.charge()
        self.uncharged.clear()
        for projection in self.projections.values():
            projection.ask()
        size = sum(tensor.numel() for tensor in inputs) + sum(p.numel() for p in self._parameters.values())
        for tensor in outputs:
            if tensor.is_floating_point() and self.tag(tensor) is None:
                self.note("uncounted", "unseen: result of the model", bound=max(1, tensor.numel() * size))
            drop_tag(tensor)

    # -- the end -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Take back what was hung on tensors that outlive the trace: state and weights kept by the modules."""
        self._many = (None, 0)
        for borrowed in self._borrowed:
            if (tensor := borrowed()) is not None:
                drop_tag(tensor)
        for _, _, tensor in self._plain_tensors():
            drop_tag(tensor)
        for module in self.modules:
            for _, buffer in module.named_buffers(recurse=False):
                drop_tag(buffer)

    def _plain_tensors(self) -> Iterable[tuple[nn.Module, str, Tensor]]:
        """Tensors that modules keep as plain attributes: the module, the attribute's name, and the tensor."""
        for module in self.modules:
            for name, value in vars(module).items():
                if not name.startswith("_") or isinstance(value, Tensor):
                    for tensor in tensors_in(value):
                        yield module, name, tensor

    def neurons(self) -> tuple[NeuronCounts, ...]:
        """Records of all neuron layers that ran, in order of first call; those detected by behaviour come last."""
        tallies = (*self.neuron_tallies.items(), *self.behaviour.tallies)
        return tuple(tally.finish(name) for name, tally in tallies)

    def elementwise(self) -> tuple[ElementwiseCounts, ...]:
        """Records of all other arithmetic, in order of first call."""
        return tuple(
            ElementwiseCounts(
                name=name,
                kind=kind,
                calls=tally.calls,
                adds=tally.adds,
                muls=tally.muls,
                compares=tally.compares,
                specials=tally.specials,
            )
            for (name, kind), tally in self._arithmetic.items()
        )

    def coverage(self) -> Coverage:
        """The certificate of everything noted."""

        def records(status: str) -> tuple[OperatorRecord, ...]:
            return tuple(
                OperatorRecord(
                    name=name, calls=tally.calls, modules=tuple(tally.modules), reason=tally.reason, bound=tally.bound
                )
                for (kind, name), tally in sorted(self._operators.items())
                if kind == status
            )

        return Coverage(
            counted=records("counted"),
            free=records("free"),
            uncounted=records("uncounted"),
            never_called=tuple(self._never_called()),
        )

    def _never_called(self) -> Iterable[str]:
        for module in self.modules:
            if id(module) in self.called:
                continue
            path = self.paths[id(module)]
            own = [f"{path}.{n}" if path else n for n, _ in module.named_parameters(recurse=False)]
            if id(module) in self.neuron_rows or (own and not self.used_parameters.intersection(own)):
                yield path or ROOT


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
