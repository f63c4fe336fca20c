"""Quantised operators: counted as what their numbers stand for, with the bits that carry them.

A quantised value q stands for scale * (q - zero_point), so it is zero where q is the zero point, and its layer counts
as the layer of the dequantised numbers would. Its operands and weights have 8 bits (16 in half precision). Arithmetic
between quantised tensors is charged as the same arithmetic on real ones, plus a requantisation of each output: one
multiplication by a scale, one addition of a zero point, one rounding and two comparisons that clamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from snn_energy.counting.ops.registry import BITS, PRODUCTS, READS_QUANTISED, After, Call, counts, multiplies
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.tags import Origin, Tag, hang_tag

Rate = tuple[int, int, int, int]
"""Additions, multiplications, comparisons and specials of one element."""

QUANTISE: Rate = (1, 1, 3, 0)
DEQUANTISE: Rate = (1, 1, 0, 0)
DYNAMIC: Rate = (1, 1, 5, 0)
"""Quantisation by the range of the operand itself: two more comparisons look for its extremes."""


def charge(recorder: Recorder, kind: str, rate: Rate, elements: int) -> None:
    """Charge `rate` for each element."""
    adds, muls, compares, specials = (each * elements for each in rate)
    recorder.arithmetic(kind, adds=adds, muls=muls, compares=compares, specials=specials)


# -- quantisers --------------------------------------------------------------------------------------------------------


def _bits_of_range(low: int, high: int) -> Callable[[tuple[Any, ...]], int | None]:
    """Bits that number the levels from argument `low` to argument `high`."""

    def bits(args: tuple[Any, ...]) -> int | None:
        if len(args) <= max(low, high):
            return None
        return (int(args[high]) - int(args[low])).bit_length()

    return bits


def _bits_of_input(args: tuple[Any, ...]) -> int | None:
    value = args[0] if args else None
    return value.element_size() * 8 if isinstance(value, Tensor) and value.is_quantized else None


FAKE_QUANTISERS = {
    # name: positions of quant_min and quant_max
    "fake_quantize_per_tensor_affine": (3, 4),
    "fake_quantize_per_tensor_affine_cachemask": (3, 4),
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams": (4, 5),
    "fake_quantize_per_channel_affine": (4, 5),
    "fake_quantize_per_channel_affine_cachemask": (4, 5),
    "_fake_quantize_learnable_per_tensor_affine": (3, 4),
    "_fake_quantize_learnable_per_channel_affine": (4, 5),
    "fused_moving_avg_obs_fake_quant": (8, 9),
    "_fused_moving_avg_obs_fq_helper": (8, 9),
}
EXPORTED = {
    # the same two steps, apart, as torch.export writes them
    "quantized_decomposed::quantize_per_tensor": (3, 4),
    "quantized_decomposed::quantize_per_channel": (4, 5),
    "quantized_decomposed::dequantize_per_tensor": (3, 4),
    "quantized_decomposed::dequantize_per_channel": (4, 5),
}
BITS.update({name: _bits_of_range(*where) for name, where in EXPORTED.items()})
BITS.update({name: _bits_of_range(*where) for name, where in FAKE_QUANTISERS.items()})
BITS["dequantize"] = _bits_of_input


@counts(*FAKE_QUANTISERS)
def fake_quantise(recorder: Recorder, call: Call) -> None:
    """Quantised and dequantised at once."""
    charge(recorder, "quantise", QUANTISE, call.result.numel())
    charge(recorder, "dequantise", DEQUANTISE, call.result.numel())
    recorder.note("counted", call.name)


@counts("quantize_per_tensor", "quantize_per_channel", *(name for name in EXPORTED if "::quantize" in name))
def quantise(recorder: Recorder, call: Call) -> None:
    """Divided by a scale, moved to the zero point, rounded, clamped."""
    charge(recorder, "quantise", QUANTISE, sum(out.numel() for out in _all(call.out)))
    recorder.note("counted", call.name)


@counts("quantize_per_tensor_dynamic")
def quantise_dynamically(recorder: Recorder, call: Call) -> None:
    """The same, after a search for the extremes."""
    charge(recorder, "quantise", DYNAMIC, call.result.numel())
    recorder.note("counted", call.name)


@counts(*(name for name in EXPORTED if "::dequantize" in name))
def dequantise_exported(recorder: Recorder, call: Call) -> None:
    """Whole numbers, kept as plain integers, less the zero point, times the scale."""
    charge(recorder, "dequantise", DEQUANTISE, call.result.numel())
    recorder.note("counted", call.name)


@counts("dequantize")
def dequantise(recorder: Recorder, call: Call) -> None:
    """Less the zero point, times the scale; nothing where the numbers were real all along."""
    elements = sum(source.numel() for source in call.tensors if source.is_quantized)
    charge(recorder, "dequantise", DEQUANTISE, elements)
    recorder.note("counted", call.name)


def _all(out: Any) -> Iterable[Tensor]:
    return (out,) if isinstance(out, Tensor) else [one for one in out if isinstance(one, Tensor)]


# -- layers ------------------------------------------------------------------------------------------------------------


def real_operand(recorder: Recorder, x: Tensor, *, dynamic: bool = False, reduce_range: bool = False) -> Tensor:
    """The numbers that the operand of a quantised layer stands for, tagged as data of 8 bits.

    Args:
        x: quantised; or real, which a `dynamic` layer quantises by the range of its values.
        dynamic: whether the layer does so.
        reduce_range: whether it leaves one bit unused while it does.
    """
    tag = recorder.tag(x)
    if dynamic and x.numel():
        x = torch.quantize_per_tensor_dynamic(x, torch.quint8, reduce_range)
    bits = x.element_size() * 8
    numbers = x.dequantize() if x.is_quantized else x.clone()
    padding = None if tag is None else tag.padding
    hang_tag(numbers, Tag(recorder.token, Origin.DATA, padding=padding, bits=bits))
    return numbers


def real_weight(recorder: Recorder, weight: Tensor, name: str = "weight", *, half: bool = False) -> Tensor:
    """The numbers that a packed weight stands for, tagged as the weight of the running module."""
    bits = 16 if half else weight.element_size() * 8
    numbers = weight.dequantize() if weight.is_quantized else weight.detach().clone()
    path = f"{recorder.path}.{name}" if recorder.path else name
    hang_tag(numbers, Tag(recorder.token, Origin.WEIGHT, names=(path,), bits=bits))
    return numbers


def delegate(
    recorder: Recorder, call: Call, row: str, operand: Tensor, weight: Tensor, *more: Any, biased: bool
) -> After:
    """Count as the real operator `row` of these numbers does; the result's own tag is left to it."""
    if row == "convolution":
        args: tuple[Any, ...] = (operand, weight, *more)
    else:
        args = (None, operand, weight) if biased else (operand, weight)
    count = PRODUCTS[row].row(recorder, Call(call.name, args, {}, (operand, weight), None))
    assert count is not None
    return count


