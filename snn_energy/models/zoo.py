"""The checkpoints that come with the package."""

from __future__ import annotations

from pathlib import Path

from snn_energy.errors import UsageError
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


def checkpoint_path(name_or_path: str) -> Path:
    """Find the checkpoint that a caller means: a file, or the name of a shipped one.

    A bare word that is no file can only be meant as a name; anything else is a path, sound or not. Errors: UsageError
    for a word that is neither.
    """
    path = Path(name_or_path)
    if path.exists() or path.suffix or path.name != name_or_path:
        return path
    if name_or_path in pretrained_names():
        return pretrained(name_or_path)
    if ":" in name_or_path:
        raise UsageError(f"{name_or_path}: no such file; for a function that makes a network: --model {name_or_path}")
    hint = unknown("pretrained model", name_or_path, pretrained_names())
    raise UsageError(f"{name_or_path}: no such file, and {hint}")
