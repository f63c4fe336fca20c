"""The tornado figure: what the published range of each price does to the energy, the widest effect on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_energy.errors import UsageError
from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import headline
from snn_energy.reporting.numbers import energy_unit
from snn_energy.reporting.style import GREY, SCREEN, SKY, VERMILION, Style, figure_legend, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tornado_figure(document: Document, style: Style = SCREEN) -> Figure:
    """Energy of one inference at either end of each price's range, around its value.

    Raises:
        UsageError: the report was made without uncertainty, or no price in it has a range.
    """
    from matplotlib.figure import Figure

    spread = document.get("uncertainty")
    if not spread:
        raise UsageError("tornado: the report holds no uncertainty; make it again with --uncertainty")
    bars = spread["tornado"]
    if not bars:
        raise UsageError(
            f"tornado: no price used on {document['hardware']['name']} has a published range, so there is nothing to "
            "draw; choose a profile with ranges (snn-energy hardware show NAME)"
        )
    unit, size = energy_unit(max(bar["energy_high_pj"] for bar in bars))
    value = spread["energy_pj"] / size
    # Labels have two lines, whatever the style.
    row = max(style.row, 3.2 * style.font / 72)
    figure = Figure(figsize=(style.width, style.frame + row * len(bars)), layout="constrained")
    axes = figure.subplots()
    rows = list(range(len(bars)))
    lows = [bar["energy_low_pj"] / size for bar in bars]
    highs = [bar["energy_high_pj"] / size for bar in bars]
    axes.barh(rows, [value - low for low in lows], 0.6, left=lows, color=SKY, label="low end of the price")
    axes.barh(rows, [high - value for high in highs], 0.6, left=value, color=VERMILION, label="high end of the price")
    axes.use_sticky_edges = False  # bars that start at the frame would look as if they began at zero
    axes.axvline(value, color=GREY, linewidth=1)
    axes.set_yticks(rows, [f"{bar['price']}\n{bar['price_low_pj']:g} to {bar['price_high_pj']:g} pJ" for bar in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlabel(f"energy per inference ({unit})")
    figure_legend(figure, axes, style)
    title(figure, headline(document), style)
    return figure
