"""The figure of the comparison: the energy of networks beside that of their ANN baselines."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import headline, without_price
from snn_energy.reporting.figures.baselines import compared, look_of
from snn_energy.reporting.numbers import energy, energy_unit, ratio
from snn_energy.reporting.spread_facts import rounded_energy
from snn_energy.reporting.style import (
    BLACK,
    SCREEN,
    SKY,
    SNN,
    Style,
    row_axes,
    row_grid,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAR_APART = 40
"""Largest energy over smallest from which bars would be too short to see: points on a logarithmic axis then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """One energy in pJ; `low` and `high` bound it where work is uncounted or prices have ranges."""

    label: str
    pj: float
    text: str
    colour: str
    low: float | None = None
    high: float | None = None


def comparison_figure(documents: Sequence[Document], style: Style = SCREEN) -> Figure:
    """Energy of each report's network and of each of its baselines, in one unit, in the order given."""
    from matplotlib.figure import Figure

    every = [each for document in documents for each in _energies(document)]
    unit = energy_unit(max(every))
    blocks = [_bars(document, unit) for document in documents]
    headed = len(documents) > 1
    rows: list[_Bar | None] = []
    headings: dict[int, str] = {}
    for block, heading in zip(blocks, _headings(documents), strict=True):
        if headed:
            headings[len(rows)] = heading
            rows.append(None)
        rows += block
    figure = Figure(figsize=(style.width, style.height(len(rows))), layout="constrained")
    axes = figure.subplots()
    bars = [(y, bar) for y, bar in enumerate(rows) if bar is not None]
    if min(every) > 0 and max(every) > FAR_APART * min(every):
        _draw_points(axes, bars, unit[1])
    else:
        _draw_bars(axes, bars, unit[1])
    for y, bar in bars:
        axes.annotate(
            bar.text,
            ((bar.high or bar.pj) / unit[1], y),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.small,
        )
    _write_headings(figure, axes, headings, style)
    row_axes(axes, ["" if bar is None else bar.label for bar in rows])
    row_grid(axes)
    axes.set_xlabel(f"energy per inference ({unit[0]})")
    text = headline(documents[0]) if len(documents) == 1 else "energy per inference, and times the SNN's"
    hardware = {document["hardware"]["name"] for document in documents}
    title(figure, f"{text}\n{hardware.pop()}" if len(hardware) == 1 else text, style)
    return figure


def _energies(document: Document) -> list[float]:
    found = [document["totals"]["energy_per_inference_pj"]]
    if not without_price(document):
        for _, item in compared(document):
            found += [item["snn_energy_per_inference_pj"], item["ann_energy_per_inference_pj"]]
    return found


def _bars(document: Document, unit: tuple[str, int]) -> list[_Bar]:
    """The network and its baselines; a second count of the network where a baseline is counted another way."""

    def text(pj: float) -> str:
        rounded = rounded_energy(document, pj, unit)
        return energy(pj, unit) if rounded is None else f"{rounded} {unit[0]}"

    totals, samples = document["totals"], document["samples"]
    own = totals["energy_per_inference_pj"]
    spread = document.get("uncertainty") or {}
    low, high = spread.get("low_pj", own), spread.get("high_pj", own)
    if totals["energy_upper_pj"] > totals["energy_pj"]:
        high = max(high, totals["energy_upper_pj"] / samples)
    whiskers = (low, high) if low < high else (None, None)
    bars = [_Bar(label="SNN", pj=own, text=text(own), colour=SNN, low=whiskers[0], high=whiskers[1])]
    if without_price(document):
        return bars
    seen = {own}
    for name, item in compared(document):
        look = look_of(document, name)
        snn, ann = item["snn_energy_per_inference_pj"], item["ann_energy_per_inference_pj"]
        if snn not in seen:
            seen.add(snn)
            bars.append(_Bar(label=f"SNN, {look.label.rpartition(', ')[2]}", pj=snn, text=text(snn), colour=SKY))
        times = "" if item["ratio"] is None else f" ({_ratio(item)})"
        bars.append(_Bar(label=look.label, pj=ann, text=text(ann) + times, colour=look.colour))
    return bars


def _ratio(item: Document) -> str:
    low, high = item["ratio_low"], item["ratio_high"]
    if low is not None and high is not None and low != high:
        return f"{ratio(low)} to {ratio(high)}×"
    return f"{ratio(item['ratio'])}×"


def _headings(documents: Sequence[Document]) -> list[str]:
    """What tells the reports apart: the network, and whatever else is not the same in all of them."""
    data = [str(document.get("dataset") or "") for document in documents]
    sets = [name.partition(",")[0] for name in data]
    data = sets if len(set(sets)) == len(set(data)) else data  # the split and the samples only where they differ
    parts = [
        {
            "name": " ".join(
                str(part)
                for part in (document.get("network") or document.get("model") or "network", _file(document))
                if part
            ),
            "steps": "" if document.get("time_steps") is None else f"T = {document['time_steps']}",
            "dataset": data[i],
            "hardware": str(document["hardware"]["name"]),
            "method": str(document.get("method") or ""),
        }
        for i, document in enumerate(documents)
    ]
    kept = [key for key in parts[0] if key in ("name", "steps") or len({part[key] for part in parts}) > 1]
    return [", ".join(part[key] for key in kept if part[key]) for part in parts]


def _file(document: Document) -> str:
    return f"({document['checkpoint']})" if document.get("checkpoint") else ""


def _write_headings(figure: Figure, axes: Axes, headings: Mapping[int, str], style: Style) -> None:
    """Headings in rows of their own, from the left edge of the figure to the right one at most."""
    from matplotlib.transforms import blended_transform_factory

    characters = int(style.width * 72 / (0.7 * style.small))
    for y, heading in headings.items():
        axes.text(
            0.01,
            y + 0.1,
            textwrap.shorten(heading, characters, placeholder=" …"),
            transform=blended_transform_factory(figure.transFigure, axes.transData),
            va="center",
            fontsize=style.small,
            weight="bold",
            bbox={"color": "white", "pad": 1.0},
        ).set_in_layout(False)


def _draw_bars(axes: Axes, bars: Sequence[tuple[int, _Bar]], size: int) -> None:
    for y, bar in bars:
        axes.barh(y, bar.pj / size, 0.7, color=bar.colour)
        _whisker(axes, y, bar, size)
    axes.set_xlim(0, max((bar.high or bar.pj) for _, bar in bars) / size or 1)


def _draw_points(axes: Axes, bars: Sequence[tuple[int, _Bar]], size: int) -> None:
    axes.set_xscale("log")
    for y, bar in bars:
        axes.plot(bar.pj / size, y, "o", color=bar.colour, clip_on=False, zorder=3, markersize=5)
        _whisker(axes, y, bar, size)
    low = min(bar.pj if bar.low is None else bar.low for _, bar in bars) / size
    axes.set_xlim(left=low / 1.5)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.tick_params(axis="x", which="minor", length=1.5)


def _whisker(axes: Axes, y: int, bar: _Bar, size: int) -> None:
    if bar.low is not None and bar.high is not None:
        axes.plot(
            [bar.low / size, bar.high / size], [y, y], color=BLACK, linewidth=1, marker="|", clip_on=False, zorder=4
        )
