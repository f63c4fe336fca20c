"""The section on crossovers: the spike rates at which SNN and ANN would cost the same.

Drawn from the key "crossover" of a report, see `baselines.crossover_table`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.against import baseline_name
from snn_energy.reporting.html.elements import Child, Element, tag
from snn_energy.reporting.html.pieces import figure, grid, key, keys, place, section
from snn_energy.reporting.numbers import energy, energy_unit, ratio

MOST_PLOTS = 12
"""Layers that get a plot of their own; the table has all."""
PIECES = 12
"""Straight pieces of a curve that is no line."""
STYLES = ("ann", "ann dashed", "memory", "memory dashed", "neuron", "neuron dashed")
"""How the baselines are drawn, in their order."""
OUTCOMES = {
    "below": "wins below a scale",
    "always": "wins at any rate",
    "never": "loses even without a spike",
    "unrelated": "does not depend on rates",
    "unknown": "not known",
}


def crossover_section(document: Document) -> Element | None:
    """Verdicts for the network, a plot for each of the largest layers, a table of all; None without crossovers."""
    found = document.get("crossover")
    if not found or not found["baselines"]:
        return None
    names = [one["baseline"] for one in found["baselines"]]
    layers: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in found["layers"]:
        layers.setdefault(one["layer"], {})[one["baseline"]] = one
    return section(
        "crossover",
        "Where SNN and ANN cost the same",
        "The rate is the share of a projection's operands that are not 0, over neurons and time steps; all else stays "
        "as it was measured.",
        grid(
            ("against", "the SNN", "all rates times", "mean rate", "would be", "note"),
            (_whole(one) for one in found["baselines"]),
            "Crossover of the whole network",
            (2, 3, 4),
            short=(1,),
        ),
        _plots(list(layers.values()), names),
        _table(layers, names),
    )


def _whole(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        baseline_name(one["baseline"]),
        OUTCOMES.get(one["outcome"], one["outcome"]),
        "" if one["scale"] is None else ratio(one["scale"]),
        _rate(one["mean_rate"]),
        _rate(one["crossover_mean_rate"]),
        one["note"] or "",
    )


def _plots(layers: Sequence[Mapping[str, Mapping[str, Any]]], names: Sequence[str]) -> Element | None:
    """Energy of a layer over its rate, beside what each ANN spends on it."""
    rated = [layer for layer in layers if any(one["crossover_rate"] is not None for one in layer.values())]
    if not rated:
        return None
    largest = sorted(range(len(rated)), key=lambda i: (-_own(rated[i])["snn_energy_pj"], i))[:MOST_PLOTS]
    drawn = [rated[i] for i in sorted(largest)]
    which = "" if len(drawn) == len(rated) else f" The {len(drawn)} largest of {len(rated)} are drawn."
    return figure(
        "Energy of each layer over its spike rate",
        f"With the neurons behind it. Dot: as measured; where the lines meet, both cost the same.{which}",
        keys((key("snn", "SNN"), *(key(_style(i), baseline_name(name)) for i, name in enumerate(names)))),
        tag(
            "div",
            (_plot(layer, names) for layer in drawn),
            class_="plots",
            data_chart="Energy of each layer over its rate",
        ),
    )


def _own(layer: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The record that stands for the layer itself: its curve is the same against every baseline."""
    return next(iter(layer.values()))


def _style(number: int) -> str:
    return STYLES[number % len(STYLES)]


def _plot(layer: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Element:
    """One layer: its rate from 0 to somewhat beyond all crossings, at most 1."""
    own = _own(layer)
    rates = [own["rate"], *(one["crossover_rate"] for one in layer.values() if one["crossover_rate"] is not None)]
    right = min(1.0, 1.25 * max(min(rate, 1.0) for rate in rates)) or 1.0
    flat = [one["ann_energy_pj"] for one in layer.values() if one["ann_energy_pj"] is not None]
    top = 1.1 * max(_energy_at(own, right), own["snn_energy_pj"], *flat) or 1.0
    unit = energy_unit(top)

    def x(rate: float) -> str:
        return place(rate / right)

    def y(pj: float) -> str:
        return place(1 - pj / top)

    def lines() -> Iterator[Child]:
        for i, name in enumerate(names):
            one = layer.get(name)
            if one is None or one["ann_energy_pj"] is None:
                continue
            tip = f"{own['layer']}: {baseline_name(name)} {energy(one['ann_energy_pj'], unit)}"
            crossing = one["crossover_rate"]
            if crossing is not None and crossing <= right:
                tip += f", as much as the SNN at rate {_rate(crossing)}"
                yield tag(
                    "line", class_="crossing", x1=x(crossing), x2=x(crossing), y1=y(one["ann_energy_pj"]), y2="100%"
                )
            level = y(one["ann_energy_pj"])
            yield tag(
                "line", tag("title", tip), class_=f"mark curve {_style(i)}", x1="0", x2="100%", y1=level, y2=level
            )
        pieces = PIECES if own["curve_pj"][2] else 1
        for i in range(pieces):
            ends = [right * j / pieces for j in (i, i + 1)]
            yield tag(
                "line", class_="curve snn", x1=x(ends[0]), x2=x(ends[1]), y1=y(_energy_at(own, ends[0])),
                y2=y(_energy_at(own, ends[1])),
            )  # fmt: skip
        tip = f"{own['layer']}: SNN {energy(own['snn_energy_pj'], unit)} at rate {_rate(own['rate'])}, as measured"
        yield tag("circle", tag("title", tip), class_="mark snn", cx=x(own["rate"]), cy=y(own["snn_energy_pj"]), r="5")

    said = "; ".join(
        f"{baseline_name(one['baseline'])} crosses at {_rate(one['crossover_rate']) or 'no rate'}"
        for one in layer.values()
    )
    return tag(
        "figure",
        tag("figcaption", tag("b", own["layer"]), f" up to {energy(top, unit)}"),
        tag(
            "svg",
            lines(),
            class_="plot",
            role="img",
            aria_label=f"{own['layer']}: measured rate {_rate(own['rate'])}; {said}",
        ),
        tag("p", tag("span", "0"), tag("span", "rate"), tag("span", _rate(right)), class_="ends"),
    )


def _energy_at(one: Mapping[str, Any], rate: float) -> float:
    fixed, linear, quadratic = one["curve_pj"]
    return float(fixed + linear * rate + quadratic * rate * rate)


def _table(layers: Mapping[str, Mapping[str, Mapping[str, Any]]], names: Sequence[str]) -> Element:
    """Measured rate and crossover of every layer, or why it has none."""

    def row(name: str, layer: Mapping[str, Mapping[str, Any]]) -> list[str]:
        own = _own(layer)
        notes = dict.fromkeys(str(one["note"]) for one in layer.values() if one["note"])
        return [
            name,
            own["operand"],
            _rate(own["rate"]),
            *(_crossing(layer.get(each)) for each in names),
            "; ".join(notes),
        ]

    headings = ("layer", "operand", "rate", *(f"wins below: {baseline_name(name)}" for name in names), "note")
    return tag(
        "details",
        tag("summary", "Every layer's crossover"),
        grid(
            headings,
            (row(*item) for item in layers.items()),
            "Crossover of every layer",
            range(2, 3 + len(names)),
            short=(1,),
        ),
    )


def _crossing(one: Mapping[str, Any] | None) -> str:
    if one is None or one["outcome"] in ("unrelated", "unknown"):
        return ""
    if one["crossover_rate"] is None:
        return "never"
    return _rate(one["crossover_rate"]) if one["crossover_rate"] <= 1 else "always"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
