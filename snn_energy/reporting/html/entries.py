"""The lines of the layer table with their energies split into components, for everything that draws or lists layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import COMPONENTS
from snn_energy.reporting.layout import LayerTable, Line, layer_table
from snn_energy.reporting.numbers import ENERGY_DECIMALS, ENERGY_UNITS, apportion

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
    exact: list[list[Fraction]] = []
    steps: list[list[int]] = []
    lines: list[tuple[str, Line, dict[str, Fraction]]] = []
    for section in table.sections:
        split = _components(document, _KEYS[section.title])
        for line, parts in zip(section.lines, split, strict=True):
            total = sum(parts.values(), Fraction())
            shares = [part / total * line.energy if total else Fraction() for part in parts.values()]
            exact.append(shares)
            steps.append(apportion(shares, line.energy if total else 0))
            lines.append((PARTS[section.title], line, parts))
    size = dict(ENERGY_UNITS)[table.unit]
    sums = [sum((parts[key] for *_, parts in lines), Fraction()) for key, _ in COMPONENTS]
    _meet(exact, steps, apportion([pj / size * 10**ENERGY_DECIMALS for pj in sums]))
    for (part, line, parts), row in zip(lines, steps, strict=True):
        found.append(Entry(part=part, line=line, energies_pj=parts, steps=dict(zip(parts, row, strict=True))))
    return table, found


def _meet(exact: Sequence[Sequence[Fraction]], steps: Sequence[list[int]], sums: Sequence[int]) -> None:
    """Move single steps within lines until the columns have these `sums` too, those of the sentence on the energy.

    A step goes from a component that was rounded up to one that was rounded down, over other lines and components
    where no line has both. Where even that is impossible, columns stay as they are.
    """
    columns = range(len(sums))
    while True:
        over = [sum(row[c] for row in steps) - sums[c] for c in columns]
        start = next((c for c in columns if over[c] > 0), None)
        if start is None:
            return
        paths: list[list[tuple[int, int, int]]] = [[(-1, -1, start)]]
        seen = {start}
        while paths and over[paths[0][-1][2]] >= 0:
            path = paths.pop(0)
            here = path[-1][2]
            for there in columns:
                line = next((i for i, row in enumerate(steps) if _movable(exact[i], row, here, there)), None)
                if there not in seen and line is not None:
                    seen.add(there)
                    paths.append([*path, (line, here, there)])
        if not paths:
            return
        for line, here, there in paths[0][1:]:
            steps[line][here] -= 1
            steps[line][there] += 1


def _movable(exact: Sequence[Fraction], row: Sequence[int], here: int, there: int) -> bool:
    """Whether a step may go from one component of a line to another: neither moves by a whole step from its value."""
    return here != there and row[here] > exact[here] and row[there] < exact[there]


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
