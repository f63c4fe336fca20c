"""Rows that repeat: operands known, without looking at a value, to hold the very same data as an earlier row.

Direct coding feeds one static image at every time step. A network that multiplies it by the same weights again and
again does work that could be done once. Two forms of it are recognised:

- time folded into the rows: an image expanded, repeated, tiled, stacked or concatenated over T, then flattened. The
  `Repeat` of a tensor says that its value at the linear index i (in logical order) does not depend on
  (i // inner) % times; reshapes and copies keep that, whatever they do to the axes.
- time as a loop: the same memory, unwritten since, fed to the same projection once more within one batch.

Both are proofs, never guesses: what is not known to repeat is not claimed, so the number is a lower bound. They rest
on torch's write counters, which writes through `.data` or NumPy pass by, as do all tags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from snn_energy.counting.tags import ATTRIBUTE, Origin, Repeat, Tag

if TYPE_CHECKING:
    from snn_energy.counting.projections import WeightProjection
    from snn_energy.counting.recorder import Recorder
    from snn_energy.counting.wiring import Wiring

Arguments = tuple[Any, ...]


def note_repeats(
    recorder: Recorder, projection: WeightProjection, operand: Tensor, tag: Tag | None, wiring: Wiring, rows: int
) -> None:
    """Tell a projection how many of the `rows` that it is about to be fed repeat an earlier row of the batch."""
    if repeated := _repeated_rows(recorder, projection, operand, tag, wiring, rows):
        projection.repeated[wiring] = projection.repeated.get(wiring, 0) + repeated


def _repeated_rows(
    recorder: Recorder, projection: WeightProjection, operand: Tensor, tag: Tag | None, wiring: Wiring, rows: int
) -> int:
    if tag is None or tag.origin is not Origin.DATA or operand.is_inference():
        return 0
    root = tag.root or tag
    fed = (
        recorder.batch,
        id(projection),
        len(projection.settled),
        wiring,
        operand.storage_offset() - tag.shift,
        operand._version,
        operand.shape,
        operand.stride(),
    )
    if root.fed is None:
        root.fed = [fed]
    elif fed in root.fed:
        return rows
    else:
        root.fed.append(fed)
    known = tag.repeats
    if known is None or not rows or known.inner % (operand.numel() // rows or 1):
        return 0
    return rows - rows // known.times


def repeat_of_input(tensor: Tensor, batch_axis: int | None = None) -> Repeat | None:
    """What repeats in a tensor because an axis has stride 0: the outermost such axis, but none where samples repeat."""
    strides = tensor.stride()
    if 0 not in strides:
        return None
    axes = [axis for axis, (size, stride) in enumerate(zip(tensor.shape, strides, strict=True)) if size > 1 > stride]
    return None if not axes or batch_axis in axes else _whole_axis(tensor, axes[0])


def carry(recorder: Recorder, name: str, is_view: bool, args: Arguments, operand: Tensor, out: Any) -> None:
    """Complete the tags of an operator's results, which hang on them already; `operand` is its first tensor."""
    if is_view:
        _follow(recorder, name, args, operand, out)
    rule = _RULES.get(name)
    if rule is not None:
        _apply(recorder, rule, args, args[1] if name == "addmm" else operand, out)


def carry_rows(recorder: Recorder, operand: Tensor, out: Tensor) -> None:
    """The same for an operator that makes each row of its result (axis 0) from that row of its operand alone."""
    _apply(recorder, _by_rows, (), operand, out)


def _apply(recorder: Recorder, rule: Rule, args: Arguments, operand: Tensor, out: Any) -> None:
    source = recorder.tag(operand)
    if (source is None or source.repeats is None) and rule not in _MAKING:
        return
    result = out if isinstance(out, Tensor) else out[0]
    tag: Tag | None = getattr(result, ATTRIBUTE, None)
    if tag is not None and result.numel():
        tag.repeats = rule(_Step(args, operand, source.repeats if source else None, result))
        recorder.repeating = recorder.repeating or tag.repeats is not None


def _follow(recorder: Recorder, name: str, args: Arguments, operand: Tensor, out: Any) -> None:
    """A view remembers whose memory it shows, and how far it lies behind the first of equal slices."""
    source = recorder.tag(operand)
    if source is None:
        return
    root, shift = source.root or source, source.shift
    position = None if source.repeats is None else _SLICES.get(name)
    axis = None if position is None or source.repeats is None else _axis(operand.shape, source.repeats)
    for one in (out,) if isinstance(out, Tensor) else out:
        tag: Tag | None = getattr(one, ATTRIBUTE, None)
        if tag is None or tag is source:
            continue
        tag.root, tag.shift = root, shift
        if axis is None or position is None:
            continue
        cut = int(args[position] if len(args) > position else 0) % operand.dim()
        if cut == axis:
            tag.shift += int(one.storage_offset() - operand.storage_offset())
        left = axis - int(cut < axis and one.dim() < operand.dim())
        if left < one.dim() and (cut != axis or one.dim() == operand.dim()) and one.shape[left] > 1:
            tag.repeats = _whole_axis(one, left)


