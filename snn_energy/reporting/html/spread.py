"""The section on spread: what the ranges of the prices leave of the energy, and how it varies from sample to sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.pieces import (
    Mark,
    bar,
    bars,
    fact_list,
    figure,
    ground,
    key,
    keys,
    place,
    section,
    strip,
)
from snn_energy.reporting.numbers import energy, energy_unit
from snn_energy.reporting.spread_facts import sampled_energies, uncertainty_facts

SAMPLED = (
    ("smallest", "min"), ("median", "median"), ("mean", "mean"), ("p95", "p95"), ("largest", "max"),
)  # fmt: skip
"""Ticks of the distribution: what each is called, and its key."""


def spread_section(document: Document) -> Element | None:
    """Tornado of the prices and distribution over samples; None where the report has neither."""
    prices, samples = document.get("uncertainty"), document.get("distribution")
    if not prices and not samples:
        return None
    return section(
        "spread",
        "How sure is the number",
        "The counts are exact for the data that ran. Prices and data are not the only ones there could be.",
        _tornado(prices, uncertainty_facts(document)) if prices else None,
        _distribution(samples) if samples else None,
    )


def _tornado(spread: Mapping[str, Any], told: list[tuple[str, str]]) -> Element:
    rows = spread["tornado"]
    told = [fact for fact in told if not fact[1].startswith("range of ")]
    if not rows:
        return figure("Prices", None, fact_list(told))
    low = min(row["energy_low_pj"] for row in rows)
    high = max(row["energy_high_pj"] for row in rows)
    unit = energy_unit(spread["energy_pj"])
    middle = (spread["energy_pj"] - low) / (high - low) if high > low else 0.0
    return figure(
        "Prices",
        f"Energy per inference while one price moves over its published range: {energy(low, unit)} to "
        f"{energy(high, unit)} from edge to edge, {energy(spread['energy_pj'], unit)} at the line.",
        bars((_price(row, low, high, middle, unit) for row in rows), "Effect of each price"),
        keys((key("below", "low end of the price"), key("above", "high end of the price"))),
        fact_list(told),
    )


def _price(row: Mapping[str, Any], low: float, high: float, middle: float, unit: tuple[str, int]) -> Element:
    width = (high - low) or 1.0
    ends = [(row[f"energy_{end}_pj"] - low) / width for end in ("low", "high")]
    prices = f"{row['price_low_pj']:g} to {row['price_high_pj']:g} pJ"
    tips = [
        f"{row['price']} at {row[f'price_{end}_pj']:g} pJ: {energy(row[f'energy_{end}_pj'], unit)}"
        for end in ("low", "high")
    ]
    marks = [
        Mark(style="below", start=ends[0], size=max(middle - ends[0], 0.0), tip=tips[0]),
        Mark(style="above", start=middle, size=max(ends[1] - middle, 0.0), tip=tips[1]),
    ]
    line = tag("line", class_="axis", x1=place(middle), x2=place(middle), y1="0", y2="100%")
    drawing = strip(marks, "; ".join(tips), line)
    shown = f"{energy(row['energy_low_pj'], unit).split(' ')[0]} to {energy(row['energy_high_pj'], unit).split(' ')[0]}"
    return bar(row["price"], drawing, shown, prices)


def _distribution(spread: Mapping[str, Any]) -> Element:
    low, high = spread["min_pj"], spread["max_pj"]
    texts = sampled_energies(spread)
    width = (high - low) or 1.0

    def at(name: str) -> float:
        return min(max(float(spread[name] - low) / width, 0.0), 1.0)

    marks = []
    if spread["ci95_low_pj"] is not None and spread["ci95_high_pj"] is not None:
        ends = " to ".join(texts[f"ci95_{end}"] for end in ("low", "high"))
        tip = f"95 % interval of the mean: {ends}"
        marks.append(Mark(style="snn", start=at("ci95_low_pj"), size=at("ci95_high_pj") - at("ci95_low_pj"), tip=tip))
    lines = [
        tag("line", tag("title", f"{name}: {texts[key]}"), class_=f"mark tick {name}",
            x1=place(at(f"{key}_pj")), x2=place(at(f"{key}_pj")), y1="0", y2="100%")
        for name, key in SAMPLED
    ]  # fmt: skip
    label = "; ".join(f"{name} {texts[key]}" for name, key in SAMPLED)
    drawing = strip(marks, label, ground(), above=lines)
    return figure(
        "Samples",
        f"Energy of single inferences over {spread['samples']:,} samples: {label}.",
        bars([bar("samples", drawing, texts["mean"])], "Distribution over samples"),
    )
