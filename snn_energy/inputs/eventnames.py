"""Event data sets known by name. Their files must be there already: nothing is downloaded.

N-MNIST, CIFAR10-DVS and DVS128 Gesture are read by the package tonic, in whose folder layout they are expected; SHD is
HDF5 and needs h5py alone. Both are optional: `pip install 'snn-energy[events]'`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from snn_energy.errors import DataError, UsageError
from snn_energy.inputs.eventset import Recording
from snn_energy.inputs.frames import Events
from snn_energy.models.suggest import unknown

DATA_VARIABLE = "SNN_ENERGY_DATA"
SPLITS = ("train", "test")
INSTALL = "pip install 'snn-energy[events]'"
READ_ERRORS = (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, EOFError)
"""What the readers raise on a file that is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSource:
    """One named set: its shape, where its files lie below the data folder, and where they come from."""

    shape: tuple[int, ...]
    places: dict[str, str]
    """Split -> file or folder below the data folder."""
    files: str
    """Glob pattern of the recordings below that place; "" where the place is one file."""
    folder: str
    """Name of tonic's folder, looked for in the data folder as well."""
    remedy: str
    """What to put there, and where to get it."""
    find: Callable[[Path, str], tuple[Recording, ...]]
    """Recordings in the folder, given the split."""


def event_set_names() -> tuple[str, ...]:
    """Names of all event data sets, in alphabetical order."""
    return tuple(sorted(EVENT_SETS))


def has_splits(name: str) -> bool:
    """Whether the set comes in a training and a test part."""
    return len(set(EVENT_SETS[name].places.values())) > 1


