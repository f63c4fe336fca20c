"""The dispatch mode: every operator that torch runs passes here once, and is counted, declared free or listed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from snn_energy.counting.channel_axis import RESHAPES, channel_after
from snn_energy.counting.kept import product_of_state
from snn_energy.counting.naming import inside_einsum
from snn_energy.counting.observe import is_dyadic
from snn_energy.counting.ops import (
    BITS,
    COUNTED,
    FREE,
    PRODUCTS,
    READS_COMPLEX,
    READS_QUANTISED,
    VIEWS,
    Call,
    Product,
    table_name,
)
from snn_energy.counting.ops.products import RECURRENT
from snn_energy.counting.ops.registry import After, Row
from snn_energy.counting.recorder import ROOT, Entry, Recorder
from snn_energy.counting.repeats import MAKERS, carry
from snn_energy.counting.sights import levels_of
from snn_energy.counting.tags import Origin, Tag, version_of
from snn_energy.errors import TraceError

Padding = tuple[tuple[int, int], ...]

_TWO_MEANINGS = {"max", "min", "dropout"}
"""Names that are also a composite of another meaning: taken apart where they arrive whole."""
_OF_NUMBERS: dict[str, Callable[..., Any]] = {"equal": operator.eq, "_local_scalar_dense": lambda value: value}
"""What TorchScript asks of the numbers in its graph: they are tensors to it, but arrive here as numbers."""
_WEIGHTS_ONLY = "weights only: computed once, at load time"
_SOFTMAX = {"_softmax", "_safe_softmax"}
_MOVES = VIEWS | {"cat", "stack"}
_KEEPS_BITS = _MOVES | {"relu", "max_pool2d_with_indices", "max_pool3d_with_indices", "dropout"}
_KEEPS_HEIGHTS = _KEEPS_BITS | {"im2col", "constant_pad_nd"}
_JOINS_HEIGHTS = {"cat", "stack", "where"}


@dataclass(slots=True, kw_only=True)
class _Operator:
    """What the tables and the schema say of one operator."""

    name: str
    row: Row | None
    product: Product | None
    reason: str | None
    view: bool
    mutable: bool
    random: bool
    composite: bool
    """Not counted as it is, but torch can take it apart into others."""
    moves: bool
    quick: bool
    """A view of its first argument that returns one tensor."""
    makes: bool
    """May make rows that repeat."""
    entry: Entry | None = None
    """Of quick ones, in the certificate."""


class CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what runs below the recorder's current module path."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder
        self._operators: dict[object, _Operator] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Dynamo never traces this mode; its guard would import the compiler and slow every operator."""
        return False

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        known = self._operators.get(func) or self._learn(func)
        if known.quick and args and not kwargs and not (self.recorder.muted or self.recorder.behaviour.running):
            done = self._quick_view(known, func, args)
            if done is not None:
                return done
        name, recorder = known.name, self.recorder
        tensors = tuple(_tensors(args, kwargs))
        for tensor in tensors:
            if tensor.is_nested or tensor.is_meta:
                what = "nested" if tensor.is_nested else "meta"
                raise TraceError(
                    f"{recorder.path or ROOT}: {name} got a {what} tensor; expected dense tensors that hold values; "
                    "pad the sequences, or move model and data to a real device"
                )
        if not tensors and name in _OF_NUMBERS:
            return _OF_NUMBERS[name](*args)
        if known.composite:
            # Under inference_mode composite operators arrive whole: take them apart as torch itself would.
            with self:
                return func.decompose(*args, **kwargs)
        row, product, reason = known.row, known.product, known.reason
        if known.mutable and tensors:
            recorder.before_write(kwargs.get("out", tensors[0]))
        origin, names = recorder.joint_origin(tensors)
        if known.random:
            origin, names = Origin.DATA, ()  # drawn afresh in every run
        if origin is Origin.WEIGHT and (product is None or self._is_constant(product, args)):
            out = func(*args, **kwargs)
            recorder.products += product is not None
            kept = recorder.kept.among(tensors)
            bits, recipe = self._weight_bits(name, args, tensors), recorder.recipe(func, args, kwargs)
            self._hang(out, Tag(recorder.token, Origin.WEIGHT, names=names, kept=kept, bits=bits, recipe=recipe))
            free = partial(recorder.note, "free", name, reason=FREE.get(name, _WEIGHTS_ONLY))
            if kept and (product is not None or (row is not None and not recorder.muted)):
                self._put_aside(known, kept, Call(name, args, kwargs, tensors, out), free)
            else:
                free()
            return out
        charged = row is not None and not recorder.muted
        foreign = (charged and any(is_unreadable(t, name in READS_COMPLEX) for t in tensors)) or (
            product is not None and any(is_foreign(t) for t in tensors) and name not in READS_QUANTISED
        )
        after = None
        if product is not None:
            origin = Origin.DATA  # counted, so what it feeds is counted as well
            if not foreign:
                after = self._product(product, Call(name, args, kwargs, tensors, None))
        before = recorder.tag(tensors[0]) if name == "add" and tensors else None
        out = func(*args, **kwargs)
        self._track(known, args, kwargs, tensors, origin, names, out)
        if foreign:
            recorder.note("uncounted", f"{name} (sparse, quantised or complex)", bound=_bound(tensors, out))
        elif product is not None:
            if after is not None:
                after(out)
        elif recorder.muted and not (name == "mul" and inside_einsum()):
            pass  # the neuron's equation is charged for it
        elif row is not None:
            row(recorder, Call(name, args, kwargs, tensors, out, before))
        elif reason is not None:
            recorder.note("free", name, reason=reason)
        else:
            recorder.note("uncounted", name, bound=_bound(tensors, out))
        return out

    def _put_aside(self, known: _Operator, kept: tuple[str, ...], call: Call, free: Callable[[], None]) -> None:
        """Wait with work of weights and kept tensors until these have shown whether they are constants or state."""
        recorder, bound = self.recorder, _bound(call.tensors, call.out)
        path, stack = recorder.path, recorder.stack[-1:]
        if known.product is not None or (call.name == "mul" and inside_einsum()):
            charge = product_of_state(recorder, known.product, replace(call, out=None), call.out, bound)
        else:
            recorder.draft = []
            try:
                COUNTED[call.name](recorder, call)
                charges = recorder.draft
            finally:
                recorder.draft = None
            charge = partial(recorder.at, path, stack, partial(_all, charges))
        recorder.kept.put_aside(kept, charge, partial(recorder.at, path, stack, free))

    def _learn(self, func: torch._ops.OpOverload) -> _Operator:
        """Look an operator up in the tables, once."""
        name = table_name(func)
        row, product, reason = COUNTED.get(name), PRODUCTS.get(name), FREE.get(name)
        uncertain = row is None and product is None and reason is None
        known = self._operators[func] = _Operator(
            name=name,
            row=row,
            product=product,
            reason=reason,
            view=func.is_view,
            mutable=func._schema.is_mutable,
            random=torch.Tag.nondeterministic_seeded in func.tags,
            composite=(uncertain or name in _TWO_MEANINGS) and _is_composite(func),
            moves=name in _MOVES,
            quick=name in VIEWS and func.is_view and [str(r.type) for r in func._schema.returns] == ["Tensor"],
            makes=name in MAKERS,
        )
        return known

    def _quick_view(self, known: _Operator, func: torch._ops.OpOverload, args: tuple[Any, ...]) -> Tensor | None:
        """The commonest case at the least cost: one view of one tensor of data, without padding; None for others."""
        x, recorder = args[0], self.recorder
        if type(x) is not Tensor:
            return None
        source = recorder.tag(x)
        if source is None or source.origin is not Origin.DATA or source.padding is not None:
            return None
        out: Tensor = func(*args)
        same = out.dtype is x.dtype  # else bits are read as other numbers
        name = known.name
        tag = Tag(recorder.token, Origin.DATA)
        if same:
            tag.spike_scale, tag.grid, tag.top = source.spike_scale, source.grid, source.top
            if name in RESHAPES:
                tag.sight, tag.terms = source.sight, source.terms
        tag.scaled, tag.bits, tag.softmax = source.scaled, source.bits, source.softmax
        tag.root, tag.shift = source.root or source, source.shift
        if source.projection is not None:
            tag.channel = channel_after(name, source.channel, x, out)
            if tag.channel is not None:
                tag.biased, tag.projection = source.biased, source.projection
        recorder.mark(out, tag, version_of(x))
        if source.repeats is not None or known.makes:
            carry(recorder, name, True, args, x, out)
        if known.entry is None:
            known.entry = recorder.free_entry(name, known.reason or "")
        known.entry.once(recorder.path)
        return out

    def _product(self, product: Product, call: Call) -> After | None:
        """Count a product before it runs; inside a neuron, only where its equation has it."""
        recorder = self.recorder
        if not recorder.scopes:
            return product.row(recorder, call)
        scope = recorder.scopes[-1]
        if scope.repeats(call.name, product, call.args):
            recorder.products += 1
            return None
        constant = tuple(recorder.origin(call.args[i]) is Origin.WEIGHT for i in product.factors)
        return product.row(recorder, replace(call, args=scope.operands(product, call.args, constant)))

    def _is_constant(self, product: Product, args: tuple[Any, ...]) -> bool:
        """A product of weights alone, as low-rank adapters and spectral norms make them, is done at load time.

        Inside a recurrent layer the first factor is its state: a learned initial state is an operand.
        """
        if isinstance(self.recorder.module, RECURRENT):
            return False
        if "parametrizations" in self.recorder.path.split("."):
            return True
        factors = [args[i] for i in product.factors]
        return all(
            self.recorder.origin(factor) is Origin.WEIGHT or self.recorder.is_buffer(factor, "_u", "_v")
            for factor in factors
        )

    def _weight_bits(self, name: str, args: tuple[Any, ...], tensors: tuple[Tensor, ...]) -> int | None:
        """Bits of a weight made of weights, where a quantiser left fewer than their type has."""
        quantiser = BITS.get(name)
        if quantiser is not None:
            return quantiser(args)
        tag = self.recorder.tag(tensors[0]) if name in VIEWS else None
        return None if tag is None else tag.bits

    def _track(
        self,
        known: _Operator,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: tuple[Tensor, ...],
        origin: Origin,
        names: tuple[str, ...],
        out: Any,
    ) -> None:
        """Hang tags on the results."""
        recorder, name = self.recorder, known.name
        if known.mutable and origin is Origin.DATA and isinstance(out, Tensor):
            recorder.wrote_data(out)
        observed = bool(recorder.behaviour.running)
        past = recorder.behaviour.before(name, args, tensors, writes="out" in kwargs) if observed else None
        tag = Tag(recorder.token, origin, names=names, past=past)
        if origin is Origin.CONSTANT:
            tag.kept = recorder.kept.among(tensors)
        tag.scaled = name in _JOINS_HEIGHTS
        source = recorder.tag(tensors[0]) if tensors and name in _KEEPS_HEIGHTS else None
        if source is not None:
            tag.scaled |= source.scaled
            if source.bits is not None and name in _KEEPS_BITS:
                tag.bits = max(recorder.bits(tensor) for tensor in tensors)
        quantiser = BITS.get(name)
        if quantiser is not None:
            tag.bits = quantiser(args)
        if known.moves and tensors:
            if source is not None:
                tag.softmax = source.softmax
                if source.padding and isinstance(out, Tensor) and name not in ("cat", "stack"):
                    tag.padding = _kept(source.padding, tensors[0], out)
                if source.projection is not None and isinstance(out, Tensor):
                    tag.channel = channel_after(name, source.channel, tensors[0], out)
                    if tag.channel is not None:
                        tag.biased, tag.projection = source.biased, source.projection
            if not isinstance(out, Tensor) or out.dtype is tensors[0].dtype:  # else bits are read as other numbers
                tag.spike_scale = _common_scale(recorder, tensors)
                tag.grid = _common_grid(recorder, tensors)
        elif name in _KEEPS_GRID and origin is Origin.DATA:
            tag.grid = _KEEPS_GRID[name](recorder, Call(name, args, kwargs, tensors, out))
            if name == "add" and tag.grid is not None:
                _remember_terms(recorder, tag, tensors, out)
        elif name in _SOFTMAX:
            tag.softmax = True
        elif name == "constant_pad_nd" and not (kwargs.get("value") or (len(args) > 2 and args[2])):
            source = recorder.tag(tensors[0])
            tag.padding = _padding(args[1] if len(args) > 1 else kwargs["pad"], source.padding if source else None)
            tag.spike_scale = recorder.spike_scale(tensors[0])
        version = version_of(tensors[0]) if known.view and tensors else None
        self._hang(out, tag, version)
        if origin is Origin.DATA and tensors and (known.view or recorder.repeating or known.makes):
            carry(recorder, name, known.view, args, tensors[0], out)
        if observed and name == "unbind":
            recorder.behaviour.after_unbind(args, tensors[0], out, past)

    def _hang(self, out: Any, tag: Tag, version: int | None = None) -> None:
        """Hang a tag on the one result; of several, each gets one that says what holds for all."""
        if isinstance(out, Tensor):
            self.recorder.mark(out, tag, version)
        elif isinstance(out, (tuple, list)):
            for one in out:
                if isinstance(one, Tensor):
                    common = Tag(
                        tag.owner,
                        tag.origin,
                        names=tag.names,
                        kept=tag.kept,
                        spike_scale=tag.spike_scale,
                        grid=tag.grid,
                        scaled=tag.scaled,
                        bits=tag.bits,
                        past=tag.past,
                    )
                    self.recorder.mark(one, common, version)


