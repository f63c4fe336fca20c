"""Names of the data sets, and the reader of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from snn_energy.models.suggest import unknown
from snn_energy.training.datasets.cifar import load_cifar
from snn_energy.training.datasets.digits import load_digits
from snn_energy.training.datasets.idx import load_idx
from snn_energy.training.datasets.tinyimagenet import load_tinyimagenet
from snn_energy.training.imageset import ImageSet

SPLITS = ("train", "test")


def dataset_names() -> tuple[str, ...]:
    """Return the names that `load_named` knows, in alphabetical order."""
    return tuple(sorted(LOADERS))


def load_named(name: str, split: str, data_dir: str | Path | None = None) -> ImageSet:
    """Return the data set `name`, uint8 `n c h w`; `split` is "train" or "test".

    `data_dir` is the folder with its files, or the one that holds that folder. Errors: UsageError for an unknown name
    or split, DataError for files that are missing or damaged.
    """
    if name not in LOADERS:
        raise unknown("data set", name, LOADERS)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return LOADERS[name](split, None if data_dir is None else Path(data_dir))


LOADERS: dict[str, Callable[[str, Path | None], ImageSet]] = {
    "cifar10": partial(load_cifar, "cifar10"),
    "cifar100": partial(load_cifar, "cifar100"),
    "digits": load_digits,
    "fashion-mnist": partial(load_idx, "fashion-mnist"),
    "mnist": partial(load_idx, "mnist"),
    "tinyimagenet": load_tinyimagenet,
}
