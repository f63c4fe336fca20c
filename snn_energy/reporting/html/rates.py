"""The section on activity: spike rates of the neuron layers, time step by time step, as a heat map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.operands import operands_figure
from snn_energy.reporting.html.pieces import figure, grid, path, section
from snn_energy.reporting.numbers import fixed, nearest

TITLE = "Spikes per neuron and time step"
LEVELS = 9
"""Shades of the heat map above 0."""
WRITTEN_UP_TO = 12
"""Time steps up to which each cell shows its number."""
MOST_CELLS = 4000
"""Beyond it, neighbouring time steps share a cell."""
RATE_DECIMALS = 4


def rates_section(document: Document) -> Element | None:
    """Heat map and value classes; None where neither neurons nor projections are in the report."""
    neurons = [neuron for neuron in document.get("neurons", ()) if neuron["spikes_per_step"]]
    projections = [row for row in document["rows"] if row["part"] == "synapses" and row["operand"] is not None]
    if not neurons and not projections:
        return None
    return section(
        "rates",
        "Spikes and values",
        "How often neurons spike, and what the projections read because of it.",
        _activity(document, neurons) if neurons else None,
        operands_figure(document, projections) if projections else None,
    )


def _activity(document: Document, neurons: Sequence[Mapping[str, Any]]) -> Element:
    """The heat map, or the rates alone where samples of several lengths leave no step a rate."""
    if document.get("time_steps") is not None or all(len(neuron["spikes_per_step"]) == 1 for neuron in neurons):
        return _heat_map(neurons)
    spiking = [neuron for neuron in neurons if neuron.get("spiking", True)]
    rates = ((one["name"], _rate(Fraction(sum(one["spikes_per_step"]), one["updates"] or 1))) for one in spiking)
    return figure(
        TITLE,
        "The samples ran for different numbers of time steps, so that no single step has a rate.",
        grid(("neuron layer", "rate over all steps"), rates, TITLE, (1,)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRow:
    """A neuron layer: its rate in each bin of time steps, and over all of them."""

    name: str
    kind: str
    rates: tuple[Fraction | None, ...]
    """None where the layer was not run in that bin, or puts out no spikes."""
    overall: Fraction | None


def heat_rows(neurons: Sequence[Mapping[str, Any]]) -> tuple[int, list[HeatRow]]:
    """Rates per neuron and time step, and how many time steps share a cell.

    The rate of a bin of k steps is its spikes / (neurons x samples x k), exactly.
    """
    longest = max(len(neuron["spikes_per_step"]) for neuron in neurons)
    width = -(-longest * len(neurons) // MOST_CELLS)
    bins = -(-longest // width)
    return width, [_heat_row(neuron, width, bins) for neuron in neurons]


def _heat_row(neuron: Mapping[str, Any], width: int, bins: int) -> HeatRow:
    spikes: list[int] = neuron["spikes_per_step"]
    each = Fraction(neuron["updates"], len(spikes))  # neurons x samples
    spiking = bool(neuron.get("spiking", True)) and each > 0

    def rate(part: Sequence[int]) -> Fraction | None:
        return Fraction(sum(part)) / (each * len(part)) if part and spiking else None

    cells = tuple(rate(spikes[i * width : (i + 1) * width]) for i in range(bins))
    return HeatRow(name=neuron["name"], kind=str(neuron.get("kind", "")), rates=cells, overall=rate(spikes))


def _heat_map(neurons: Sequence[Mapping[str, Any]]) -> Element:
    width, rows = heat_rows(neurons)
    highest = max((rate for row in rows for rate in row.rates if rate is not None), default=Fraction())
    steps = len(rows[0].rates)
    written = steps <= WRITTEN_UP_TO
    spans = [str(i + 1) if width == 1 else f"{i * width + 1}\u2013{(i + 1) * width}" for i in range(steps)]
    headings = [tag("th", "neuron layer", scope="col")]
    for i, span in enumerate(spans):
        shown = written or _labelled(i)
        words = (
            tag("span", "t = ", class_=None if written else "unseen"),
            tag("span", span, class_=None if shown else "unseen"),
        )
        headings.append(tag("th", words, scope="col", class_="labelled" if shown else None))
    headings.append(tag("th", "all", scope="col", class_="number"))
    table = tag(
        "table",
        tag("caption", f"{TITLE}, 0 to {_rate(highest)}", class_="unseen"),
        tag("thead", tag("tr", headings)),
        tag("tbody", (_heat_cells(row, highest, written) for row in rows)),
        class_="heat" if written else "heat fine",
    )
    scrolling = {"class_": "scroll tall", "role": "region", "tabindex": "0"}
    return figure(TITLE, None, _scale(highest), tag("div", table, aria_label=TITLE, data_chart=TITLE, **scrolling))


def _labelled(step: int) -> bool:
    """Whether a narrow column shows its time step: the first one and every tenth."""
    return step == 0 or (step + 1) % 10 == 0


def _heat_cells(row: HeatRow, highest: Fraction, written: bool) -> Element:
    def cells() -> Iterator[Element]:
        for rate in row.rates:
            text = "\u2013" if rate is None else _rate(rate)
            yield tag("td", text if written else tag("span", text), class_=_shade(rate, highest))
        yield tag("td", "no spikes" if row.overall is None else _rate(row.overall), class_="number")

    return tag("tr", tag("th", path(row.name), tag("small", " ", row.kind), scope="row", class_="name"), cells())


def _shade(rate: Fraction | None, highest: Fraction) -> str:
    """Class of a cell: `h0` for no spike at all, `h1` to `h9` in equal steps up to the highest rate."""
    if rate is None:
        return "none"
    return f"h{math.ceil(LEVELS * rate / highest)}" if rate else "h0"


def _scale(highest: Fraction) -> Element:
    shades = [tag("i", class_=f"swatch h{level}", aria_hidden="true") for level in range(LEVELS + 1)]
    return tag("p", "0 ", shades, f" {_rate(highest)}", class_="scale")


def _rate(value: Fraction | float) -> str:
    return fixed(nearest(Fraction(value) * 10**RATE_DECIMALS), RATE_DECIMALS)
