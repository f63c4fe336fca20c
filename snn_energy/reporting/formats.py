"""The formats of a report, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import PurePath

from snn_energy.errors import UsageError
from snn_energy.reporting.bibtex import bibtex
from snn_energy.reporting.crossover_view import crossover_lines, crossover_markdown
from snn_energy.reporting.csvtable import csv_table
from snn_energy.reporting.document import Document
from snn_energy.reporting.html.page import html_page
from snn_energy.reporting.latex import latex
from snn_energy.reporting.markdown import markdown
from snn_energy.reporting.methods import methods_text
from snn_energy.reporting.terminal import terminal_text

FILE_WIDTH = 120
"""Columns of a table that is written to a file."""

SUFFIXES = {"tex": "latex", "bib": "bibtex"}
"""Suffix of a file -> its format, where that has another name."""


def _json(document: Document) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Document], str]] = {
    "table": lambda document: terminal_text(document, FILE_WIDTH),
    "json": _json,
    "csv": csv_table,
    "latex": latex,
    "bibtex": bibtex,
    "methods": methods_text,
    "md": markdown,
    "html": html_page,
}
"""Name of a format -> what makes the text of a report in it."""

CROSSOVER_TEXTS: dict[str, Callable[[Document], str]] = {
    "table": lambda document: "".join(f"{text}\n" for text, _ in crossover_lines(document, FILE_WIDTH)),
    "md": lambda document: f"\n{crossover_markdown(document)}",
}
"""Name of a format that can show the crossover tables -> what it adds for them."""


def find_format(name: str | None, output: str | PurePath | None = None) -> str:
    """The format asked for, else the one that the suffix of `output` says, else "table".

    Raises:
        UsageError: there is no such format.
    """
    if name is None:
        suffix = PurePath(output).suffix[1:].lower() if output is not None else ""
        suffix = SUFFIXES.get(suffix, suffix)
        return suffix if suffix in FORMATS else "table"
    if name not in FORMATS:
        close = get_close_matches(name, FORMATS, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"unknown format {name!r}: {meant}expected one of {', '.join(FORMATS)}")
    return name
