"""One door to all data: a data set's name, or the path of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown
from snn_energy.training.datasets import dataset_names, load_named
from snn_energy.training.files import load_files
from snn_energy.training.imageset import ImageSet


def load_images(
    source: str | Path,
    split: str = "test",
    *,
    data_dir: str | Path | None = None,
    shape: tuple[int, ...] | None = None,
    layout: str = "N",
    resize: bool = False,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
) -> ImageSet:
    """Return the images of `source`: a data set's name, or the path of a folder, .npy, .npz or .pt file.

    `split` and `data_dir` belong to named data sets; `shape`, `layout`, `resize` and `classes` to files (see
    `files.load_files`). `limit` keeps the first samples only. A path with the name of a data set is written
    ./name. Errors: UsageError for a name or path that does not exist, DataError for data that cannot be used.
    """
    if str(source) in dataset_names():
        if layout != "N":
            raise UsageError(f"{source}: still images have no time axis (got layout {layout}); use N")
        images = load_named(str(source), split, data_dir)
    elif Path(source).exists():
        images = load_files(source, split=split, shape=shape, layout=layout, resize=resize, classes=classes)
    else:
        hint = unknown("data set", str(source), dataset_names())
        raise UsageError(f"{source}: no such file or folder, and {hint}")
    return images if limit is None else images.head(limit)
