"""MNIST and Fashion-MNIST: IDX files, packed with gzip or not.

An IDX file is 0, 0, 8 (unsigned bytes), the number of axes, their big-endian sizes, and the data. Its content is
compared with the official one after unpacking, so that it does not matter who packed it.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from snn_energy.errors import DataError, first_line
from snn_energy.training.datasets.archives import read_file
from snn_energy.training.datasets.checksums import check_bytes, word_for
from snn_energy.training.datasets.places import DATA_VARIABLE, EMBEDDED, folders_for, named_places
from snn_energy.training.imageset import ImageSet

PACKED = ".gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One data set: its classes, where it comes from, and each split's images and labels with their checksums."""

    classes: tuple[str, ...]
    url: str
    raw_folder: str
    """Where torchvision keeps the files, below its root."""
    files: dict[str, dict[str, str]]
    """Split -> name without .gz -> SHA-256 of the content; first the images, then the labels."""
    hint: str = ""
    system_folders: tuple[Path, ...] = ()


# SHA-256 of files whose MD5 are those of the official ones.
SOURCES: dict[str, Source] = {
    "mnist": Source(
        classes=tuple("0123456789"),
        url="https://ossci-datasets.s3.amazonaws.com/mnist/ (LeCun, Cortes and Burges)",
        raw_folder="MNIST/raw",
        files={
            "train": {
                "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            },
            "test": {
                "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        },
    ),
    "fashion-mnist": Source(
        classes=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        url="https://github.com/zalandoresearch/fashion-mnist, data/fashion/",
        raw_folder="FashionMNIST/raw",
        files={
            "train": {
                "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            },
            "test": {
                "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        },
        hint=(
            " (on Debian or Ubuntu: `apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb"
            " fashion`, then fashion/usr/share/datasets/fashion-mnist is the folder)"
        ),
        system_folders=(Path("/usr/share/datasets/fashion-mnist"),),
    ),
}


def load_idx(name: str, split: str, data_dir: Path | None) -> ImageSet:
    """Return the split, uint8 `n 1 28 28`. Errors: DataError for files that are missing or damaged."""
    source = SOURCES[name]
    images, labels = (
        _read(path, digest, axes)
        for (path, digest), axes in zip(_find(name, source, split, data_dir), (3, 1), strict=True)
    )
    return ImageSet(
        images=images.unsqueeze(1),
        labels=labels.long(),
        classes=source.classes,
        name=name,
        split=split,
        source=f"{name} ({split} split)",
    )


def _find(name: str, source: Source, split: str, data_dir: Path | None) -> list[tuple[Path, str]]:
    """The files of the split with their checksums, from the first folder that has them all."""
    wanted = source.files[split]
    asked = folders_for(name, data_dir, source.raw_folder)
    # A folder that the caller names comes first: its files are then the ones that are checked.
    places = [*asked, EMBEDDED / name] if data_dir is not None else [EMBEDDED / name, *asked, *source.system_folders]
    for place in places:
        candidates = [(place / (file + PACKED), place / file) for file in wanted]
        found = [next((path for path in pair if path.is_file()), None) for pair in candidates]
        complete = [path for path in found if path is not None]
        if len(complete) == len(wanted):
            return list(zip(complete, wanted.values(), strict=True))
    files = ", ".join(f"{file}.gz (unpacked {word_for(digest)})" for file, digest in wanted.items())
    raise DataError(
        f"{name}: expected {files} in one of {named_places(places)} (got none of them); get them from"
        f" {source.url}{source.hint}, and give their folder (--data-dir), or set {DATA_VARIABLE} to the folder that"
        f" holds {name}/"
    )


def _read(path: Path, digest: str, axes: int) -> Tensor:
    """Return the uint8 array of an IDX file."""
    content = read_file(path)
    if path.suffix == PACKED:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as problem:
            raise DataError(f"{path}: expected a gzip file (got {first_line(problem)}); copy it again") from None
    check_bytes(str(path), content, digest)
    sizes = struct.unpack_from(f">{axes}I", content, 4)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * axes).reshape(sizes)