def _linear(relu: bool, dynamic: bool) -> Callable[[Recorder, Call], After]:
    def row(recorder: Recorder, call: Call) -> After:
        x, packed = call.args[0], call.args[1]
        half = call.name.endswith("fp16")
        unpack = torch.ops.quantized.linear_unpack_fp16 if half else torch.ops.quantized.linear_unpack
        weight, bias = unpack(packed)
        quantises = dynamic and not half
        reduce_range = bool(call.get(2, "reduce_range", False)) if quantises else False
        operand = real_operand(recorder, x, dynamic=quantises, reduce_range=reduce_range).reshape(-1, x.shape[-1])
        hang_tag(operand, Tag(recorder.token, Origin.DATA, bits=32 if half else 8))
        numbers = real_weight(recorder, weight, half=half)
        columns = numbers.t()
        hang_tag(columns, recorder.tag(numbers) or Tag(recorder.token, Origin.WEIGHT))
        row_name = "mm" if bias is None else "addmm"
        count = delegate(recorder, call, row_name, operand, columns, biased=bias is not None)
        return _closing(recorder, count, x, relu=relu, dynamic=quantises, requantised=not dynamic)

    return row


def _conv(axes: int, relu: bool, dynamic: bool, transposed: bool) -> Callable[[Recorder, Call], After]:
    def row(recorder: Recorder, call: Call) -> After:
        x, packed = call.args[0], call.args[-3 if not dynamic else 1]
        adds_to = call.args[1] if call.name.startswith("quantized::conv2d_add") else None
        if adds_to is None:
            packed = call.args[1]
        weight, bias = packed.unpack()
        if axes == 1 and weight.dim() == 4:  # packed as a two-dimensional one of height 1
            weight = weight.squeeze(2)
        reduce_range = bool(call.get(2, "reduce_range", False)) if dynamic else False
        operand = real_operand(recorder, x, dynamic=dynamic, reduce_range=reduce_range)
        numbers = real_weight(recorder, weight)
        per_axis = [list(part)[-axes:] for part in (packed.stride(), packed.padding(), packed.dilation())]
        extra = list(packed.output_padding())[-axes:]
        more = (bias, *per_axis, transposed, extra, packed.groups())
        count = delegate(recorder, call, "convolution", operand, numbers, *more, biased=bias is not None)
        closing = _closing(recorder, count, x, relu=relu, dynamic=dynamic, requantised=not dynamic)
        if adds_to is None:
            return closing

        def with_sum(out: Tensor) -> None:
            closing(out)
            charge(recorder, "add", (1, 0, 0, 0), out.numel())

        return with_sum

    return row


def _closing(
    recorder: Recorder, count: After, x: Tensor, *, relu: bool, dynamic: bool, requantised: bool
) -> Callable[[Tensor], None]:
    """What a fused layer does beside its product."""

    def after(out: Tensor) -> None:
        count(out)
        if dynamic:
            charge(recorder, "quantise", DYNAMIC, x.numel())
        if relu:
            charge(recorder, "relu", (0, 0, 1, 0), out.numel())
        if requantised:
            charge(recorder, "requantise", QUANTISE, out.numel())

    return after


