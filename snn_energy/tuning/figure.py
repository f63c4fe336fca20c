"""The figure of a front: accuracy over energy, on matplotlib's Figure objects, equal bytes for equal points."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snn_energy.tuning.front import Placed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ON_FRONT, DOMINATED = "#0072B2", "#999999"
LONGEST_LABEL = 24
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
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "snn-energy"},
    "pdf": {"CreationDate": None, "Creator": "snn-energy", "Producer": None},
}


def front_figure(placed: Sequence[Placed], unit: tuple[str, int], title: str) -> Figure:
    """Points with their names; a step line joins the front, below which everything is dominated.

    `unit` is the name of the unit of energy and its size in pJ.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = figure.subplots()
    styles = ((True, ON_FRONT, "o", "on the front"), (False, DOMINATED, "x", "dominated"))
    for on_front, colour, marker, label in styles:
        there = [place.point for place in placed if place.on_front == on_front]
        if there:
            energies, accuracies = [p.energy_pj / unit[1] for p in there], [100 * float(p.accuracy) for p in there]
            axes.plot(energies, accuracies, marker, color=colour, label=label, linestyle="none", zorder=3)
            if on_front:
                axes.plot(energies, accuracies, color=colour, linewidth=1, drawstyle="steps-post", zorder=2)
    for (x, y), names in _labels(placed, unit).items():
        axes.annotate(names, (x, y), xytext=(0, 7), textcoords="offset points", ha="center", va="bottom", fontsize=7)
    axes.margins(x=0.14, y=0.16)
    axes.set_xlabel(f"energy per inference ({unit[0]})")
    axes.set_ylabel("accuracy (%)")
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.set_title(title, fontsize=9)
    return figure


def draw_front(placed: Sequence[Placed], unit: tuple[str, int], title: str, suffix: str) -> bytes:
    """The figure as the bytes of a png, svg or pdf file."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    with rc_context(_STYLE):
        figure = front_figure(placed, unit, title)
        FigureCanvasAgg(figure)
        figure.savefig(out, format=suffix, dpi=150, metadata=_METADATA[suffix])
    return out.getvalue()


def _labels(placed: Sequence[Placed], unit: tuple[str, int]) -> dict[tuple[float, float], str]:
    """One label for each place: equal points share theirs."""
    found: dict[tuple[float, float], list[str]] = {}
    for place in placed:
        where = (place.point.energy_pj / unit[1], 100 * float(place.point.accuracy))
        found.setdefault(where, []).append(_short(place.point.name))
    return {where: "\n".join(names) for where, names in found.items()}


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else "…" + name[1 - LONGEST_LABEL :]
