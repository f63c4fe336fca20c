"""`snn-energy plot`: figures of saved reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_energy.cli.columns import table_lines
from snn_energy.cli.console import emit_json, print_line, stdout_console
from snn_energy.cli.rendering import check_writable, deliver_figure
from snn_energy.errors import UsageError

DEFAULT_KIND = "layers"
DEFAULT_WIDTH = "screen"
WIDTHS = ("screen", "single", "double")


def _list_kinds(*, json: bool) -> None:
    from snn_energy.reporting.plots import KINDS

    if json:
        emit_json([{"kind": name, "shows": kind.shows, "needs": kind.needs} for name, kind in KINDS.items()])
        return
    rows = [[name, kind.shows] for name, kind in KINDS.items()]
    for line in table_lines(["kind", "what it shows"], rows, stdout_console().width, left=2):
        print_line(line)
    print_line("")
    for name, kind in KINDS.items():
        files, _, how = kind.needs.partition(", ")
        print_line(f"snn-energy plot {name} {files}{f'    # {how}' if how else ''}")


def _kinds() -> list[str]:
    from snn_energy.reporting.plots import KINDS

    return list(KINDS)


def plot_command(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KIND] REPORT.json...",
            help='Kind of figure ("layers" if left out), then reports saved as JSON.',
            autocompletion=_kinds,
            show_default=False,
        ),
    ] = None,
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
    width: Annotated[
        str,
        typer.Option(
            metavar="|".join(WIDTHS),
            help="9 inches with a title, or one or both columns of a paper (3.5 and 7.16 inches).",
            autocompletion=lambda: list(WIDTHS),
        ),
    ] = DEFAULT_WIDTH,
    json: Annotated[bool, typer.Option("--json", help="Print what was drawn, or the list, as JSON.")] = False,
    list_kinds: Annotated[bool, typer.Option("--list", help="List the kinds of figures and what each reads.")] = False,
) -> None:
    """Draw a figure of saved JSON reports, for the screen or a paper.

    Colours are safe for colour-blind readers; equal reports give equal files. PDF and SVG need no font installed
    at the widths of a paper. More than about 40 layers do not fit on a page: there the smallest share a row.

    \b
    Examples:
      snn-energy plot --list
      snn-energy plot report.json
      snn-energy plot breakdown report.json --width single --output energy.pdf
      snn-energy plot comparison a.json b.json --width double --output compare.pdf
    """
    if list_kinds:
        _list_kinds(json=json)
        return
    if not what:
        raise UsageError("nothing to draw: name a report, like report.json, saved by: snn-energy profile ... --output")
    from snn_energy.reporting.plots import find_kind
    from snn_energy.reporting.style import figure_suffix, find_style

    named = len(what) > 1 and not what[0].endswith(".json")
    kind, files = (what[0], what[1:]) if named else (DEFAULT_KIND, what)
    found = find_kind(kind)
    find_style(width)
    path = output if output is not None else Path(f"{Path(files[0]).stem}.{kind}.png")
    figure_suffix(path)
    check_writable(path)
    found.check_number(kind, len(files))
    deliver_figure([found.reads(Path(name)) for name in files], kind, path, width)
    if json:
        emit_json({"path": str(path), "kind": kind, "width": width})
