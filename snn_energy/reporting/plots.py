"""The kinds of figures, by name: what each shows, what it reads, what draws it.

Figures are drawn on matplotlib's Figure objects, never through pyplot's global state; `style` holds their look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_energy.errors import UsageError
from snn_energy.reporting.document import Document, load_document
from snn_energy.reporting.figures.layers import layers_figure
from snn_energy.reporting.figures.tornado import tornado_figure
from snn_energy.reporting.style import SCREEN, Style, figure_suffix, rendered, unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KINDS", "Kind", "draw", "figure_suffix", "find_kind", "layers_figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of figure."""

    figure: Callable[[Any, Style], Figure]
    """Draws the document, or the list of documents where there may be `several`; raises UsageError where it cannot."""
    shows: str
    """What it shows, in a line for lists."""
    reads: Callable[[Path], Document] = load_document
    """Reads and checks one file."""
    needs: str = "report.json"
    """What the files are, for lists: how they are made, where that is not `profile`."""
    several: bool = False


KINDS: dict[str, Kind] = {
    "layers": Kind(figure=layers_figure, shows="energy of every layer, SNN beside ANN, and every layer's spike rate"),
    "tornado": Kind(
        figure=tornado_figure,
        shows="what the published range of each price does to the energy",
        needs="report.json, made with --uncertainty",
    ),
}
"""Name of a kind -> the kind. To add one: a function from a document and a style to a figure, and a row here."""


def find_kind(name: str) -> Kind:
    """The kind of a name.

    Raises:
        UsageError: there is no such kind.
    """
    if name not in KINDS:
        raise UsageError(unknown("kind of figure", name, KINDS))
    return KINDS[name]


def draw(document: Document | Sequence[Document], kind: str, suffix: str, style: Style = SCREEN) -> bytes:
    """One figure of a document, or of several where the kind takes them, as the bytes of a png, svg or pdf file.

    Raises:
        UsageError: unknown kind or suffix, or the documents hold nothing to draw.
    """
    found = find_kind(kind)
    documents = [document] if isinstance(document, Mapping) else list(document)
    if len(documents) != 1 and not found.several:
        raise UsageError(f"{kind}: draws one report (got {len(documents)}); plot each by itself")
    return rendered(lambda: found.figure(documents if found.several else documents[0], style), suffix, style)
