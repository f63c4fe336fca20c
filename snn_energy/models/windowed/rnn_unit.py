"""The recurrent window unit: one BiLSTM over the tokens of each window, and a membrane map that outlives the block.

The map M (`n h w 2c`, zero at the start of a forward pass) holds one membrane for each position and direction. With
m^1 ... m^K its windows and I^k the BiLSTM's output for window k,

    u^1 = decay * Omega(m^1, m^2) + I^1
    u^2 = decay * Omega(u^1, m^2) + I^2
    u^k = decay * Omega(m^k, u^{k-1}) + I^k     k = 3 ... K
    S^k = 1[u^k > threshold]

and M becomes the average of the u^k where windows overlap (`condense`). Source: Yao et al., ACML 2023,
arXiv:2401.10843, for K = 4; other K are ours.

The LSTM has no state beyond its window, so it runs once, on all windows together. Its input is spikes; its gates and
its recurrent products are real-valued.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.windowed.condense import Condense
from snn_energy.models.windowed.grid import WindowGrid
from snn_energy.models.windowed.projection import Projection


def over_tokens(lstm: nn.Module, windows: Tensor) -> Tensor:
    """Run the BiLSTM along the tokens of each window, row by row: `k t n h w c -> k t n h w 2c`."""
    tokens = windows.flatten(0, 2).flatten(1, 2)
    out: Tensor = lstm(tokens)[0]
    return out.reshape(*windows.shape[:-1], out.shape[-1])


class RNNUnit(nn.Module):
    """Spikes of all windows and the membrane map in; spikes of the windows and the new map out.

    Errors: UsageError for a grid of a single window, whose equations need two.
    """

    def __init__(self, channels: int, grid: WindowGrid, neuron: nn.Module, projection: Projection) -> None:
        super().__init__()
        if grid.parts < 2:
            raise UsageError("windowed-rnn: grid must be at least 2, as the first two windows share membranes (got 1)")
        self.lstm = nn.LSTM(channels, channels, batch_first=True, bidirectional=True)
        self.projection, self.neuron = projection, neuron
        self.stitch = Condense(grid)

    def forward(self, windows: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor]:
        """Spikes `k t n h w c` and map `n h w 2c` (None: at rest) -> (spikes `k t n h w 2c`, map `n h w 2c`)."""
        currents = over_tokens(self.lstm, windows)
        kept = _windows_of(memory, self.stitch.grid, currents)
        spikes: list[Tensor] = []
        membranes: list[Tensor] = []
        for k, current in enumerate(currents.unbind(0)):
            last = membranes[-1] if membranes else None
            pair = (kept[k] if last is None else last, kept[1]) if k < 2 else (kept[k], membranes[-1])
            fired, membrane = self.neuron(current, self.projection(*pair))
            spikes.append(fired)
            membranes.append(membrane)
        return torch.stack(spikes), self.stitch(torch.stack(membranes))

    def ann_counterpart(self) -> nn.Module:
        """The same BiLSTM with ReLU; the map is a plain skip connection from block to block, so it keeps its use."""
        return _RectifiedRNNUnit(self.lstm, self.stitch)


class _RectifiedRNNUnit(nn.Module):
    def __init__(self, lstm: nn.Module, stitch: Condense) -> None:
        super().__init__()
        self.lstm, self.stitch, self.neuron = lstm, stitch, nn.ReLU()

    def forward(self, windows: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor]:
        currents = over_tokens(self.lstm, windows)
        if memory is not None:
            currents = currents + self.stitch.grid.cut(memory).unsqueeze(1)
        return self.neuron(currents), self.stitch(currents[:, -1])


def _windows_of(memory: Tensor | None, grid: WindowGrid, like: Tensor) -> Tensor:
    """The windows of the map, `k n h w 2c`; zeros where there is no map yet."""
    if memory is None:
        return torch.zeros_like(like[:, 0])
    return grid.cut(memory)
