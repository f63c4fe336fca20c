"""The neurons behind a traced layer: how many, on what map, and which inputs each of them reads.

Every output of a projection is a neuron that adds up its inputs; pooling and normalisation need none of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

from snn_energy.counting.counts import LayerCounts, Trace

Axes = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The neurons of one projection: `channels` x `size`, each reading `kernel` x `channels_in` / `groups` inputs.

    A Linear layer is a convolution with a kernel of one position over its rows (the tokens of a sample).
    """

    name: str
    kind: str
    channels: int
    size: Axes
    channels_in: int
    size_in: Axes
    groups: int
    kernel: Axes
    stride: Axes
    dilation: Axes
    weights: int
    weight_bits: int
    transposed: bool = False

    @property
    def neurons(self) -> int:
        """Outputs of one sample in one time step."""
        return self.channels * prod(self.size)

    @property
    def fan_in(self) -> int:
        """Synapses of one neuron; those over padding are counted, a core keeps room for them."""
        return prod(self.kernel) * self.channels_in // self.groups

    @property
    def synapses(self) -> int:
        """Synapses of all neurons, each counted by itself although convolutions share weights."""
        return self.neurons * self.fan_in

    @property
    def inputs(self) -> int:
        """Inputs of the whole layer."""
        return self.channels_in * prod(self.size_in)

    def inputs_of(self, tile: Axes, channels: int) -> int:
        """Most inputs that `tile` map positions of `channels` neighbouring channels read together."""
        axes = zip(tile, self.size_in, self.kernel, self.stride, self.dilation)
        positions = prod(min(whole, self._reach(*axis)) for axis, whole in ((a[:1] + a[2:], a[1]) for a in axes))
        groups = -(-channels // (self.channels // self.groups))  # a tile of channels starts where a group starts
        return positions * self.channels_in // self.groups * groups

    def _reach(self, tile: int, kernel: int, stride: int, dilation: int) -> int:
        """Input positions along one axis that `tile` neighbouring outputs read."""
        if self.transposed:  # output i reads inputs j with 0 <= i - j * stride <= span; at most, if dilated
            return (tile - 1 + (kernel - 1) * dilation) // stride + 1
        return _distinct(tile, kernel, stride, dilation)


@cache
def _distinct(tile: int, kernel: int, stride: int, dilation: int) -> int:
    """Different values of i * stride + t * dilation for i < tile and t < kernel: long strides leave gaps."""
    return len({i * stride + t * dilation for i in range(tile) for t in range(kernel)})


def population(layer: LayerCounts, trace: Trace) -> Population | str:
    """The neurons of a layer, or the reason why they are not known."""
    if not layer.weights:
        return "multiplies two activations: a core joins spikes with stored weights only"
    if layer.geometry is None:
        return "was called with inputs of several sizes: the neurons of one size are not known"
    facts = dict(layer.geometry)
    if len(facts["c_in"]) > 1:
        return "multiplies two operands with a weight: a core joins spikes with stored weights only"
    common: dict[str, Any] = {
        "name": layer.name,
        "kind": layer.kind,
        "weights": layer.weights,
        "weight_bits": layer.weight_bits,
    }
    (channels_in,), (channels,) = facts["c_in"], facts["c_out"]
    if "kernel" in facts:
        return Population(
            channels=channels,
            size=facts["size_out"],
            channels_in=channels_in,
            size_in=facts["size_in"],
            groups=facts["groups"][0],
            kernel=facts["kernel"],
            stride=facts["stride"],
            dilation=facts["dilation"],
            transposed="transpose" in layer.kind,
            **common,
        )
    (batch,) = facts["batch"]
    rows = _rows(layer, trace, batch * channels_in)
    return Population(
        channels=batch * channels,
        size=(rows,),
        channels_in=batch * channels_in,
        size_in=(rows,),
        groups=batch,  # matrices of their own read inputs of their own
        kernel=(1,),
        stride=(1,),
        dilation=(1,),
        **common,
    )


def _rows(layer: LayerCounts, trace: Trace, inputs: int) -> int:
    """Rows of a Linear layer in one time step of one sample.

    A trace holds rows over all time steps. Where the steps divide them they are taken for rows of every step; a layer
    that runs once for each sample (a read-out of the mean, say) has fewer rows than there are steps.
    """
    rows = max(1, layer.elements // inputs // trace.samples)
    steps = trace.time_steps or 1
    return rows // steps if rows % steps == 0 else rows
