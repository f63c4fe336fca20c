"""Fan-out maps: how many connections leave each input position, by geometry alone and by a weight mask.

Along one axis a convolution joins input i to output o through tap k when i = o*stride - padding + k*dilation; a
transposed convolution when o = i*stride - padding + k*dilation. For one tap the inputs joined form an arithmetic
progression, so a map is built from one strided slice for each kernel offset: integers throughout, exact at borders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis of a convolution: sizes of input, output and kernel, stride, padding and dilation."""

    size_in: int
    size_out: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    transposed: bool = False

    def inputs(self, tap: int) -> slice:
        """Inputs that tap `tap` joins to an output inside the image."""
        shift = tap * self.dilation - self.padding
        if self.transposed:  # 0 <= i*stride + shift < size_out
            first = max(0, -(shift // self.stride))
            last = min(self.size_in - 1, (self.size_out - 1 - shift) // self.stride)
            return slice(first, max(first, last + 1))
        # 0 <= o*stride + shift < size_in
        first = max(0, -(shift // self.stride))
        last = min(self.size_out - 1, (self.size_in - 1 - shift) // self.stride)
        if last < first:
            return slice(0, 0)
        return slice(first * self.stride + shift, last * self.stride + shift + 1, self.stride)

    def fan_out(self) -> Tensor:
        """Connections that leave each input position of this axis: int64 [size_in]."""
        fan = torch.zeros(self.size_in, dtype=torch.int64)
        for tap in range(self.kernel):
            fan[self.inputs(tap)] += 1
        return fan


@lru_cache(maxsize=256)
def spatial_fan_out(axes: tuple[Axis, ...]) -> Tensor:
    """Connections that leave each input position for one pair of channels: int64 [*spatial], an outer product."""
    fan = torch.ones((), dtype=torch.int64)
    for axis in axes:
        fan = fan.unsqueeze(-1) * axis.fan_out()
    return fan


def masked_fan_out(axes: tuple[Axis, ...], taps: Tensor) -> Tensor:
    """Connections with a non-zero weight that leave each input position.

    Args:
        axes: geometry of each spatial axis.
        taps: int64 [c_in, *kernel], non-zero weights of each tap summed over the output channels it feeds.

    Returns:
        int64 [c_in, *spatial].
    """
    fan = torch.zeros((taps.shape[0], *(axis.size_in for axis in axes)), dtype=torch.int64)
    per_tap = taps.flatten(1).T  # one row for each kernel offset, in the order of `product`
    for count, offset in zip(per_tap, product(*(range(axis.kernel) for axis in axes)), strict=True):
        where = [slice(None), *(axis.inputs(tap) for axis, tap in zip(axes, offset, strict=True))]
        fan[tuple(where)] += count.view(-1, *(1 for _ in axes))
    return fan