def _register(name: str, row: Callable[[Recorder, Call], After]) -> None:
    full = f"quantized::{name}"
    multiplies(full, factors=(0,))(row)
    READS_QUANTISED.add(full)


for _name in ("linear", "linear_dynamic", "linear_dynamic_fp16", "linear_relu", "linear_relu_dynamic",
              "linear_relu_dynamic_fp16"):  # fmt: skip
    _register(_name, _linear("relu" in _name, "dynamic" in _name))
for _axes in (1, 2, 3):
    for _name in (f"conv{_axes}d", f"conv{_axes}d_relu", f"conv{_axes}d_dynamic", f"conv_transpose{_axes}d",
                  f"conv_transpose{_axes}d_dynamic"):  # fmt: skip
        _register(_name, _conv(_axes, "relu" in _name, "dynamic" in _name, "transpose" in _name))
for _name in ("conv2d_add", "conv2d_add_relu"):
    _register(_name, _conv(2, "relu" in _name, dynamic=False, transposed=False))


@multiplies("_weight_int8pack_mm", factors=(0, 1))
def weight_only(recorder: Recorder, call: Call) -> After:
    """x [n, i] times weights [o, i] of 8 bits; the scale of each output channel folds into them."""
    weight = call.args[1].t()
    tag = recorder.tag(call.args[1])
    hang_tag(weight, Tag(recorder.token, Origin.WEIGHT, names=() if tag is None else tag.names, bits=8))
    return delegate(recorder, call, "mm", call.args[0], weight, biased=False)


# -- arithmetic between quantised tensors ------------------------------------------------------------------------------

REQUANTISED: dict[str, Rate] = {
    # the same arithmetic on real numbers; each output is requantised on top
    "add": (1, 0, 0, 0),
    "add_relu": (1, 0, 1, 0),
    "mul": (0, 1, 0, 0),
    "mul_relu": (0, 1, 1, 0),
    "add_scalar": (1, 0, 0, 0),
    "add_scalar_relu": (1, 0, 1, 0),
    "mul_scalar": (0, 1, 0, 0),
    "mul_scalar_relu": (0, 1, 1, 0),
    "batch_norm": (1, 1, 0, 0),
    "batch_norm_relu": (1, 1, 1, 0),
    **dict.fromkeys((f"batch_norm{axes}d" for axes in (1, 2, 3)), (1, 1, 0, 0)),
    **dict.fromkeys((f"batch_norm{axes}d_relu" for axes in (1, 2, 3)), (1, 1, 1, 0)),
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), (4, 3, 0, 0)),
    "leaky_relu": (0, 1, 1, 0),
    "prelu": (0, 1, 1, 0),
    "elu": (1, 0, 1, 1),
    "celu": (1, 1, 1, 1),
    "hardswish": (1, 2, 2, 0),
    "sigmoid": (0, 0, 0, 1),
    "tanh": (0, 0, 0, 1),
    "softmax": (2, 0, 1, 2),
    "cat": (0, 0, 0, 0),
    "cat_relu": (0, 0, 1, 0),
}
IN_PLACE_OF_VALUES: dict[str, Rate] = {"relu6": (0, 0, 1, 0), "threshold": (0, 0, 1, 0), "clamp": (0, 0, 2, 0)}
"""Keep the scale, so that nothing is requantised."""


def _elementwise(kind: str, rate: Rate, *, requantised: bool) -> Callable[[Recorder, Call], None]:
    def row(recorder: Recorder, call: Call) -> None:
        charge(recorder, kind, rate, call.result.numel())
        if requantised:
            charge(recorder, "requantise", QUANTISE, call.result.numel())
        recorder.note("counted", call.name)

    return row


for _kind, _rate in REQUANTISED.items():
    counts(f"quantized::{_kind}")(_elementwise(_kind, _rate, requantised=True))
for _kind, _rate in IN_PLACE_OF_VALUES.items():
    counts(f"quantized::{_kind}")(_elementwise(_kind, _rate, requantised=False))


@counts("quantized::embedding_bag_byte", "quantized::embedding_bag_4bit")
def quantised_embedding_bag(recorder: Recorder, call: Call) -> None:
    """Dequantises and adds table rows: a multiplication and an addition for each element looked up."""
    indices = call.tensors[0]
    charge(recorder, "embedding_bag", (1, 1, 0, 0), indices.numel() * call.result.shape[-1])
    recorder.note("counted", call.name)


@counts("quantized::embedding_byte", "quantized::embedding_4bit")
def quantised_embedding(recorder: Recorder, call: Call) -> None:
    """Dequantises table rows."""
    charge(recorder, "dequantise", DEQUANTISE, call.result.numel())
    recorder.note("counted", call.name)
