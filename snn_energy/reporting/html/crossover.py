"""The section on crossovers: the spike rates at which SNN and ANN would cost the same.

Drawn from the key "crossover" of a report, see `baselines.crossover_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.curves import Layers, curves_figure, rate_text
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.pieces import grid, section
from snn_energy.reporting.numbers import ratio
from snn_energy.reporting.verdict import baseline_name

OUTCOMES = {
    "always": "at any rate",
    "never": "not even without a spike",
    "unrelated": "whatever the rate, or not at all",
    "unknown": "not known",
}
"""When the SNN needs less, where that is not a matter of one rate."""


def crossover_section(document: Document) -> Element | None:
    """Verdicts for the network, a plot for each of the largest layers, a table of all; None without crossovers."""
    found = document.get("crossover")
    if not found or not found["baselines"]:
        return None
    labels = {one["baseline"]: baseline_name(document, one["baseline"]) for one in found["baselines"]}
    layers: Layers = {}
    for one in found["layers"]:
        if one["baseline"] in labels:
            layers.setdefault(one["layer"], {})[one["baseline"]] = one
    return section(
        "crossover",
        "Where SNN and ANN cost the same",
        "A rate is the share of a projection's operands that are not 0, over neurons and time steps. All else stays as "
        "it was measured.",
        grid(
            ("against", "the SNN needs less", "measured mean rate", "all rates may grow", "note"),
            (_network(one, labels[one["baseline"]]) for one in found["baselines"]),
            "Crossover of the whole network",
            (2, 3),
            short=(1,),
            long=(4,),
        ),
        curves_figure(layers, labels),
        _table(layers, labels),
    )


def _network(one: Mapping[str, Any], label: str) -> tuple[str, ...]:
    mean = one["crossover_mean_rate"]
    less = f"below a mean rate of {rate_text(mean)}" if mean is not None else OUTCOMES.get(one["outcome"], "")
    grow = "" if one["scale"] is None else f"{ratio(one['scale'])} times"
    return label, less, rate_text(one["mean_rate"]), grow, one["note"] or ""


def _table(layers: Layers, labels: Mapping[str, str]) -> Element:
    """Measured rate and crossover of every layer, or why it has none."""

    def row(name: str, sides: Mapping[str, Mapping[str, Any]]) -> list[str]:
        own = next(iter(sides.values()))
        crossings = [_crossing(sides.get(each)) for each in labels]
        notes = dict.fromkeys(str(one["note"]) for one in sides.values() if one["note"])
        return [name, own["operand"], rate_text(own["rate"]), *crossings, "; ".join(notes)]

    headings = ("layer", "operand", "rate", *labels.values(), "note")
    numbers = range(2, 3 + len(labels))
    return tag(
        "details",
        tag("summary", "Every layer: the rate below which the SNN needs less"),
        grid(
            headings,
            (row(*item) for item in layers.items()),
            "Crossover of every layer",
            numbers,
            short=(1,),
            long=(len(headings) - 1,),
        ),
    )


def _crossing(one: Mapping[str, Any] | None) -> str:
    if one is None or one["outcome"] in ("unrelated", "unknown"):
        return ""
    if one["crossover_rate"] is None:
        return "none"
    return rate_text(one["crossover_rate"]) if one["crossover_rate"] <= 1 else "any"
