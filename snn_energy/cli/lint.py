"""`snn-energy lint`: what a table of energy claims leaves unsaid, and where it contradicts itself."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.columns import prose, table_lines
from snn_energy.cli.console import emit_json, print_line, stdout_console
from snn_energy.cli.options import JsonOption

if TYPE_CHECKING:
    from snn_energy.workflow.linting.claims import Claims
    from snn_energy.workflow.linting.rules import Broken, Rule

INDENT = "  "


def lint_command(
    table: Annotated[
        Path | None,
        typer.Argument(metavar="TABLE", help="A table in .csv, .md, .tex or .toml.", show_default=False),
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Text that belongs to the table: caption, section on energy.", show_default=False
        ),
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(metavar="RULE,...", help="Rules to leave out.", show_default=False)
    ] = None,
    list_rules: Annotated[bool, typer.Option("--list", help="List the rules and leave.")] = False,
    json: JsonOption = False,
) -> None:
    """Lint a paper's table of energy claims.

    Says what the table leaves unsaid (T, source of rates, borders, batch norms, encoder, memory, prices, bits,
    baseline) and recomputes what its own columns allow (ACs x price + MACs x price, rate x T x MACs, ratios, totals).
    Exit code 1 on findings. Text around the table counts: a caption, lines that begin with # in CSV, [assumptions] in
    TOML.

    \b
    Examples:
      snn-energy lint table.tex
      snn-energy lint table.csv --notes section-on-energy.md
      snn-energy lint table.md --ignore borders,neurons --json
      snn-energy lint --list
    """
    from snn_energy.errors import UsageError
    from snn_energy.workflow.linting.claims import claims_of
    from snn_energy.workflow.linting.reading import latex_words, read_table, read_text
    from snn_energy.workflow.linting.rules import FORMAT, RULES, lint

    if list_rules:
        _list(RULES, as_json=json)
        return
    if table is None:
        raise UsageError("nothing to lint: name a table (.csv, .md, .tex, .toml), or list the rules with --list")
    ignored = [] if ignore is None else [name.strip() for name in ignore.split(",") if name.strip()]
    claims = claims_of(read_table(table, "" if notes is None else latex_words(read_text(notes))))
    found = lint(claims, ignored)
    if json:
        emit_json(
            {
                "format": FORMAT,
                "table": claims.table.name,
                "columns": {role: column.heading for role, column in claims.columns.items()},
                "prices_pj": {"mac": float(claims.prices.mac), "ac": float(claims.prices.ac)},
                "prices_of": claims.prices.source,
                "broken": [broken.to_dict() for broken in found],
            }
        )
    else:
        for text, style in lint_lines(claims, found, stdout_console().width):
            print_line(text, style=style or None)
    if found:
        raise typer.Exit(1)


def _list(rules: Sequence[Rule], *, as_json: bool) -> None:
    if as_json:
        keys = ("name", "kind", "asks", "why", "reference")
        emit_json([{key: getattr(rule, key) for key in keys} for rule in rules])
        return
    width = stdout_console().width
    for rule in rules:
        for text in textwrap.wrap(f"{rule.name} ({rule.kind}): {rule.asks}", width, subsequent_indent=INDENT):
            sys.stdout.write(f"{text}\n")


def lint_lines(claims: Claims, found: Sequence[Broken], width: int) -> list[tuple[str, str]]:
    """What was read, then each broken rule with its places, why it matters, and where to read on."""
    from snn_energy.workflow.linting.columns import COLUMN_NAMES
    from snn_energy.workflow.linting.rules import SILENT

    prices = claims.prices
    read = ", ".join(f"{COLUMN_NAMES.get(role, role)}: {column.heading!r}" for role, column in claims.columns.items())
    count = len(claims.rows)
    lines = [(claims.table.name, "bold")]
    lines += [(text, "dim") for text in prose(f"{count} row{'s' * (count != 1)}; columns read as {read}", width)]
    tried = f"{float(prices.mac):g} pJ a MAC and {float(prices.ac):g} pJ an AC ({prices.source})"
    lines += [(text, "dim") for text in prose(f"recomputed at {tried}", width)]
    if not found:
        return [*lines, ("no findings", "green")]
    rows = [[one.rule.name, one.rule.kind, str(len(one.findings))] for one in found]
    head, *rest = table_lines(("rule", "kind", "findings"), rows, width, left=2)
    lines += [("", ""), (head, "dim"), *((text, "") for text in rest)]
    for one in found:
        lines += [("", ""), (f"{one.rule.name} ({one.rule.kind})", "yellow")]
        texts = [f"{where}: {what}" for where, what in one.findings if what != SILENT]
        texts += [f"asked: {one.rule.asks}", f"why: {one.rule.why}", f"see: {one.rule.reference}"]
        for text in texts:
            wrapped = textwrap.wrap(
                text, width, initial_indent=INDENT, subsequent_indent=INDENT * 2, break_on_hyphens=False,
                break_long_words=False,
            )  # fmt: skip
            lines += [(line, "") for line in wrapped]
    return lines
