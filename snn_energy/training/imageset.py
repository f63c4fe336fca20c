"""Images with their labels: what every data source is turned into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from snn_energy.errors import DataError, UsageError
from snn_energy.models.inputs import InputSpec
from snn_energy.models.suggest import unknown

# Layout -> the axis of the samples and the axis of the time steps.
LAYOUTS: dict[str, tuple[int, int | None]] = {"N": (0, None), "TN": (1, 0), "NT": (0, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """A frozen set of samples.

    `images`: uint8 pixels, or float32 (int64 for token ids) that already is the network's input; shape `n c h w` in
    layout "N", `t n ...` in layout "TN", `n t ...` in layout "NT". `labels`: int64 `n`, or None. `classes`: names in
    the order of the labels, empty when unknown. `source`: where the data came from, for reports.
    """

    images: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    name: str
    split: str
    source: str
    layout: str = "N"

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise unknown("layout", self.layout, LAYOUTS)
        least = 2 if self.layout == "N" else 3
        if self.images.dim() < least:
            raise DataError(
                f"{self.source}: expected at least {least} axes in layout {self.layout} (got shape"
                f" {list(self.images.shape)}); add the axis of the samples"
            )
        if 0 in self.images.shape:
            raise DataError(f"{self.source}: expected at least one sample (got shape {list(self.images.shape)})")
        if self.labels is not None and self.labels.shape != (len(self),):
            raise DataError(
                f"{self.source}: expected one label per sample, {len(self)} (got shape {list(self.labels.shape)})"
            )

    def __len__(self) -> int:
        return int(self.images.shape[LAYOUTS[self.layout][0]])

    @property
    def time_steps(self) -> int | None:
        """Time steps that the data themselves have, or None for still images."""
        axis = LAYOUTS[self.layout][1]
        return None if axis is None else int(self.images.shape[axis])

    def head(self, count: int) -> ImageSet:
        """Return the first `count` samples; UsageError unless 1 <= count <= len."""
        if not 1 <= count <= len(self):
            raise UsageError(f"{self.source}: expected between 1 and {len(self)} samples (got {count})")
        return self.part(0, count)

    def part(self, start: int, stop: int) -> ImageSet:
        """Return the samples from `start` up to `stop`; UsageError unless 0 <= start < stop <= len."""
        if not 0 <= start < stop <= len(self):
            raise UsageError(f"{self.source}: expected samples within 0 to {len(self)} (got {start} to {stop})")
        axis = LAYOUTS[self.layout][0]
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, images=self.images.narrow(axis, start, stop - start), labels=labels)

    def batches(self, batch_size: int, spec: InputSpec | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield (network input, labels) in order; pixels go through `spec`, or stay p / 255 without one.

        Shapes: as `images`, with at most `batch_size` samples; labels `n`.
        """
        axis = LAYOUTS[self.layout][0]
        for start in range(0, len(self), batch_size):
            count = min(batch_size, len(self) - start)
            part = self.images.narrow(axis, start, count)
            if spec is not None:
                part = spec.apply(part)
            elif part.dtype == torch.uint8:
                part = part.to(torch.float32) / torch.iinfo(torch.uint8).max
            yield part, None if self.labels is None else self.labels[start : start + count]
