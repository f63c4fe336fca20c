"""Figures of a report: drawn on matplotlib's Figure objects, never through pyplot's global state.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart. SVG and PDF files hold no date
and no random names: equal reports give equal files.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_energy.errors import UsageError
from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import headline, without_price
from snn_energy.reporting.layout import row_energy
from snn_energy.reporting.numbers import energy, energy_unit
from snn_energy.reporting.tornado import tornado_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SNN, ANN, NEURON = "#0072B2", "#E69F00", "#009E73"
GREY = "#555555"
LONGEST_LABEL = 30
ROW_INCHES, DENSE_ROW_INCHES, DENSE_FROM = 0.36, 0.24, 24
FRAME_INCHES = 1.5
WIDTH_INCHES = 9.0
OTHER = "other arithmetic"

SUFFIXES = ("png", "svg", "pdf")
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "snn-energy",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# Above the axes, where no bar can be.
_LEGEND: dict[str, Any] = {
    "frameon": False, "fontsize": 8, "loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2,
}  # fmt: skip
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "snn-energy"},
    "pdf": {"CreationDate": None, "Creator": "snn-energy", "Producer": None},
}


def layers_figure(document: Document) -> Figure:
    """Energy of every layer, SNN beside dense ANN twin, and the spike rate of every layer."""
    from matplotlib.figure import Figure

    bars = _bars(document)
    unit, size = energy_unit(max((*(bar.snn for bar in bars), *(bar.ann or 0 for bar in bars)), default=Fraction()))
    figure = Figure(figsize=(WIDTH_INCHES, FRAME_INCHES + _row_inches(len(bars)) * len(bars)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw_energies(left, bars, unit, size, has_ann=_baseline(document) is not None)
    _draw_rates(right, bars)
    left.set_yticks(range(len(bars)), [_label(bar.name) for bar in bars])
    left.set_ylim(len(bars) - 0.4, -0.6)
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.suptitle(f"{headline(document)}\n{_totals(document)}", fontsize=9)
    return figure


KINDS: dict[str, Callable[[Document], Figure]] = {"layers": layers_figure, "tornado": tornado_figure}
"""Kind of figure -> what draws it. To add one: a function from a report to a figure, and a row here."""


def draw(document: Document, kind: str, suffix: str) -> bytes:
    """One figure of `document` as the bytes of a png, svg or pdf file.

    Raises:
        UsageError: unknown kind or suffix.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if kind not in KINDS:
        close = get_close_matches(kind, KINDS, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"unknown kind of figure {kind!r}: {meant}expected one of {', '.join(KINDS)}")
    if suffix not in SUFFIXES:
        raise UsageError(f"cannot draw {suffix!r} files: expected one of {', '.join(SUFFIXES)}")
    out = io.BytesIO()
    with rc_context(_STYLE):
        figure = KINDS[kind](document)
        FigureCanvasAgg(figure)
        figure.savefig(out, format=suffix, dpi=150, metadata=_METADATA[suffix])
    return out.getvalue()


def figure_suffix(path: str | Path) -> str:
    """The format that the name of a figure's file asks for.

    Raises:
        UsageError: another suffix than png, svg or pdf.
    """
    suffix = Path(path).suffix[1:].lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path}: a figure's name must end in .{', .'.join(SUFFIXES)} (got {Path(path).suffix!r}); rename it"
        )
    return suffix


class _Bar:
    """One row of the figure: energies of one inference in pJ, and the rate with the part it belongs to."""

    __slots__ = ("ann", "name", "part", "rate", "snn")

    def __init__(self, name: str, part: str, rate: float | None) -> None:
        self.name, self.part, self.rate = name, part, rate
        self.snn = Fraction()
        self.ann: Fraction | None = None


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


def _draw_energies(axes: Axes, bars: list[_Bar], unit: str, size: int, *, has_ann: bool) -> None:
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
    axes.legend(**_LEGEND)


def _draw_rates(axes: Axes, bars: list[_Bar]) -> None:
    styles = (
        ("synapses", "non-zero operands of a projection", SNN, "o"),
        ("neurons", "spikes per neuron and time step", NEURON, "s"),
    )
    highest = 0.0
    for part, label, colour, marker in styles:
        points = [(bar.rate, y) for y, bar in enumerate(bars) if bar.part == part and bar.rate is not None]
        if not points:
            continue
        rates, rows = zip(*points, strict=True)
        highest = max(highest, *rates)
        axes.hlines(rows, 0, rates, color=colour, linewidth=1.2)
        axes.plot(rates, rows, marker, color=colour, markersize=5, label=label, clip_on=False, zorder=3)
        for rate, y in points:
            axes.annotate(
                f"{rate:.3f}",
                (rate, y),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=GREY,
            )
    # Room to the right for the number behind the rightmost point.
    axes.set_xlim(0, highest * 1.22 or 1)
    axes.set_xlabel("rate")
    if highest:
        axes.legend(**_LEGEND)


def _row_inches(rows: int) -> float:
    return ROW_INCHES if rows < DENSE_FROM else DENSE_ROW_INCHES


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


def _label(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else "…" + name[1 - LONGEST_LABEL :]
