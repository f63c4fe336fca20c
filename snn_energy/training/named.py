"""Data sets known by name. What testing and profiling need comes with the package; nothing is downloaded.

Files outside the package are looked for in `data_dir`, in $SNN_ENERGY_DATA/<name>, and where Debian's package
`dataset-fashion-mnist` puts them, in this order. Every file is compared with its published SHA-256.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from snn_energy.errors import DataError
from snn_energy.models.suggest import unknown
from snn_energy.training.imageset import ImageSet

EMBEDDED = Path(__file__).parent.parent / "data"
DATA_VARIABLE = "SNN_ENERGY_DATA"
SPLITS = ("train", "test")
DIGITS_TEST_SAMPLES = 360
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
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
)
# The official files of github.com/zalandoresearch/fashion-mnist, as packed by Debian.
FASHION_FILES = {
    "train": {
        "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    },
    "test": {
        "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    },
}


def dataset_names() -> tuple[str, ...]:
    """Return the names that `load_named` knows, in alphabetical order."""
    return tuple(sorted(_LOADERS))


def load_named(name: str, split: str, data_dir: str | Path | None = None) -> ImageSet:
    """Return the data set `name`; `split` is "train" or "test".

    Errors: UsageError for an unknown name or split, DataError for files that are missing or damaged.
    """
    if name not in _LOADERS:
        raise unknown("data set", name, _LOADERS)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return _LOADERS[name](split, None if data_dir is None else Path(data_dir))


def _digits(split: str, _: Path | None) -> ImageSet:
    """UCI optical digits, 8 x 8: levels 0..16 stored as 0..240; the last 360 of 1,797 are the test."""
    with np.load(EMBEDDED / "digits" / "digits.npz", allow_pickle=False) as arrays:
        images, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
    cut = len(images) - DIGITS_TEST_SAMPLES
    part = slice(cut, None) if split == "test" else slice(None, cut)
    return ImageSet(
        images=images[part].unsqueeze(1),
        labels=labels[part].long(),
        classes=tuple("0123456789"),
        name="digits",
        split=split,
        source=f"digits ({split} split)",
    )


def _fashion(split: str, data_dir: Path | None) -> ImageSet:
    files = FASHION_FILES[split]
    folder = _find(data_dir, files)
    images_name, labels_name = files
    images = _read_idx(folder / images_name, files[images_name], axes=3)
    labels = _read_idx(folder / labels_name, files[labels_name], axes=1)
    return ImageSet(
        images=images.unsqueeze(1),
        labels=labels.long(),
        classes=FASHION_CLASSES,
        name="fashion-mnist",
        split=split,
        source=f"fashion-mnist ({split} split)",
    )


def _find(data_dir: Path | None, files: dict[str, str]) -> Path:
    if data_dir is not None:
        places = [data_dir, data_dir / "fashion-mnist"]
    else:
        places = [EMBEDDED / "fashion-mnist"]
        if os.environ.get(DATA_VARIABLE):
            places.append(Path(os.environ[DATA_VARIABLE]) / "fashion-mnist")
        places.append(DEBIAN_FOLDER)
    for place in places:
        if all((place / name).is_file() for name in files):
            return place
    wanted = ", ".join(f"{name} (SHA-256 {digest})" for name, digest in files.items())
    raise DataError(
        f"fashion-mnist: expected {wanted} in one of {', '.join(map(str, places))} (got none of them); on"
        " Debian or Ubuntu run `apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb"
        " fashion` and give fashion/usr/share/datasets/fashion-mnist as the data folder, or set"
        f" {DATA_VARIABLE} to the folder that holds fashion-mnist/"
    )


def _read_idx(path: Path, digest: str, axes: int) -> Tensor:
    """Return the uint8 array of a gzip IDX file: 0, 0, 8 (bytes), axes, big-endian sizes, the data."""
    packed = path.read_bytes()
    got = hashlib.sha256(packed).hexdigest()
    if got != digest:
        raise DataError(f"{path}: expected SHA-256 {digest} (got {got}); the file is damaged: copy it again")
    try:
        raw = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path}: not a gzip file ({problem}); copy it again") from problem
    sizes = struct.unpack_from(f">{axes}I", raw, 4)
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=4 + 4 * axes).reshape(sizes)


_LOADERS: dict[str, Callable[[str, Path | None], ImageSet]] = {"digits": _digits, "fashion-mnist": _fashion}
