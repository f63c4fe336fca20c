"""Weights on a power-of-two grid, so that every sum the network makes is exact.

After `snap`, each convolution's and linear layer's weights are signed integers of at most `bits` bits times
2^-k, one k per layer (or one per output channel, see below), and its biases are multiples of 2^-12. With pixels
that are multiples of 1/256, spikes of 0 or 1, and a decay and threshold that are powers of two, every product
and every partial sum of a layer is a multiple of one power of two and stays below 2^24 such units. float32 holds
all of these exactly, so the result does not depend on the order of summation, the number of threads, the
machine, or whether float32 or float64 is used. (It holds for every algorithm that adds products: direct, im2col,
matrix product; not for Winograd transforms with thirds.) `headroom_bits` measures how much of the 24 bits is
left.

Sums of spikes (SEW joins) are integers and as exact; a mean over 2^m values costs m bits, and one over any other
number of values is rounded, so that `snap` refuses the network: give its maps a side that is a power of two.

One k per layer wastes bits where channels differ much in range, as they do once a batch norm has been folded into
them. With `per_channel`, each output channel has a k of its own, at most FINEST_CHANNEL_GRID: a finer one would
leave too few of the 24 bits for the channel's bias.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.cells import ALIFCell, LeakyIntegrator
from snn_energy.models.folding import FOLDED_INTO, foldable
from snn_energy.models.neurons import SpikingNeuron
from snn_energy.models.operands import SPIKES, Operand, Sum
from snn_energy.models.spiking_transformer import SpikingSelfAttention
from snn_energy.models.windowed.condense import Condense
from snn_energy.models.windowed.neuron import GroupLIF
from snn_energy.models.windowed.projection import Projection

BIAS_FRACTION_BITS = 12
FLOAT32_MANTISSA_BITS = 24
FINEST_CHANNEL_GRID = 14

POWERS: dict[type[nn.Module], tuple[str, ...]] = {
    SpikingNeuron: ("decay", "threshold"),
    ALIFCell: ("decay", "threshold", "adaptation", "adaptation_decay"),
    LeakyIntegrator: ("decay",),
    SpikingSelfAttention: ("scale",),
    GroupLIF: ("decay", "threshold"),
}
"""Constants that must be powers of two (or zero), by the module's class."""

_ALWAYS = (*FOLDED_INTO, nn.MaxPool1d, nn.MaxPool2d, nn.Identity, nn.Flatten, nn.ReLU, nn.Dropout, *POWERS)

EXACT: dict[type[nn.Module], Callable[[Any], bool]] = {
    **dict.fromkeys(_ALWAYS, lambda _: True),
    Projection: lambda module: module.variant in ("mean", "sum"),
    Condense: lambda module: module.rule == "or" or all(math.frexp(n)[0] == 0.5 for n in module.grid.cover),
}
"""Modules without children whose results are exact on a grid, and when they are."""

Network = TypeVar("Network", bound=nn.Module)


def grid_exponent(weight: Tensor, bits: int) -> int:
    """Return the largest k for which weight * 2^k rounds to integers within 2^(bits-1) - 1."""
    return _exponent(float(weight.detach().abs().max()), bits)


def channel_exponents(weight: Tensor, bits: int) -> list[int]:
    """Return `grid_exponent` of each output channel of a weight `o ...`, at most FINEST_CHANNEL_GRID."""
    largest: list[float] = weight.detach().abs().flatten(1).amax(1).tolist()
    return [min(_exponent(value, bits), FINEST_CHANNEL_GRID) for value in largest]


def _exponent(largest: float, bits: int) -> int:
    if largest == 0:
        return 0
    limit = 2 ** (bits - 1) - 1
    k = math.floor(math.log2(limit / largest)) + 1  # one too fine at most: the loop ends at once
    while round(math.ldexp(largest, k)) > limit:
        k -= 1
    return k


def channel_scales(exponents: list[int], weight: Tensor) -> Tensor:
    """Return 2^k of each output channel, shaped to multiply `weight` (`o ...`)."""
    scales = [math.ldexp(1.0, k) for k in exponents]
    return torch.tensor(scales, dtype=weight.dtype, device=weight.device).reshape(-1, *(1,) * (weight.dim() - 1))


def snap_tensor(weight: Tensor, bits: int, per_channel: bool = False) -> Tensor:
    """Return `weight` rounded to signed `bits`-bit integers times 2^-k, ties to even; same shape."""
    if per_channel:
        scales = channel_scales(channel_exponents(weight, bits), weight)
        return torch.round(weight * scales) / scales
    scale = math.ldexp(1.0, grid_exponent(weight, bits))
    return torch.round(weight * scale) / scale


def snap_bias(bias: Tensor) -> Tensor:
    """Return `bias` rounded to multiples of 2^-12, ties to even; same shape and dtype."""
    scale = math.ldexp(1.0, BIAS_FRACTION_BITS)
    return torch.round(bias * scale) / scale


def snapped_parameters(model: nn.Module, bits: int, per_channel: bool = False) -> dict[str, Tensor]:
    """Return every parameter of `model`, weights and biases snapped; differentiable as if nothing were rounded."""
    snapped: dict[str, Tensor] = {}
    for name, value in model.named_parameters():
        if name.endswith("bias"):
            target = snap_bias(value)
        elif value.dim() > 1:
            target = snap_tensor(value, bits, per_channel)
        else:  # a gain or a learned threshold: `snap` takes no network that has any
            snapped[name] = value
            continue
        # Straight-through: the forward value is the grid's own, plus an exact zero that carries the gradient.
        snapped[name] = target.detach() + (value - value.detach())
    return snapped


