"""Event recordings as network input: read one by one, framed when a batch asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from snn_energy.errors import DataError, UsageError
from snn_energy.inputs.frames import Events, Framing, to_frames
from snn_energy.models.inputs import InputSpec
from snn_energy.training.imageset import LAYOUTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One sample before it is read: where it lies, and what reads it."""

    where: str
    read: Callable[[], Events]
    label: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSet:
    """Recordings of one sensor: frames `t n *shape` in layout "TN", `n t *shape` in layout "NT"; event counts, float32.

    Nothing but the recordings of one batch is in memory at a time.
    """

    recordings: tuple[Recording, ...]
    shape: tuple[int, ...]
    """Of one frame: (polarities, height, width) of a camera, (channels,) of a cochlea."""
    framing: Framing
    layout: str
    source: str

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS or LAYOUTS[self.layout][1] is None:
            raise UsageError(
                f"{self.source}: event data have time steps: expected --layout TN ([T, N, ...]) or NT ([N, T, ...]), "
                f"as the network takes them (got {self.layout})"
            )
        if not self.recordings:
            raise DataError(f"{self.source}: expected at least one recording (got none); check the folder")

    @property
    def labels(self) -> Tensor | None:
        """Class numbers, int64 `n`; None unless every recording has one."""
        labels = [recording.label for recording in self.recordings]
        return None if None in labels else torch.tensor(labels, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.recordings)

    def part(self, start: int, stop: int) -> EventSet:
        """The recordings from `start` up to `stop`; UsageError outside the set."""
        if not 0 <= start < stop <= len(self):
            raise UsageError(f"{self.source}: expected samples within 0 to {len(self)} (got {start} to {stop})")
        return replace(self, recordings=self.recordings[start:stop])

    def batches(self, batch_size: int, spec: InputSpec | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield (frames, labels) in order; `spec` only checks the frames' shape: event counts are not pixels."""
        axis, labels = LAYOUTS[self.layout][0], self.labels
        for start in range(0, len(self), batch_size):
            some = self.recordings[start : start + batch_size]
            frames = torch.stack([to_frames(r.read(), self.shape, self.framing, r.where) for r in some], axis)
            yield (
                frames if spec is None else spec.apply(frames),
                None if labels is None else labels[start : start + len(some)],
            )
