"""Logs of a training, for spreadsheets and for TensorBoard: one row, or one point of each curve, for every epoch.

The CSV file is written anew from the whole history after each epoch, so a resumed training leaves the log of an
unbroken one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from snn_energy.errors import UsageError
from snn_energy.files import write_atomic

COLUMNS = ("epoch", "phase", "loss", "train_accuracy", "validation_accuracy", "learning_rate", "seconds")


def log_path(out: Path) -> Path:
    """Return where the log of `out` is: beside it, with .csv added."""
    return out.with_name(out.name + ".csv")


def row_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One epoch of the history as flat columns; those of a penalty follow the fixed ones."""
    fixed = {name: entry.get(name) for name in COLUMNS}
    return {**fixed, **{name: value for name, value in entry.get("penalty", {}).items() if name not in fixed}}


def write_csv(path: Path, history: list[dict[str, Any]]) -> None:
    """Write the history as a CSV file with a header; an empty cell is a value that was not measured."""
    rows = [row_of(entry) for entry in history]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue())


class Curves(Protocol):
    """Where curves are drawn."""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add the points of one epoch."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class NoCurves:
    """Draws nothing."""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Drop the points."""

    def close(self) -> None:
        """Nothing is left."""


class TensorBoard:
    """Writes event files for TensorBoard into `folder`; points of epochs from `first_epoch` on replace older ones.

    Errors: UsageError when TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path, first_epoch: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as problem:
            raise UsageError(
                f"{folder}: TensorBoard's event files need the package tensorboard ({problem}); run pip install"
                " 'snn-energy[tensorboard]', or read the CSV file"
            ) from None
        self.writer = SummaryWriter(str(folder), purge_step=first_epoch)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add the points of one epoch: every number of its row."""
        for name, value in row_of(entry).items():
            if name != "epoch" and isinstance(value, (int, float)):
                self.writer.add_scalar(name, value, entry["epoch"])
        self.writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()
