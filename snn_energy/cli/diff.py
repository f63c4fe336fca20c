"""`snn-energy diff`: what changed between two reports, layer by layer, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.columns import prose, table_lines
from snn_energy.cli.console import emit_json, print_line, stdout_console
from snn_energy.cli.options import JsonOption

if TYPE_CHECKING:
    from snn_energy.reporting.document import Document
    from snn_energy.workflow.attribution import Attribution


def diff_command(
    old: Annotated[Path, typer.Argument(metavar="OLD.json", help="A report saved as JSON.")],
    new: Annotated[Path, typer.Argument(metavar="NEW.json", help="Another one.")],
    json: JsonOption = False,
) -> None:
    """Show what changed between two reports, and why.

    Layer by layer, the change of the energy is divided among its causes: size (connections, updates, time steps),
    rate (events for each connection), operand class, prices, memory, method, new and removed layers. The terms add
    up exactly. Layers that were renamed are matched.

    \b
    Examples:
      snn-energy diff old.json new.json
      snn-energy diff main.json branch.json --json
    """
    from snn_energy.reporting.document import load_document
    from snn_energy.workflow.attribution import attribute
    from snn_energy.workflow.differing import to_dict

    before, after = load_document(old), load_document(new)
    found = attribute(before, after)
    if json:
        emit_json(to_dict(before, after, found))
        return
    for text, style in diff_lines(before, after, found, stdout_console().width):
        print_line(text, style=style or None)


def diff_lines(old: Document, new: Document, found: Attribution, width: int) -> list[tuple[str, str]]:
    """The tables as lines and their styles."""
    from snn_energy.reporting.facts import headline
    from snn_energy.workflow.differing import Printed, notes, plain, settings, signed

    printed = Printed(found)
    before, after, change = printed.total
    share = "" if not found.old_pj else f" ({float(100 * (found.new_pj / found.old_pj - 1)):+.1f} %)"
    title = f"{plain(before)} to {plain(after)} {printed.unit} per inference: {signed(change)} {printed.unit}{share}"
    lines = [(text, "bold") for text in prose(headline(new), width)]
    lines += [(text, "") for text in prose(title, width)]
    lines += [
        (text, "")
        for what, a, b in settings(old, new)
        for text in prose(f"{what.replace('_', ' ')}: {_known(a)} -> {_known(b)}", width)
    ]
    if not any(one.terms for one in found.changes):
        return [*lines, ("", ""), ("no layer's energy changed", "")]

    def section(heading: str, headings: tuple[str, ...], rows: list[list[str]], left: int) -> None:
        head, *rest = table_lines(headings, rows, width, left=left)
        lines.extend([("", ""), (heading, "bold"), (head, "dim"), *((text, "") for text in rest)])

    unit = printed.unit
    section("By layer", ("layer", f"old {unit}", f"new {unit}", "change"), printed.layers(), 1)
    section("By cause", ("cause", f"change {unit}"), printed.causes(), 1)
    section("Largest terms", ("layer", "cause", "action", "from", "to", f"change {unit}"), printed.reasons(), 3)
    said = [
        "size: connections, updates, time steps. rate: actions for each of them. +, -: new and removed layers. "
        "The terms add up exactly; printed digits are rounded so that they do too.",
        *notes(old, new, found),
    ]
    return [*lines, ("", ""), *((text, "dim") for remark in said for text in prose(remark, width))]


def _known(value: object) -> str:
    return "unknown" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
