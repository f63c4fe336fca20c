"""The convolutional window unit: two 3x3 convolutions and two group-wise neurons, shared by all windows of a block.

For the windows k = 1 ... K, with U^0 = 0 in every block:

    U1^k = decay * U1^{k-1}                     + Conv1(s^k)      S1^k = 1[U1^k > threshold]
    U2^k = decay * Omega(U1^{k-1}, U2^{k-1})    + Conv2(S1^k)     S2^k = 1[U2^k > threshold]

Neither convolution waits for a membrane of its own layer, so each runs once, on all windows together; only the
neurons go from window to window. What is connected and computed is the same as window by window.

Source: Yao et al., ACML 2023, arXiv:2401.10843.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from snn_energy.models.windowed.projection import Projection

Neuron = Callable[[], nn.Module]


def convolved(conv: nn.Module, windows: Tensor) -> Tensor:
    """Convolve every window by itself: `k t n h w c -> k t n h w c'`; channels stay last in memory."""
    flat = windows.flatten(0, 2).permute(0, 3, 1, 2)  # a view: to torch a map in its channels-last format
    out: Tensor = conv(flat).permute(0, 2, 3, 1)
    return out.reshape(*windows.shape[:-1], out.shape[-1])


class CNNUnit(nn.Module):
    """Spikes of all windows in, spikes of the second neuron out; nothing is kept between blocks."""

    def __init__(self, channels: int, neuron: Neuron, projection: Projection) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.neuron1 = neuron()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.projection = projection
        self.neuron2 = neuron()

    def forward(self, windows: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Spikes `k t n h w c` -> spikes `k t n h w c`, and the memory as it came."""
        fired, first = self._first(convolved(self.conv1, windows))
        return self._second(convolved(self.conv2, fired), first), memory

    def _first(self, currents: Tensor) -> tuple[Tensor, list[Tensor]]:
        spikes, membranes, membrane = [], [], None
        for current in currents.unbind(0):
            fired, membrane = self.neuron1(current, membrane)
            spikes.append(fired)
            membranes.append(membrane)
        return torch.stack(spikes), membranes

    def _second(self, currents: Tensor, first: list[Tensor]) -> Tensor:
        spikes: list[Tensor] = []
        membrane: Tensor | None = None
        for k, current in enumerate(currents.unbind(0)):
            start = None if membrane is None else self.projection(first[k - 1], membrane)
            fired, membrane = self.neuron2(current, start)
            spikes.append(fired)
        return torch.stack(spikes)

    def ann_counterpart(self) -> nn.Module:
        """The same convolutions with ReLU, without membranes: an ANN has no past to hand on."""
        return _RectifiedCNNUnit(self.conv1, self.conv2)


class _RectifiedCNNUnit(nn.Module):
    def __init__(self, conv1: nn.Module, conv2: nn.Module) -> None:
        super().__init__()
        self.conv1, self.neuron1, self.conv2, self.neuron2 = conv1, nn.ReLU(), conv2, nn.ReLU()

    def forward(self, windows: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        hidden = self.neuron1(convolved(self.conv1, windows))
        return self.neuron2(convolved(self.conv2, hidden)), memory