def _all(charges: Sequence[Callable[[], None]]) -> None:
    for charge in charges:
        charge()


def _is_composite(func: torch._ops.OpOverload) -> bool:
    name = func._schema.name + (f".{func._overloadname}" if func._overloadname != "default" else "")
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"))


def _tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    for value in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            for item in value:
                if isinstance(item, Tensor):
                    yield item


def _common_scale(recorder: Recorder, tensors: tuple[Tensor, ...]) -> float | None:
    scale = recorder.spike_scale(tensors[0])
    if scale is None or all(recorder.spike_scale(t) == scale for t in tensors[1:]):
        return scale
    return None


def _common_grid(recorder: Recorder, tensors: tuple[Tensor, ...]) -> float | None:
    grid = recorder.grid(tensors[0])
    if grid is None or all(recorder.grid(t) == grid for t in tensors[1:]):
        return grid
    return None


def _grid_of_sum(recorder: Recorder, call: Call) -> float | None:
    """A sum of multiples of one unit is a multiple of it, rounded or not."""
    plain = len(call.tensors) == 2 and not call.kwargs and call.tensors[0].dtype is call.tensors[1].dtype
    plain = plain and call.out.is_floating_point()  # whole numbers wrap around
    return _common_grid(recorder, call.tensors) if plain else None


