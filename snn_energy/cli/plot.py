"""`snn-energy plot`: figures of a saved report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_energy.cli.rendering import deliver_figure

DEFAULT_KIND = "layers"


def plot_command(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] REPORT.json",
            help='Kind of figure ("layers" if left out), then a report saved as JSON.',
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .png, .svg or .pdf file; default: REPORT.KIND.png in the current folder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw a figure of a saved JSON report.

    layers: energy of every layer, SNN beside ANN, and the spike rate of every layer.
    tornado: what the published range of each price does to the energy; of a report made with --uncertainty.

    \b
    Examples:
      snn-energy plot report.json
      snn-energy plot layers report.json --output layers.pdf
    """
    from snn_energy.errors import UsageError
    from snn_energy.reporting.document import load_document

    if len(what) > 2:
        raise UsageError(f"plot takes a kind and one report (got {len(what)} words: {' '.join(what)})")
    kind = what[0] if len(what) == 2 else DEFAULT_KIND
    report = Path(what[-1])
    path = output if output is not None else Path(f"{report.stem}.{kind}.png")
    deliver_figure(load_document(report), kind, path)
