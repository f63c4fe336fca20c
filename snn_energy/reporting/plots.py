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
from snn_energy.reporting.figures.breakdown import breakdown_figure
from snn_energy.reporting.figures.comparison import comparison_figure
from snn_energy.reporting.figures.crossover import crossover_figure
from snn_energy.reporting.figures.layers import layers_figure
from snn_energy.reporting.figures.pareto import load_front, pareto_figure
from snn_energy.reporting.figures.rates import rates_figure
from snn_energy.reporting.figures.tornado import tornado_figure
from snn_energy.reporting.figures.waterfall import load_explanation, waterfall_figure
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
    """The files, for lists; behind a comma how they are made, where plain `profile` does not do it."""
    several: bool = False

    def check_number(self, name: str, files: int) -> None:
        """Refuse several documents where one is drawn.

        Raises:
            UsageError: there are several.
        """
        if files > 1 and not self.several:
            raise UsageError(f"{name}: draws one report (got {files}); draw each by itself, or all by: plot comparison")


KINDS: dict[str, Kind] = {
    "layers": Kind(figure=layers_figure, shows="energy of every layer, SNN beside ANN, and every layer's spike rate"),
    "breakdown": Kind(figure=breakdown_figure, shows="energy of every layer by what it is spent on"),
    "comparison": Kind(
        figure=comparison_figure,
        shows="SNN against each ANN baseline, of one report or several",
        needs="report.json [more.json ...]",
        several=True,
    ),
    "rates": Kind(figure=rates_figure, shows="spikes per neuron, layer by layer and time step by time step"),
    "crossover": Kind(
        figure=crossover_figure,
        shows="spike rates at which the SNN costs what its ANN baselines cost",
        needs="report.json, made with an ANN baseline",
    ),
    "pareto": Kind(
        figure=pareto_figure,
        shows="accuracy over energy, and which networks nothing beats",
        needs="front.json, from: snn-energy pareto ... --json",
        reads=load_front,
    ),
    "tornado": Kind(
        figure=tornado_figure,
        shows="what the published range of each price does to the energy",
        needs="report.json, made with --uncertainty",
    ),
    "waterfall": Kind(
        figure=waterfall_figure,
        shows="what leads from the lowest published method to the highest",
        needs="explain.json, from: snn-energy explain ... --json",
        reads=load_explanation,
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
        UsageError: unknown kind or suffix, too many documents, or they hold nothing to draw.
    """
    found = find_kind(kind)
    documents = [document] if isinstance(document, Mapping) else list(document)
    found.check_number(kind, len(documents))
    return rendered(lambda: found.figure(documents if found.several else documents[0], style), suffix, style)
