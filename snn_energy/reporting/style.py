"""The look of every figure: sizes for the screen and for a paper's columns, colours, labels, and files that repeat.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart. Files hold no date and no random
names: equal reports give equal bytes with one version of matplotlib. Nothing global is changed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_energy.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, SKY = "#0072B2", "#E69F00", "#009E73", "#56B4E9"
VERMILION, PURPLE, YELLOW, BLACK = "#D55E00", "#CC79A7", "#F0E442", "#000000"
GREY, PALE, GRID = "#555555", "#999999", "#DDDDDD"

SNN, ANN, NEURON = BLUE, ORANGE, GREEN
COMPONENT_COLOURS = {"mac": VERMILION, "ac": BLUE, "neuron": GREEN, "other": PALE, "memory": PURPLE}
"""Part of the energy -> its colour, in the order in which parts are stacked."""

SUFFIXES = ("png", "svg", "pdf")
DOTS_PER_INCH = 150
PAPER_DOTS_PER_INCH = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Sizes of a figure; lengths in inches, fonts in points."""

    name: str
    shows: str
    width: float
    font: float
    small: float
    """Font of what stands within the axes, and of legends."""
    row: float
    """Height of one row of bars; `dense_row` from `dense_from` rows on."""
    dense_row: float
    dense_from: int
    frame: float
    """Height of everything around the rows."""
    longest_label: int
    most_rows: int | None
    """Rows that a page has room for; None for any number."""
    titled: bool
    """False where a caption says what is shown."""
    outlined: bool
    """True where text in SVG files is drawn as outlines, so that it looks the same without the font."""
    dots_per_inch: int

    def height(self, rows: int) -> float:
        """Height of a figure of that many rows of bars."""
        return self.frame + self.row_height(rows) * rows

    def row_height(self, rows: int) -> float:
        """Height of one of that many rows."""
        return self.row if rows < self.dense_from else self.dense_row


@dataclass(frozen=True, slots=True)
class Placing:
    """A text, the point in data coordinates that it belongs to, and where beside it, in points, it may stand."""

    text: str
    at: tuple[float, float]
    offsets: tuple[tuple[float, float], ...]
    marked: bool = True
    """Whether something is drawn at the point itself."""


SCREEN = Style(
    name="screen", shows="9 inches, with a title", width=9.0, font=9, small=8, row=0.36, dense_row=0.24, dense_from=24,
    frame=1.5, longest_label=30, most_rows=None, titled=True, outlined=False, dots_per_inch=DOTS_PER_INCH,
)  # fmt: skip
SINGLE = Style(
    name="single", shows="3.5 inches, one column of a paper", width=3.5, font=7, small=6, row=0.2, dense_row=0.135,
    dense_from=24, frame=0.75, longest_label=20, most_rows=40, titled=False, outlined=True,
    dots_per_inch=PAPER_DOTS_PER_INCH,
)  # fmt: skip
DOUBLE = Style(
    name="double", shows="7.16 inches, both columns of a paper", width=7.16, font=8, small=7, row=0.24,
    dense_row=0.155, dense_from=24, frame=0.9, longest_label=28, most_rows=44, titled=False, outlined=True,
    dots_per_inch=PAPER_DOTS_PER_INCH,
)  # fmt: skip
STYLES = {style.name: style for style in (SCREEN, SINGLE, DOUBLE)}
"""Name of a width -> its sizes. Widths are those of IEEE's and ACM's two-column pages (3.5 and 7.16 inches)."""

_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "snn-energy"},
    "pdf": {"CreationDate": None, "Creator": "snn-energy", "Producer": None},
}


def find_style(name: str) -> Style:
    """The sizes of a width.

    Raises:
        UsageError: there is no such width.
    """
    if name not in STYLES:
        raise UsageError(unknown("width", name, STYLES))
    return STYLES[name]


def unknown(what: str, name: str, known: Sequence[str] | dict[str, Any]) -> str:
    """The message for a name that is none of `known`, with the closest one of these."""
    close = get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown {what} {name!r}: {meant}expected one of {', '.join(known)}"


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


