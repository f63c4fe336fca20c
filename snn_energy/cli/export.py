"""`snn-energy export`: write a network in a format that other tools read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from snn_energy.cli.console import emit_json, print_block, print_line
from snn_energy.cli.export_nir import nir_command
from snn_energy.cli.export_onnx import onnx_command
from snn_energy.cli.export_simulators import add_simulators

app = typer.Typer(rich_markup_mode=None)
"""The subcommands of `export`."""

app.command("onnx")(onnx_command)
app.command("nir")(nir_command)


@app.callback()
def _export() -> None:
    """Write a network in a format that other tools read.

    \b
    Examples:
      snn-energy export list
      snn-energy export onnx fashion-cnn --output fashion-cnn.onnx
      snn-energy export nir fashion-cnn --output fashion-cnn.nir
    """


_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("list")
def list_command(json: _Json = False) -> None:
    """List the formats: what each holds, needs and leaves out.

    \b
    Examples:
      snn-energy export list
      snn-energy export list --json
    """
    from snn_energy.exporting import FORMATS
    from snn_energy.exporting.simulator_formats import SIMULATORS

    rows = (*FORMATS, *SIMULATORS)
    if json:
        emit_json([asdict(row) for row in rows])
        return

    from rich.padding import Padding

    for row in rows:
        print_line(f"{row.command} ({row.form})", style="bold")
        for what, text in (("holds", row.holds), ("needs", row.needs), ("leaves out", row.leaves_out)):
            print_block(Padding(f"{what}: {text}", (0, 0, 0, 2)))


add_simulators(app)
