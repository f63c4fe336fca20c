"""Running record of one neuron layer: counts stay on the device until a batch is through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snn_energy.counting.counts import NeuronCounts
from snn_energy.counting.neurons import NeuronRow
from snn_energy.counting.taps import EXACT_SPIKES


@dataclass(slots=True)
class NeuronTally:
    """Calls of one neuron layer."""

    row: NeuronRow
    calls: int = 0
    updates: int = 0
    state_elements: int = 0
    steps: list[int] = field(default_factory=list)
    """Spikes of each time step in the batches that are through."""
    pending: list[tuple[int, Sequence[Tensor]]] = field(default_factory=list)
    """First time step and counts (0-dim, on the device) of each call of the batch that runs."""

    def read(self) -> None:
        """Take the pending counts off the device: once for each batch, all calls together."""
        if not self.pending:
            return
        counts = torch.stack([count.double() for _, call in self.pending for count in call]).tolist()
        positions = [first + step for first, call in self.pending for step in range(len(call))]
        self.steps.extend([0] * (max(positions) + 1 - len(self.steps)))
        for position, count in zip(positions, counts, strict=True):
            self.steps[position] += int(count)
        self.pending.clear()

    def add(self, spikes: Tensor, first: int, tapped: Sequence[Tensor], *, calls: int = 0) -> int:
        """Add one call's output; a single-step neuron is at time step `first`. Returns the time step after it.

        Several `calls` of a single-step neuron lie along the first axis.
        """
        if self.row.time_axis is None:
            by_step = spikes if calls else spikes.unsqueeze(0)
        else:
            by_step = spikes.movedim(self.row.time_axis, 0) if self.row.time_axis else spikes
            first = 0
        self.calls += calls or 1
        self.updates += spikes.numel()
        if spikes.numel():
            per_sample = spikes.numel() // (by_step.shape[0] * (by_step.shape[1] if by_step.dim() > 1 else 1))
            self.state_elements = max(self.state_elements, self.row.state_variables * per_sample)
        if self.row.spiking:
            self.pending.append((first, _spikes_per_step(by_step, self.row.binary_scale, tapped)))
        else:  # a real-valued output is no spike; the time steps count all the same
            self.steps.extend([0] * (first + by_step.shape[0] - len(self.steps)))
        return first + by_step.shape[0]

    def finish(self, name: str) -> NeuronCounts:
        """The record of everything added."""
        self.read()
        return NeuronCounts(
            name=name,
            kind=self.row.kind,
            calls=self.calls,
            updates=self.updates,
            state_elements=self.state_elements,
            state_variables=self.row.state_variables,
            spiking=self.row.spiking,
            spikes_per_step=tuple(self.steps),
            update_adds=self.row.adds,
            update_muls=self.row.muls,
            update_compares=self.row.compares,
            update_specials=self.row.specials,
            spike_adds=self.row.soft_reset_adds,
        )


def _spikes_per_step(by_step: Tensor, scale: float | None, tapped: Sequence[Tensor]) -> Sequence[Tensor]:
    """Non-zero elements of each time step, 0-dim each; a plain sum where every spike is 1 and the sum stays exact."""
    if scale == 1 and by_step.dtype is torch.float32 and by_step.numel() < EXACT_SPIKES * len(by_step):
        return tapped if len(tapped) == len(by_step) else by_step.reshape(len(by_step), -1).sum(1).unbind()
    return torch.count_nonzero(by_step.reshape(len(by_step), -1), dim=1).unbind()
