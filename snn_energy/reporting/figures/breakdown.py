"""The figure of the breakdown: what each layer's energy is made of, and what the whole network's is."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from snn_energy.errors import UsageError
from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import COMPONENTS, headline
from snn_energy.reporting.numbers import ENERGY_DECIMALS, SHARE_DECIMALS, apportion, energy_unit, fixed
from snn_energy.reporting.style import (
    COMPONENT_COLOURS,
    GREY,
    SCREEN,
    Style,
    figure_legend,
    row_axes,
    row_grid,
    short_names,
    title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE = 100 * 10**SHARE_DECIMALS


@dataclass(slots=True)
class _Bar:
    """A row of the figure: pJ of one inference by part of the energy."""

    name: str
    parts: dict[str, Fraction] = field(default_factory=lambda: dict.fromkeys(dict(COMPONENTS), Fraction()))

    @property
    def total(self) -> Fraction:
        return sum(self.parts.values(), Fraction())


def breakdown_figure(document: Document, style: Style = SCREEN) -> Figure:
    """Energy of every layer, stacked by what it is spent on; shares of the whole behind the bars.

    Raises:
        UsageError: the report holds no rows.
    """
    from matplotlib.figure import Figure

    bars = _fitting(_bars(document), style)
    if not bars:
        raise UsageError("breakdown: the report holds no layers, so there is nothing to draw; name another report")
    total = sum((bar.total for bar in bars), Fraction())
    unit, size = energy_unit(max(bar.total for bar in bars))
    figure = Figure(figsize=(style.width, style.height(len(bars))), layout="constrained")
    axes = figure.subplots()
    rows = list(range(len(bars)))
    left = [0.0] * len(bars)
    names = dict(COMPONENTS)
    spent = {key: sum((bar.parts[key] for bar in bars), Fraction()) for key in names}
    shares = _shares(list(spent.values()), total)
    for key, share in zip(spent, shares, strict=True):
        if not spent[key]:
            continue
        lengths = [float(bar.parts[key] / size) for bar in bars]
        label = f"{names[key]} {share} %"
        axes.barh(rows, lengths, 0.66, left=left, color=COMPONENT_COLOURS[key], label=label)
        left = [a + b for a, b in zip(left, lengths, strict=True)]
    for y, (end, share) in enumerate(zip(left, _shares([bar.total for bar in bars], total), strict=True)):
        axes.annotate(
            f"{share} %",
            (end, y),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.small,
            color=GREY,
        )
    row_axes(axes, short_names([bar.name for bar in bars], style.longest_label))
    row_grid(axes)
    axes.set_xlim(0, max(left) or 1)
    axes.set_xlabel(f"energy per inference ({unit})")
    if total:
        figure_legend(figure, axes, style)
    whole, per = energy_unit(total)
    printed = fixed(apportion([total / per * 10**ENERGY_DECIMALS])[0], ENERGY_DECIMALS)
    text = f"{printed} {whole} per inference on {document['hardware']['name']}"
    title(figure, f"{headline(document)}\n{text}", style)
    return figure


def _bars(document: Document) -> list[_Bar]:
    """A row for each module that costs energy or could: a projection, a neuron layer, other arithmetic."""
    bars: dict[tuple[str, str], _Bar] = {}
    order = ("synapses", "neurons", "other")
    for row in sorted(document["rows"], key=lambda row: order.index(row["part"])):
        bar = bars.setdefault((row["part"], row["name"]), _Bar(row["name"]))
        for key in bar.parts:
            bar.parts[key] += Fraction(row.get(f"{key}_pj", 0)) / document["samples"]
    return list(bars.values())


def _fitting(bars: list[_Bar], style: Style) -> list[_Bar]:
    """The bars that a page has room for: those of least energy become one."""
    if style.most_rows is None or len(bars) <= style.most_rows:
        return bars
    by_energy = sorted(bars, key=lambda bar: bar.total, reverse=True)
    few, many = by_energy[: style.most_rows - 1], by_energy[style.most_rows - 1 :]
    kept = {id(bar) for bar in few}
    rest = _Bar(f"{len(many)} smaller rows")
    for bar in many:
        for key, value in bar.parts.items():
            rest.parts[key] += value
    return [*(bar for bar in bars if id(bar) in kept), rest]


def _shares(values: list[Fraction], total: Fraction) -> list[str]:
    """Percentages that add up to 100."""
    if not total:
        return [fixed(0, SHARE_DECIMALS)] * len(values)
    return [fixed(steps, SHARE_DECIMALS) for steps in apportion([value / total * WHOLE for value in values], WHOLE)]
