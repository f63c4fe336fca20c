"""Partial traces: what a run has counted so far, on disk, so that an interrupt costs seconds and not hours.

`counts.json.gz.partial` lies beside the trace file that the run will write, compressed if that one is. Its first line
is an object; its second one is the content of a trace file of the batches that are through:

| key                    | value                                                                                    |
|------------------------|------------------------------------------------------------------------------------------|
| format, format_version | "snn-energy-partial" and 1                                                               |
| identity               | what the run was asked for: digest of the network, words of the data, options            |
| seen                   | digest of all inputs and labels so far: the data that are skipped must be the same ones  |
| random                 | state of torch's random numbers after the last batch, in hexadecimal, or null            |
| batches, score         | batches that are through; {correct, total, missing}                                      |

It holds data alone: nothing in it is ever executed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snn_energy.counting.tracefile import compressed, file_bytes
from snn_energy.errors import DataError, UsageError
from snn_energy.files import write_atomic
from snn_energy.reporting.outcome import Outcome, outcome_bytes, outcome_of_bytes

FORMAT = "snn-energy-partial"
FORMAT_VERSION = 1
INTERVAL_S = 30.0
"""Seconds between two writes."""


ANEW = "leave --resume out to begin anew"
"""What helps where a run cannot be resumed."""


def refuse_another(path: Path, known: Mapping[str, str], mine: Mapping[str, str]) -> None:
    """Refuse to go on from the file at `path`, whose run was asked for what `known` says, with what `mine` says.

    Raises:
        UsageError: they differ; the first difference is named.
    """
    for what, value in mine.items():
        if known.get(what) != value:
            raise UsageError(
                f"{path}: cannot resume, it was made with another {what} (got {value}, expected {known.get(what)}); "
                f"give what that run was given, or {ANEW}"
            )


def partial_path(trace: Path) -> Path:
    """Where the partial trace of a run lies that will write `trace`."""
    return trace.with_name(f"{trace.name}.partial")


class Keeper:
    """Writes the state of a run beside its trace file, and reads it back."""

    def __init__(self, trace: Path, *, resume: bool = False, interval_s: float = INTERVAL_S) -> None:
        self.path, self.resume, self.interval_s = partial_path(trace), resume, interval_s
        self.identity: dict[str, str] = {}
        self._packs = trace.suffix.lower() == ".gz"
        self._written = time.monotonic()

    def exists(self) -> bool:
        """Whether an earlier run left a partial trace."""
        return self.path.is_file()

    def stored(self) -> bytes:
        """The partial trace to go on from; empty to begin anew."""
        return file_bytes(self.path) if self.resume and self.exists() else b""

    def begin(self, identity: Mapping[str, str], stored: bytes) -> tuple[Outcome, dict[str, Any]]:
        """What is done already, with the first line of its file; an empty one to begin anew.

        Raises:
            DataError: the file is no partial trace.
            UsageError: it was made by another network, other data or other options.
        """
        self.identity = dict(identity)
        if not stored:
            return Outcome(), {}
        try:
            outcome, head = outcome_of_bytes(stored, str(self.path))
            known, version = head["identity"], head["format_version"]
            fits = head["format"] == FORMAT and isinstance(known, dict) and isinstance(head["seen"], str)
        except (ValueError, KeyError, TypeError):
            fits, version = False, None
        if not fits or version != FORMAT_VERSION:
            raise DataError(f"{self.path}: expected a partial trace of version {FORMAT_VERSION}; {ANEW}")
        refuse_another(self.path, known, self.identity)
        return outcome, head

    def note(self, outcome: Outcome, seen: str, random: str | None, *, now: bool = False) -> None:
        """Write the state if the last write is long ago, or `now`."""
        if not now and time.monotonic() - self._written < self.interval_s:
            return
        head = {
            "format": FORMAT, "format_version": FORMAT_VERSION, "identity": self.identity, "seen": seen,
            "random": random,
        }  # fmt: skip
        content = outcome_bytes(outcome, head)
        write_atomic(self.path, compressed(content) if self._packs else content)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Delete the partial trace: the trace file is written."""
        self.path.unlink(missing_ok=True)
