"""The per-layer table of a report, as text cells per inference; terminal and Markdown draw the same one.

Three sections share one grid: projections, neuron layers, and other arithmetic (summed per module). All
rounding is by largest remainders, so that the printed rows of a column add up to its printed total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import (
    ENERGY_DECIMALS,
    SHARE_DECIMALS,
    apportion,
    energy_unit,
    fixed,
    nearest,
    per_inference,
)
from snn_energy.reporting.spread_facts import rounded_energy

Row = dict[str, Any]

COMPONENTS = ("mac", "ac", "neuron", "other")
"""Parts an energy splits into, as in `costing.report`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of a section, for one inference; energy and share in steps of the last printed digit.

    A count is None where the section has no such column.
    """

    name: str
    kind: str
    operand: str | None
    """Operand class of a projection."""
    rate: str
    counts: tuple[int | None, ...]
    energy: int
    share: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Lines of one part with headings of their own; the last count belongs to wide tables only."""

    title: str
    operand_heading: str
    """Empty where operands have no class."""
    rate_heading: str
    count_headings: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def totals(self) -> tuple[int | None, ...]:
        """Sums of the printed counts."""
        columns = zip(*(line.counts for line in self.lines), strict=True)
        return tuple(None if column[0] is None else sum(count or 0 for count in column) for column in columns)

    @property
    def energy(self) -> int:
        """Sum of the printed energies, in printed steps."""
        return sum(line.energy for line in self.lines)

    @property
    def share(self) -> int:
        """Sum of the printed shares, in printed steps."""
        return sum(line.share for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTable:
    """All sections of a report, with the unit of their energies."""

    unit: str
    sections: tuple[Section, ...]
    total: str
    """Total energy as text: the sum of the printed rows, or what the interval of the prices leaves of it."""

    @property
    def energy(self) -> int:
        """Total energy, in printed steps."""
        return sum(section.energy for section in self.sections)

    @property
    def share(self) -> int:
        """Total share: 100 %, or 0 where nothing cost energy."""
        return sum(section.share for section in self.sections)


@dataclass(frozen=True, slots=True)
class _Part:
    title: str
    operand_heading: str
    rate_heading: str
    columns: tuple[tuple[str, str], ...]
    """Heading and key of each count."""


_PARTS = {
    "synapses": _Part(
        "projection",
        "operand",
        "nonzero",
        (("connections", "connections"), ("ACs", "acs"), ("MACs", "macs"), ("bias adds", "adds")),
    ),
    "neurons": _Part("neuron layer", "", "rate", (("updates", "updates"), ("spikes", "spikes"), ("", ""), ("", ""))),
    "other": _Part(
        "other",
        "",
        "",
        (("adds", "adds"), ("muls", "muls"), ("compares", "compares"), ("specials", "specials")),
    ),
}


def layer_table(document: Document) -> LayerTable:
    """Arrange the rows of a report for printing, per inference."""
    samples: int = document["samples"]
    parts = {part: [row for row in document["rows"] if row["part"] == part] for part in _PARTS}
    parts["other"] = _by_module(parts["other"])
    rows = [row for part in parts.values() for row in part]
    energies = [row_energy(row) / samples for row in rows]
    total = sum(energies, Fraction())
    unit, size = energy_unit(total)
    printed = iter(apportion([value / size * 10**ENERGY_DECIMALS for value in energies]))
    whole = 100 * 10**SHARE_DECIMALS
    shares = iter(apportion([value / total * whole for value in energies], whole) if total else [0] * len(rows))
    sections = []
    for name, part in _PARTS.items():
        counts: list[Sequence[int | None]] = [
            per_inference([row[key] for row in parts[name]], samples) if key else [None] * len(parts[name])
            for _, key in part.columns
        ]
        lines = tuple(
            Line(
                name=row["name"],
                kind=row["kind"],
                operand=row["operand"],
                rate=_rate(row["spike_rate"]),
                counts=tuple(column[i] for column in counts),
                energy=next(printed),
                share=next(shares),
            )
            for i, row in enumerate(parts[name])
        )
        if lines:
            sections.append(
                Section(
                    title=part.title,
                    operand_heading=part.operand_heading,
                    rate_heading=part.rate_heading,
                    count_headings=tuple(heading for heading, _ in part.columns),
                    lines=lines,
                )
            )
    summed = energy_text(sum(section.energy for section in sections))
    deserved = rounded_energy(document, total, (unit, size))
    return LayerTable(unit=unit, sections=tuple(sections), total=summed if deserved is None else deserved)


def row_energy(row: Row) -> Fraction:
    """Energy of a row over all samples in pJ: the exact sum of its components."""
    parts = sum((Fraction(row[f"{component}_pj"]) for component in COMPONENTS), Fraction())
    return parts + Fraction(row.get("memory_pj", 0))


def energy_text(steps: int) -> str:
    """A printed energy without its unit."""
    return fixed(steps, ENERGY_DECIMALS)


def share_text(steps: int) -> str:
    """A printed share without the percent sign."""
    return fixed(steps, SHARE_DECIMALS)


def _rate(value: float | None) -> str:
    return "" if value is None else fixed(nearest(Fraction(value) * 10**4), 4)


_SUMMED = ("adds", "muls", "compares", "specials", *(f"{component}_pj" for component in COMPONENTS))


def _by_module(rows: Sequence[Row]) -> list[Row]:
    """Sum the operators of each module into one row."""
    merged: dict[str, Row] = {}
    for row in rows:
        known = merged.setdefault(row["name"], {**row, "kind": ""})
        kinds = [kind for kind in known["kind"].split(", ") if kind]
        if kinds:
            for key in _SUMMED:
                known[key] += row[key]
            if "memory_pj" in row:
                known["memory_pj"] += row["memory_pj"]
        known["kind"] = ", ".join(dict.fromkeys([*kinds, row["kind"]]))
    return list(merged.values())