def _remember_terms(recorder: Recorder, tag: Tag, tensors: tuple[Tensor, ...], out: Tensor) -> None:
    """Tell a sum of levels what its terms tell: how high it may be, and the sums over its leading axes."""
    tops = [recorder.top(term) for term in tensors]
    if all(tops):
        tag.top = sum(top for top in tops if top is not None)
    terms = [levels_of(recorder.tag(term)) for term in tensors if term.shape == out.shape]
    if len(terms) == len(tensors) and all(terms):
        together = tuple(chain(*terms))
        tag.terms = together if len(together) <= _TERMS else ()


_TERMS = 4
"""Terms that are remembered of a sum; those of a longer chain of additions are summed anew."""


def _grid_of_product(recorder: Recorder, call: Call) -> float | None:
    """A product with a power of two."""
    factor = call.args[1] if len(call.args) > 1 and len(call.tensors) == 1 else None
    grid = recorder.grid(call.tensors[0])
    if (
        grid is None
        or not isinstance(factor, (int, float))
        or not is_dyadic(factor)
        or not call.out.is_floating_point()
    ):
        return None
    return grid * factor


_KEEPS_GRID = {"add": _grid_of_sum, "mul": _grid_of_product}


def _padding(pads: Sequence[int], before: Padding | None) -> Padding:
    """Pads of torch (last axis first) as zeros before and after, outermost axis first, on top of earlier ones."""
    now = [(int(first), int(last)) for first, last in zip(pads[::2], pads[1::2], strict=True)]
    earlier = list(before or ())[::-1]
    axes = max(len(now), len(earlier))
    now, earlier = (pairs + [(0, 0)] * (axes - len(pairs)) for pairs in (now, earlier))
    both = zip(now, earlier, strict=True)
    return tuple((max(0, a + c), max(0, b + d)) for (a, b), (c, d) in both)[::-1]


