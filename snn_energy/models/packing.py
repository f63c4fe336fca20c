"""Weights in fewer bytes: snapped ones as one byte each, others as float16; everything else as it is.

A snapped weight is an integer of at most 8 bits times 2^-k (see `snapping`). Packed, a tensor is its integers, int8,
and k stands beside it: one, or one for each output channel (axis 0). Unpacking multiplies again, exactly, so that the
weights read are the weights written. float16 is no packing in this sense: the weights are rounded once, when they are
saved, and the rounded values are what the file holds.

Weights are the floating-point tensors with two axes or more; biases and norms have one and stay float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown

Exponents = dict[str, list[int]]

LARGEST_INTEGER = 127
COARSEST, FINEST = -100, 126
"""Range of k: within it, every integer of 8 bits times 2^-k is a normal float32 number."""

WEIGHT_DTYPES = {"float32": torch.float32, "float16": torch.float16}


def pack(state: Mapping[str, Tensor], bits: int) -> tuple[dict[str, Tensor], Exponents]:
    """Return `state` with its weights as int8, and the k of each: [k], or one k for each output channel.

    Errors: UsageError when `bits` is not in 2..8, or a weight is not an integer of that many bits times 2^-k.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise UsageError(f"weight_bits must be an integer from 2 to 8 (got {bits!r})")
    packed, exponents = dict(state), {}
    for name, weight in state.items():
        if not _is_weight(weight):
            continue
        for largest in (weight.abs().amax().reshape(1), weight.abs().flatten(1).amax(1)):
            ks = [_finest(value, bits) for value in largest.tolist()]
            integers = weight.double() * _scales(ks, weight)
            if torch.equal(integers, integers.round()) and integers.abs().max() <= 2 ** (bits - 1) - 1:
                packed[name], exponents[name] = integers.to(torch.int8), ks
                break
        else:
            raise UsageError(
                f"weight_bits={bits}: {name} is not made of {bits}-bit integers times a power of two; snap the network"
                " first: snap(fold(model)), or round_weights(model); or save it without weight_bits"
            )
    return packed, exponents


def unpack(state: Mapping[str, Tensor], exponents: object) -> dict[str, Tensor]:
    """Return `state` with the weights named in `exponents` as float32, as they were before `pack`.

    Errors: ValueError that says what is wrong, for anything that `pack` does not write.
    """
    if not isinstance(exponents, dict):
        raise ValueError(f"must be a dict of names to exponents (got a {type(exponents).__name__})")
    whole = dict(state)
    for name, ks in exponents.items():
        integers = state.get(name)
        if integers is None or integers.dtype != torch.int8 or integers.dim() < 2:
            raise ValueError(f"must name int8 weights of the state dict (got {name!r})")
        if not isinstance(ks, list) or len(ks) not in (1, len(integers)):
            raise ValueError(f"of {name!r} must be a list of one exponent, or of {len(integers)}")
        if not all(isinstance(k, int) and not isinstance(k, bool) and COARSEST <= k <= FINEST for k in ks):
            raise ValueError(f"of {name!r} must hold integers from {COARSEST} to {FINEST}")
        if integers.numel() and int(integers.min()) < -LARGEST_INTEGER:
            raise ValueError(f"of {name!r} must belong to integers of at most {LARGEST_INTEGER} (got -128)")
        whole[name] = (integers.double() / _scales(ks, integers)).float()
    return whole


def rounded(state: Mapping[str, Tensor], dtype: str) -> dict[str, Tensor]:
    """Return `state` with its weights rounded to `dtype`, "float32" or "float16".

    Errors: UsageError for another dtype, or where a weight is too large for it.
    """
    if dtype not in WEIGHT_DTYPES:
        raise unknown("weight_dtype", dtype, WEIGHT_DTYPES)
    whole = dict(state)
    for name, weight in state.items():
        if not _is_weight(weight):
            continue
        whole[name] = weight.to(WEIGHT_DTYPES[dtype])
        if not bool(torch.isfinite(whole[name]).all()):
            raise UsageError(
                f"weight_dtype={dtype!r}: {name} reaches {float(weight.abs().max()):g}, more than {dtype} can hold; "
                'save it with weight_dtype="float32"'
            )
    return whole


def _is_weight(value: Tensor) -> bool:
    return value.is_floating_point() and value.dim() > 1 and value.numel() > 0


def _finest(largest: float, bits: int) -> int:
    """The largest k, within the range of k, for which largest * 2^k is below 2^(bits-1)."""
    if largest == 0:
        return 0
    return min(max(bits - 1 - math.frexp(largest)[1], COARSEST), FINEST)


def _scales(ks: list[int], weight: Tensor) -> Tensor:
    """2^k, float64, shaped to multiply `weight` (`o ...`)."""
    return torch.tensor([math.ldexp(1.0, k) for k in ks], dtype=torch.float64).reshape(-1, *(1,) * (weight.dim() - 1))