_SLICES = {"select": 1, "slice": 1, "unbind": 1, "split": 2, "split_with_sizes": 2}
"""Views that cut along an axis -> the position of that axis among their arguments; 0 if left out."""


def _axis(shape: Sequence[int], known: Repeat) -> int | None:
    """The axis along which slices are equal, if the repeat is one whole axis."""
    inner = 1
    for axis in range(len(shape) - 1, -1, -1):
        if inner == known.inner and shape[axis] == known.times:
            return axis
        inner *= shape[axis]
    return None


def _whole_axis(tensor: Tensor, axis: int) -> Repeat:
    return Repeat(tensor.shape[axis], prod(tensor.shape[axis + 1 :]))


# -- one rule for each family of operators -------------------------------------------------------------------------


class _Step(NamedTuple):
    """One operator that ran on a tensor of which this is known."""

    args: Arguments
    operand: Tensor
    known: Repeat | None
    out: Tensor


Rule = Callable[[_Step], Repeat | None]


def _in_order(step: _Step) -> Repeat | None:
    """Same elements in the same logical order."""
    return step.known if step.operand.numel() == step.out.numel() else None


def _permuted(step: _Step) -> Repeat | None:
    axis = None if step.known is None else _axis(step.operand.shape, step.known)
    if axis is None:
        return None
    order = list(range(step.operand.dim()))
    if len(step.args) == 1:  # t
        order.reverse()
    elif len(step.args) == 2:  # permute
        order = [int(old) % len(order) for old in step.args[1]]
    else:  # transpose
        one, other = int(step.args[1]), int(step.args[2])
        order[one], order[other] = order[other], order[one]
    return _whole_axis(step.out, order.index(axis))


def _expanded(step: _Step) -> Repeat | None:
    return repeat_of_input(step.out)


def _tiled(step: _Step) -> Repeat | None:
    """repeat(x, times): the outermost axis that is repeated."""
    times = step.args[1]
    axis = next((axis for axis, count in enumerate(times) if count > 1), None)
    return None if axis is None else Repeat(int(times[axis]), prod(step.out.shape[axis:]) // int(times[axis]))


def _joined(step: _Step) -> Repeat | None:
    """stack or cat of one tensor with itself."""
    tensors = step.args[0]
    if len(tensors) < 2 or any(tensor is not step.operand for tensor in tensors):
        return None
    axis = int(step.args[1]) % step.out.dim() if len(step.args) > 1 else 0
    return Repeat(len(tensors), prod(step.out.shape[axis:]) // len(tensors))


def _by_element(step: _Step) -> Repeat | None:
    """Element-wise on the operand, with scalars and with tensors that are the same for all repeats."""
    known, shape = step.known, step.out.shape
    if known is None or step.operand.shape != shape:
        return None
    for other in step.args:
        if isinstance(other, Tensor) and other is not step.operand:
            first = next((axis for axis in range(-other.dim(), 0) if other.shape[axis] > 1), 0)
            if first and known.inner % prod(shape[first:]):
                return None
    return known


def _by_rows(step: _Step) -> Repeat | None:
    """Each row of the result (axis 0) comes from that row of the operand alone, by the same function for all."""
    known, operand, out = step.known, step.operand, step.out
    if known is None or not operand.dim() or not out.dim() or operand.shape[0] != out.shape[0]:
        return None
    row = operand.numel() // operand.shape[0]
    return None if known.inner % row else Repeat(known.times, known.inner // row * (out.numel() // out.shape[0]))


def _by_rows_and_bias(step: _Step) -> Repeat | None:
    """addmm: every row gets the same bias, or each its own."""
    return _by_rows(step) if step.args[0].dim() == 1 else None


_MAKING = (_expanded, _tiled, _joined)
"""Rules that need not know of any repeat before."""
MAKERS = {"expand", "repeat", "stack", "cat"}
"""Their operators."""

_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        "view _unsafe_view reshape unflatten flatten unsqueeze squeeze alias detach view_as clone contiguous _to_copy "
        "lift_fresh unsqueeze_copy squeeze_copy view_copy".split(),
        _in_order,
    ),
    **dict.fromkeys("permute transpose t".split(), _permuted),
    "expand": _expanded,
    "repeat": _tiled,
    **dict.fromkeys("stack cat".split(), _joined),
    **dict.fromkeys(
        "mul add sub div rsub neg abs relu clamp clamp_min clamp_max sigmoid tanh hardtanh leaky_relu gelu silu exp "
        "log sqrt pow round floor ceil sign gt ge lt le eq ne".split(),
        _by_element,
    ),
    **dict.fromkeys(
        "convolution native_batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm max_pool2d_with_indices "
        "max_pool3d_with_indices avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d mm".split(),
        _by_rows,
    ),
    "addmm": _by_rows_and_bias,
}
