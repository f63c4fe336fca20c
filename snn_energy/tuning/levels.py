"""Spikes counted so that gradients pass: the numbers are those of the tracer, the slope is one event per unit of spike.

`values` are those that a trace has proven of the operand. An event of a spike train {0, a} is x / a, which is linear;
of {-a, 0, a} it is |x| / a; of small integers n u it is min(|n|, 1), and n units are |n|. Where no height is known (no
spike came yet, or each channel has one of its own) the count is 1[x != 0], and its gradient is taken for 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snn_energy.counting.values import ValueSet


def occupied(x: Tensor, values: ValueSet) -> Tensor:
    """Events: 1 where the operand is not zero, in the shape of `x`; real-valued operands have no gradient."""
    found = values.operand_class
    if found.kind == "real":
        return _nonzero(x)
    if found.scale is None:
        return _nonzero(x) + (x - x.detach())
    if found.kind == "binary":
        return x if found.scale == 1 else x / found.scale
    sizes = levels(x, values)
    return sizes.clamp(max=1) if found.kind == "integer" else sizes


def levels(x: Tensor, values: ValueSet) -> Tensor:
    """Units: |n| where the operand is n units, in the shape of `x`."""
    sizes = x.abs() if values.negative else x
    return sizes if values.unit == 1 else sizes / values.unit


def _nonzero(x: Tensor) -> Tensor:
    return (x.detach() != 0).to(x.dtype if x.is_floating_point() else torch.float32)


def row_sum(x: Tensor, dims: tuple[int, ...], values: ValueSet, *, units: bool) -> Tensor:
    """Events, or units, summed over `dims` in single precision; where that is linear, one pass, whose sum is scaled."""
    found = values.operand_class
    linear = found.kind == "binary" or (found.kind == "integer" and units and not values.negative)
    if linear and found.scale is not None:
        total = x.sum(dims, dtype=torch.float32) if dims else x.float()
        return total if found.scale == 1 else total / found.scale
    counted = levels(x, values) if units else occupied(x, values)
    return counted.sum(dims, dtype=torch.float32) if dims else counted.float()
