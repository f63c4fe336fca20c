"""`snn-energy report`: show a saved report again, in any form, without running the network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_energy.cli.rendering import (
    CrossoverOption,
    FormatOption,
    JsonOption,
    OutputOption,
    check_crossover,
    chosen_format,
    deliver,
)


def report_command(
    report: Annotated[Path, typer.Argument(metavar="REPORT.json", help="A report saved as JSON.")],
    crossover: CrossoverOption = False,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With html: what snn-energy explain --json printed of the same network, to be drawn as well.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show a saved JSON report again, in any form.

    latex: a table of booktabs and the section on methods; bibtex: the entries that they cite; methods: the section as
    plain text with its references.

    \b
    Examples:
      snn-energy report report.json
      snn-energy report report.json --output energy.tex
      snn-energy report report.json --format bibtex >> paper.bib
      snn-energy report report.json --output report.md
      snn-energy report report.json --crossover
      snn-energy report report.json --explain explain.json --output report.html
    """
    form = chosen_format(format, json, output)
    check_crossover(crossover, form)

    from snn_energy.errors import UsageError
    from snn_energy.reporting.document import load_document

    if explain is not None and form != "html":
        raise UsageError(f"--explain is drawn in HTML alone (got --format {form}); add --format html, or leave it out")
    document = load_document(report)
    if explain is not None:
        from snn_energy.reporting.explained import load_explanation

        document = {**document, "explanation": load_explanation(explain, document)}
    deliver(document, form, output, crossover=crossover)
