"""Element-wise and reducing arithmetic: textbook operation counts, one row for each operator.

A row is (additions, multiplications, comparisons, specials) for each element; a special is one transcendental
function, division, root or random draw. Arithmetic on weights alone never gets here: it is done once, at load time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod

from torch import Tensor

from snn_energy.counting.naming import inside_einsum
from snn_energy.counting.ops.complex_numbers import complex_arithmetic
from snn_energy.counting.ops.products import einsum_product
from snn_energy.counting.ops.registry import Call, counts
from snn_energy.counting.projections import WeightProjection
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.tags import Origin, Tag

Rate = tuple[int, int, int, int]

PER_OUTPUT: dict[str, Rate] = {
    # one operation for each output element
    **dict.fromkeys("rsub __add__ __sub__ bitwise_left_shift bitwise_right_shift".split(), (1, 0, 0, 0)),
    **dict.fromkeys("square __mul__ deg2rad rad2deg".split(), (0, 1, 0, 0)),
    **dict.fromkeys(
        "eq ne lt le gt ge relu relu6 abs neg sign sgn threshold maximum minimum fmax fmin heaviside isnan isinf "
        "isfinite clamp_min clamp_max round floor ceil trunc frac isin signbit copysign nextafter".split(),
        (0, 0, 1, 0),
    ),
    **dict.fromkeys("clamp clip hardtanh".split(), (0, 0, 2, 0)),
    **dict.fromkeys(
        "floor_divide remainder fmod reciprocal exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos "
        "tan asin acos atan atan2 sinh cosh asinh acosh atanh tanh sigmoid erf erfc erfinv logaddexp "
        "logaddexp2 digamma lgamma i0 sinc angle bernoulli rand_like randn_like uniform normal "
        "exponential rand randn randint poisson random float_power".split(),
        (0, 0, 0, 1),
    ),
    # composites, by their defining formula
    "leaky_relu": (0, 1, 1, 0),
    "prelu": (0, 1, 1, 0),
    "_prelu_kernel": (0, 1, 1, 0),
    "rrelu_with_noise": (0, 1, 1, 0),  # outside training a leaky one
    "hardshrink": (0, 0, 2, 0),
    "softshrink": (1, 0, 2, 0),
    "nan_to_num": (0, 0, 3, 0),
    "glu": (0, 1, 0, 1),  # a * sigmoid(b), for each output
    "logit": (1, 0, 0, 2),  # log(x / (1 - x))
    "hypot": (1, 2, 0, 1),
    "addr": (1, 1, 0, 0),
    "linalg_cross": (1, 2, 0, 0),
    "elu": (1, 0, 1, 1),
    "celu": (1, 1, 1, 1),
    "gelu": (1, 2, 0, 1),  # x/2 * (1 + erf(x/sqrt(2)))
    "silu": (0, 1, 0, 1),
    "mish": (1, 1, 0, 3),
    "softplus": (1, 0, 1, 2),
    "log_sigmoid_forward": (1, 0, 1, 2),
    "hardsigmoid": (1, 1, 2, 0),
    "hardswish": (1, 2, 2, 0),
    "lerp": (2, 1, 0, 0),
    "addcmul": (1, 2, 0, 0),
    "addcdiv": (1, 1, 0, 1),
    "native_dropout": (0, 1, 0, 1),
    "upsample_linear1d": (1, 2, 0, 0),
    "upsample_bilinear2d": (3, 4, 0, 0),
    "upsample_trilinear3d": (7, 8, 0, 0),
    "upsample_bicubic2d": (15, 16, 0, 0),
}

PER_INPUT: dict[str, Rate] = {
    # reductions: one operation for each input element, less one for each output
    "sum": (1, 0, 0, 0),
    "nansum": (1, 0, 0, 0),
    "mean": (1, 0, 0, 0),
    "prod": (0, 1, 0, 0),
    **dict.fromkeys("max min amax amin argmax argmin any all count_nonzero median".split(), (0, 0, 1, 0)),
    "aminmax": (0, 0, 2, 0),
    # softmax: maximum, difference, exponential, sum, quotient
    "_softmax": (2, 0, 1, 2),
    "_safe_softmax": (2, 0, 1, 2),
    "_log_softmax": (3, 0, 1, 1),
    "logsumexp": (2, 0, 1, 1),
    # normalisation over data: sum, square, sum; difference, scale
    "var": (3, 1, 0, 0),
    "var_mean": (3, 1, 0, 0),
    "std": (3, 1, 0, 0),
    "std_mean": (3, 1, 0, 0),
    "norm": (1, 1, 0, 0),
    "linalg_vector_norm": (1, 1, 0, 0),
}

ONCE: dict[str, tuple[int, int]] = {
    # (multiplications, specials) for each OUTPUT of a reduction: a mean is scaled by 1/n, a deviation has a root
    **dict.fromkeys(("mean", "var", "var_mean"), (1, 0)),
    **dict.fromkeys(("std", "std_mean"), (1, 1)),
    **dict.fromkeys(("norm", "linalg_vector_norm"), (1, 1)),
    "logsumexp": (0, 2),
}


def charge(recorder: Recorder, kind: str, rate: Rate, elements: int, *, muls: int = 0, specials: int = 0) -> None:
    """Charge `rate` for each element, `muls` and `specials` on top, and enter the operator as counted."""
    adds, own_muls, compares, own_specials = (elements * each for each in rate)
    recorder.arithmetic(kind, adds=adds, muls=own_muls + muls, compares=compares, specials=own_specials + specials)
    recorder.note("counted", kind)


def _per_output(rate: Rate) -> Callable[[Recorder, Call], None]:
    def row(recorder: Recorder, call: Call) -> None:
        if complex_arithmetic(recorder, call):
            return
        out = call.out if isinstance(call.out, Tensor) else call.result
        charge(recorder, call.name, rate, out.numel())

    return row


def _per_input(rate: Rate) -> Callable[[Recorder, Call], None]:
    def row(recorder: Recorder, call: Call) -> None:
        if complex_arithmetic(recorder, call):
            return
        outputs = call.result.numel()
        elements = call.tensors[0].numel()
        saved = elements if call.name.startswith("_") else elements - outputs
        muls, specials = (outputs * each for each in ONCE.get(call.name, (0, 0)))
        charge(recorder, call.name, rate, max(0, saved), muls=muls, specials=specials)

    return row


for _name, _rate in PER_OUTPUT.items():
    counts(_name)(_per_output(_rate))
for _name, _rate in PER_INPUT.items():
    counts(_name)(_per_input(_rate))


@counts("add", "sub")
def addition(recorder: Recorder, call: Call) -> None:
    """One addition for each output; a bias added right behind a projection is that projection's own."""
    elements = call.result.numel()
    if complex_arithmetic(recorder, call):
        return
    if _vanishes_in_conversion(recorder, call, call.before):
        return
    if len(call.tensors) == 2 and call.name == "add":
        tags = (call.before, recorder.tag(call.tensors[1]))
        for tag, other in zip(tags, reversed(call.tensors), strict=True):
            projection = recorder.projection_before(tag)
            if projection is None or tag is None or tag.biased or recorder.origin(other) is not Origin.WEIGHT:
                continue
            _add_bias(recorder, projection, other, elements)
            result = recorder.tag(call.result)
            if result is not None:
                result.biased, result.projection, result.channel = True, tag.projection, tag.channel
            return
    if call.kwargs.get("alpha", 1) not in (1, -1):
        recorder.arithmetic("scaling", muls=elements)
    charge(recorder, call.name, (1, 0, 0, 0), elements)


