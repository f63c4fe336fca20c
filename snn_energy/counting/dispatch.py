"""The dispatch mode: every operator that torch runs passes here once, and is counted, declared free or listed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from snn_energy.counting.ops import COUNTED, FREE, PRODUCTS, VIEWS, Call, Product, table_name
from snn_energy.counting.ops.products import RECURRENT
from snn_energy.counting.recorder import ROOT, Recorder
from snn_energy.counting.tags import Origin, Tag, version_of
from snn_energy.errors import TraceError

Padding = tuple[tuple[int, int], ...]

_TWO_MEANINGS = {"max", "min", "dropout"}
"""Names that are also a composite of another meaning: taken apart where they arrive whole."""
_OF_NUMBERS: dict[str, Callable[..., Any]] = {"equal": operator.eq, "_local_scalar_dense": lambda value: value}
"""What TorchScript asks of the numbers in its graph: they are tensors to it, but arrive here as numbers."""
_SOFTMAX = {"_softmax", "_safe_softmax"}
_MOVES = VIEWS | {"cat", "stack"}
_KEEPS_BIAS = {"view", "_unsafe_view", "reshape", "unflatten", "unsqueeze", "squeeze", "clone"}


class CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what runs below the recorder's current module path."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder
        self._names: dict[object, str] = {}
        self._composites: set[object] = set()

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
        name = self._names.get(func)
        if name is None:
            name = self._names[func] = table_name(func)
        recorder = self.recorder
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
        row, product, reason = COUNTED.get(name), PRODUCTS.get(name), FREE.get(name)
        uncertain = row is None and product is None and reason is None
        if (uncertain or name in _TWO_MEANINGS) and self._is_composite(func):
            # Under inference_mode composite operators arrive whole: take them apart as torch itself would.
            with self:
                return func.decompose(*args, **kwargs)
        if func._schema.is_mutable and tensors:
            recorder.before_write(kwargs.get("out", tensors[0]))
        origin, names = recorder.joint_origin(tensors)
        if torch.Tag.nondeterministic_seeded in func.tags:
            origin, names = Origin.DATA, ()  # drawn afresh in every run
        if origin is Origin.WEIGHT and (product is None or self._is_constant(product, args)):
            out = func(*args, **kwargs)
            recorder.products += product is not None
            recorder.note("free", name, reason=FREE.get(name, "weights only: computed once, at load time"))
            self._hang(out, Tag(recorder.token, Origin.WEIGHT, names=names))
            return out
        foreign = (row is not None or product is not None) and any(is_foreign(t) for t in tensors)
        after = None
        if product is not None:
            origin = Origin.DATA  # counted, so what it feeds is counted as well
            if not foreign:
                after = product.row(recorder, Call(name, args, kwargs, tensors, None))
        before = recorder.tag(tensors[0]) if name == "add" and tensors else None
        out = func(*args, **kwargs)
        self._track(func, name, args, kwargs, tensors, origin, names, out)
        if foreign:
            recorder.note("uncounted", f"{name} (sparse, quantised or complex)", bound=_bound(tensors, out))
        elif product is not None:
            if after is not None:
                after(out)
        elif row is not None:
            row(recorder, Call(name, args, kwargs, tensors, out, before))
        elif reason is not None:
            recorder.note("free", name, reason=reason)
        else:
            recorder.note("uncounted", name, bound=_bound(tensors, out))
        return out

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

    def _is_composite(self, func: torch._ops.OpOverload) -> bool:
        if func in self._composites:
            return True
        name = func._schema.name + (f".{func._overloadname}" if func._overloadname != "default" else "")
        if torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"):
            self._composites.add(func)
            return True
        return False

    def _track(
        self,
        func: torch._ops.OpOverload,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: tuple[Tensor, ...],
        origin: Origin,
        names: tuple[str, ...],
        out: Any,
    ) -> None:
        """Hang tags on the results."""
        recorder = self.recorder
        if func._schema.is_mutable and origin is Origin.DATA and isinstance(out, Tensor):
            recorder.wrote_data(out)
        tag = Tag(recorder.token, origin, names=names)
        if name in _MOVES and tensors:
            source = recorder.tag(tensors[0])
            if source is not None:
                tag.softmax = source.softmax
                if source.padding and isinstance(out, Tensor) and name not in ("cat", "stack"):
                    tag.padding = _kept(source.padding, tensors[0], out)
                if name in _KEEPS_BIAS:
                    tag.biased, tag.projection = source.biased, source.projection
            tag.spike_scale = _common_scale(recorder, tensors)
        elif name in _SOFTMAX:
            tag.softmax = True
        elif name == "constant_pad_nd" and not (kwargs.get("value") or (len(args) > 2 and args[2])):
            source = recorder.tag(tensors[0])
            tag.padding = _padding(args[1] if len(args) > 1 else kwargs["pad"], source.padding if source else None)
            tag.spike_scale = recorder.spike_scale(tensors[0])
        version = version_of(tensors[0]) if func.is_view and tensors else None
        self._hang(out, tag, version)

    def _hang(self, out: Any, tag: Tag, version: int | None = None) -> None:
        """Hang a tag on the one result; of several, each gets one that says what holds for all."""
        if isinstance(out, Tensor):
            self.recorder.mark(out, tag, version)
        elif isinstance(out, (tuple, list)):
            for one in out:
                if isinstance(one, Tensor):
                    common = Tag(tag.owner, tag.origin, names=tag.names, spike_scale=tag.spike_scale)
                    self.recorder.mark(one, common, version)


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


def is_foreign(tensor: Tensor) -> bool:
    """True for layouts and number types that the rows do not read."""
    return tensor.layout is not torch.strided or tensor.is_complex() or tensor.is_quantized


def _bound(tensors: tuple[Tensor, ...], out: Any) -> int:
    """Every output element against every input element: no operator whose outputs are sums over inputs does more."""
    results = out if isinstance(out, (tuple, list)) else (out,)
    outputs = sum(one.numel() for one in results if isinstance(one, Tensor))
    inputs = sum(tensor.numel() for tensor in tensors)
    return max(1, outputs) * max(1, inputs)
