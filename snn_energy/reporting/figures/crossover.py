"""The figure of the crossover: the spike rates at which the network costs what its ANN baselines cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snn_energy.errors import UsageError
from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import headline
from snn_energy.reporting.figures.baselines import RULES, Look, look_of
from snn_energy.reporting.numbers import energy_unit, ratio
from snn_energy.reporting.style import (
    GREY,
    GRID,
    SCREEN,
    SKY,
    SNN,
    Placing,
    Style,
    figure_legend,
    place_texts,
    row_axes,
    row_grid,
    short_names,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE_ROWS = 8
"""Height of the curve, in rows of layers."""
POINTS = 200
_BELOW_FIRST = ((6, -11), (6, 4), (-26, 4), (-26, -11), (6, -20))
"""Where the label of a mark may stand, in points from it."""
ROOM_FOR_BOTH = 5.0
"""Width in inches of a figure with room for all that is said of the marks on one line."""
BEYOND = 1.25
"""How far the curve goes on behind the last point on it."""


def crossover_figure(document: Document, style: Style = SCREEN) -> Figure:
    """Above, the network's energy as all its spike rates are scaled; below, measured and crossover rate of each layer.

    Raises:
        UsageError: the report holds no crossover.
    """
    from matplotlib.figure import Figure

    found = document.get("crossover")
    if not found or not found["baselines"]:
        raise UsageError(
            "crossover: the report holds no crossover, which needs an ANN baseline; "
            "make it again with: snn-energy profile ... --output report.json"
        )
    baselines = found["baselines"]
    layers = _by_layer(found["layers"])
    names = list(layers)
    if style.most_rows is not None and len(names) > style.most_rows - CURVE_ROWS:
        kept = sorted(names, key=lambda name: -layers[name][0]["snn_energy_pj"])[: style.most_rows - CURVE_ROWS]
        names = [name for name in names if name in kept]
    rows = len(names)
    figure = Figure(
        figsize=(style.width, style.frame * 1.6 + style.row_height(rows) * rows + style.row * CURVE_ROWS),
        layout="constrained",
    )
    above, below = figure.subplots(
        2, 1, height_ratios=(style.row * CURVE_ROWS, style.row_height(rows) * rows + 0.3 * style.frame)
    )
    looks = {each["baseline"]: look_of(document, each["baseline"]) for each in baselines}
    labels = _draw_curves(above, baselines, found["layers"], looks, style)
    _draw_layers(below, [layers[name] for name in names], looks, style)
    row_axes(below, short_names(names, style.longest_label))
    of_all = [] if rows == len(layers) else [f"the {rows} of {len(layers)} layers that need most"]
    below.set_xlabel("\n".join(["share of operands that are not 0", *of_all, *_legend_of(layers.values(), style)]))
    figure_legend(figure, (above, below), style)
    title(figure, f"{headline(document)}\n{document['hardware']['name']}", style)
    place_texts(figure, above, labels, style, GREY)
    return figure


def network_energy(layers: Sequence[Document], total_pj: float, scale: float) -> float:
    """Energy of one inference in pJ with all spike rates scaled, each rate at most 1.

    What is in no layer's curve does not change; neither do layers whose rate is no spike rate.
    """
    changes = (
        _curve(layer, min(1.0, scale * layer["rate"])) - _curve(layer, layer["rate"])
        for layer in layers
        if layer["outcome"] not in ("unrelated", "unknown")
    )
    return total_pj + math.fsum(changes)


def _curve(layer: Document, rate: float) -> float:
    c0, c1, c2 = layer["curve_pj"]
    return float(c0 + c1 * rate + c2 * rate * rate)


def _by_layer(records: Sequence[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for record in records:
        found.setdefault(record["layer"], []).append(record)
    return found


def _of_baseline(records: Sequence[Document], baseline: Document) -> list[Document]:
    return [record for record in records if record["baseline"] == baseline["baseline"]]


def _legend_of(layers: Iterable[Sequence[Document]], style: Style) -> list[str]:
    """What marks beside the scale mean, where there are any; a line for each where one has no room for both."""
    records = [record for each in layers for record in each]
    beyond = any((record["crossover_rate"] or 0) > 1 for record in records)
    never = any(record["outcome"] == "never" for record in records)
    texts = ["right of 1: the SNN wins at any rate"] * beyond + ["hollow, at 0: at none"] * never
    return texts if style.width < ROOM_FOR_BOTH else ["; ".join(texts)] if texts else []


def _draw_curves(
    axes: Axes,
    baselines: Sequence[Document],
    records: Sequence[Document],
    looks: Mapping[str, Look],
    style: Style,
) -> list[Placing]:
    """A curve for each rule of counting, a level line for each baseline, marks where they meet; their labels."""
    by_method: dict[str, list[Document]] = {}
    for each in baselines:
        by_method.setdefault(each["method"], []).append(each)
    last = max([1.0, *(each["scale"] for each in baselines if each["scale"] is not None)]) * BEYOND
    scales = [last * i / POINTS for i in range(POINTS + 1)]
    curves = {
        method: [network_energy(_of_baseline(records, same[0]), same[0]["snn_energy_pj"], scale) for scale in scales]
        for method, same in by_method.items()
    }
    highest = max(*(max(curve) for curve in curves.values()), *(each["ann_energy_pj"] for each in baselines))
    unit, size = energy_unit(highest)
    for (method, same), (colour, line) in zip(by_method.items(), ((SNN, "-"), (SKY, "--")), strict=False):
        label = f"SNN, {RULES.get(method.partition('+')[0], method)}"
        axes.plot(scales, [pj / size for pj in curves[method]], line, color=colour, label=label)
        own = same[0]["snn_energy_pj"] / size
        axes.plot([1], [own], "o", color=colour, markersize=4 if style.titled else 3, zorder=4)
    labels = []
    for each in baselines:
        look, pj = looks[each["baseline"]], each["ann_energy_pj"] / size
        axes.axhline(pj, color=look.colour, linewidth=1, zorder=1)
        labels.append(Placing(look.label, (0, pj), ((3, 1.5), (3, -9), (3, 10.5)), marked=False))
        if each["scale"] is not None:
            size_of_mark = 5 if style.titled else 3.5
            axes.plot([each["scale"]], [pj], look.marker, color=look.colour, markersize=size_of_mark, zorder=4)
            labels.append(Placing(f"{ratio(each['scale'])}×", (each["scale"], pj), _BELOW_FIRST))
    axes.set_xlim(0, last)
    axes.set_ylim(0, 1.15 * highest / size or 1)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("all spike rates, times")
    axes.set_ylabel(f"energy ({unit})")
    return labels


def _draw_layers(axes: Axes, layers: Sequence[Sequence[Document]], looks: Mapping[str, Look], style: Style) -> None:
    size = 5 if style.titled else 3.5
    labelled: set[str] = set()

    def point(x: float, y: int, label: str, **look: Any) -> None:
        shown = None if label in labelled else label
        axes.plot([x], [y], linestyle="none", clip_on=False, zorder=3, markersize=size, label=shown, **look)
        labelled.add(label)

    for y, records in enumerate(layers):
        first = records[0]
        if all(record["outcome"] in ("unrelated", "unknown") for record in records):
            text = "real-valued input" if first["operand"].startswith("real") else "no crossover"
            axes.annotate(
                text,
                (0, y),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=style.small,
                color=GREY,
                style="italic",
            )
            continue
        point(first["rate"], y, "measured", marker="o", color=SNN)
        ends = [first["rate"], *(min(1.0, r["crossover_rate"]) for r in records if r["crossover_rate"] is not None)]
        axes.plot([min(ends), max(ends)], [y, y], color=GRID, linewidth=2, zorder=1)
        beyond = 0
        for record in records:
            look = looks[record["baseline"]]
            if record["outcome"] == "never":
                point(0, y, look.label, marker=look.marker, color=look.colour, fillstyle="none")
            elif record["crossover_rate"] is not None and record["crossover_rate"] > 1:
                beyond += 1
                point(1 + 0.03 * beyond, y, look.label, marker=look.marker, color=look.colour)
            elif record["crossover_rate"] is not None:
                point(record["crossover_rate"], y, look.label, marker=look.marker, color=look.colour)
    axes.set_xlim(0, 1)
    row_grid(axes)
