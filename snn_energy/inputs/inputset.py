"""What every source of input is, for whoever runs a network on it; and images that an encoder spreads over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from snn_energy.errors import UsageError
from snn_energy.inputs.encoding import Encoder, find_encoder
from snn_energy.models.inputs import InputSpec
from snn_energy.training.imageset import LAYOUTS


class InputSet(Protocol):
    """Samples in a fixed order, made into batches of network input on demand."""

    @property
    def layout(self) -> str:
        """Leading axes of a batch: "N", "TN" or "NT"."""

    @property
    def source(self) -> str:
        """Where the data came from, for messages."""

    @property
    def labels(self) -> Tensor | None:
        """Class numbers, int64 `n`, or None."""

    def __len__(self) -> int:
        """Number of samples."""

    def part(self, start: int, stop: int) -> Self:
        """The samples from `start` up to `stop`, as they are in the whole set; UsageError outside it."""

    def batches(self, batch_size: int, spec: InputSpec | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield (network input, labels) in order, at most `batch_size` samples at a time."""


def checked_seed(seed: int) -> int:
    """A seed that torch and every encoder take; UsageError for any other."""
    if not 0 <= seed < 1 << 63:
        raise UsageError(f"--seed must be from 0 to 2^63 - 1 (got {seed})")
    return seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """Which encoder, over how many time steps; `seed` is for encoders that draw random numbers."""

    name: str
    steps: int
    seed: int = 0

    def __post_init__(self) -> None:
        find_encoder(self.name)
        if self.steps < 1:
            raise UsageError(f"--encode-steps must be >= 1 (got {self.steps})")
        checked_seed(self.seed)

    @property
    def encoder(self) -> Encoder:
        """The row of the table."""
        return find_encoder(self.name)

    def __str__(self) -> str:
        steps = f"{self.steps} step{'' if self.steps == 1 else 's'}"
        return f"{self.name} coding over {steps}" + (f", seed {self.seed}" if self.encoder.seeded else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedSet:
    """Still images as an encoder spreads them over time: `t n ...` in layout "TN", `n t ...` in layout "NT".

    Batches are encoded when they are asked for. `first` is the place of the first sample in the whole data: a sample
    has the same spikes in every part of them.
    """

    images: InputSet
    encoding: Encoding
    layout: str
    first: int = 0

    def __post_init__(self) -> None:
        if self.images.layout != "N":
            raise UsageError(
                f"{self.source}: an encoder takes still images (got data with time steps); leave out --encode"
            )
        if self.layout not in LAYOUTS or LAYOUTS[self.layout][1] is None:
            raise UsageError(
                f"--encode makes time steps: expected --layout TN ([T, N, ...]) or NT ([N, T, ...]), as the network "
                f"takes them (got {self.layout})"
            )

    @property
    def source(self) -> str:
        """Where the images came from."""
        return self.images.source

    @property
    def labels(self) -> Tensor | None:
        """Class numbers."""
        return self.images.labels

    def __len__(self) -> int:
        return len(self.images)

    def part(self, start: int, stop: int) -> EncodedSet:
        """The samples from `start` up to `stop`, with the spikes that they have in the whole."""
        return replace(self, images=self.images.part(start, stop), first=self.first + start)

    def batches(self, batch_size: int, spec: InputSpec | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield (network input, labels): pixels go through `spec` first, then through the encoder."""
        first, encoder = self.first, self.encoding.encoder
        for x, labels in self.images.batches(batch_size, spec):
            chance = {"seed": self.encoding.seed, "first": first} if encoder.seeded else {}
            spikes = encoder.encode(x, self.encoding.steps, **chance)
            yield spikes if self.layout == "TN" else torch.movedim(spikes, 0, 1), labels
            first += len(x)

    def still(self, batch_size: int, spec: InputSpec | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the images themselves at a single time step, `1 n ...` or `n 1 ...`, in the same batches."""
        for x, labels in self.images.batches(batch_size, spec):
            yield x.unsqueeze(0 if self.layout == "TN" else 1), labels