def _add_bias(recorder: Recorder, projection: WeightProjection, bias: Tensor, elements: int) -> None:
    """Add a bias to a projection; what is made of kept tensors may turn out to be state, added in its own right."""

    def to_projection() -> None:
        projection.bias_adds += elements
        recorder.note("counted", "add (bias)")

    kept = recorder.kept.among((bias,))
    if not kept:
        to_projection()
        return
    here = partial(recorder.at, recorder.path, recorder.stack[-1:])
    apart = partial(charge, recorder, "add", (1, 0, 0, 0), elements)
    recorder.kept.put_aside(kept, partial(here, apart), partial(here, to_projection))


@counts("mul")
def multiplication(recorder: Recorder, call: Call) -> None:
    """One multiplication for each output, unless an einsum made a product of it."""
    if complex_arithmetic(recorder, call):
        return
    if len(call.tensors) == 2 and inside_einsum():
        einsum_product(recorder, call)
    else:
        charge(recorder, "mul", (0, 1, 0, 0), call.result.numel())
        _gives_heights(recorder, call)


def _gives_heights(recorder: Recorder, call: Call) -> None:
    """Note that a constant of the network, not a number in its code, scaled the data: each channel may have its own."""
    tag = recorder.tag(call.result)
    if tag is not None and any(recorder.origin(tensor) is not Origin.DATA for tensor in call.tensors):
        tag.scaled = True


