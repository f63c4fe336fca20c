"""The energy of every layer in numbers: by component, and beside the same layer of the ANN twin."""

from __future__ import annotations

from collections.abc import Sequence
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


def beside_table(document: Document, found: Sequence[Entry], unit: str) -> Element:
    """A line for each line of the layer table; energies of one inference in `unit`, whose columns add up."""
    used = [(key, label) for key, label in COMPONENTS if any(entry.steps[key] for entry in found)]
    ann = _twin(document, found, unit)
    twin: list[int | None] = [None] * (len(found) + 1) if ann is None else [*ann]
    rows = []
    for entry, beside in zip(found, twin, strict=False):
        parts = [energy_text(entry.steps[key]) if entry.energies_pj[key] else "" for key, _ in used]
        rows.append([entry.line.name, *parts, *_sides(entry.line.energy, beside)])
    if twin[-1]:
        rows.append([ALONE, *[""] * len(used), *_sides(None, twin[-1])])
    sums = [energy_text(sum(entry.steps[key] for entry in found)) for key, _ in used]
    rows.append(["total", *sums, *_sides(sum(entry.line.energy for entry in found), None if ann is None else sum(ann))])
    against = ("ANN twin, dense", "ANN/SNN") if ann is not None else ()
    headings = ("layer", *(label for _, label in used), "SNN", *against)
    told = "by component" if ann is None else "by component, beside the dense ANN twin"
    return tag(
        "details",
        tag("summary", f"Every layer in {unit}, {told}"),
        grid(headings, rows, "Energy of every layer", range(1, len(headings))),
    )


def _sides(snn: int | None, ann: int | None) -> list[str]:
    """The cells of the SNN and, where there is a twin, of the ANN and their ratio."""
    own = "" if snn is None else energy_text(snn)
    if ann is None:
        return [own]
    return [own, energy_text(ann), ratio(ann / snn) if snn else ""]


def _twin(document: Document, found: Sequence[Entry], unit: str) -> list[int] | None:
    """Energies of the twin's namesakes in printed steps, and of what has none; they add up to the twin's total."""
    twin = document.get("baseline")
    if twin is None or without_price(document):
        return None
    places = {entry.line.name: i for i, entry in reversed(list(enumerate(found)))}
    energies = [Fraction()] * (len(found) + 1)
    for row in twin["rows"]:
        energies[places.get(row["name"], -1)] += row_energy(row) / twin["samples"]
    size = dict(ENERGY_UNITS)[unit]
    return apportion([pj / size * 10**ENERGY_DECIMALS for pj in energies])
