"""Tiny ImageNet (Stanford CS231n, 2015): 64 x 64 JPEGs of 200 classes, or of some of them.

Layout: train/<wnid>/images/*.JPEG; val/images/*.JPEG with val/val_annotations.txt (file, wnid and box, between tabs);
wnids.txt, one class a line; words.txt, their names. The official test part has no labels: val is the test split.

Classes are those of wnids.txt, or without it the folders of train/, numbered by their WordNet id in alphabetical order,
as a folder of class folders is. A wnids.txt with fewer lines makes a smaller data set.
"""

from __future__ import annotations

from pathlib import Path

import torch

from snn_energy.errors import DataError
from snn_energy.training.datasets.archives import read_file
from snn_energy.training.datasets.places import DATA_VARIABLE, folders_for, named_places
from snn_energy.training.files import read_images
from snn_energy.training.imageset import ImageSet

NAME = "tinyimagenet"
FOLDER = "tiny-imagenet-200"
SHAPE = (3, 64, 64)
SUFFIX = ".jpeg"
ANNOTATIONS = "val_annotations.txt"
# The archive's published address and MD5.
ARCHIVE = "http://cs231n.stanford.edu/tiny-imagenet-200.zip (MD5 90528d7ca1a48142e341f4ef8d21d0de)"

Labelled = list[tuple[Path, int]]


def load_tinyimagenet(split: str, data_dir: Path | None) -> ImageSet:
    """Return the split, uint8 `n 3 64 64`, class by class in train and in the order of the list in val.

    Grey JPEGs become RGB. Errors: DataError for files that are missing, damaged, or not listed.
    """
    root = _find(data_dir)
    wnids = _classes(root)
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    labelled = _train(root, numbers) if split == "train" else _val(root, numbers)
    return ImageSet(
        images=read_images([path for path, _ in labelled], SHAPE, resize=False),
        labels=torch.tensor([number for _, number in labelled], dtype=torch.int64),
        classes=_names(root, wnids),
        name=NAME,
        split=split,
        source=f"{NAME} ({split} split)",
    )


def _find(data_dir: Path | None) -> Path:
    places = folders_for(NAME, data_dir, FOLDER)
    for place in places:
        if (place / "train").is_dir() and (place / "val" / ANNOTATIONS).is_file():
            return place
    raise DataError(
        f"{NAME}: expected train/ and val/{ANNOTATIONS} in {named_places(places)} (got none of them); unpack {ARCHIVE},"
        f" and give {FOLDER} as the data folder (--data-dir), or set {DATA_VARIABLE} to the folder that holds {FOLDER}/"
    )


def _lines(path: Path) -> list[str]:
    return [line for line in read_file(path).decode("utf-8", "replace").splitlines() if line.strip()]


def _classes(root: Path) -> tuple[str, ...]:
    listed = root / "wnids.txt"
    if listed.is_file():
        wnids = [line.strip() for line in _lines(listed)]
    else:
        wnids = [folder.name for folder in (root / "train").iterdir() if (folder / "images").is_dir()]
    if not wnids:
        raise DataError(f"{root}: expected classes in wnids.txt or folders in train/ (got none); unpack it again")
    return tuple(sorted(set(wnids)))


def _names(root: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """The first word of each class in words.txt; its WordNet id where it has none, or shares it."""
    table = root / "words.txt"
    words = dict(line.split("\t", 1) for line in _lines(table) if "\t" in line) if table.is_file() else {}
    names = [words[wnid].split(",")[0].strip() if wnid in words else wnid for wnid in wnids]
    return tuple(wnid if names.count(name) > 1 else name for wnid, name in zip(wnids, names, strict=True))


def _train(root: Path, numbers: dict[str, int]) -> Labelled:
    labelled: Labelled = []
    for wnid, number in numbers.items():
        folder = root / "train" / wnid / "images"
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() == SUFFIX) if folder.is_dir() else []
        if not files:
            raise DataError(
                f"{folder}: expected the images of a class (got none); unpack it again, or take {wnid} out of wnids.txt"
            )
        labelled += [(file, number) for file in files]
    return labelled


def _val(root: Path, numbers: dict[str, int]) -> Labelled:
    labelled: Labelled = []
    table = root / "val" / ANNOTATIONS
    for number, line in enumerate(_lines(table), start=1):
        fields = line.split("\t")
        if len(fields) < 2 or Path(fields[0]).name != fields[0]:
            raise DataError(f"{table}: line {number}: expected a file name, a tab and a WordNet id (got {line!r:.60})")
        if fields[1] in numbers:
            labelled.append((root / "val" / "images" / fields[0], numbers[fields[1]]))
    if not labelled:
        raise DataError(f"{table}: expected images of the classes in wnids.txt (got none); unpack it again")
    return labelled