@counts("div", "true_divide")
def division(recorder: Recorder, call: Call) -> None:
    """One multiplication by 1/c for a divisor that no sample changes, else one special."""
    if _vanishes_in_conversion(recorder, call, recorder.tag(call.tensors[0])):
        return
    constant = len(call.tensors) < 2 or recorder.origin(call.tensors[1]) is not Origin.DATA
    by_constant = constant and bool(call.tensors) and call.args[0] is call.tensors[0]
    charge(recorder, "div", (0, 1, 0, 0) if by_constant else (0, 0, 0, 1), call.result.numel())
    if by_constant:
        _gives_heights(recorder, call)


def _vanishes_in_conversion(recorder: Recorder, call: Call, before: Tag | None) -> bool:
    """True inside torch.ao's layers for training with a norm still apart, between the projection and its norm.

    They scale the weights by the norm first, undo it on the result, and add the bias: conversion leaves one product.
    """
    module = type(recorder.module)
    if not recorder.fold or not any(base.__name__ == "_ConvBnNd" for base in module.__mro__):
        return False
    if recorder.projection_before(before) is None or before is None:
        return False
    result = recorder.tag(call.result)
    if result is not None:
        result.biased, result.projection, result.channel = before.biased, before.projection, before.channel
    recorder.note("free", f"{call.name} (norm in training)", reason="folded: conversion leaves one product")
    return True


@counts("pow")
def power(recorder: Recorder, call: Call) -> None:
    """A whole exponent n > 0 is n - 1 multiplications at most, any other a special."""
    exponent = call.get(1, "exponent")
    whole = isinstance(exponent, (int, float)) and 0 < exponent <= 4 and exponent == int(exponent)
    charge(recorder, "pow", (0, int(exponent) - 1, 0, 0) if whole else (0, 0, 0, 1), call.result.numel())


@counts("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d", "max_pool2d", "max_pool3d",
        "quantized_max_pool1d", "quantized_max_pool2d", "quantized_max_pool3d")  # fmt: skip
def max_pool(recorder: Recorder, call: Call) -> None:
    """k - 1 comparisons for each output; the maximum of spikes is a spike."""
    window = _window(call.get(1, "kernel_size"), call)
    charge(recorder, "max_pool", (0, 0, window - 1, 0), call.result.numel())
    _carry_spikes(recorder, call)


