"""Writing the files of one export into one folder, with a side-car that says what was measured and what was lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn_energy.counting.counts import Trace
from snn_energy.errors import DataError, UsageError
from snn_energy.exporting.losses import LOSSES_KEY, Loss, plain_losses
from snn_energy.exporting.simulators.workload import Workload
from snn_energy.files import write_atomic

SIDE_CAR = "snn_energy.json"
_FORMAT = "snn-energy-simulator-input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written: the files in `folder`, the side-car last, and what the format does not hold."""

    simulator: str
    folder: Path
    files: tuple[str, ...]
    losses: tuple[Loss, ...]
    size_bytes: int


def side_car(
    simulator: str, trace: Trace, rows: Sequence[Mapping[str, Any]], losses: Sequence[Loss], **more: Any
) -> dict[str, Any]:
    """Return the side-car of an export: one row for each layer written, whatever else the format needs, the losses."""
    return {
        "format": _FORMAT,
        "format_version": 1,
        "simulator": simulator,
        "model": trace.model,
        "samples": trace.samples,
        "time_steps": trace.time_steps,
        **more,
        "layers": list(rows),
        LOSSES_KEY: plain_losses(losses),
    }


def layer_rows(works: Sequence[Workload], row_names: Sequence[str], *, whole: bool = False) -> list[dict[str, Any]]:
    """Return the side-car's rows: the name in the simulator's file, how often one inference runs it, what was measured.

    `whole`: groups, heads and matrices of their own are inside a row, and only time steps repeat it.
    """
    return [
        {"row": row, "runs": work.product.passes if whole else work.runs, **work.facts()}
        for work, row in zip(works, row_names, strict=True)
    ]


def write_folder(
    simulator: str,
    folder: str | Path,
    files: Mapping[str, str | bytes],
    car: Mapping[str, Any],
    losses: Sequence[Loss],
) -> Written:
    """Write `files` (names, with / for one folder below, and contents) into `folder`, the side-car last.

    A missing folder is made; its parent must exist. Each file takes its place in one step, and the side-car lists
    them, so that a folder whose side-car is there is whole. Files of an earlier export into this folder that are not
    written again are removed: a simulator that reads all files would take them for layers.

    Errors: UsageError, where the folder cannot be made or is a file; DataError, where the system refuses to write.
    """
    root = Path(folder)
    if root.exists() and not root.is_dir():
        raise UsageError(f'cannot write into "{root}": it is a file; --output must name a folder')
    if not root.parent.is_dir():
        raise UsageError(f'cannot write into "{root}": no folder "{root.parent}"; create it first')
    before = _listed(root)
    content = json.dumps({**car, "files": sorted(files)}, indent=2, allow_nan=False) + "\n"
    try:
        root.mkdir(exist_ok=True)
        (root / SIDE_CAR).unlink(missing_ok=True)
        for name in files:
            (root / name).parent.mkdir(exist_ok=True)
        for name in sorted(before - set(files)):
            (root / name).unlink(missing_ok=True)
    except OSError as problem:
        raise DataError(f'cannot write into "{root}": {problem.strerror or problem}; choose another place') from None
    for name, data in files.items():
        write_atomic(root / name, data)
    write_atomic(root / SIDE_CAR, content)
    size = sum((root / name).stat().st_size for name in (*files, SIDE_CAR))
    return Written(simulator=simulator, folder=root, files=(*files, SIDE_CAR), losses=tuple(losses), size_bytes=size)


def _listed(root: Path) -> set[str]:
    """Files that an earlier export wrote here, by its side-car; names that leave the folder are no such files."""
    path = root / SIDE_CAR
    try:
        car = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return set()
    except (OSError, ValueError) as problem:
        raise UsageError(
            f'"{path}" is no side-car of an export ({type(problem).__name__}); choose an empty folder'
        ) from None
    if not isinstance(car, dict) or car.get("format") != _FORMAT or not isinstance(car.get("files"), list):
        raise UsageError(f'"{path}" is no side-car of an export; choose an empty folder')
    names = {name for name in car["files"] if isinstance(name, str)}
    return {name for name in names if name and not Path(name).is_absolute() and ".." not in Path(name).parts}
