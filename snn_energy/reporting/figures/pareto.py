"""The figure of a front: accuracy over energy, from the JSON that `snn-energy pareto` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_energy.errors import DataError
from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import energy_unit
from snn_energy.reporting.style import (
    BLUE,
    GRID,
    PALE,
    SCREEN,
    Placing,
    Style,
    cut_front,
    legend_above,
    place_texts,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMAT = 1
KEY_INCHES = 0.16
_POINT: Mapping[str, tuple[type, ...]] = {
    "checkpoint": (str,),
    "energy_per_inference_pj": (int, float),
    "correct": (int,),
    "total": (int,),
    "on_front": (bool,),
}
_REMEDY = "write it again with: snn-energy pareto ... --json > front.json"
_OFFSETS = ((5, 4), (5, -10), (-9, 4), (-9, -10), (5, 13), (-9, 13), (5, -19), (-9, -19), (15, 4), (15, -10))
"""Where a number may stand beside its point, in points; the first free place is taken."""


def pareto_figure(document: Document, style: Style = SCREEN) -> Figure:
    """Numbered points and their names; a step line is the front, on or below which all others lie."""
    from matplotlib.figure import Figure

    points = document["points"]
    unit = energy_unit(max(point["energy_per_inference_pj"] for point in points))
    beside = style.width > 5  # the names: to the right where there is room, else below
    names = [cut_front(point["checkpoint"], style.longest_label if beside else 44) for point in points]
    key = "\n".join(f"{i:>2}  {name}" for i, name in enumerate(names, start=1))
    line = KEY_INCHES * style.small / SCREEN.small
    height = max(0.5 * style.width, 1.4 + line * len(points)) if beside else 0.75 * style.width
    figure = Figure(
        figsize=(style.width, height if beside else height + line * (len(points) + 1)), layout="constrained"
    )
    if beside:
        axes = figure.subplots()
        holder, place = axes, (1.02, 1.0)
    else:
        axes, holder = figure.subplots(2, 1, height_ratios=(height, line * (len(points) + 1)))
        holder.set_axis_off()
        place = (-0.12, 1.0)
    _draw_points(axes, points, unit[1], style)
    axes.margins(x=0.1, y=0.12)
    axes.set_xlabel(f"energy per inference ({unit[0]})")
    axes.set_ylabel("accuracy (%)")
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    holder.text(*place, key, transform=holder.transAxes, ha="left", va="top", fontsize=style.small, linespacing=1.4)
    axes.legend(**legend_above(style, columns=2))
    title(figure, f"{document['dataset']}\n{document['hardware']}, strict counting", style)
    _number_points(figure, axes, points, unit[1], style)
    return figure


def load_front(path: Path) -> Document:
    """Read the JSON of a front.

    Raises:
        DataError: no such file, or not a front.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"{path}: cannot read this front ({problem.strerror}); {_REMEDY}") from None
    except ValueError as problem:
        raise DataError(
            f"{path}: expected the JSON of a front (got text that is no JSON: {problem}); {_REMEDY}"
        ) from None
    points = value.get("points") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(points, list) or not points:
        raise DataError(f"{path}: not a front of checkpoints (no points in it); {_REMEDY}")
    if value.get("format") != FORMAT:
        raise DataError(f"{path}: format must be {FORMAT} (got {value.get('format')!r}); {_REMEDY}")
    for key in ("hardware", "dataset"):
        if not isinstance(value.get(key), str):
            raise DataError(f"{path}: {key} must be text (got {value.get(key)!r}); {_REMEDY}")
    for number, point in enumerate(points):
        for key, kinds in _POINT.items():
            if (
                not isinstance(point, dict)
                or not isinstance(point.get(key), kinds)
                or (key == "total" and not point[key])
            ):
                raise DataError(f"{path}: points[{number}].{key} does not fit; {_REMEDY}")
    return value


def _place(point: Mapping[str, Any], size: int) -> tuple[float, float]:
    return point["energy_per_inference_pj"] / size, 100 * point["correct"] / point["total"]


def _draw_points(axes: Axes, points: Sequence[Mapping[str, Any]], size: int, style: Style) -> None:
    for on_front, colour, marker, label in ((True, BLUE, "o", "on the front"), (False, PALE, "x", "dominated")):
        there = [_place(point, size) for point in points if point["on_front"] == on_front]
        if not there:
            continue
        energies, accuracies = (list(column) for column in zip(*there, strict=True))
        size_of_mark = 6 if style.titled else 4
        axes.plot(
            energies, accuracies, marker, color=colour, label=label, linestyle="none", zorder=3, markersize=size_of_mark
        )
        if on_front:
            right = max(_place(point, size)[0] for point in points)  # beyond its last point the front goes on level
            steps = ([*energies, right], [*accuracies, accuracies[-1]])
            axes.plot(*steps, color=colour, linewidth=1, drawstyle="steps-post", zorder=2)


def _number_points(figure: Figure, axes: Axes, points: Sequence[Mapping[str, Any]], size: int, style: Style) -> None:
    """One label for each place, equal points share theirs; labels keep clear of each other and of the points."""
    found: dict[tuple[float, float], list[str]] = {}
    for number, point in enumerate(points, start=1):
        found.setdefault(_place(point, size), []).append(str(number))
    items = [Placing(", ".join(numbers), where, _OFFSETS) for where, numbers in found.items()]
    left_out = place_texts(figure, axes, items, style)
    if left_out:  # more points than there is room between
        crowded = [item for item in items if item.text in left_out]
        for item in crowded:
            axes.annotate(item.text, item.at, xytext=_OFFSETS[0], textcoords="offset points", fontsize=style.small)
