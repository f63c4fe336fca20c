"""The figure of value classes: which values the projections read, and how many of them are not zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.pieces import Mark, bar, bars, figure, ground, key, keys, stacked, strip
from snn_energy.reporting.numbers import SHARE_DECIMALS, apportion, fixed, nearest, short

CLASSES = ("silent", "binary", "ternary", "integer", "real")
"""Classes of operands, in the order of the lattice."""
RATE_DECIMALS = 4
MANY = 40
"""Projections beyond which their bars scroll by themselves."""


def operands_figure(document: Document, projections: Sequence[Mapping[str, Any]]) -> Element:
    """What share of the connections meets which class of operand, and how much of each operand is not zero."""
    samples: int = document["samples"]
    totals = {name: sum(row["connections"] for row in projections if _class(row) == name) for name in CLASSES}
    whole = sum(totals.values())
    steps = 100 * 10**SHARE_DECIMALS
    shares = apportion([Fraction(count * steps, whole or 1) for count in totals.values()], steps if whole else 0)
    printed = {name: f"{fixed(share, SHARE_DECIMALS)} %" for name, share in zip(totals, shares, strict=True)}
    parts = [
        (name, totals[name] / whole, f"{name} operands: {printed[name]} of the connections")
        for name in CLASSES
        if totals[name]
    ]
    acs, macs = (short(nearest(Fraction(sum(row[kind] for row in projections), samples))) for kind in ("acs", "macs"))
    total = bar("connections", stacked(parts, "; ".join(tip for *_, tip in parts)), "")
    shares_of_each = bars(map(_operand, projections), "Non-zero operands of each projection")
    return figure(
        "Operands of the projections",
        f"They become {acs} accumulates and {macs} multiply-accumulates per inference. Bars: share of the operands "
        "that are not 0.",
        bars([total], "Connections by operand", "whole") if parts else None,
        keys(key(name, f"{name} ", tag("b", printed[name])) for name in CLASSES if totals[name]),
        tag("div", shares_of_each, class_="scroll tall") if len(projections) > MANY else shares_of_each,
    )


def _operand(row: Mapping[str, Any]) -> Element:
    share, name = row["spike_rate"] or 0, _class(row)
    text = fixed(nearest(Fraction(share) * 10**RATE_DECIMALS), RATE_DECIMALS)
    tip = f"{row['name']}: {row['operand']} operands, {text} not 0"
    mark = Mark(style=name, start=0.0, size=min(float(share), 1.0), tip=tip)
    return bar(row["name"], strip([mark] if share else [], tip, ground()), text, row["operand"])


def _class(row: Mapping[str, Any]) -> str:
    """Kind of an operand without its scale; "real", the dearest, for a kind that is not known here."""
    kind = str(row["operand"]).split(" ")[0]
    return kind if kind in CLASSES else "real"
