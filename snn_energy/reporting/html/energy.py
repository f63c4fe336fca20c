"""The section on energy: of the whole by component, and of each layer by component."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import COMPONENTS
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.entries import Entry, entries
from snn_energy.reporting.html.pieces import bar, bars, key, keys, section, stacked
from snn_energy.reporting.layout import energy_text, share_text
from snn_energy.reporting.numbers import SHARE_DECIMALS, apportion

LARGEST = 40
"""Layers drawn; the others of a larger network are one bar, and the table below lists them all."""


def energy_section(document: Document) -> Element | None:
    """Stacked bars of components; None where nothing costs energy."""
    table, found = entries(document)
    whole = sum((entry.energy_pj for entry in found), Fraction())
    if not whole:
        return None
    totals = {key: sum(entry.steps[key] for entry in found) for key, _ in COMPONENTS}
    shares = dict(zip(totals, _shares(found, whole), strict=True))
    used = [(key, label) for key, label in COMPONENTS if totals[key] or shares[key]]
    overall = [
        (key, float(sum((e.energies_pj[key] for e in found), Fraction()) / whole),
         f"{label}: {energy_text(totals[key])} {table.unit}, {share_text(shares[key])} %")
        for key, label in used
    ]  # fmt: skip
    drawn, rest = _largest(found)
    highest = max(*(entry.energy_pj for entry in drawn), sum((e.energy_pj for e in rest), Fraction()))
    rows = [_layer(entry.line.name, entry.part, [entry], highest, table.unit) for entry in drawn]
    if rest:
        rows.append(_layer(f"{len(rest)} more layers", "", rest, highest, table.unit))
    note = f" The {len(drawn)} largest of {len(found)} lines are drawn, the others together." if rest else ""
    return section(
        "energy",
        "Energy by layer and component",
        f"{table.unit} per inference; all bars on one scale.{note}",
        tag(
            "div",
            bars([bar("total", stacked(overall, "; ".join(tip for *_, tip in overall)), energy_text(table.energy))],
                 "Energy by component", "whole"),
            keys(
                key(name, f"{label} ", tag("b", energy_text(totals[name])), f" {share_text(shares[name])} %")
                for name, label in used
            ),
            bars(rows, "Energy by layer and component"),
            class_="chart",
        ),
    )  # fmt: skip


def _layer(name: str, part: str, parts: Sequence[Entry], highest: Fraction, unit: str) -> Element:
    """The bar of one line, or of several together."""
    split = []
    for component, label in COMPONENTS:
        steps = sum(entry.steps[component] for entry in parts)
        pj = sum((entry.energies_pj[component] for entry in parts), Fraction())
        if pj:
            split.append((component, float(pj / highest), f"{name}: {label} {energy_text(steps)} {unit}"))
    printed = energy_text(sum(entry.line.energy for entry in parts))
    label = "; ".join(tip.removeprefix(f"{name}: ") for *_, tip in split)
    return bar(name, stacked(split, label or "no energy"), printed, part)


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
