"""The figure of a front: accuracy over energy, on matplotlib's Figure objects, equal bytes for equal points."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snn_energy.tuning.front import Placed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ON_FRONT, DOMINATED = "#0072B2", "#999999"
LONGEST_LABEL = 30
KEY_INCHES = 0.16
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
    """Numbered points and their names beside them; a step line is the front, on or below which all others lie.

    `unit` is the name of the unit of energy and its size in pJ.
    """
    from matplotlib.figure import Figure

    height = max(4.6, 1.4 + KEY_INCHES * len(placed))
    figure = Figure(figsize=(8.0, height), layout="constrained")
    axes = figure.subplots()
    styles = ((True, ON_FRONT, "o", "on the front"), (False, DOMINATED, "x", "dominated"))
    for on_front, colour, marker, label in styles:
        there = [place.point for place in placed if place.on_front == on_front]
        if there:
            energies, accuracies = [p.energy_pj / unit[1] for p in there], [100 * float(p.accuracy) for p in there]
            axes.plot(energies, accuracies, marker, color=colour, label=label, linestyle="none", zorder=3)
            if on_front:
                right = placed[-1].point.energy_pj / unit[1]  # beyond its last point the front goes on level
                steps = ([*energies, right], [*accuracies, accuracies[-1]])
                axes.plot(*steps, color=colour, linewidth=1, drawstyle="steps-post", zorder=2)
    for where, numbers in _numbers(placed, unit).items():
        axes.annotate(numbers, where, xytext=(5, 4), textcoords="offset points", fontsize=8)
    axes.margins(x=0.1, y=0.12)
    axes.set_xlabel(f"energy per inference ({unit[0]})")
    axes.set_ylabel("accuracy (%)")
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    key = "\n".join(f"{i:>2}  {_short(place.point.name)}" for i, place in enumerate(placed, start=1))
    axes.text(1.02, 1, key, transform=axes.transAxes, ha="left", va="top", fontsize=8, linespacing=1.4)
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2)
    figure.suptitle(title, fontsize=9)
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


def _numbers(placed: Sequence[Placed], unit: tuple[str, int]) -> dict[tuple[float, float], str]:
    """One label for each place: equal points share theirs."""
    found: dict[tuple[float, float], list[str]] = {}
    for number, place in enumerate(placed, start=1):
        where = (place.point.energy_pj / unit[1], 100 * float(place.point.accuracy))
        found.setdefault(where, []).append(str(number))
    return {where: ", ".join(numbers) for where, numbers in found.items()}


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else "…" + name[1 - LONGEST_LABEL :]
