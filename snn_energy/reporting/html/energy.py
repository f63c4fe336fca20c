"""The section on energy: of the whole by component, and of each layer by component."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import COMPONENTS
from snn_energy.reporting.html.beside import beside_table
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.entries import Entry, entries
from snn_energy.reporting.html.pieces import bar, bars, key, keys, section, stacked
from snn_energy.reporting.layout import energy_text, share_text
from snn_energy.reporting.numbers import ENERGY_DECIMALS, SHARE_DECIMALS, apportion, energy_unit

LARGEST = 40
"""Layers drawn; the others of a larger network are one bar, and the table below lists them all."""


def energy_section(document: Document) -> Element | None:
    """Stacked bars of components; None where nothing costs energy."""
    table, found = entries(document)
    whole = sum((entry.energy_pj for entry in found), Fraction())
    if not whole:
        return None
    parts = [sum((entry.energies_pj[key] for entry in found), Fraction()) for key, _ in COMPONENTS]
    size = energy_unit(whole)[1]
    # As the sentence on the energy rounds them, and not the sums of the rounded layers.
    rounded = apportion([part / size * 10**ENERGY_DECIMALS for part in parts])
    totals = {key: steps for (key, _), steps in zip(COMPONENTS, rounded, strict=True)}
    shares = dict(zip(totals, _shares(found, whole), strict=True))
    used = [(key, label) for key, label in COMPONENTS if totals[key] or shares[key]]
    overall = [
        (key, float(sum((e.energies_pj[key] for e in found), Fraction()) / whole),
         f"{label}: {energy_text(totals[key])} {table.unit}, {share_text(shares[key])} %")
        for key, label in used
    ]  # fmt: skip
    drawn, rest = _largest(found)
    highest = max(entry.energy_pj for entry in drawn)
    left = energy_text(sum(entry.line.energy for entry in rest))
    note = f" The {len(drawn)} largest of {len(found)} are drawn, the others take {left} together." if rest else ""
    total = bar("total", stacked(overall, "; ".join(tip for *_, tip in overall)), energy_text(table.energy))
    return section(
        "energy",
        "Energy by layer and component",
        f"{table.unit} per inference; the bars of all layers have one scale.{note}",
        bars([total], "Energy by component", "whole"),
        keys(
            key(name, f"{label} ", tag("b", energy_text(totals[name])), f" {share_text(shares[name])} %")
            for name, label in used
        ),
        bars((_layer(entry, highest, table.unit) for entry in drawn), "Energy by layer and component"),
        beside_table(document, found, table.unit),
    )


def _layer(entry: Entry, highest: Fraction, unit: str) -> Element:
    """The bar of one line of the table."""
    parts = [
        (
            component,
            float(entry.energies_pj[component] / highest),
            f"{label} {energy_text(entry.steps[component])} {unit}",
        )
        for component, label in COMPONENTS
        if entry.energies_pj[component]
    ]
    drawing = stacked(
        [(style, size, f"{entry.line.name}: {tip}") for style, size, tip in parts],
        "; ".join(tip for *_, tip in parts) or "no energy",
    )
    return bar(entry.line.name, drawing, energy_text(entry.line.energy), entry.part)


def _largest(found: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The largest ones in the order of the network, and all others."""
    if len(found) <= LARGEST:
        return list(found), []
    ranked = sorted(range(len(found)), key=lambda i: (-found[i].energy_pj, i))
    chosen = set(ranked[:LARGEST])
    return [found[i] for i in sorted(chosen)], [entry for i, entry in enumerate(found) if i not in chosen]


def _shares(found: Iterable[Entry], whole: Fraction) -> list[int]:
    """Shares of the components in printed steps that add up to 100 %."""
    parts = {key: sum((entry.energies_pj[key] for entry in found), Fraction()) for key, _ in COMPONENTS}
    steps = 100 * 10**SHARE_DECIMALS
    return apportion([part / whole * steps for part in parts.values()], steps)
