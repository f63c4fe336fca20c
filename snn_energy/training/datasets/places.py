"""Where data sets are looked for, and what is said when they are not there."""

from __future__ import annotations

import os
from pathlib import Path

EMBEDDED = Path(__file__).parents[2] / "data"
"""What comes with the package: one folder for each data set."""
DATA_VARIABLE = "SNN_ENERGY_DATA"


def folders_for(name: str, data_dir: Path | None, *known: str) -> list[Path]:
    """The folders to look into for the data set `name`, in order: the caller's, or those of $SNN_ENERGY_DATA.

    `known` are folders by which other tools know this data set, looked for below each.
    """
    root = os.environ.get(DATA_VARIABLE)
    if data_dir is not None:
        top, own = data_dir, [data_dir, data_dir / name]
    elif root:
        top, own = Path(root), [Path(root) / name]
    else:
        return []
    return list(dict.fromkeys([*own, *(folder / sub for sub in known for folder in (top, top / name))]))


def named_places(places: list[Path]) -> str:
    """The folders in the words of an error message."""
    return ", ".join(map(str, places)) or f"no folder: give --data-dir, or set {DATA_VARIABLE}"