def find_named(name: str, split: str, data_dir: Path | None) -> tuple[Recording, ...]:
    """The recordings of a named set, in an order in which its classes alternate.

    Errors: UsageError for an unknown split, or a reader that is not installed; DataError for files that are missing.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    source = EVENT_SETS[name]
    return source.find(_folder(name, source, split, data_dir), split)


def _folder(name: str, source: EventSource, split: str, data_dir: Path | None) -> Path:
    """The folder that holds the place of this split."""
    roots = [data_dir] if data_dir is not None else []
    if data_dir is None and os.environ.get(DATA_VARIABLE):
        roots.append(Path(os.environ[DATA_VARIABLE]) / name)
    for folder in (folder for root in roots for folder in (root / source.folder, root)):
        place = folder / source.places[split]
        if place.is_file() if not source.files else next(place.glob(source.files), None) is not None:
            return folder.resolve()
    wanted = "/".join(part for part in (source.places[split], source.files) if part not in ("", "."))
    where = ", ".join(map(str, roots)) or f"no folder: give --data-dir, or set {DATA_VARIABLE}"
    raise DataError(f"{name}: expected {wanted} in the data folder (got nothing there: {where}); {source.remedy}")


# -- read by tonic -------------------------------------------------------------------------------------------------


def _tonic_recordings(
    name: str, order: Callable[[Path], tuple[Any, ...]], folder: Path, split: str
) -> tuple[Recording, ...]:
    try:
        import tonic
    except ModuleNotFoundError as problem:
        raise UsageError(
            f"this data set is read by the package tonic (got no module {problem.name!r}); run: {INSTALL}"
        ) from None
    # tonic looks for the archives as well as for their contents, and downloads what it misses. It names its folder
    # after the class: so a class of the folder's own name finds any folder.
    known = getattr(tonic.datasets, name)
    local = type(folder.name, (known,), {"_check_exists": lambda _: True})
    options = {} if name == "CIFAR10DVS" else {"train": split == "train"}
    data = local(str(folder.parent), **options)
    numbers = sorted(range(len(data.data)), key=lambda i: order(Path(data.data[i])))
    return tuple(
        Recording(where=data.data[i], read=partial(_read_tonic, data, i), label=int(data.targets[i])) for i in numbers
    )


def _read_tonic(data: Any, index: int) -> Events:
    try:
        events, _ = data[index]
    except ModuleNotFoundError as problem:
        raise UsageError(
            f"{data.data[index]}: tonic reads this file with a package that is missing (got no module "
            f"{problem.name!r}); run: {INSTALL}"
        ) from None
    except BaseException as problem:
        # The AEDAT reader, in Rust, panics on damaged files: no Exception, and not importable by name.
        if isinstance(problem, READ_ERRORS) or type(problem).__name__ == "PanicException":
            raise DataError(
                f"{data.data[index]}: cannot read this recording ({type(problem).__name__}: "
                f"{(str(problem).splitlines() or [''])[0]}); unpack it again"
            ) from problem
        raise
    return Events(t=events["t"].astype(np.int64), address=tuple(events[axis].astype(np.int64) for axis in "pyx"))


def _last_number(file: Path) -> tuple[Any, ...]:
    """Files are numbered within their class (or over all classes, as in N-MNIST): by number, then by class."""
    numbers = re.findall(r"\d+", file.stem)
    return int(numbers[-1]) if numbers else 0, str(file)


def _folder_and_number(file: Path) -> tuple[Any, ...]:
    """One folder for each person and light, in it one file for each class."""
    return file.parent.name, *_last_number(file)


# -- read by h5py --------------------------------------------------------------------------------------------------


def _shd_recordings(folder: Path, split: str) -> tuple[Recording, ...]:
    path = folder / f"shd_{split}.h5"
    try:
        import h5py
    except ModuleNotFoundError:
        raise UsageError(f"{path}: HDF5 is read by the package h5py (got none); run: {INSTALL}") from None
    try:
        with h5py.File(path, "r") as file:
            labels = [int(label) for label in file["labels"][()]]
            counts = len(file["spikes/times"]), len(file["spikes/units"])
    except READ_ERRORS as problem:
        raise DataError(
            f"{path}: expected an HDF5 file with spikes/times, spikes/units and labels (got {problem}); unpack it again"
        ) from problem
    if counts != (len(labels), len(labels)):
        raise DataError(
            f"{path}: expected times and units for each of {len(labels)} labels (got {counts}); copy it again"
        )
    return tuple(
        Recording(where=f"{path}[{i}]", read=partial(_read_shd, path, i), label=label) for i, label in enumerate(labels)
    )


def _read_shd(path: Path, index: int) -> Events:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            seconds, units = file["spikes/times"][index], file["spikes/units"][index]
    except READ_ERRORS as problem:
        raise DataError(f"{path}[{index}]: cannot read this recording ({problem}); copy the file again") from problem
    # Times are stored in seconds, in half precision; tonic makes the same whole microseconds of them.
    return Events(t=(seconds.astype(np.float64) * 1e6).astype(np.int64), address=(units.astype(np.int64),))


EVENT_SETS: dict[str, EventSource] = {
    "nmnist": EventSource(
        shape=(2, 34, 34),
        places={"train": "Train", "test": "Test"},
        files="*/*.bin",
        folder="NMNIST",
        remedy="unpack Train.zip and Test.zip of N-MNIST, https://www.garrickorchard.com/datasets/n-mnist, there",
        find=partial(_tonic_recordings, "NMNIST", _last_number),
    ),
    "cifar10-dvs": EventSource(
        shape=(2, 128, 128),
        places={"train": ".", "test": "."},
        files="*/*.aedat4",
        folder="CIFAR10DVS",
        remedy=(
            "unpack CIFAR10DVS.zip in AEDAT 4, https://figshare.com/ndownloader/files/38023437, there, and its ten "
            "archives, one folder for each class"
        ),
        find=partial(_tonic_recordings, "CIFAR10DVS", _last_number),
    ),
    "dvs-gesture": EventSource(
        shape=(2, 128, 128),
        places={"train": "ibmGestureTrain", "test": "ibmGestureTest"},
        files="*/*.npy",
        folder="DVSGesture",
        remedy=(
            "unpack ibmGestureTest.tar.gz, https://figshare.com/ndownloader/files/38020584, or ibmGestureTrain.tar.gz, "
            "https://figshare.com/ndownloader/files/38022171, there (DVS128 Gesture, cut by tonic's authors)"
        ),
        find=partial(_tonic_recordings, "DVSGesture", _folder_and_number),
    ),
    "shd": EventSource(
        shape=(700,),
        places={"train": "shd_train.h5", "test": "shd_test.h5"},
        files="",
        folder="SHD",
        remedy="unpack shd_train.h5.zip and shd_test.h5.zip, https://zenkelab.org/datasets/, there",
        find=_shd_recordings,
    ),
}
"""Name -> what is known of it."""
