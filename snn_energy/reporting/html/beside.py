"""The energy of every layer in numbers: by component, and beside the same layer of the ANN twin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import COMPONENTS, without_price
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.entries import Entry
from snn_energy.reporting.html.pieces import grid
from snn_energy.reporting.layout import energy_text, row_energy
from snn_energy.reporting.numbers import ENERGY_DECIMALS, ENERGY_UNITS, apportion, ratio

ALONE = "(twin alone)"
"""The line of the twin's rows that have no namesake in the network."""


Side = tuple[int, Fraction] | None
"""Energy of one inference in printed steps, and exactly in pJ."""


def beside_table(document: Document, found: Sequence[Entry], unit: str) -> Element:
    """A line for each line of the layer table; energies of one inference in `unit`, whose columns add up."""
    used = [(key, label) for key, label in COMPONENTS if any(entry.steps[key] for entry in found)]
    energies = _twin(document, found)
    size = dict(ENERGY_UNITS)[unit]
    twin: list[Side] = [None] * (len(found) + 1)
    if energies is not None:
        steps = apportion([pj / size * 10**ENERGY_DECIMALS for pj in energies])
        twin = list(zip(steps, energies, strict=True))
    rows = []
    for entry, beside in zip(found, twin, strict=False):
        parts = [energy_text(entry.steps[key]) if entry.energies_pj[key] else "" for key, _ in used]
        rows.append([entry.line.name, *parts, *_cells((entry.line.energy, entry.energy_pj), beside)])
    if twin[-1] is not None and twin[-1][0]:
        rows.append([ALONE, *[""] * len(used), *_cells(None, twin[-1])])
    sums = [energy_text(sum(entry.steps[key] for entry in found)) for key, _ in used]
    whole = _sum((entry.line.energy, entry.energy_pj) for entry in found)
    rows.append(["total", *sums, *_cells(whole, None if energies is None else _sum(filter(None, twin)))])
    against = ("ANN twin, dense", "ANN/SNN") if energies is not None else ()
    headings = ("layer", *(label for _, label in used), "SNN", *against)
    told = "by component" if energies is None else "by component, beside the dense ANN twin"
    return tag(
        "details",
        tag("summary", f"Every layer in {unit}, {told}"),
        grid(headings, rows, "Energy of every layer", range(1, len(headings))),
    )


def _cells(snn: Side, ann: Side) -> list[str]:
    """The cells of the SNN and, where there is a twin, of the ANN and their ratio."""
    own = "" if snn is None else energy_text(snn[0])
    if ann is None:
        return [own]
    return [own, energy_text(ann[0]), ratio(float(ann[1] / snn[1])) if snn and snn[1] else ""]


def _sum(sides: Iterable[tuple[int, Fraction]]) -> tuple[int, Fraction]:
    steps, energies = zip(*sides, strict=True)
    return sum(steps), sum(energies, Fraction())


def _twin(document: Document, found: Sequence[Entry]) -> list[Fraction] | None:
    """Energies in pJ of the twin's namesakes of the lines and, at the end, of what has none."""
    twin = document.get("baseline")
    if twin is None or without_price(document):
        return None
    places = {entry.line.name: i for i, entry in reversed(list(enumerate(found)))}
    energies = [Fraction()] * (len(found) + 1)
    for row in twin["rows"]:
        energies[places.get(row["name"], -1)] += row_energy(row) / twin["samples"]
    return energies
