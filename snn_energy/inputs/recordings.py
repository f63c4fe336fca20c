"""The user's own events: .npz files of one recording each, with the integer arrays t, x, y and p.

`t` is in microseconds; `p` is the polarity, 0 or 1 (a boolean will do). Without `y` and `p` the recording is that of a
line of `x` channels. Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from snn_energy.errors import DataError
from snn_energy.inputs.eventset import Recording
from snn_energy.inputs.frames import Events
from snn_energy.models import storage
from snn_energy.models.suggest import unknown

SUFFIX = ".npz"


def holds_events(path: Path) -> bool:
    """Whether `path` is an .npz file with times and addresses, or a folder of .npz files."""
    if path.is_dir():
        return any(path.glob(f"*{SUFFIX}")) or any(path.glob(f"*/*{SUFFIX}"))
    if path.suffix.lower() != SUFFIX or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"t.npy", "x.npy"} <= set(archive.namelist())


def find_recordings(path: Path, axes: int, classes: Sequence[str] | None = None) -> tuple[Recording, ...]:
    """The recordings of one .npz file, of a folder of them, or of class folders; `axes` is 3 (p, y, x) or 1 (x).

    Class folders are numbered alphabetically, or by `classes`. Errors: DataError for a folder without recordings.
    """
    if not path.is_dir():
        return (_recording(path, axes, None),)
    flat = sorted(path.glob(f"*{SUFFIX}"))
    if flat:
        return tuple(_recording(file, axes, None) for file in flat)
    folders = sorted({file.parent.name for file in path.glob(f"*/*{SUFFIX}")})
    names = tuple(classes or folders)
    for name in folders:
        if name not in names:
            raise DataError(f"{path / name}: {unknown('class folder', name, names)}")
    files = ((file, names.index(name)) for name in folders for file in sorted((path / name).glob(f"*{SUFFIX}")))
    found = tuple(_recording(file, axes, label) for file, label in files)
    if not found:
        raise DataError(f"{path}: no recordings here: expected {SUFFIX} files, or class folders of them")
    return found


def _recording(file: Path, axes: int, label: int | None) -> Recording:
    return Recording(where=str(file), read=partial(read_npz, file, axes), label=label)


def read_npz(file: Path, axes: int) -> Events:
    """Read one recording; the arrays t and x, and y and p where `axes` is 3. Errors: DataError that names the file."""
    names = ("p", "y", "x") if axes == 3 else ("x",)
    storage.checked_file(file, "recording", DataError)
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in archive.files if name in ("t", *names)}
    except (*storage.DAMAGED, zipfile.BadZipFile) as problem:
        raise DataError(f"{file}: damaged or foreign .npz file ({problem}); write it again with numpy.savez") from None
    for name in ("t", *names):
        array = arrays.get(name)
        if array is None or array.ndim != 1 or array.dtype.kind not in "bui":
            got = "none" if array is None else f"{array.dtype} {list(array.shape)}"
            raise DataError(
                f"{file}: expected integer arrays {', '.join(('t', *names))} of one axis, one value per event (got "
                f"{got} for {name}); t is in microseconds"
            )
    return Events(t=arrays["t"], address=tuple(arrays[name] for name in names))
