"""What `snn-energy hardware show` prints of the machine whose time is counted."""

from __future__ import annotations

from snn_energy.cli.console import print_block, print_line
from snn_energy.hardware.machines import Figure, Machine


def print_machine(machine: Machine) -> None:
    """Print the choices of a [latency] table, and its numbers with their sources."""
    from rich.table import Table

    print_line("\nlatency", style="bold")
    for key, text in machine.texts.items():
        if key != "notes":
            print_line(f"  {key:<16}{text}")
    table = Table(box=None, pad_edge=False)
    table.add_column("number", no_wrap=True)
    table.add_column("value", justify="right", max_width=20)
    table.add_column("evidence", max_width=11)
    table.add_column("source", overflow="fold")
    for key, figure in machine.figures.items():
        table.add_row(key, _value(figure), figure.evidence, f"{figure.source}, {figure.locator}")
    print_block(table)
    if "notes" in machine.texts:
        print_block(machine.texts["notes"].strip())


def _value(figure: Figure) -> str:
    bounds = "" if figure.range is None else f" ({' to '.join(f'{float(end):.12g}' for end in figure.range)})"
    return f"{float(figure.value):.12g}{bounds}"