def _kept(padding: Padding, source: Tensor, out: Tensor) -> Padding | None:
    """The padding after a view or copy that leaves the padded axes as they are."""
    axes = next((len(padding) - i for i, pair in enumerate(padding) if pair != (0, 0)), 0)
    same = axes and source.shape[-axes:] == out.shape[-axes:] and source.stride()[-axes:] == out.stride()[-axes:]
    return padding[-axes:] if same and source.numel() == out.numel() else None


def is_unreadable(tensor: Tensor, reads_complex: bool = False) -> bool:
    """True for layouts and number types whose arithmetic no row describes."""
    return tensor.layout is not torch.strided or (tensor.is_complex() and not reads_complex)


def is_foreign(tensor: Tensor) -> bool:
    """True for tensors whose values the rows of products do not read."""
    return is_unreadable(tensor) or tensor.is_quantized


def _bound(tensors: tuple[Tensor, ...], out: Any) -> int:
    """Every output element against every input element: no operator whose outputs are sums over inputs does more.

    Complex numbers multiply with four real products.
    """
    results = out if isinstance(out, (tuple, list)) else (out,)
    factor = 4 if any(isinstance(one, Tensor) and one.is_complex() for one in (*tensors, *results)) else 1
    outputs = sum(one.numel() for one in results if isinstance(one, Tensor))
    inputs = sum(tensor.numel() for tensor in tensors)
    return factor * max(1, outputs) * max(1, inputs)
