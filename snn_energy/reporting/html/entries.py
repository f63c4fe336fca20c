"""The lines of the layer table with their energies split into components, for everything that draws or lists layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import COMPONENTS
from snn_energy.reporting.layout import LayerTable, Line, layer_table
from snn_energy.reporting.numbers import apportion

PARTS = {"projection": "projection", "neuron layer": "neurons", "other": "other"}
"""Title of a section of the layer table -> what a row of it is called."""

_KEYS = {"projection": "synapses", "neuron layer": "neurons", "other": "other"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the layer table and what it is made of."""

    part: str
    """One of the values of PARTS."""
    line: Line
    energies_pj: Mapping[str, Fraction]
    """Component -> energy of one inference in pJ."""
    steps: Mapping[str, int]
    """The same in steps of the last printed digit: they add up to the printed energy of the line."""

    @property
    def energy_pj(self) -> Fraction:
        """Energy of one inference in pJ."""
        return sum(self.energies_pj.values(), Fraction())


def entries(document: Document) -> tuple[LayerTable, list[Entry]]:
    """The layer table, and its lines in the order of the table."""
    table, found = layer_table(document), []
    for section in table.sections:
        split = _components(document, _KEYS[section.title])
        for line, parts in zip(section.lines, split, strict=True):
            total = sum(parts.values(), Fraction())
            shares = [part / total * line.energy if total else Fraction() for part in parts.values()]
            steps = dict(zip(parts, apportion(shares, line.energy if total else 0), strict=True))
            found.append(Entry(part=PARTS[section.title], line=line, energies_pj=parts, steps=steps))
    return table, found


def _components(document: Document, part: str) -> list[dict[str, Fraction]]:
    """Energies of the lines of one section; operators of one module are one line, as in the table."""
    samples: int = document["samples"]
    merged: dict[object, dict[str, Fraction]] = {}
    for number, row in enumerate(row for row in document["rows"] if row["part"] == part):
        found = merged.setdefault(
            row["name"] if part == "other" else number, {key: Fraction() for key, _ in COMPONENTS}
        )
        for key in found:
            found[key] += Fraction(row.get(f"{key}_pj", 0)) / samples
    return list(merged.values())
