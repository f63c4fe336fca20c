"""Running record of one neuron layer: counts stay on the device until a batch is through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snn_energy.counting.counts import NeuronCounts
from snn_energy.counting.neurons import NeuronRow
from snn_energy.counting.sights import StepMaps
from snn_energy.counting.sums import EXACT_SUM

HELD_ELEMENTS = 1 << 19
"""Elements of outputs that one neuron layer may hold back at most."""


@dataclass(slots=True)
class NeuronTally:
    """Calls of one neuron layer."""

    row: NeuronRow
    calls: int = 0
    updates: int = 0
    state_elements: int = 0
    steps: list[int] = field(default_factory=list)
    """Spikes of each time step in the batches that are through."""
    pending: list[tuple[Sequence[int], Tensor | StepMaps]] = field(default_factory=list)
    """Time steps and their counts (1-dim, on the device), or what tells them, of the batch that runs."""
    pending_elements: int = 0
    """Of the maps among them."""
    held: list[tuple[int, Tensor]] = field(default_factory=list)
    """Time steps and copies of small outputs, to be counted together."""

    def read(self) -> None:
        """Take the pending counts off the device: once for each batch, all calls together."""
        self._count_held()
        if not self.pending:
            return
        self._add_up()
        counts = torch.cat([_added(counts).double() for _, counts in self.pending]).tolist()
        positions = [step for steps, _ in self.pending for step in steps]
        self.steps.extend([0] * (max(positions) + 1 - len(self.steps)))
        for position, count in zip(positions, counts, strict=True):
            self.steps[position] += int(count)
        self.pending.clear()

    def add(
        self,
        spikes: Tensor,
        first: int,
        maps: StepMaps | None = None,
        *,
        calls: int = 0,
        copy: Callable[[], Tensor] | None = None,
    ) -> int:
        """Add one call's output; a single-step neuron is at time step `first`. Returns the time step after it.

        Several `calls` of a single-step neuron lie along the first axis. `maps` tell the spikes of its time steps,
        where somebody summed them; `copy` makes a copy of a small output that stays as it is.
        """
        if self.row.time_axis is None and not calls and copy is not None and self.row.spiking:
            return self._add_step(spikes, first, copy)
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
            counts = _spikes_per_step(by_step, self.row.binary_scale) if maps is None else maps
            self.pending.append((range(first, first + len(by_step)), counts))
            if maps is not None:
                self.pending_elements += len(by_step) * maps.shape.numel()
                if self.pending_elements > HELD_ELEMENTS:
                    self._add_up()
        else:  # a real-valued output is no spike; the time steps count all the same
            self.steps.extend([0] * (first + by_step.shape[0] - len(self.steps)))
        return first + by_step.shape[0]

    def _add_step(self, spikes: Tensor, step: int, copy: Callable[[], Tensor]) -> int:
        """One time step of a single-step neuron whose output is small: the commonest call of a network in a loop."""
        elements = spikes.numel()
        self.calls += 1
        self.updates += elements
        if elements:
            samples = len(spikes) if spikes.dim() else 1
            self.state_elements = max(self.state_elements, self.row.state_variables * (elements // samples))
        self._hold(step, copy())
        return step + 1

    def _hold(self, step: int, spikes: Tensor) -> None:
        held = self.held
        if held and (held[0][1].shape != spikes.shape or held[0][1].dtype is not spikes.dtype):
            self._count_held()
        held.append((step, spikes))
        if len(held) * spikes.numel() > HELD_ELEMENTS:
            self._count_held()

    def _add_up(self) -> None:
        """Keep nothing but the counts."""
        self.pending, self.pending_elements = [(steps, _added(counts)) for steps, counts in self.pending], 0

    def _count_held(self) -> None:
        if self.held:
            steps, spikes = zip(*self.held, strict=True)
            self.held.clear()
            self.pending.append((steps, _spikes_per_step(torch.stack(spikes), self.row.binary_scale)))

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


def _added(counts: Tensor | StepMaps) -> Tensor:
    return counts.spikes() if isinstance(counts, StepMaps) else counts


def _spikes_per_step(by_step: Tensor, scale: float | None) -> Tensor:
    """Non-zero elements of each time step, 1-dim; a plain sum where every spike is 1 and the sum stays exact."""
    steps = by_step.reshape(len(by_step), -1)
    if scale == 1 and steps.dtype is torch.float32 and steps.shape[1] < EXACT_SUM:
        return steps.sum(1)
    return torch.count_nonzero(steps, dim=1)
