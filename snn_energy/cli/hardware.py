"""`snn-energy hardware`: list, show and check hardware profiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from snn_energy.cli.console import emit_json, print_block, print_line
from snn_energy.errors import ProfileError
from snn_energy.hardware import Hardware, display_path, list_hardware, load_hardware, locate_hardware

app = typer.Typer(rich_markup_mode=None)
"""The subcommands of `hardware`."""


@app.callback()
def _hardware() -> None:
    """List, show and check hardware profiles.

    A profile says what each action costs on one piece of hardware, in pJ.

    \b
    Examples:
      snn-energy hardware list
      snn-energy hardware show horowitz-45nm-fp32
      snn-energy hardware check my-chip.toml
    """


_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command("list")
def list_command(json: _Json = False) -> None:
    """List the shipped profiles.

    \b
    Examples:
      snn-energy hardware list
      snn-energy hardware list --json
    """
    profiles = [load_hardware(name) for name in list_hardware()]
    if json:
        emit_json([profile.as_dict() for profile in profiles])
        return

    from rich.table import Table

    table = Table("name", "data type", box=None, pad_edge=False)
    for heading in ("node nm", "mac pJ", "ac pJ"):
        table.add_column(heading, justify="right")
    table.add_column("scope")
    for profile in profiles:
        table.add_row(
            profile.name,
            profile.datatype or "-",
            "-" if profile.node_nm is None else _number(profile.node_nm),
            _energy(profile, "mac"),
            _energy(profile, "ac"),
            profile.scope,
        )
    print_block(table)


@app.command("show")
def show_command(
    hardware: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PATH",
            help="Name of a shipped profile, or path of a TOML file.",
            autocompletion=lambda: list(list_hardware()),
        ),
    ],
    json: _Json = False,
) -> None:
    """Show one profile: every price with its evidence and its source.

    \b
    Examples:
      snn-energy hardware show horowitz-45nm-fp32
      snn-energy hardware show my-chip.toml --json
    """
    profile = load_hardware(hardware)
    if json:
        emit_json(profile.as_dict())
        return
    print_line(profile.name, style="bold")
    print_line(profile.title)
    print_line(_facts(profile))
    if profile.notes:
        print_block(profile.notes.strip())
    _print_prices(profile)
    _print_entries("Unpriced", profile.unpriced.items())
    sources = (
        (key, "\n".join(part for part in (source.citation, source.url, source.note) if part))
        for key, source in profile.sources.items()
    )
    _print_entries("Sources", sources)


@app.command("check")
def check_command(
    hardware: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|PATH",
            help="Profiles to check; all shipped ones if none is given.",
            autocompletion=lambda: list(list_hardware()),
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check profiles against the schema; exit with 1 on problems.

    Every problem is listed, one line each.

    \b
    Examples:
      snn-energy hardware check
      snn-energy hardware check my-chip.toml
    """
    sound = True
    for path in [locate_hardware(name) for name in hardware or list_hardware()]:
        try:
            load_hardware(path)
        except ProfileError as error:
            sound = False
            for problem in str(error).splitlines():
                print_line(problem, style="red")
        else:
            print_line(f"{display_path(path)}: ok", style="green")
    if not sound:
        raise typer.Exit(1)


def _print_prices(profile: Hardware) -> None:
    from rich.table import Table

    table = Table("action", box=None, pad_edge=False)
    table.add_column("pJ", justify="right")
    table.add_column("evidence")
    table.add_column("source", overflow="fold")
    for action, price in profile.energy_pj.items():
        value = _number(price.value_pj)
        if price.range_pj is not None:
            value += f" ({' to '.join(map(_number, price.range_pj))})"
        table.add_row(action, value, price.evidence, f"{price.source}, {price.locator}")
    print_line("")
    print_block(table)


def _print_entries(heading: str, entries: Iterable[tuple[str, str]]) -> None:
    from rich.padding import Padding

    rows = list(entries)
    if not rows:
        return
    print_line(f"\n{heading}", style="bold")
    for key, text in rows:
        print_line(f"  {key}")
        print_block(Padding(text, (0, 0, 0, 4)))


def _facts(profile: Hardware) -> str:
    facts = (
        ("node", profile.node_nm, " nm"),
        ("supply", profile.voltage_v, " V"),
        ("data type", profile.datatype, ""),
        ("operand", profile.operand_bits, " bits"),
        ("scope", profile.scope, ""),
        ("integer spikes", profile.integer_spikes, ""),
    )
    return "\n".join(
        f"  {label:<16}{value if isinstance(value, str) else _number(value)}{unit}"
        for label, value, unit in facts
        if value is not None
    )


def _energy(profile: Hardware, action: str) -> str:
    price = profile.energy_pj.get(action)
    return "-" if price is None else _number(price.value_pj)


def _number(value: float) -> str:
    return f"{value:.12g}"