def rendered(make: Callable[[], Figure], suffix: str, style: Style = SCREEN) -> bytes:
    """What `make` draws as the bytes of a png, svg or pdf file; fonts are embedded in PDF files.

    Raises:
        UsageError: unknown suffix.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if suffix not in SUFFIXES:
        raise UsageError(f"cannot draw {suffix!r} files: expected one of {', '.join(SUFFIXES)}")
    out = io.BytesIO()
    with rc_context(settings(style)):
        figure = make()
        FigureCanvasAgg(figure)
        figure.savefig(out, format=suffix, dpi=style.dots_per_inch, metadata=_METADATA[suffix])
    return out.getvalue()


def settings(style: Style) -> dict[Any, Any]:
    """Matplotlib's settings for a style; the font comes with matplotlib, so that every machine has it."""
    common = {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": style.font,
        "svg.fonttype": "path" if style.outlined else "none",
        "svg.hashsalt": "snn-energy",
        "pdf.fonttype": 42,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    if style.titled:
        return common
    thin = {f"{axis}tick.{key}": value for axis in "xy" for key, value in (("major.width", 0.5), ("major.size", 2.5))}
    close = {"figure.constrained_layout.h_pad": 0.04, "figure.constrained_layout.w_pad": 0.02, "axes.labelpad": 2}
    return {**common, **thin, **close, "axes.linewidth": 0.5, "hatch.linewidth": 0.5}


def legend_above(style: Style, columns: int = 1) -> dict[str, Any]:
    """Where a legend stands: above the axes, where no bar can be."""
    place: dict[str, Any] = {
        "frameon": False, "fontsize": style.small, "loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2,
    }  # fmt: skip
    if columns > 1:
        place["ncols"] = columns
    if not style.titled:
        place |= {"handlelength": 1.2, "columnspacing": 1.0, "handletextpad": 0.5, "labelspacing": 0.3}
    return place


def figure_legend(figure: Figure, every: Axes | Sequence[Axes], style: Style) -> None:
    """A legend of all axes over the whole width of the figure, in as many columns as fit.

    Under a title it stands above the first axes.
    """
    listed = list(every) if isinstance(every, Sequence) else [every]
    known = {label: handle for axes in listed for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels, handles = list(known), list(known.values())
    if not labels:
        return
    column = (max(map(len, labels)) * 0.62 + 3) * style.small / 72
    look = legend_above(style, columns=max(1, min(len(labels), int(style.width / column))))
    if style.titled:
        listed[0].legend(handles, labels, **look)
        return
    del look["bbox_to_anchor"]
    figure.legend(handles, labels, **{**look, "loc": "outside upper left"})


def row_axes(axes: Axes, labels: Sequence[str]) -> None:
    """Lay out rows of bars: the first on top, labels to the left, a grid for the eye behind the bars."""
    axes.set_yticks(range(len(labels)), list(labels))
    axes.set_ylim(len(labels) - 0.4, -0.6)
    row_grid(axes)


def row_grid(axes: Axes) -> None:
    """A grid of vertical lines behind the bars, and no ticks beside them."""
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def title(figure: Figure, text: str, style: Style) -> None:
    """Put a title on figures that have no caption."""
    if style.titled:
        figure.suptitle(text, fontsize=style.font)


def place_texts(figure: Figure, axes: Axes, items: Sequence[Placing], style: Style, colour: str = BLACK) -> list[str]:
    """Write short texts beside their points where nothing else is: no text, point or tick below; return those left out.

    The figure must be complete but for them: they are placed as it is laid out now.
    """
    figure.draw_without_rendering()
    pixel = figure.dpi / 72
    points = [axes.transData.transform(item.at) for item in items]
    near = 4.5 * pixel
    taken = [
        (x - near, y - near, x + near, y + near) for (x, y), item in zip(points, items, strict=True) if item.marked
    ]
    left_out = []
    for (x, y), item in zip(points, items, strict=True):
        wide, high = 0.62 * style.small * len(item.text) * pixel, 1.1 * style.small * pixel
        for right, up in item.offsets:
            left, low = x + right * pixel, y + up * pixel
            box = (left, low, left + wide, low + high)
            if low >= axes.bbox.y0 and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                text = axes.annotate(
                    item.text,
                    item.at,
                    xytext=(right, up),
                    textcoords="offset points",
                    fontsize=style.small,
                    color=colour,
                )
                text.set_in_layout(False)
                break
        else:
            left_out.append(item.text)
    return left_out


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def short_names(names: Sequence[str], limit: int) -> list[str]:
    """Module paths of at most `limit` characters that still tell the layers apart.

    Components lose all but their first letter, from the front on and alike in all paths, until the paths fit; what
    is then still too long loses its front. Paths that have become equal are numbered.

    >>> short_names(["stem.conv", "stages.0.unit", "stages.0.1.unit.first.conv"], 21)
    ['stem.conv', 's.0.unit', 's.0.1.unit.first.conv']
    """
    cut: set[tuple[int, str]] = set()
    for name in names:
        parts = name.split(".")
        for place in [(i, part) for i, part in enumerate(parts[:-1]) if not part.isdigit()]:
            if len(_abbreviated(name, cut)) <= limit:
                break
            cut.add(place)
    found: dict[str, str] = {}
    for name in names:
        if name in found:
            continue
        whole, number = cut_front(_abbreviated(name, cut), limit), 1
        text = whole
        while text in found.values():
            number += 1
            text = cut_front(whole, limit - len(f" ({number})")) + f" ({number})"
        found[name] = text
    return [found[name] for name in names]


def _abbreviated(name: str, cut: set[tuple[int, str]]) -> str:
    return ".".join(part[:1] if (i, part) in cut else part for i, part in enumerate(name.split(".")))


def cut_front(text: str, limit: int) -> str:
    """The end of a text that is longer than the limit."""
    return text if len(text) <= limit else "…" + text[len(text) - limit + 1 :]