@counts("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_max_pool(recorder: Recorder, call: Call) -> None:
    """At most one comparison for each input element."""
    charge(recorder, "max_pool", (0, 0, 1, 0), call.tensors[0].numel())
    _carry_spikes(recorder, call)


@counts("fractional_max_pool2d", "fractional_max_pool3d")
def fractional_max_pool(recorder: Recorder, call: Call) -> None:
    """k - 1 comparisons for each output, wherever the windows fall."""
    axes = int(call.name.partition("pool")[2][0])
    kernel = call.get(1, "kernel_size")
    sizes = [kernel] if isinstance(kernel, int) else list(kernel)
    window = prod(sizes) if len(sizes) == axes else sizes[0] ** axes
    charge(recorder, "max_pool", (0, 0, window - 1, 0), call.result.numel())
    _carry_spikes(recorder, call)


@counts("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(recorder: Recorder, call: Call) -> None:
    """k - 1 additions and one multiplication by 1/k for each output; none where the sum is divided by 1."""
    window = _window(call.get(1, "kernel_size"), call)
    divides = call.get(6, "divisor_override") != 1
    charge(recorder, "avg_pool" if divides else "sum_pool", (window - 1, int(divides), 0, 0), call.result.numel())


@counts("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d")
def adaptive_average_pool(recorder: Recorder, call: Call) -> None:
    """One addition for each element of each window after its first, one multiplication for each output."""
    x, out = call.tensors[0], call.result
    axes = int(call.name[-2])
    windows = prod(
        sum(-(-(i + 1) * size // n) - i * size // n for i in range(n))
        for size, n in zip(x.shape[-axes:], out.shape[-axes:], strict=True)
    )
    elements = windows * prod(out.shape[:-axes])
    recorder.arithmetic("avg_pool", adds=max(0, elements - out.numel()), muls=out.numel())
    recorder.note("counted", call.name)


@counts("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
        "_batch_norm_no_update", "native_batch_norm_no_training", "miopen_batch_norm")  # fmt: skip
def batch_norm(recorder: Recorder, call: Call) -> None:
    """Folded into the projection right before it, where its statistics are constants; else one MAC for each element.

    Folding makes the scale free. The shift becomes the projection's bias: one addition for each output, unless the
    projection has a bias already, which is counted there.

    A norm is not folded forward, into a projection behind it: zero padding forbids it, and its result may have other
    readers. What it makes of spikes is judged by value: without a shift each channel keeps {0, a_c}, an accumulate;
    with one no element is zero and the projection multiplies. Where forward folding was possible, this is the upper
    bound: a MAC for each connection instead of an accumulate for each spike.
    """
    x, elements = call.tensors[0], call.result.numel()
    recorder.note("counted", call.name)
    if call.name.endswith(("batch_norm", "legit")) and bool(call.get(5, "training", False)):
        charge(recorder, "batch_norm", _DATA_NORM, elements)
    elif _folds(recorder, x):
        recorder.arithmetic("batch_norm (folded)", adds=0 if _is_biased(recorder, x) else elements)
    else:
        recorder.arithmetic("batch_norm", adds=elements, muls=elements)
        tag = recorder.tag(call.result)
        if tag is not None:
            tag.scaled = True


_DATA_NORM = (4, 3, 0, 0)
"""Mean, variance, scale and shift of each element, where data decide the statistics."""


def _folds(recorder: Recorder, x: Tensor) -> bool:
    """True if `x` is a projection's untouched result whose channels are on axis 1, and no other norm took it first."""
    projection = recorder.projection_before(recorder.tag(x))
    tag = recorder.tag(x)
    if not recorder.fold or projection is None or tag is None or tag.channel != 1:
        return False
    if projection.channels_out != x.shape[1]:
        return False
    if projection.folded is None:
        projection.folded = recorder.module
    return projection.folded is recorder.module


def _is_biased(recorder: Recorder, x: Tensor) -> bool:
    tag = recorder.tag(x)
    return tag is not None and bool(tag.biased)


@counts("native_layer_norm", "native_group_norm", "_fused_rms_norm", "rms_norm")
def data_norm(recorder: Recorder, call: Call) -> None:
    """Mean, variance, scale, shift: 4 additions and 3 multiplications for each element (not foldable: data decide)."""
    charge(recorder, call.name, _DATA_NORM, call.tensors[0].numel())


@counts("_thnn_fused_lstm_cell")
def fused_lstm_cell(recorder: Recorder, call: Call) -> None:
    """For each hidden element: 9 additions (biases, gates, state), 3 multiplications, 5 gate functions."""
    charge(recorder, "lstm_cell", (9, 3, 0, 5), call.result.numel())


@counts("_thnn_fused_gru_cell")
def fused_gru_cell(recorder: Recorder, call: Call) -> None:
    """For each hidden element: 10 additions (biases, gates, state), 3 multiplications, 3 gate functions."""
    charge(recorder, "gru_cell", (10, 3, 0, 3), call.result.numel())


@counts("_embedding_bag", "_embedding_bag_forward_only")
def embedding_bag(recorder: Recorder, call: Call) -> None:
    """Adds table rows, or takes their maximum: one operation for each element of each row after a bag's first."""
    weight, indices, out = call.tensors[0], call.tensors[1], call.result
    width = weight.shape[1]
    later = max(0, indices.numel() - out.shape[0]) * width
    mode = call.get(4, "mode", 0)  # 0 sum, 1 mean, 2 max
    weighted = indices.numel() * width if call.get(6, "per_sample_weights") is not None else 0
    recorder.arithmetic(
        "embedding_bag",
        adds=0 if mode == 2 else later,
        compares=later if mode == 2 else 0,
        muls=weighted + (out.numel() if mode == 1 else 0),
    )
    recorder.note("counted", call.name)


def _window(kernel: int | list[int], call: Call) -> int:
    axes = int(call.name.partition("pool")[2][0])
    sizes = [kernel] if isinstance(kernel, int) else list(kernel)
    return prod(sizes) if len(sizes) == axes else sizes[0] ** axes


def _carry_spikes(recorder: Recorder, call: Call) -> None:
    scale = recorder.spike_scale(call.tensors[0])
    tag = recorder.tag(call.result)
    if tag is not None and tag.origin is Origin.DATA and scale is not None and scale > 0:
        tag.spike_scale = scale
    if tag is not None:
        tag.scaled = recorder.scaled(call.tensors[0])
