"""The checkpoints that come with the package."""

from __future__ import annotations

from pathlib import Path

from snn_energy.models.suggest import unknown

FOLDER = Path(__file__).parent / "pretrained"


def pretrained_names() -> tuple[str, ...]:
    """Return the names of the shipped checkpoints in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.pt")))


def pretrained(name: str) -> Path:
    """Return the file of the shipped checkpoint `name`; UsageError with a suggestion when there is none."""
    if name not in pretrained_names():
        raise unknown("pretrained model", name, pretrained_names())
    return FOLDER / f"{name}.pt"
