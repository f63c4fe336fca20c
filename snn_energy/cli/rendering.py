"""How commands hand over a report: to the terminal, to a file, as a figure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_energy.cli.console import print_line, progress, stdout_console

FORMAT_NAMES = ("table", "json", "csv", "md", "html", "latex", "bibtex", "methods")

FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMAT_NAMES),
        help="Form of the report; default: what the suffix of --output says, else a table.",
        autocompletion=lambda: list(FORMAT_NAMES),
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
UncertaintyOption = Annotated[
    bool,
    typer.Option(
        "--uncertainty",
        help="Say what the published ranges of the prices leave of the energy: interval, draws, chances.",
    ),
]
CrossoverOption = Annotated[
    bool,
    typer.Option(
        "--crossover",
        help="Add for each layer the spike rate below which the SNN needs less than each ANN (JSON always holds it).",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the report here.", show_default=False),
]


def chosen_format(name: str | None, json: bool, output: Path | None) -> str:
    """The format that the options ask for, checked before any work is done."""
    from snn_energy.errors import UsageError
    from snn_energy.reporting.formats import find_format

    if json and name not in (None, "json"):
        raise UsageError(f"--json and --format {name} exclude each other; give one of them")
    return find_format("json" if json else name, output)


def check_writable(path: Path | None) -> None:
    """Refuse a place that cannot be written to before minutes of work, not after."""
    from snn_energy.errors import UsageError

    if path is None:
        return
    if path.is_dir():
        raise UsageError(f'cannot write "{path}": it is a folder; give a file name')
    if not path.resolve().parent.is_dir():
        raise UsageError(f'cannot write "{path}": no folder "{path.parent}"; create it first')


def check_crossover(crossover: bool, form: str) -> None:
    """Refuse a form that has no place for the crossover tables."""
    from snn_energy.errors import UsageError
    from snn_energy.reporting.formats import CROSSOVER_TEXTS

    if crossover and form not in CROSSOVER_TEXTS:
        raise UsageError(
            f"--crossover adds tables for people, not to {form} (expected one of {', '.join(CROSSOVER_TEXTS)}); leave "
            "it out: --format json holds every crossover anyway"
        )


def deliver(document: Mapping[str, Any], form: str, output: Path | None, *, crossover: bool = False) -> None:
    """Print the report, or write it to `output` and say so on standard error; `crossover` adds its tables."""
    from snn_energy.files import write_atomic
    from snn_energy.reporting.formats import CROSSOVER_TEXTS, FORMATS

    added = CROSSOVER_TEXTS[form](document) if crossover else ""
    if output is not None:
        write_atomic(output, FORMATS[form](document) + added)
        print_line(f"wrote {output}", to_stderr=True)
    elif form == "table":
        from snn_energy.reporting.crossover_view import crossover_lines
        from snn_energy.reporting.terminal import terminal_lines

        width = stdout_console().width
        for text, style in (
            *terminal_lines(document, width),
            *(crossover_lines(document, width) if crossover else ()),
        ):
            print_line(text, style=style or None)
    else:
        sys.stdout.write(FORMATS[form](document) + added)


def deliver_figure(
    document: Mapping[str, Any] | Sequence[Mapping[str, Any]], kind: str, path: Path, width: str = "screen"
) -> None:
    """Draw one figure of a document, or of several, into `path` and say so on standard error."""
    from snn_energy.files import write_atomic
    from snn_energy.reporting.plots import draw
    from snn_energy.reporting.style import figure_suffix, find_style

    with progress(f"drawing {kind}"):
        content = draw(document, kind, figure_suffix(path), find_style(width))
    write_atomic(path, content)
    print_line(f"wrote {path}", to_stderr=True)
