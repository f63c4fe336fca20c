"""Weights on a power-of-two grid, so that every sum the network makes is exact.

After `snap`, each convolution's and linear layer's weights are signed integers of at most `bits` bits times
2^-k, one k per layer, and its biases are multiples of 2^-12. With pixels that are multiples of 1/256, spikes
of 0 or 1, and a decay and threshold that are powers of two, every product and every partial sum of a layer is
a multiple of one power of two and stays below 2^24 such units. float32 holds all of these exactly, so the
result does not depend on the order of summation, the number of threads, the machine, or whether float32 or
float64 is used. (It holds for every algorithm that adds products: direct, im2col, matrix product; not for
Winograd transforms with thirds.) `headroom_bits` measures how much of the 24 bits is left.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.neurons import SpikingNeuron
from snn_energy.models.spiking_cnn import SpikingCNN

BIAS_FRACTION_BITS = 12
PIXEL_FRACTION_BITS = 8
FLOAT32_MANTISSA_BITS = 24


def grid_exponent(weight: Tensor, bits: int) -> int:
    """Return the largest k for which weight * 2^k rounds to integers within 2^(bits-1) - 1."""
    largest = float(weight.detach().abs().max())
    if largest == 0:
        return 0
    limit = 2 ** (bits - 1) - 1
    k = math.floor(math.log2(limit / largest)) + 1  # one too fine at most: the loop ends at once
    while round(math.ldexp(largest, k)) > limit:
        k -= 1
    return k


def snap_tensor(weight: Tensor, bits: int) -> Tensor:
    """Return `weight` rounded to signed `bits`-bit integers times 2^-k, ties to even; same shape."""
    scale = math.ldexp(1.0, grid_exponent(weight, bits))
    return torch.round(weight * scale) / scale


def snap_bias(bias: Tensor) -> Tensor:
    """Return `bias` rounded to multiples of 2^-12, ties to even; same shape and dtype."""
    scale = math.ldexp(1.0, BIAS_FRACTION_BITS)
    return torch.round(bias * scale) / scale


def snapped_parameters(model: nn.Module, bits: int) -> dict[str, Tensor]:
    """Return every parameter of `model` snapped, by name; differentiable as if rounding were the identity."""
    snapped = {}
    for name, value in model.named_parameters():
        target = snap_bias(value) if name.endswith("bias") else snap_tensor(value, bits)
        # Straight-through: the forward value is the grid's own, plus an exact zero that carries the gradient.
        snapped[name] = target.detach() + (value - value.detach())
    return snapped


def snap(model: SpikingCNN, bits: int = 8) -> SpikingCNN:
    """Return a copy of the folded `model` in eval mode whose weights are `bits`-bit integers times 2^-k.

    Errors: UsageError when the model is not folded, `bits` is not in 2..8, or a neuron's decay or threshold
    is not a power of two.
    """
    if not model.folded:
        raise UsageError("snap: the model still has batch norms; fold it first: snap(fold(model))")
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise UsageError(f"snap: bits must be an integer from 2 to 8 (got {bits!r})")
    for name, module in model.named_modules():
        if not isinstance(module, SpikingNeuron):
            continue
        for what, value in (("decay", module.decay), ("threshold", module.threshold)):
            if value != 0 and math.frexp(value)[0] != 0.5:
                raise UsageError(f"snap: {name}.{what} must be a power of two for exact sums (got {value!r})")
    snapped = copy.deepcopy(model).eval()
    with torch.no_grad():
        for parameter, weight in snapped_parameters(model, bits).items():
            snapped.get_parameter(parameter).copy_(weight)
    return snapped


def headroom_bits(model: SpikingCNN, bits: int = 8) -> dict[str, float]:
    """Return, per layer, the bits of float32's mantissa that its largest possible sum leaves unused.

    The membrane needs some of them: at decay 1/2, one bit of magnitude and one of fraction per further step.

    The bound takes every input at its largest and every product at its largest magnitude; a negative number
    means that exactness is not guaranteed by the bound.
    """
    left = {}
    names = [(f"blocks.{i}.conv", PIXEL_FRACTION_BITS if i == 0 else 0) for i in range(len(model.blocks))]
    for name, input_bits in (*names, ("head", 0)):
        layer = model.get_submodule(name)
        weight, bias = layer.weight.detach().double(), layer.bias.detach().double()  # type: ignore[operator]
        unit = max(grid_exponent(weight, bits) + input_bits, BIAS_FRACTION_BITS)
        largest = float((weight.abs().flatten(1).sum(1) + bias.abs()).max())
        left[name] = FLOAT32_MANTISSA_BITS - math.log2(max(largest, 2.0**-unit)) - unit
    return left
