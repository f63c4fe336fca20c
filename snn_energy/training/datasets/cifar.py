"""CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

Both official versions are read, as a folder or as the .tar.gz itself. Binary: records of one label byte (CIFAR-100:
coarse, then fine) and 3,072 pixels, red, green, blue. Python: pickles of a dict with `data`, bytes `n 3072`, and
`labels` or `fine_labels`; see `unpickling` for how they are kept from running code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snn_energy.errors import DataError
from snn_energy.training.datasets.archives import read_file, read_members
from snn_energy.training.datasets.checksums import check_bytes, check_file, word_for
from snn_energy.training.datasets.places import DATA_VARIABLE, folders_for, named_places
from snn_energy.training.datasets.unpickling import read_pickle
from snn_energy.training.imageset import ImageSet

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
URL = "https://www.cs.toronto.edu/~kriz/cifar.html"

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Rows = tuple[Bytes, Bytes]
"""Pixels `n 3072` and labels `n`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One way in which a data set is published: its archive, the folder in it, and how a file is read."""

    archive: str
    folder: str
    files: dict[str, tuple[str, ...]]
    """Split -> the files with its images."""
    read: Callable[[str, bytes], Rows]
    names: str | None = None
    """The file with the names of the classes."""
    read_names: Callable[[str, bytes], tuple[str, ...]] | None = None

    def needed(self, split: str) -> tuple[str, ...]:
        """All files that a split takes."""
        return self.files[split] + (() if self.names is None else (self.names,))


# MD5 of the archives as published at URL, and of the files in them.
CHECKSUMS: dict[str, str] = {
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
    "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
    "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
    "cifar-10-batches-bin/data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "cifar-10-batches-bin/data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "cifar-10-batches-bin/data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "cifar-10-batches-bin/data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "cifar-10-batches-bin/data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "cifar-10-batches-bin/test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    "cifar-100-binary/train.bin": "6172c7755cfe09b2fe270c85cebc1b15",
    "cifar-100-binary/test.bin": "4499cfba6c016c1be1438163640a0898",
    "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
}


def _read_records(label_bytes: int, where: str, content: bytes) -> Rows:
    record = label_bytes + PIXELS
    if not content or len(content) % record:
        raise DataError(
            f"{where}: expected records of {record:,} bytes (got {len(content):,} bytes); copy or download it again"
        )
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return rows[:, label_bytes:], rows[:, label_bytes - 1]


def _read_batch(labels_key: str, where: str, content: bytes) -> Rows:
    batch = read_pickle(where, content)
    pixels, labels = batch.get("data"), batch.get(labels_key)
    if not isinstance(labels, list):
        labels = []
    count = len(labels)
    if not isinstance(pixels, np.ndarray) or not count or pixels.shape != (count, PIXELS):
        got = pixels.shape if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DataError(
            f"{where}: expected data, bytes [N, {PIXELS:,}], and {labels_key}, a list of N (got {got} and {count}"
            " labels); copy or download it again"
        )
    if not all(isinstance(label, int) and 0 <= label < 256 for label in labels):
        raise DataError(f"{where}: expected {labels_key} to be class numbers; copy or download it again")
    return pixels, np.array(labels, dtype=np.uint8)


def _names_in_text(_: str, content: bytes) -> tuple[str, ...]:
    return tuple(content.decode("ascii", "replace").split())


def _names_in_pickle(where: str, content: bytes) -> tuple[str, ...]:
    names = read_pickle(where, content).get("fine_label_names")
    if not isinstance(names, list):
        raise DataError(f"{where}: expected fine_label_names, a list (got {names!r:.40}); copy or download it again")
    return tuple(name.decode("ascii", "replace") if isinstance(name, bytes) else str(name) for name in names)


BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
# In the order in which they are looked for: the binary versions are read faster.
VERSIONS: dict[str, tuple[Version, ...]] = {
    "cifar10": (
        Version(
            archive="cifar-10-binary.tar.gz",
            folder="cifar-10-batches-bin",
            files={"train": tuple(f"{name}.bin" for name in BATCHES), "test": ("test_batch.bin",)},
            read=partial(_read_records, 1),
        ),
        Version(
            archive="cifar-10-python.tar.gz",
            folder="cifar-10-batches-py",
            files={"train": BATCHES, "test": ("test_batch",)},
            read=partial(_read_batch, "labels"),
        ),
    ),
    "cifar100": (
        Version(
            archive="cifar-100-binary.tar.gz",
            folder="cifar-100-binary",
            files={"train": ("train.bin",), "test": ("test.bin",)},
            read=partial(_read_records, 2),
            names="fine_label_names.txt",
            read_names=_names_in_text,
        ),
        Version(
            archive="cifar-100-python.tar.gz",
            folder="cifar-100-python",
            files={"train": ("train",), "test": ("test",)},
            read=partial(_read_batch, "fine_labels"),
            names="meta",
            read_names=_names_in_pickle,
        ),
    ),
}
CLASSES: dict[str, int] = {"cifar10": 10, "cifar100": 100}
CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load_cifar(name: str, split: str, data_dir: Path | None) -> ImageSet:
    """Return the split, uint8 `n 3 32 32`, in the order of the official files; CIFAR-100 with its fine labels.

    Errors: DataError for files that are missing, damaged or not the official ones.
    """
    version, contents = _find(name, split, data_dir)
    parts = [version.read(where, contents.pop(where)) for where in list(contents)[: len(version.files[split])]]
    names: tuple[str, ...] = CIFAR10_NAMES
    if version.read_names is not None:
        names = next(version.read_names(where, content) for where, content in contents.items())
    images = torch.empty((sum(len(labels) for _, labels in parts), *SHAPE), dtype=torch.uint8)
    rows, start = images.view(-1, PIXELS).numpy(), 0
    for pixels, labels in parts:
        rows[start : start + len(labels)] = pixels
        start += len(labels)
    numbers = torch.from_numpy(np.concatenate([labels for _, labels in parts]).astype(np.int64))
    if len(names) != CLASSES[name] or int(numbers.max()) >= len(names):
        raise DataError(
            f"{name}: expected {CLASSES[name]} classes (got {len(names)} names, and labels up to {int(numbers.max())});"
            " copy or download the files again"
        )
    return ImageSet(
        images=images,
        labels=numbers,
        classes=names,
        name=name,
        split=split,
        source=f"{name} ({split} split)",
    )


def _find(name: str, split: str, data_dir: Path | None) -> tuple[Version, dict[str, bytes]]:
    """The version that is there, and the checked content of its files, by where they are, in order."""
    for version in VERSIONS[name]:
        for folder in folders_for(name, data_dir, version.folder):
            if all((folder / file).is_file() for file in version.needed(split)):
                return version, _from_folder(version, split, folder)
    places = folders_for(name, data_dir, "")
    for version in VERSIONS[name]:
        for place in places:
            if (place / version.archive).is_file():
                return version, _from_archive(version, split, place / version.archive)
    archives = " or ".join(f"{v.archive} ({word_for(CHECKSUMS[v.archive])})" for v in VERSIONS[name])
    folders = " or ".join(f"{v.folder}/" for v in VERSIONS[name])
    raise DataError(
        f"{name}: expected the official files of the {split} split in {named_places(places)} (got none of them); get"
        f" {archives} from {URL}, put it there as it is, or unpacked as {folders}, and give the folder (--data-dir), or"
        f" set {DATA_VARIABLE} to it"
    )


def _from_folder(version: Version, split: str, folder: Path) -> dict[str, bytes]:
    contents = {}
    for file in version.needed(split):
        content = read_file(folder / file)
        digest = CHECKSUMS.get(f"{version.folder}/{file}")
        if digest is not None:
            check_bytes(str(folder / file), content, digest)
        contents[str(folder / file)] = content
    return contents


def _from_archive(version: Version, split: str, archive: Path) -> dict[str, bytes]:
    check_file(archive, CHECKSUMS[version.archive])
    found = read_members(archive, version.folder, version.needed(split))
    return {f"{archive}: {file}": found[file] for file in version.needed(split)}
