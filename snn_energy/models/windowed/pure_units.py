"""The parts of the pure windowed network: every convolution and linear layer takes spikes, and a norm follows each.

The stream x between the parts is a current, as in MS-ResNet: what is added up is never the operand of a product. A part
fires on the stream first and adds its normalised current to it:

    unit: x <- x + BN(FC(or_k(window spikes)))       window unit: see `PureUnit`
    MLP:  x <- x + BN(W2 fire(BN(W1 fire(x))))

Source of the residual form: Y. Hu et al., "Advancing spiking neural networks towards deep residual learning"
(MS-ResNet), arXiv:2112.08954. Windows, group-wise membranes and condense: Yao et al., ACML 2023, arXiv:2401.10843.
Putting the two together is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from snn_energy.models.operands import Sum
from snn_energy.models.windowed.cnn_unit import convolved
from snn_energy.models.windowed.condense import Condense
from snn_energy.models.windowed.grid import WindowGrid
from snn_energy.models.windowed.projection import Projection

Neuron = Callable[[], nn.Module]


class NormedConv(nn.Module):
    """conv - norm; the norm is nn.Identity once folded into the conv."""

    def __init__(self, ins: int, outs: int, kernel: int, stride: int = 1, *, folded: bool) -> None:
        super().__init__()
        # Padded so that a map of side h leaves h / stride wide.
        self.conv = nn.Conv2d(ins, outs, kernel, stride, padding=(kernel - stride + 1) // 2, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(outs)

    def forward(self, x: Tensor) -> Tensor:
        """Map `b c h w` -> current `b c' h' w'`."""
        current: Tensor = self.norm(self.conv(x))
        return current


class NormedLinear(nn.Module):
    """linear - norm over channels; the norm is nn.Identity once folded into the linear layer."""

    def __init__(self, ins: int, outs: int, *, folded: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(ins, outs, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm1d(outs)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes `... c` -> current `... c'`."""
        current: Tensor = self.norm(self.linear(x.flatten(0, -2)))
        return current.reshape(*x.shape[:-1], current.shape[-1])


class PureUnit(nn.Module):
    """The convolutional window unit with a norm behind each convolution; its windows are those of `cnn_unit`.

    For the windows k = 1 ... K, with U^0 = 0 in every block:

        U1^k = decay * U1^{k-1}                     + BN(Conv1(s^k))      S1^k = 1[U1^k > threshold]
        U2^k = decay * Omega(U1^{k-1}, U2^{k-1})    + BN(Conv2(S1^k))     S2^k = 1[U2^k > threshold]
    """

    def __init__(self, channels: int, neuron: Neuron, projection: Projection, *, folded: bool) -> None:
        super().__init__()
        self.first, self.neuron1 = NormedConv(channels, channels, 3, folded=folded), neuron()
        self.second, self.neuron2 = NormedConv(channels, channels, 3, folded=folded), neuron()
        self.projection = projection

    def forward(self, windows: Tensor) -> Tensor:
        """Spikes of all windows, `k t n h w c` -> spikes of the second neurons, `k t n h w c`."""
        fired: list[Tensor] = []
        membranes: list[Tensor] = []
        membrane: Tensor | None = None
        for current in convolved(self.first, windows).unbind(0):
            spikes, membrane = self.neuron1(current, membrane)
            fired.append(spikes)
            membranes.append(membrane)
        currents = convolved(self.second, torch.stack(fired))
        fired, membrane = [], None
        for k, current in enumerate(currents.unbind(0)):
            start: Tensor | None = None if membrane is None else self.projection(membranes[k - 1], membrane)
            spikes, membrane = self.neuron2(current, start)
            fired.append(spikes)
        return torch.stack(fired)

    def ann_counterpart(self) -> nn.Module:
        """The same convolutions and norms with ReLU, without membranes: an ANN has no past to hand on."""
        return _RectifiedPureUnit(self.first, self.second)


def membrane_bounds(windows: int, decay: float, projection: str) -> dict[str, Sum]:
    """Bound both membranes of a `PureUnit` by the currents of its convolutions, at one time step.

    Each handing-on multiplies by the decay, and the mean by another half: so many bits more after the binary point.
    """
    halves, share = {"mean": (1, 0.5), "sum": (0, 1.0)}.get(projection, (math.inf, 1.0))
    bits = (1 - math.frexp(decay)[1]) if decay else 0
    own, first, second = 1.0, 0.0, 1.0  # U1 by Conv1; U2 by Conv1 and by Conv2
    for _ in range(windows - 1):
        own, first, second = 1 + decay * own, decay * share * (own + first), 1 + decay * share * second
    handed = windows - 1 if decay else 0
    return {
        "neuron1": Sum({"first": own}, handed * bits),
        "neuron2": Sum({"first": first, "second": second}, handed * (bits + halves) if handed else 0),
    }


class _RectifiedPureUnit(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.neuron1, self.second, self.neuron2 = first, nn.ReLU(), second, nn.ReLU()

    def forward(self, windows: Tensor) -> Tensor:
        hidden = self.neuron1(convolved(self.first, windows))
        out: Tensor = self.neuron2(convolved(self.second, hidden))
        return out


class PureBlock(nn.Module):
    """Window unit and MLP, each behind its own neurons and added to the stream."""

    def __init__(
        self, channels: int, grid: WindowGrid, unit: nn.Module, neuron: Neuron, mlp_ratio: int, *, folded: bool
    ) -> None:
        super().__init__()
        self.neuron, self.grid, self.unit, self.condense = neuron(), grid, unit, Condense(grid, "or")
        self.fc = NormedLinear(channels, channels, folded=folded)
        self.mlp_neuron, self.hidden_neuron = neuron(), neuron()
        self.fc1 = NormedLinear(channels, mlp_ratio * channels, folded=folded)
        self.fc2 = NormedLinear(mlp_ratio * channels, channels, folded=folded)

    def forward(self, x: Tensor) -> Tensor:
        """Current `t n h w c` -> current `t n h w c`."""
        windows = self.unit(self.grid.cut(self.neuron(x)))
        x = x + self.fc(self.condense(windows))
        joined: Tensor = x + self.fc2(self.hidden_neuron(self.fc1(self.mlp_neuron(x))))
        return joined


class PureMerging(nn.Module):
    """Four neighbours become one position: their spikes side by side, through a linear layer and a norm."""

    def __init__(self, channels: int, outs: int, neuron: Neuron, *, folded: bool) -> None:
        super().__init__()
        self.neuron, self.merge = neuron(), NormedLinear(4 * channels, outs, folded=folded)

    def forward(self, x: Tensor) -> Tensor:
        """Current `t n (h 2) (w 2) c` -> current `t n h w c'`."""
        patches = self.neuron(x).unflatten(-3, (-1, 2)).unflatten(-2, (-1, 2)).transpose(-4, -3)  # ... h w 2 2 c
        merged: Tensor = self.merge(patches.flatten(-3))
        return merged
