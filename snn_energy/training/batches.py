"""The batches of one epoch: which samples, changed how; decided by the seed and the epoch's number alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from snn_energy.models.inputs import InputSpec
from snn_energy.training.augmentation import make_augmentation
from snn_energy.training.imageset import ImageSet
from snn_energy.training.recipe import Recipe

SEED_STEP = 1_000_003
"""A prime larger than any number of epochs or batches, so that no two of them share a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Batch `number` (from 0): network input `n c h w`; targets, int64 `n` or float `n classes`, mixed.

    `generator` is the state of the random numbers after it was made.
    """

    number: int
    x: Tensor
    targets: Tensor
    generator: Tensor


def batch_count(recipe: Recipe, data: ImageSet) -> int:
    """Return the batches of one epoch; the last one may be smaller."""
    return -(-len(data) // recipe.batch_size)


def epoch_batches(
    recipe: Recipe, data: ImageSet, spec: InputSpec, epoch: int, first: int = 0, state: Tensor | None = None
) -> Iterator[Batch]:
    """Yield the batches of `epoch` (from 0) from number `first` on; `state` is that of the batch before it."""
    generator = torch.Generator().manual_seed(recipe.seed * SEED_STEP + epoch)
    order = torch.randperm(len(data), generator=generator)
    if state is not None:
        generator.set_state(state)
    augmentation = make_augmentation(recipe.augmentation)
    assert data.labels is not None
    for number, chosen in enumerate(torch.split(order, recipe.batch_size)):
        if number < first:
            continue
        pixels = data.images[chosen]
        if recipe.augmentation:
            pixels = augmentation(pixels, generator)
        x, targets = spec.apply(pixels), data.labels[chosen]
        if recipe.augmentation:
            x, targets = augmentation.mix(x, targets, len(data.classes), generator)
        yield Batch(number=number, x=x, targets=targets, generator=generator.get_state())


def made_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the same batches, each made by another thread while the one before it is being used."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming = worker.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = worker.submit(next, batches, None)
            yield batch


def forward_seed(recipe: Recipe, epoch: int, batch: int, rank: int) -> int:
    """Return the seed of what the network itself draws (random encoders, dropout) in one batch on one rank."""
    return (((recipe.seed * SEED_STEP + epoch) * SEED_STEP + batch) * SEED_STEP + rank + 1) % 2**63
