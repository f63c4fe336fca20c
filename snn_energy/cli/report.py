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
    """
    form = chosen_format(format, json, output)
    check_crossover(crossover, form)

    from snn_energy.reporting.document import load_document

    deliver(load_document(report), form, output, crossover=crossover)
