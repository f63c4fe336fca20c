"""The figure of the spike rates: a heat map of neuron layers over time steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from snn_energy.errors import UsageError
from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import headline
from snn_energy.reporting.style import PALE, SCREEN, Style, short_names, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

COLOURS = "cividis"
"""From dark to light with its lightness in proportion, and the same to colour-blind eyes."""
SHADES = 64
SCALE = "spikes per neuron"
BARE_CELLS = 12
"""Time steps up to which cells hold their number."""
CELL_INCHES = 0.45
"""Narrowest cell that holds a number, at a font of 8 points."""
BAR_INCHES = 0.12
EVEN = 0.179
"""Luminance at which black and white text stand out equally."""


def rates_figure(document: Document, style: Style = SCREEN) -> Figure:
    """Spikes per neuron at every time step, for every layer of spiking neurons.

    Raises:
        UsageError: no layer spikes, or the samples ran for different numbers of time steps.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    table = spike_rates(document)
    steps = max(len(row) for row in table.values())
    rows = list(table.values())
    shown = [row + [math.nan] * (steps - len(row)) for row in rows]
    row_height = style.row_height(len(rows))
    if style.most_rows is not None and len(rows) > style.most_rows:
        row_height *= style.most_rows / len(rows)
    rows_inches = max(row_height * len(rows), 0.62 * style.font / 72 * len(SCALE))  # what the scale's name needs
    figure = Figure(figsize=(style.width, style.frame + rows_inches), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(1, BAR_INCHES / style.width))
    highest = max((rate for row in rows for rate in row), default=0.0)
    # A mesh, not an image: images in PDF and SVG files are bitmaps.
    mesh = axes.pcolormesh(shown, cmap=colormaps[COLOURS].resampled(SHADES), vmin=0, vmax=highest or 1)
    mesh.set_edgecolor("face")
    axes.set_ylim(len(rows), 0)
    axes.set_facecolor(PALE)  # where a layer did not run
    if _numbered(style, steps, len(rows)):
        _write_numbers(axes, mesh, shown, style)
    _label_axes(axes, list(table), steps, row_height, style)
    bar = figure.colorbar(mesh, cax=beside)
    bar.solids.set_rasterized(False)  # type: ignore[union-attr]
    bar.set_label(SCALE)
    beside.spines[:].set_visible(False)
    title(figure, headline(document), style)
    return figure


def spike_rates(document: Document) -> dict[str, list[float]]:
    """Layer -> spikes per neuron at each time step, `layer t`; each layer is updated equally often at every step.

    Raises:
        UsageError: there is none, or the samples ran for different numbers of time steps.
    """
    spiking = [
        neuron for neuron in document.get("neurons", ()) if neuron.get("spiking", True) and neuron["spikes_per_step"]
    ]
    if not spiking:
        raise UsageError("rates: no layer of the report spikes, so there is nothing to draw; name another report")
    if document.get("time_steps") is None and any(len(neuron["spikes_per_step"]) > 1 for neuron in spiking):
        raise UsageError(
            "rates: the samples ran for different numbers of time steps, so no step has a rate; "
            "profile samples of one length"
        )
    return {
        neuron["name"]: [
            count * len(neuron["spikes_per_step"]) / neuron["updates"] if neuron["updates"] else 0.0
            for count in neuron["spikes_per_step"]
        ]
        for neuron in spiking
    }


def _numbered(style: Style, steps: int, rows: int) -> bool:
    """Whether numbers fit into the cells."""
    narrowest = CELL_INCHES * style.small / 8
    return steps <= BARE_CELLS and 0.6 * style.width / max(steps, 3) >= narrowest and rows < style.dense_from


def _write_numbers(axes: Axes, mesh: QuadMesh, shown: list[list[float]], style: Style) -> None:
    for y, row in enumerate(shown):
        for x, rate in enumerate(row):
            if not math.isnan(rate):
                red, green, blue, _ = mesh.to_rgba(rate)  # type: ignore[arg-type]
                colour = "black" if _luminance(red, green, blue) > EVEN else "white"
                axes.text(x + 0.5, y + 0.5, f"{rate:.3f}", ha="center", va="center", fontsize=style.small, color=colour)


def _luminance(*channels: float) -> float:
    """Relative luminance of a colour of sRGB, as the Web Content Accessibility Guidelines 2.1 define it."""
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _label_axes(axes: Axes, names: list[str], steps: int, row_height: float, style: Style) -> None:
    from matplotlib.ticker import FixedLocator

    labels = short_names(names, style.longest_label)
    every = math.ceil(style.font * 1.25 / 72 / row_height)  # rows closer than a line of text: not all have a name
    axes.set_yticks([y + 0.5 for y in range(0, len(labels), every)], labels[::every])
    stride = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, steps) if steps / s <= BARE_CELLS or s == steps)
    ticks = [1, *range(stride, steps + 1, stride)] if stride > 1 else list(range(1, steps + 1))
    axes.xaxis.set_major_locator(FixedLocator([tick - 0.5 for tick in ticks]))
    axes.set_xticklabels([str(tick) for tick in ticks])
    axes.set_xlabel("time step")
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
