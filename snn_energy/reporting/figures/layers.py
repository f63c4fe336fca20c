"""The figure of the layers: energy of each, SNN beside its ANN twin, and how busy each is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import headline, without_price
from snn_energy.reporting.layout import row_energy
from snn_energy.reporting.numbers import energy, energy_unit
from snn_energy.reporting.style import (
    ANN,
    GREY,
    NEURON,
    SCREEN,
    SNN,
    Style,
    legend_above,
    row_axes,
    row_grid,
    short_names,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OTHER = "other arithmetic"
_RATES = (
    ("synapses", "non-zero operands of a projection", "non-zero operands", SNN, "o"),
    ("neurons", "spikes per neuron and time step", "spikes/neuron/step", NEURON, "s"),
)
"""Part, its label and its short one, colour, marker."""


@dataclass(slots=True)
class _Bar:
    """One row of the figure: energies of one inference in pJ, and the rate with the part it belongs to."""

    name: str
    part: str
    rate: float | None
    snn: Fraction = Fraction()
    ann: Fraction | None = None


def layers_figure(document: Document, style: Style = SCREEN) -> Figure:
    """Energy of every layer, SNN beside dense ANN twin, and the spike rate of every layer."""
    from matplotlib.figure import Figure

    bars = _fitting(_bars(document), style)
    unit, size = energy_unit(max((*(bar.snn for bar in bars), *(bar.ann or 0 for bar in bars)), default=Fraction()))
    figure = Figure(figsize=(style.width, style.height(len(bars))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw_energies(left, bars, unit, size, style, has_ann=_baseline(document) is not None)
    _draw_rates(right, bars, style)
    row_axes(left, short_names([bar.name for bar in bars], style.longest_label))
    row_grid(right)
    title(figure, f"{headline(document)}\n{_totals(document)}", style)
    return figure


def _bars(document: Document) -> list[_Bar]:
    """A bar for each projection and neuron layer, one for the rest; the twin's go to their namesakes."""
    bars: dict[str, _Bar] = {}
    rows = sorted(document["rows"], key=lambda row: ("synapses", "neurons", "other").index(row["part"]))
    for row in rows:
        key = OTHER if row["part"] == "other" else row["name"]
        bar = bars.setdefault(key, _Bar(key, row["part"], row["spike_rate"]))
        bar.snn += row_energy(row) / document["samples"]
    baseline = _baseline(document) or {"rows": (), "samples": 1}
    for row in baseline["rows"]:
        key = row["name"] if row["name"] in bars else OTHER
        bar = bars.setdefault(key, _Bar(key, "other", None))
        bar.ann = (bar.ann or Fraction()) + row_energy(row) / baseline["samples"]
    if OTHER in bars:
        bars[OTHER] = bars.pop(OTHER)
    return list(bars.values())


def _fitting(bars: list[_Bar], style: Style) -> list[_Bar]:
    """The bars that a page has room for: those of least energy become one."""
    if style.most_rows is None or len(bars) <= style.most_rows:
        return bars
    by_energy = sorted(bars, key=lambda bar: bar.snn + (bar.ann or 0), reverse=True)
    few, many = by_energy[: style.most_rows - 1], by_energy[style.most_rows - 1 :]
    rest = _Bar(f"{len(many)} smaller rows", "other", None, sum((bar.snn for bar in many), Fraction()))
    rest.ann = sum((bar.ann or Fraction() for bar in many), Fraction())
    return [*(bar for bar in bars if bar in few), rest]


def _draw_energies(axes: Axes, bars: list[_Bar], unit: str, size: int, style: Style, *, has_ann: bool) -> None:
    thickness = 0.38 if has_ann else 0.6
    shift = thickness / 2 if has_ann else 0.0
    rows = list(range(len(bars)))
    axes.barh([y - shift for y in rows], [float(bar.snn / size) for bar in bars], thickness, color=SNN, label="SNN")
    if has_ann:
        axes.barh(
            [y + shift for y in rows],
            [float((bar.ann or 0) / size) for bar in bars],
            thickness,
            color=ANN,
            label="ANN twin, dense",
        )
    axes.set_xlabel(f"energy per inference ({unit})")
    axes.legend(**legend_above(style))


def _draw_rates(axes: Axes, bars: list[_Bar], style: Style) -> None:
    highest = 0.0
    for part, long, short, colour, marker in _RATES:
        points = [(bar.rate, y) for y, bar in enumerate(bars) if bar.part == part and bar.rate is not None]
        if not points:
            continue
        rates, rows = zip(*points, strict=True)
        highest = max(highest, *rates)
        axes.hlines(rows, 0, rates, color=colour, linewidth=1.2)
        axes.plot(
            rates,
            rows,
            marker,
            color=colour,
            markersize=5 if style.titled else 3,
            label=long if style.titled else short,
            clip_on=False,
            zorder=3,
        )
        for rate, y in points:
            axes.annotate(
                f"{rate:.3f}",
                (rate, y),
                xytext=(6, 0) if style.titled else (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=style.small,
                color=GREY,
            )
    # Room to the right for the number behind the rightmost point.
    axes.set_xlim(0, highest * (1.22 if style.titled else 1.3) or 1)
    axes.set_xlabel("rate")
    if highest:
        axes.legend(**legend_above(style))


def _baseline(document: Document) -> Any:
    """The ANN's report, None where there is none or its energy is unknown."""
    return None if without_price(document) else document.get("baseline")


def _totals(document: Document) -> str:
    snn = document["totals"]["energy_per_inference_pj"]
    unit = energy_unit(snn)
    text = f"SNN {energy(snn, unit)}"
    for item in document.get("comparison", ()):
        if item["method"] == "arithmetic" and not without_price(document):
            text += f", ANN twin (dense) {energy(item['ann_energy_per_inference_pj'], unit)}"
    return f"{text} per inference on {document['hardware']['name']}"
