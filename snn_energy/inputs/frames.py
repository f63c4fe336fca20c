"""Events to frames: an exact histogram of a recording over time bins, polarity and place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snn_energy.errors import DataError, UsageError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """One recording: for each event its time `t` in microseconds and its address, one integer array per axis."""

    t: Array
    address: tuple[Array, ...]
    """As the axes of a frame: (p, y, x) of a camera, (unit,) of a cochlea."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How a recording is cut: into `steps` bins of `bin_ms` milliseconds, or of an equal share of its duration."""

    steps: int
    bin_ms: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"--frames must be >= 1 (got {self.steps})")
        if self.bin_ms is not None and not 1 <= self.bin_ms * 1000 < 2**53:
            raise UsageError(f"--bin-ms must be at least 0.001, the microsecond of the recordings (got {self.bin_ms})")

    @property
    def bin_us(self) -> int | None:
        """Width of a bin in whole microseconds, the resolution of the recordings."""
        return None if self.bin_ms is None else round(self.bin_ms * 1000)

    def __str__(self) -> str:
        frames = f"{self.steps} frame{'' if self.steps == 1 else 's'}"
        return frames if self.bin_ms is None else f"{frames} of {self.bin_ms:g} ms"


def to_frames(events: Events, shape: Sequence[int], framing: Framing, where: str) -> Tensor:
    """Number of events in each time bin and place: `t *shape`, float32.

    Bin k holds the events with k w <= t - t_0 < (k + 1) w, where t_0 is the first event's time and w the bin: without
    `bin_ms` floor((t_last - t_0) / T) microseconds, so the last event and up to T - 1 microseconds before it fall
    behind the last bin, as they do in tonic's `ToFrame(n_time_bins=T)`; with it, w is that in whole microseconds, a
    longer recording is cut after T bins, and a shorter one ends in silence. Errors: DataError that names `where` for
    addresses outside `shape`, arrays of different lengths, or a recording too short for T bins.
    """
    size, steps = prod(shape), framing.steps
    if any(len(axis) != len(events.t) for axis in events.address) or len(events.address) != len(shape):
        raise DataError(
            f"{where}: expected {len(shape)} address arrays as long as t, {len(events.t)} (got lengths "
            f"{[len(axis) for axis in events.address]})"
        )
    if not len(events.t):
        return torch.zeros((steps, *shape))
    place = np.zeros(len(events.t), dtype=np.int64)
    for name, axis, extent in zip(
        ("pyx" if len(shape) == 3 else "x")[-len(shape) :], events.address, shape, strict=True
    ):
        low, high = int(axis.min()), int(axis.max())
        if low < 0 or high >= extent:
            raise DataError(
                f"{where}: expected {name} from 0 to {extent - 1} (got {low} to {high}); is the sensor's size right? "
                f"(frames are {'x'.join(map(str, shape))})"
            )
        place = place * extent + axis.astype(np.int64)
    since = events.t.astype(np.int64) - int(events.t.min())
    width = framing.bin_us
    if width is None:
        width = int(since.max()) // steps
        if not width:
            raise DataError(
                f"{where}: a recording of {int(since.max())} microseconds makes no {steps} frames; ask for fewer "
                "(--frames), or give the width of a bin (--bin-ms)"
            )
    bins = since // width
    kept = bins < steps
    counts = np.bincount(bins[kept] * size + place[kept], minlength=steps * size)
    return torch.from_numpy(counts.astype(np.float32)).view(steps, *shape)
