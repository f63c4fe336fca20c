"""Wirings: how the inputs of a projection are joined to its outputs, and what follows from that for counting."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from snn_energy.counting.fanout import Axis, masked_fan_out, spatial_fan_out
from snn_energy.counting.sums import Nonzero, over

Geometry = tuple[tuple[str, tuple[int, ...]], ...]


class Wiring(Protocol):
    """How the inputs of a projection are joined to its outputs; hashable, so that calls of one geometry share a map."""

    @property
    def dense_per_row(self) -> int:
        """MACs of a dense machine for one input row (sample), padding taps counted."""

    @property
    def connections_per_row(self) -> int:
        """Connections of one row that lie inside the image."""

    @property
    def outputs_per_row(self) -> int:
        """Output elements of one row."""

    @property
    def elements_per_row(self) -> int:
        """Operand elements of one row."""

    @property
    def channels_out(self) -> int:
        """Output channels or features."""

    @property
    def geometry(self) -> Geometry:
        """Shape facts for exports and latency models."""

    def fan_out(self) -> Tensor:
        """Connections leaving each element of the map: int64, broadcastable to it."""

    def by_channel(self, counts: Tensor) -> Tensor:
        """A map of counts summed for each input channel that has weights of its own: int64 [channels] on the CPU."""

    def effective_fan_out(self, weight: Tensor) -> Tensor:
        """The same, counting only connections whose weight is not zero: int64 of the map's shape."""


@dataclass(frozen=True, slots=True, eq=False)
class ConvWiring:
    """A convolution or transposed convolution over 1 to 3 axes; map [c_in, *spatial].

    Compared by identity: the operator table keeps one object for each geometry, so that no call hashes one anew.
    """

    axes: tuple[Axis, ...]
    c_in: int
    c_out: int
    groups: int
    inside: tuple[tuple[int, int], ...]
    """First and one-past-last position of each axis that holds image rather than explicit zero padding."""

    @property
    def _pairs(self) -> int:
        return self.c_in * (self.c_out // self.groups)

    @property
    def dense_per_row(self) -> int:
        """Pairs of channels x kernel taps x positions (inputs of a transposed convolution, outputs otherwise)."""
        return self._pairs * prod(a.kernel * (a.size_in if a.transposed else a.size_out) for a in self.axes)

    @property
    def connections_per_row(self) -> int:
        """Sum of the fan-out over the image."""
        image = tuple(slice(first, last) for first, last in self.inside)
        return self._pairs * int(spatial_fan_out(self.axes)[image].sum())

    @property
    def outputs_per_row(self) -> int:
        """Channels x output positions."""
        return self.c_out * prod(a.size_out for a in self.axes)

    @property
    def elements_per_row(self) -> int:
        """Channels x image positions."""
        return self.c_in * prod(last - first for first, last in self.inside)

    @property
    def channels_out(self) -> int:
        """Output channels."""
        return self.c_out

    @property
    def geometry(self) -> Geometry:
        """Channels, groups, and one entry for each axis of every other fact."""
        names = ("size_in", "size_out", "kernel", "stride", "padding", "dilation")
        per_axis = tuple((name, tuple(getattr(a, name) for a in self.axes)) for name in names)
        return (("c_in", (self.c_in,)), ("c_out", (self.c_out,)), ("groups", (self.groups,)), *per_axis)

    def fan_out(self) -> Tensor:
        """Int64 [*spatial], the same for every channel."""
        return spatial_fan_out(self.axes) * (self.c_out // self.groups)

    def by_channel(self, counts: Tensor) -> Tensor:
        """Over the image."""
        return counts.to("cpu", torch.int64).flatten(1).sum(1)

    def effective_fan_out(self, weight: Tensor) -> Tensor:
        """Int64 [c_in, *spatial]; weight [c_out, c_in/g, *k], or [c_in, c_out/g, *k] when transposed."""
        kernel = tuple(a.kernel for a in self.axes)
        if self.axes[0].transposed:
            taps = over(Nonzero(weight), 1)
        elif self.groups == 1:
            taps = Nonzero(weight).row_sum()
        else:
            per_group = weight.reshape(self.groups, self.c_out // self.groups, self.c_in // self.groups, *kernel)
            taps = over(Nonzero(per_group), 1).reshape(self.c_in, *kernel)
        return masked_fan_out(self.axes, taps.to("cpu", torch.int64))


@dataclass(frozen=True, slots=True)
class LinearWiring:
    """A matrix product with weights; map [batch, n_in], where batch > 1 only if each has weights of its own."""

    batch: int
    n_in: int
    n_out: int

    @property
    def dense_per_row(self) -> int:
        """Inputs x outputs."""
        return self.batch * self.n_in * self.n_out

    @property
    def connections_per_row(self) -> int:
        """The same: nothing lies outside."""
        return self.dense_per_row

    @property
    def outputs_per_row(self) -> int:
        """Outputs."""
        return self.batch * self.n_out

    @property
    def elements_per_row(self) -> int:
        """Inputs."""
        return self.batch * self.n_in

    @property
    def channels_out(self) -> int:
        """Outputs."""
        return self.n_out

    @property
    def geometry(self) -> Geometry:
        """Batch of weight matrices, inputs and outputs."""
        return (("batch", (self.batch,)), ("c_in", (self.n_in,)), ("c_out", (self.n_out,)))

    def fan_out(self) -> Tensor:
        """Every input reaches every output."""
        return torch.tensor(self.n_out)

    def by_channel(self, counts: Tensor) -> Tensor:
        """Every input is a channel."""
        return counts.to("cpu", torch.int64).flatten()

    def effective_fan_out(self, weight: Tensor) -> Tensor:
        """Int64 [batch, n_in] from weight [batch, n_in, n_out]."""
        return over(Nonzero(weight), 2).to("cpu", torch.int64)


@dataclass(frozen=True, slots=True)
class BilinearWiring:
    """y[o] = sum_ij x1[i] W[o,i,j] x2[j]; map [n_first, n_second] of operand pairs that are both non-zero."""

    n_first: int
    n_second: int
    n_out: int

    @property
    def dense_per_row(self) -> int:
        """One MAC for each weight."""
        return self.n_first * self.n_second * self.n_out

    @property
    def connections_per_row(self) -> int:
        """The same: nothing lies outside."""
        return self.dense_per_row

    @property
    def outputs_per_row(self) -> int:
        """Outputs."""
        return self.n_out

    @property
    def elements_per_row(self) -> int:
        """Pairs of operands."""
        return self.n_first * self.n_second

    @property
    def channels_out(self) -> int:
        """Outputs."""
        return self.n_out

    @property
    def geometry(self) -> Geometry:
        """Sizes of the two operands and of the output."""
        return (("c_in", (self.n_first, self.n_second)), ("c_out", (self.n_out,)))

    def fan_out(self) -> Tensor:
        """Every pair reaches every output."""
        return torch.tensor(self.n_out)

    def by_channel(self, counts: Tensor) -> Tensor:
        """Every pair is a channel."""
        return counts.to("cpu", torch.int64).flatten()

    def effective_fan_out(self, weight: Tensor) -> Tensor:
        """Int64 [n_first, n_second] from weight [n_out, n_first, n_second]."""
        return (weight != 0).sum(0).to(device="cpu", dtype=torch.int64)