def snap(model: Network, bits: int = 8, per_channel: bool = False) -> Network:
    """Return a copy of the folded `model` in eval mode whose weights are `bits`-bit integers times 2^-k.

    One k per layer, or with `per_channel` one per output channel. Errors: UsageError when the model still has
    batch norms, `bits` is not in 2..8, a neuron's constant is not a power of two, or the model holds a module or
    a parameter that has no exact grid.
    """
    if foldable(model):
        raise UsageError("snap: the model still has batch norms; fold it first: snap(fold(model))")
    _check_bits("snap", bits)
    _refuse_inexact(model)
    snapped = copy.deepcopy(model).eval()
    with torch.no_grad():
        for parameter, weight in snapped_parameters(model, bits, per_channel).items():
            snapped.get_parameter(parameter).copy_(weight)
    return snapped


def round_weights(model: Network, bits: int = 8, per_channel: bool = True) -> Network:
    """Return a copy of any network, in eval mode, with its weights rounded to `bits`-bit integers times 2^-k.

    For networks that `snap` refuses: everything but the weights (two axes or more) stays as it is, and no sum is said
    to be exact. A checkpoint of the copy can be saved with `weight_bits`. Errors: UsageError when `bits` is not in
    2..8.
    """
    _check_bits("round_weights", bits)
    rounded = copy.deepcopy(model).eval()
    with torch.no_grad():
        for parameter in rounded.parameters():
            if parameter.dim() > 1:
                parameter.copy_(snap_tensor(parameter, bits, per_channel))
    return rounded


def _check_bits(function: str, bits: int) -> None:
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise UsageError(f"{function}: bits must be an integer from 2 to 8 (got {bits!r})")


def _refuse_inexact(model: nn.Module) -> None:
    """Raise UsageError for the first part of `model` whose results are rounded whatever its weights are."""
    operands = model.operands() if hasattr(model, "operands") else {}  # type: ignore[operator]
    for name, operand in operands.items():
        if operand.fraction_bits == math.inf:
            raise UsageError(
                f"snap: {name} takes a mean over a number of values that is no power of two, which is rounded: build"
                " the network for images whose side is a power of two"
            )
    for name, module in model.named_modules():
        for kind, constants in POWERS.items():
            for what in constants if isinstance(module, kind) else ():
                value = float(getattr(module, what))
                if value != 0 and math.frexp(value)[0] != 0.5:
                    raise UsageError(f"snap: {name}.{what} must be a power of two for exact sums (got {value!r})")
        exact = any(isinstance(module, kind) and test(module) for kind, test in EXACT.items())
        if not exact and not list(module.children()):
            shown = f"{type(module).__name__} ({module.extra_repr()})" if module.extra_repr() else type(module).__name__
            raise UsageError(
                f"snap: {name} is a {shown}, whose results are rounded: expected convolutions, linear layers, max pools"
                " and neurons; use the network as it is"
            )
        own = [parameter for parameter, _ in module.named_parameters(recurse=False)]
        if own and not isinstance(module, FOLDED_INTO):
            raise UsageError(
                f"snap: {name}.{own[0]} belongs to a {type(module).__name__}, for which there is no grid: expected"
                " parameters of convolutions and linear layers alone; use the network as it is"
            )


def headroom_bits(model: nn.Module, bits: int = 8, per_channel: bool = False) -> dict[str, float]:
    """Return, per layer, the bits of float32's mantissa that its largest possible sum leaves unused.

    The membrane needs some of them: at decay 1/2, one bit of magnitude and one of fraction per further step.

    The bound takes every input at its largest and every product at its largest magnitude; a negative number
    means that exactness is not guaranteed by the bound. What the inputs can be the network tells, by `operands()`
    (layers that take something else than spikes); what becomes of several layers' outputs, by `sums()`: that is
    listed under the sums' own names. Errors: UsageError for a network without `operands`.
    """
    operands: Mapping[str, Operand] = _asked(model, "operands")
    sums: Mapping[str, Sum] = model.sums() if hasattr(model, "sums") else {}  # type: ignore[operator]
    bounds = {
        name: _bound(layer, operands.get(name, SPIKES), bits, per_channel)
        for name, layer in model.named_modules()
        if isinstance(layer, FOLDED_INTO)
    }
    left = {name: min(map(_left, channels)) for name, channels in bounds.items()}
    for name, total in sums.items():
        largest = sum(gain * max(bound for bound, _ in bounds[part]) for part, gain in total.gains.items())
        unit = max(unit for part in total.gains for _, unit in bounds[part])
        left[name] = _left((largest, unit + total.fraction_bits))
    return left


def _asked(model: nn.Module, method: str) -> Mapping[str, Operand]:
    answer = getattr(model, method, None)
    if not callable(answer):
        raise UsageError(
            f"headroom_bits: {type(model).__name__} does not tell what its layers take: expected a method {method}();"
            " give it one, as the reference networks have"
        )
    told: Mapping[str, Operand] = answer()
    return told


def _bound(layer: nn.Module, operand: Operand, bits: int, per_channel: bool) -> list[tuple[float, float]]:
    """For each output channel: its largest possible sum, and the bits after the binary point of what it sums."""
    weight = layer.weight.detach().double()  # type: ignore[operator]
    exponents = channel_exponents(weight, bits) if per_channel else [grid_exponent(weight, bits)] * len(weight)
    largest = weight.abs().flatten(1).sum(1) * operand.largest
    if layer.bias is not None:
        largest += layer.bias.detach().double().abs()  # type: ignore[operator]
    units = [max(k + operand.fraction_bits, BIAS_FRACTION_BITS) for k in exponents]
    return list(zip(largest.tolist(), units, strict=True))


def _left(bound: tuple[float, float]) -> float:
    largest, unit = bound
    return FLOAT32_MANTISSA_BITS - math.log2(max(largest, 2.0**-unit)) - unit
