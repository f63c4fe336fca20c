"""Spikes whose height differs from channel to channel: {0, a_c} on input channel c of a projection.

Such a scale folds into the weights as a common one does, f(a_c s, W) = f(s, a_c W), so the layer accumulates. Learned
heights, batch norms without a shift, heads of different heights side by side make such operands; on a linear layer
every input feature is a channel.

That a channel takes one value only is proof if the value came and went: in half of the active channels at least, a
non-zero value must have been seen twice and a zero once. Otherwise one sample of real numbers, shown over and over to
a linear layer, would pass for spikes. Everything needed joins like a set, whatever the split into batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from snn_energy.counting.values import Run


@dataclass(slots=True)
class ChannelTrack:
    """Running heights of one operand, of the calls whose heights are not all the same."""

    alive: bool = True
    """False once a channel took two different magnitudes, or once channels cannot be told apart."""
    heights: Tensor | None = None
    """Magnitude of each channel, 0 where none was seen: float64 [channels] on the operand's device."""
    positive: bool = False
    """Whether any call saw a positive value; likewise a negative one."""
    negative: bool = False

    def follow(self, x: Tensor, axes: int) -> None:
        """Take in x [rows, *channels, ...], whose channels are the `axes` axes after the first."""
        for part in (x[:1], x):  # one sample tells almost every real operand
            heights, alike = measure(part, axes)
            if not alike.item():
                self._die()
                return
        self.take(heights)

    def take(self, found: Tensor | None) -> None:
        """Take in the heights of one call; None if a channel had two."""
        if found is None:
            self._die()
        elif self.heights is None:
            self.heights = found
        else:
            joint = _joined(self.heights, found)
            if joint is None:
                self._die()
            else:
                self.heights = joint

    def _die(self) -> None:
        self.alive, self.heights = False, None

    def runs(self, maps: Iterable[tuple[Tensor, int, dict[float, Tensor]]]) -> tuple[Run, ...]:
        """The record of all calls; () where the channels are contradictory.

        Args:
            maps: for each geometry the non-zero counts [channels], the elements of each channel, and of calls with one
                height for all channels the counts by that height.
        """
        if not self.alive:
            return ()
        heights = None if self.heights is None else self.heights.cpu()
        nonzero: Tensor | None = None
        elements = 0
        for counted, size, by_height in maps:
            nonzero = counted if nonzero is None else nonzero + counted
            elements += size
            for height, counts in by_height.items():
                part = (counts > 0).double() * height
                joint = part if heights is None else _joined(heights, part)
                if joint is None:
                    return ()
                heights = joint
        if nonzero is None:
            return ()
        if heights is None:
            heights = torch.zeros(nonzero.shape, dtype=torch.float64)
        facts = torch.stack((heights, nonzero.clamp(max=2).double(), (nonzero < elements).double()), 1)
        rows, lengths = torch.unique_consecutive(facts, dim=0, return_counts=True)
        return tuple(
            (length, height, int(sightings), bool(rested))
            for length, (height, sightings, rested) in zip(lengths.tolist(), rows.tolist(), strict=True)
        )


def measure(x: Tensor, axes: int) -> tuple[Tensor, Tensor]:
    """Largest magnitude of each channel of x [rows, *channels, ...], float64, and whether it is the only one."""
    flat = x.abs().reshape(x.shape[0], prod(x.shape[1 : 1 + axes]), -1)
    top = flat.amax((0, 2), keepdim=True)
    return top.reshape(-1).double(), ((flat == top) | (flat == 0)).all()


def _joined(a: Tensor, b: Tensor) -> Tensor | None:
    """Heights of both, None where a channel has two."""
    if a.shape != b.shape or bool(((a != b) & (a != 0) & (b != 0)).any()):
        return None
    return torch.maximum(a, b)
