"""The three parts of a training's data: what is learnt from, what chooses, and what is tested on at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from snn_energy.errors import DataError, UsageError
from snn_energy.training.data import load_images
from snn_energy.training.datasets import dataset_names
from snn_energy.training.imageset import ImageSet
from snn_energy.training.recipe import Recipe

FILES = ("{}", "{}.npz", "{}.pt")
"""Where a folder of the user's own keeps a split: class folders in a folder of its name, or one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The parts of one training: uint8 pixels `n c h w` with labels; `validation` is None without one."""

    train: ImageSet
    validation: ImageSet | None
    test: ImageSet


def load_splits(recipe: Recipe, data_dir: str | Path | None = None) -> Splits:
    """Read the recipe's data; `data_dir` is where the files of a named data set lie.

    The test split of a named data set is taken from the package where it is not in `data_dir`. Errors: UsageError for
    data that do not fit the recipe, DataError for data that are missing or damaged.
    """
    train = _checked(_load(recipe.dataset, "train", data_dir))
    try:
        test = _load(recipe.dataset, "test", data_dir, like=train)
    except DataError as missing:
        if data_dir is None:
            raise
        try:
            test = _load(recipe.dataset, "test", None, like=train)
        except DataError:
            raise missing from None
    test = _checked(test)
    if test.images.shape[1:] != train.images.shape[1:]:
        raise DataError(
            f"{test.source}: expected samples like those of {train.source}, {list(train.images.shape[1:])} (got"
            f" {list(test.images.shape[1:])}); both splits must have one shape"
        )
    if not recipe.validation:
        return Splits(train=train, validation=None, test=test)
    if recipe.validation >= len(train):
        raise UsageError(
            f"recipe: validation must be less than the {len(train)} training samples of {recipe.dataset} (got"
            f" {recipe.validation})"
        )
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(recipe.seed))
    held, kept = order[: recipe.validation].sort().values, order[recipe.validation :].sort().values
    return Splits(
        train=_choose(train, kept, train.source),
        validation=_choose(train, held, f"{train.source}, held out"),
        test=test,
    )


def _load(dataset: str, split: str, data_dir: str | Path | None, like: ImageSet | None = None) -> ImageSet:
    if dataset in dataset_names() or not Path(dataset).is_dir():
        return load_images(dataset, split, data_dir=data_dir)
    places = [Path(dataset) / pattern.format(split) for pattern in FILES]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise DataError(
            f"{dataset}: expected one of {', '.join(place.name for place in places)} in this folder (got none); put the"
            f" {split} images there, in a folder for each class"
        )
    shape, classes = (None, None) if like is None else (tuple(like.images.shape[1:]), like.classes or None)
    return replace(load_images(found, split, shape=shape, classes=classes), name=Path(dataset).name)


def _checked(images: ImageSet) -> ImageSet:
    if images.labels is None:
        raise DataError(f"{images.source}: training needs labels (got none); give class folders or labels")
    if images.layout != "N" or images.images.dtype != torch.uint8 or images.images.dim() != 4:
        raise UsageError(
            f"{images.source}: training takes 8-bit images [N, C, H, W] (got {images.images.dtype} of shape"
            f" {list(images.images.shape)} in layout {images.layout}); give pixels"
        )
    if not images.classes:
        return replace(images, classes=tuple(str(i) for i in range(int(images.labels.max()) + 1)))
    return images


def _choose(images: ImageSet, chosen: torch.Tensor, source: str) -> ImageSet:
    assert images.labels is not None
    return replace(images, images=images.images[chosen], labels=images.labels[chosen], source=source)
