"""`snn-energy selftest`: the public trap suite against this installation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.console import emit_json, print_block, print_line, progress

if TYPE_CHECKING:
    from snn_energy.selftest import Result, Row


def selftest_command(
    filter: Annotated[
        str,
        typer.Option(metavar="TEXT", help="Only rows whose id, title or recorded tools hold this.", show_default=False),
    ] = "",
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where the rows run.")] = "cpu",
    list_only: Annotated[bool, typer.Option("--list", help="List the rows with their answers; run none.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: rows, derivations, answers.")] = False,
) -> None:
    """Check the counts against the trap suite.

    Every row is a small network on which some counter goes wrong, with an answer worked out by hand. Exits with 1
    if any row fails. A row holds if all its answers are exact; the table shows one of them.

    \b
    Examples:
      snn-energy selftest
      snn-energy selftest --filter attention
      snn-energy selftest --list --filter syops
      snn-energy selftest --device cuda --json
    """
    from snn_energy.errors import UsageError
    from snn_energy.selftest import ROWS, as_document, as_list, matching, run_rows

    rows = matching(ROWS.values(), filter)
    if not rows:
        raise UsageError(f'no row holds "{filter}"; all rows: snn-energy selftest --list')
    if list_only:
        if json:
            emit_json(as_list(rows, device))
        else:
            _print_list(rows)
        return
    with progress("selftest", total=len(rows)) as advance:
        results = run_rows(rows, device, lambda result: advance(note=result.row.id))
    document = as_document(results, device)
    if json:
        emit_json(document)
    else:
        _print_results(results)
        print_line(
            f"{document['passed']} of {len(results)} rows hold on torch {document['torch']}, {device} "
            f"({document['seconds']:.1f} s)",
            style="red" if document["failed"] else "green",
        )
        if len(results) < len(rows):
            print_line(f"{len(rows) - len(results)} rows left out: they run on a CPU alone")
    if document["failed"]:
        raise typer.Exit(1)


def _print_list(rows: Sequence[Row]) -> None:
    from rich.table import Table

    from snn_energy.selftest import headline

    table = Table("id", "what", box=None, pad_edge=False)
    table.add_column("exact", justify="right")
    table.add_column("derivation", ratio=1)
    for row in rows:
        question, exact, _ = headline(row)
        table.add_row(row.id, f"{row.title}: {question}", exact, row.why)
    print_block(table)


def _print_results(results: Sequence[Result]) -> None:
    from rich.table import Table

    from snn_energy.selftest import headline, spelled

    table = Table("id", "what", box=None, pad_edge=False)
    table.add_column("expected", justify="right")
    table.add_column("got", justify="right")
    table.add_column("ok")
    for result in results:
        question, exact, got = headline(result.row, result)
        table.add_row(result.row.id, f"{result.row.title}: {question}", exact, got, "ok" if result.ok else "WRONG")
    print_block(table)
    for result in results:
        if result.ok:
            continue
        row, ours = result.row, result.got
        pairs = ((name, right, ours.get(name, right)) for name, right in row.expect.items())
        wrong = [f"{name}: expected {spelled(right)}, got {spelled(own)}" for name, right, own in pairs if own != right]
        remarks = "; ".join([*wrong, *([result.note] if result.note else [])])
        print_line(f"{row.id}: {remarks or 'expected a refusal'}. Derivation: {row.why}", style="red")
