"""Small plots of the energy of layers over their spike rate: what the SNN spends, and what each ANN spends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.pieces import figure, key, keys, place
from snn_energy.reporting.numbers import energy, energy_unit

Layers = dict[str, dict[str, Mapping[str, Any]]]
"""Layer -> baseline -> the record of `baselines.crossover_table`."""

MOST = 12
"""Layers that are drawn."""
PIECES = 12
"""Straight pieces of a curve that is no line."""
STYLES = {
    "dense": "ann", "zero-skipping": "skipping dashed", "quantised-dense": "quantised",
    "quantised-zero-skipping": "quantised-skipping dashed", "ann-dense": "named",
    "ann-zero-skipping": "named-skipping dashed",
}  # fmt: skip
"""Name of a baseline -> how its line is drawn, in the colours of `reporting.figures.baselines`."""
MARGIN = 1.25
"""How far an axis goes on behind the last crossing."""


def curves_figure(layers: Layers, labels: Mapping[str, str]) -> Element | None:
    """A plot for each of the largest layers that have a crossover; None where no layer has."""
    rated = [sides for sides in layers.values() if any(one["crossover_rate"] is not None for one in sides.values())]
    if not rated:
        return None
    largest = sorted(range(len(rated)), key=lambda i: (-_highest(rated[i], "snn_energy_pj"), i))[:MOST]
    drawn = [rated[i] for i in sorted(largest)]
    which = "" if len(drawn) == len(rated) else f" The {len(drawn)} largest of {len(rated)} are drawn."
    title = "Energy of each layer over its spike rate"
    return figure(
        title,
        f"With the neurons behind it. Dot: as measured. Where lines cross, both cost the same.{which}",
        keys(
            (key("snn wide", "SNN"), *(key(f"{STYLES.get(name, 'ann')} wide", label) for name, label in labels.items()))
        ),
        tag("div", (_plot(sides, labels) for sides in drawn), class_="plots", data_chart=title),
    )


def _highest(sides: Mapping[str, Mapping[str, Any]], field: str) -> float:
    return max((float(one[field]) for one in sides.values() if one[field] is not None), default=0.0)


def _plot(sides: dict[str, Mapping[str, Any]], labels: Mapping[str, str]) -> Element:
    """One layer, from rate 0 to somewhat beyond all crossings, at most to 1."""
    name, rate = (next(iter(sides.values()))[field] for field in ("layer", "rate"))
    crossings = [one["crossover_rate"] for one in sides.values() if one["crossover_rate"] is not None]
    right = min(1.0, MARGIN * max(rate, *crossings)) or 1.0
    top = 1.1 * max(_highest(sides, "ann_energy_pj"), *(_at(one, right) for one in sides.values())) or 1.0
    unit = energy_unit(top)

    def x(value: float) -> str:
        return place(value / right)

    def y(pj: float) -> str:
        return place(1 - pj / top)

    def flat(one: Mapping[str, Any]) -> Iterator[Element]:
        pj, crossing, label = one["ann_energy_pj"], one["crossover_rate"], labels[one["baseline"]]
        if pj is None:
            return
        tip = f"{name}: {label} {energy(pj, unit)}"
        if crossing is not None and crossing <= right:
            tip += f", as much as the SNN at rate {rate_text(crossing)}"
            yield tag("line", class_="crossing", x1=x(crossing), x2=x(crossing), y1=y(pj), y2="100%")
        style = f"mark curve {STYLES.get(one['baseline'], 'ann')}"
        yield tag("line", tag("title", tip), class_=style, x1="0", x2="100%", y1=y(pj), y2=y(pj))

    def rising(one: Mapping[str, Any]) -> Iterator[Element]:
        pieces = PIECES if one["curve_pj"][2] else 1
        ends = [right * i / pieces for i in range(pieces + 1)]
        for left, end in pairwise(ends):
            yield tag("line", class_="curve snn", x1=x(left), x2=x(end), y1=y(_at(one, left)), y2=y(_at(one, end)))
        tip = f"{name}: SNN {energy(one['snn_energy_pj'], unit)} at rate {rate_text(rate)}, as measured"
        yield tag("circle", tag("title", tip), class_="mark snn", cx=x(rate), cy=y(one["snn_energy_pj"]), r="5")

    # A zero-skipping machine spends less on a real operand and on zero weights: two machines may mean two curves.
    own = {tuple(one["curve_pj"]): one for one in reversed(sides.values())}
    said = "; ".join(
        f"{labels[one['baseline']]}: crossover {rate_text(one['crossover_rate']) or 'none'}" for one in sides.values()
    )
    return tag(
        "figure",
        tag("figcaption", tag("b", name), f" to {energy(top, unit)}"),
        tag(
            "svg",
            (flat(sides[each]) for each in labels if each in sides),
            (rising(one) for one in reversed(own.values())),
            class_="plot", role="img", aria_label=f"{name}: rate {rate_text(rate)}; {said}",
        ),
        tag("p", tag("span", "0"), tag("span", "rate"), tag("span", f"{right:.2f}"), class_="ends"),
    )  # fmt: skip


def _at(one: Mapping[str, Any], rate: float) -> float:
    """Energy of the SNN's layer in pJ at a rate."""
    fixed, linear, quadratic = one["curve_pj"]
    return float(fixed + linear * rate + quadratic * rate * rate)


def rate_text(value: float | None) -> str:
    """A rate with four decimals; nothing where there is none."""
    return "" if value is None else f"{value:.4f}"
