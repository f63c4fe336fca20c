"""Measured energies: a CSV file with one row for each measurement.

| column              | value                                                                                     |
|---------------------|-------------------------------------------------------------------------------------------|
| trace (or report)   | trace file or JSON report of the network that was measured, on the inputs it was given    |
| energy_uj           | measured energy of ONE inference; the unit is the end of the name: pj, nj, uj, mj or j    |
| sd_uj               | optional: standard deviation of a single measurement, likewise                            |
| repeats             | optional: how many measurements the energy is the mean of; 1 where empty                  |

Lines that begin with "#" are comments; other columns are ignored (a date, a board).
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from snn_energy.errors import DataError

PJ: Mapping[str, int] = {"pj": 1, "nj": 10**3, "uj": 10**6, "mj": 10**9, "j": 10**12}
"""End of a column's name -> pJ in one of its units."""

SOURCES = ("trace", "report", "file")
"""Names of the column that leads to the counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One row: the counts it belongs to, and the energy of one inference in pJ."""

    line: int
    source: str
    """Trace or report, as the file names it."""
    energy_pj: float
    sd_pj: float | None
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """A whole file."""

    name: str
    sha256: str
    rows: tuple[Measurement, ...]


def read_measurements(path: str | Path) -> Measurements:
    """Read and check a CSV file of measured energies.

    Raises:
        DataError: no such file, a column that is missing, twice there or in an unknown unit, or a value that is none.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a CSV file of measured energies") from None
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: not UTF-8 text (byte {problem.start}); save it as UTF-8") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); check its name and rights") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line[:1] != "#"]
    if not lines:
        raise DataError(f"{path}: empty; expected a heading like trace,energy_uj and one row for each measurement")
    (_, first), *others = [(number, _cells(line, number, path)) for number, line in lines]
    columns = _columns([cell.strip().lower() for cell in first], path)
    rows = tuple(_row(cells, columns, number, path) for number, cells in others)
    if not rows:
        raise DataError(f"{path}: a heading and no measurement; expected at least one row")
    if any(row.sd_pj is None for row in rows) and any(row.sd_pj is not None for row in rows):
        empty = next(row.line for row in rows if row.sd_pj is None)
        raise DataError(f"{path}, line {empty}: no standard deviation, where other rows have one; fill in all or none")
    return Measurements(name=path.name, sha256=hashlib.sha256(data).hexdigest(), rows=rows)


def _cells(line: str, number: int, path: Path) -> list[str]:
    try:
        (cells,) = csv.reader([line], strict=True)
    except csv.Error as problem:
        raise DataError(f"{path}, line {number}: no row of CSV ({problem}); a measurement takes one line") from None
    return cells


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where things stand, and what one unit of an energy is in pJ."""

    source: int
    energy: tuple[int, int]
    sd: tuple[int, int] | None
    repeats: int | None


def _columns(heading: Sequence[str], path: Path) -> _Columns:
    sources = [i for i, name in enumerate(heading) if name in SOURCES]
    if len(sources) != 1:
        raise DataError(
            f"{path}: expected one column {' or '.join(SOURCES)} (got {', '.join(heading)}); name the trace file of "
            "each measurement in it"
        )
    energy = _quantity(heading, "energy", path)
    if energy is None:
        raise DataError(
            f"{path}: expected a column energy_UNIT, with UNIT one of {', '.join(PJ)} (got {', '.join(heading)}); give "
            "the energy of one inference, like energy_uj"
        )
    repeats = [i for i, name in enumerate(heading) if name == "repeats"]
    return _Columns(sources[0], energy, _quantity(heading, "sd", path), repeats[0] if repeats else None)


def _quantity(heading: Sequence[str], kind: str, path: Path) -> tuple[int, int] | None:
    found = [(i, name) for i, name in enumerate(heading) if name == kind or name.startswith(f"{kind}_")]
    if len(found) > 1:
        raise DataError(
            f"{path}: columns {' and '.join(name for _, name in found)} say the same; leave one of them out"
        )
    for i, name in found:
        unit = name.removeprefix(kind).removeprefix("_")
        if unit not in PJ:
            raise DataError(
                f"{path}: column {name} must end in its unit, one of {', '.join(PJ)} (got {unit or 'none'!r}); rename "
                f"it, like {kind}_uj"
            )
        return i, PJ[unit]
    return None


def _row(cells: Sequence[str], columns: _Columns, line: int, path: Path) -> Measurement:
    def cell(index: int) -> str:
        return cells[index].strip() if index < len(cells) else ""

    def quantity(place: tuple[int, int], what: str) -> float:
        text = cell(place[0])
        try:
            value = float(Fraction(text) * place[1]) if "/" not in text else math.nan
        except (ValueError, OverflowError):
            value = math.nan
        if not (0 < value < math.inf):
            raise DataError(
                f"{path}, line {line}: {what} must be a number > 0 (got {text!r}); correct or remove the row"
            )
        return value

    source = cell(columns.source)
    if not source:
        raise DataError(f"{path}, line {line}: names no trace; say whose counts the energy belongs to")
    repeats = cell(columns.repeats) if columns.repeats is not None else ""
    if repeats and not (repeats.isdecimal() and int(repeats) >= 1):
        raise DataError(
            f"{path}, line {line}: repeats must be a whole number >= 1 (got {repeats!r}); leave it empty for 1"
        )
    sd = columns.sd
    return Measurement(
        line=line,
        source=source,
        energy_pj=quantity(columns.energy, "the energy"),
        sd_pj=None if sd is None or not cell(sd[0]) else quantity(sd, "the standard deviation"),
        repeats=int(repeats or 1),
    )
