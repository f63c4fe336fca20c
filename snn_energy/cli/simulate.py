"""`snn-energy simulate`: run a simulator on a network, and set its cycles and energy beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.columns import prose, table_lines
from snn_energy.cli.console import emit_json, print_line, progress, stdout_console
from snn_energy.cli.export_simulators import (
    DEFAULT_ARRAY,
    DEFAULT_MACHINE,
    ArrayOption,
    DataflowOption,
    FormOption,
    SourceArgument,
    array_size,
    request,
    traced,
)
from snn_energy.cli.options import (
    DataDirOption,
    DataOption,
    FirstSamplesOption,
    HardwareOption,
    JsonOption,
    LayoutOption,
    ModelArgsOption,
    ModelOption,
    SplitOption,
)

if TYPE_CHECKING:
    from snn_energy.costing.report import Report
    from snn_energy.reporting.subject import DataRequest
    from snn_energy.simulating import Simulated

app = typer.Typer(rich_markup_mode=None)
"""The subcommands of `simulate`."""

ForceOption = Annotated[bool, typer.Option("--force", help="Run what the simulator can hold, and list the rest.")]


@app.callback()
def _simulate() -> None:
    """Run an installed simulator on a network.

    Each layer runs once in the simulator, in a process of its own; its cycles and energy, times the layer's runs
    in one inference, stand beside our estimate.

    \b
    Examples:
      snn-energy simulate scalesim fashion-cnn
      snn-energy simulate zigzag fashion-cnn --json
    """


@app.command("scalesim")
def scalesim_command(
    source: SourceArgument = None,
    array: ArrayOption = DEFAULT_ARRAY,
    dataflow: DataflowOption = "output-stationary",
    form: FormOption = "conv",
    hardware: HardwareOption = "horowitz-45nm-fp32",
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    data: DataOption = None,
    layout: LayoutOption = "N",
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: FirstSamplesOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Run SCALE-Sim: cycles of a systolic array.

    Needs scalesim: pip install 'scalesim==3.0.0'.

    \b
    Examples:
      snn-energy simulate scalesim fashion-cnn
      snn-energy simulate scalesim counts.json.gz --array 8x16
      snn-energy simulate scalesim fashion-cnn --dataflow weight-stationary --json
      snn-energy simulate scalesim --model net:build --data x.npy
    """
    from snn_energy.exporting.simulators.scalesim import Array
    from snn_energy.simulating import simulate_scalesim
    from snn_energy.simulating.scalesim_run import TOOL

    TOOL.version()
    rows, cols = array_size(array)
    machine = Array(rows=rows, cols=cols, dataflow=dataflow)
    wanted = request(data, layout=layout, split=split, data_dir=data_dir, samples=samples)
    report = _report(source, hardware, wanted, model=model, model_args=model_args)
    with progress("SCALE-Sim"):
        found = simulate_scalesim(report, array=machine, form=form, force=force)
    _show(found, json)


@app.command("zigzag")
def zigzag_command(
    source: SourceArgument = None,
    array: ArrayOption = DEFAULT_ARRAY,
    machine: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="Hardware profile: prices of ZigZag's units and memories.")
    ] = DEFAULT_MACHINE,
    hardware: HardwareOption = "horowitz-45nm-fp32",
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    data: DataOption = None,
    layout: LayoutOption = "N",
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: FirstSamplesOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Run ZigZag: energy and cycles of an array with memories.

    Needs ZigZag: pip install 'zigzag-dse==3.9.1'.

    \b
    Examples:
      snn-energy simulate zigzag fashion-cnn
      snn-energy simulate zigzag counts.json.gz --array 16x16 --json
    """
    from snn_energy.hardware import load_hardware
    from snn_energy.simulating import simulate_zigzag
    from snn_energy.simulating.zigzag_run import TOOL

    TOOL.version()
    rows, cols = array_size(array)
    prices = load_hardware(machine)
    wanted = request(data, layout=layout, split=split, data_dir=data_dir, samples=samples)
    report = _report(source, hardware, wanted, model=model, model_args=model_args)
    with progress("ZigZag"):
        found = simulate_zigzag(report, machine=prices, rows=rows, cols=cols, force=force)
    _show(found, json)


def _report(
    source: str | None, hardware: str, wanted: DataRequest, *, model: str | None, model_args: str | None
) -> Report:
    from snn_energy.costing.pricing import price
    from snn_energy.hardware import load_hardware

    prices = load_hardware(hardware)
    return price(traced(source, wanted, model=model, model_args=model_args), prices)


def _show(found: Simulated, json: bool) -> None:
    if json:
        emit_json(found.to_dict())
        return
    for line, style in simulated_lines(found, stdout_console().width):
        print_line(line, style=style or None)


def simulated_lines(found: Simulated, width: int) -> list[tuple[str, str]]:
    """The table as lines and their styles: per inference, the simulator's numbers, then ours."""
    title = f"{found.simulator} {found.version}, {found.machine}; ours: {found.hardware}; per inference"
    rows = [
        [
            layer.name,
            f"{layer.runs:,}",
            f"{layer.cycles:,}",
            f"{layer.stall_cycles:,}",
            "-" if layer.our_cycles is None else f"{layer.our_cycles:,}",
            _energy(layer.energy_pj),
            _energy(layer.our_energy_pj),
        ]
        for layer in found.layers
    ]
    stalls = sum(layer.stall_cycles for layer in found.layers)
    ours = "-" if found.our_cycles is None else f"{found.our_cycles:,}"
    energies = [_energy(found.energy_pj), _energy(found.our_energy_pj)]
    rows.append(["sum", "", f"{found.cycles:,}", f"{stalls:,}", ours, *energies])
    head, *rest = table_lines(("layer", "runs", "cycles", "stalls", "ours", "energy", "ours"), rows, width)
    lines = [(text, "bold") for text in prose(title, width)]
    lines += [("", ""), (head, "dim"), *((text, "") for text in rest), ("", "")]
    return lines + [(text, "dim") for remark in found.remarks for text in prose(f"{remark}.", width)]


def _energy(pj: float | None) -> str:
    from snn_energy.reporting.numbers import energy_unit

    if pj is None:
        return "-"
    from fractions import Fraction

    name, size = energy_unit(Fraction(pj))
    return f"{pj / float(size):.4g} {name}"
