"""`snn-energy export scalesim | zigzag | timeloop | sata | sanafe | loas | prosperity`: inputs of simulators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.console import emit_json, print_block, print_line, progress
from snn_energy.cli.networks import named_subject
from snn_energy.cli.options import (
    DataDirOption,
    DataOption,
    FirstSamplesOption,
    JsonOption,
    LayoutOption,
    ModelArgsOption,
    ModelOption,
    SplitOption,
)
from snn_energy.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from snn_energy.counting.counts import Trace
    from snn_energy.exporting.simulators.folder import Written
    from snn_energy.reporting.subject import DataRequest, Subject

DEFAULT_SAMPLES = 1000
TRACE_NAMES = (".json", ".json.gz", ".gz")
DEFAULT_ARRAY = "32x32"
DEFAULT_MACHINE = "han-45nm-int32"

SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[CHECKPOINT|TRACE]",
        help="Trace file (.json, .json.gz), checkpoint file, name of a shipped one (fashion-cnn), or an .onnx or .nir "
        "graph; with --model, a plain state dict.",
        show_default=False,
    ),
]
CheckpointArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[CHECKPOINT]",
        help="Checkpoint file, name of a shipped one (fashion-cnn), or a .nir graph; with --model, a plain state dict.",
        show_default=False,
    ),
]
FolderOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write into.", show_default=False)
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Write what the format can hold, with a list of what it cannot.")
]
ArrayOption = Annotated[str, typer.Option(metavar="RxC", help="Rows and columns of the array.")]
DataflowOption = Annotated[
    str, typer.Option(metavar="NAME", help="output-stationary, weight-stationary or input-stationary.")
]
FormOption = Annotated[
    str, typer.Option(metavar="conv|gemm", help="Topology: convolutions as such, or all layers as products.")
]
SpikeSamplesOption = Annotated[int, typer.Option(metavar="N", min=1, help="Replay the first N samples.")]
SampleOption = Annotated[int, typer.Option(metavar="I", min=0, help="Which sample of the data, from 0.")]


def add_simulators(app: typer.Typer) -> None:
    """Give `export` its simulators."""
    for name, command in COMMANDS.items():
        app.command(name)(command)


def scalesim_command(
    output: FolderOption,
    source: SourceArgument = None,
    form: FormOption = "conv",
    array: ArrayOption = DEFAULT_ARRAY,
    dataflow: DataflowOption = "output-stationary",
    sparsity: Annotated[
        str | None,
        typer.Option(metavar="N:M", help="Declare N:M structured weights, like 2:4.", show_default=False),
    ] = None,
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
    """Write SCALE-Sim's topology, layout and config.

    One row is one run of a layer; SCALE-Sim knows no time steps, and the side-car snn_energy.json says how often
    one inference runs it, with the measured activity.

    \b
    Examples:
      snn-energy export scalesim fashion-cnn -o scalesim/
      snn-energy export scalesim counts.json.gz -o scalesim/ --form gemm
      snn-energy export scalesim counts.json.gz -o out/ --array 8x16 --force
      snn-energy export scalesim --model net:build --data x.npy -o out/
    """
    from snn_energy.exporting.simulators.scalesim import Array, export_scalesim

    rows, cols = array_size(array)
    machine = Array(rows=rows, cols=cols, dataflow=dataflow)
    pattern = None if sparsity is None else _pattern(sparsity)
    wanted = request(data, layout=layout, split=split, data_dir=data_dir, samples=samples)
    trace = traced(source, wanted, model=model, model_args=model_args)
    written = export_scalesim(trace, output, form=form, array=machine, sparsity=pattern, force=force)
    _tell(written, json)


def zigzag_command(
    output: FolderOption,
    source: SourceArgument = None,
    machine: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="Hardware profile: prices of units and memories.")
    ] = DEFAULT_MACHINE,
    array: ArrayOption = DEFAULT_ARRAY,
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
    """Write ZigZag's ONNX workload, mapping, accelerator.

    The ONNX file holds sizes and no weights; the accelerator is a weight-stationary array with the prices of a
    hardware profile.

    \b
    Examples:
      snn-energy export zigzag fashion-cnn -o zigzag/
      snn-energy export zigzag counts.json.gz -o zigzag/ --array 16x16
    """
    from snn_energy.exporting.simulators.zigzag import export_zigzag
    from snn_energy.hardware import load_hardware
    from snn_energy.simulating.accelerators import accelerator_of

    rows, cols = array_size(array)
    accelerator = accelerator_of(load_hardware(machine), rows=rows, cols=cols)
    wanted = request(data, layout=layout, split=split, data_dir=data_dir, samples=samples)
    trace = traced(source, wanted, model=model, model_args=model_args)
    _tell(export_zigzag(trace, output, accelerator, force=force), json)


def timeloop_command(
    output: FolderOption,
    source: SourceArgument = None,
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
    """Write Timeloop/Sparseloop problems with densities.

    One problem for each layer, with the densities that were measured.

    \b
    Examples:
      snn-energy export timeloop fashion-cnn -o problems/
      snn-energy export timeloop counts.json.gz -o problems/
    """
    from snn_energy.exporting.simulators.timeloop import export_timeloop

    wanted = request(data, layout=layout, split=split, data_dir=data_dir, samples=samples)
    trace = traced(source, wanted, model=model, model_args=model_args)
    _tell(export_timeloop(trace, output, force=force), json)


def sata_command(
    output: FolderOption,
    source: SourceArgument = None,
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
    """Write SATA_Sim's workload with the measured sparsity.

    \b
    Examples:
      snn-energy export sata fashion-cnn -o sata/
      snn-energy export sata counts.json.gz -o sata/
    """
    from snn_energy.exporting.simulators.sata import export_sata

    wanted = request(data, layout=layout, split=split, data_dir=data_dir, samples=samples)
    trace = traced(source, wanted, model=model, model_args=model_args)
    _tell(export_sata(trace, output, force=force), json)


def sanafe_command(
    output: FolderOption,
    checkpoint: CheckpointArgument = None,
    samples: SpikeSamplesOption = 1,
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    data: DataOption = None,
    layout: LayoutOption = "N",
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write a SANA-FE network that replays measured spikes.

    Mapped on Loihi, sample after sample. Layers that are fed real values have no spikes to replay: --force leaves
    them out and lists them.

    \b
    Examples:
      snn-energy export sanafe fashion-cnn -o sanafe/ --force
      snn-energy export sanafe my.pt -o sanafe/ --data x.npy --samples 5
      snn-energy export sanafe -o out/ --model net:build --data x.npy --layout TN
    """
    from snn_energy.exporting.simulators.sanafe import export_sanafe

    wanted = request(data, layout=layout, split=split, data_dir=data_dir)
    ran = _run_on(checkpoint, wanted, 0, samples, model=model, model_args=model_args)
    _tell(export_sanafe(ran.model, ran.inputs, ran.trace, output, force=force, batch_axis=ran.batch_axis), json)


def loas_command(
    output: FolderOption,
    checkpoint: CheckpointArgument = None,
    sample: SampleOption = 0,
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    data: DataOption = None,
    layout: LayoutOption = "N",
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write LoAS's spike and weight matrices as .npy.

    Layers that are fed real values have no spikes: --force leaves them out and lists them.

    \b
    Examples:
      snn-energy export loas fashion-cnn -o loas/ --force
      snn-energy export loas fashion-cnn -o loas/ --sample 7 --force
    """
    from snn_energy.exporting.simulators.loas import export_loas

    wanted = request(data, layout=layout, split=split, data_dir=data_dir)
    ran = _run_on(checkpoint, wanted, sample, 1, model=model, model_args=model_args)
    _tell(export_loas(ran.model, ran.inputs, ran.trace, output, force=force, batch_axis=ran.batch_axis), json)


def prosperity_command(
    output: FolderOption,
    checkpoint: CheckpointArgument = None,
    sample: SampleOption = 0,
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    data: DataOption = None,
    layout: LayoutOption = "N",
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write Prosperity's spike maps as .npy.

    Layers that are fed real values have no spikes: --force leaves them out and lists them.

    \b
    Examples:
      snn-energy export prosperity fashion-cnn -o prosperity/ --force
    """
    from snn_energy.exporting.simulators.prosperity import export_prosperity

    wanted = request(data, layout=layout, split=split, data_dir=data_dir)
    ran = _run_on(checkpoint, wanted, sample, 1, model=model, model_args=model_args)
    _tell(export_prosperity(ran.model, ran.inputs, ran.trace, output, force=force, batch_axis=ran.batch_axis), json)


COMMANDS: dict[str, Callable[..., None]] = {
    "scalesim": scalesim_command,
    "zigzag": zigzag_command,
    "timeloop": timeloop_command,
    "sata": sata_command,
    "sanafe": sanafe_command,
    "loas": loas_command,
    "prosperity": prosperity_command,
}
"""Subcommand of `export` -> its function."""


def array_size(text: str) -> tuple[int, int]:
    """Rows and columns of an array written as RxC.

    Raises:
        UsageError: not two positive integers.
    """
    rows, _, cols = text.lower().partition("x")
    if not (rows.isascii() and rows.isdigit() and cols.isascii() and cols.isdigit() and int(rows) and int(cols)):
        raise UsageError(f"--array must be rows x columns, like {DEFAULT_ARRAY} (got {text!r})")
    return int(rows), int(cols)


def _pattern(text: str) -> tuple[int, int]:
    some, _, of = text.partition(":")
    if not (some.isascii() and some.isdigit() and of.isascii() and of.isdigit()):
        raise UsageError(f"--sparsity must be N:M, like 2:4 (got {text!r})")
    return int(some), int(of)


def request(
    data: str | None, *, layout: str, split: str, data_dir: Path | None, samples: int | None = None
) -> DataRequest:
    """The data that the options name."""
    from snn_energy.reporting.subject import DataRequest

    return DataRequest(source=data, layout=layout, split=split, data_dir=data_dir, samples=samples)


def traced(source: str | None, wanted: DataRequest, *, model: str | None, model_args: str | None) -> Trace:
    """The trace that a file holds, or that of a network on its data."""
    if model is None and source is not None and source.endswith(TRACE_NAMES):
        if wanted.source is not None or wanted.samples is not None:
            raise UsageError(
                f"{source} holds counts already: --data and --samples are for a checkpoint; leave them out"
            )
        from snn_energy.counting.tracefile import load_trace

        return load_trace(source)

    def subject_of(data: DataRequest) -> Subject:
        return named_subject(source, data, verb="count", model=model, model_args=model_args, graphs=True)

    subject = subject_of(wanted)
    if wanted.samples is None and len(subject.images) > DEFAULT_SAMPLES:
        subject = subject_of(replace(wanted, samples=DEFAULT_SAMPLES))
    with progress("counting", len(subject.images)) as advance:
        return subject.assess(baseline=False, progress=advance).report.trace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """A network, the inputs it ran on, the axis of their samples, and the trace of that."""

    model: nn.Module
    inputs: Tensor
    batch_axis: int
    trace: Trace


def _run_on(
    checkpoint: str | None, wanted: DataRequest, first: int, count: int, *, model: str | None, model_args: str | None
) -> _Ran:
    """Run a network on `count` samples of its data from the one with number `first`."""
    from snn_energy.counting.skeleton import Graph
    from snn_energy.counting.tracing import trace
    from snn_energy.reporting.assessment import AXES

    if model is None and checkpoint is not None and checkpoint.endswith(TRACE_NAMES):
        raise UsageError(
            f"{checkpoint}: a trace holds sums, and this simulator wants every spike; name the checkpoint itself"
        )
    subject = named_subject(checkpoint, wanted, verb="run", model=model, model_args=model_args)
    assert not isinstance(subject.model, Graph)
    images = subject.images
    if first + count > len(images):
        raise UsageError(f"{images.source}: expected samples below {len(images)} (got {first + count - 1})")
    inputs, _ = next(images.part(first, first + count).batches(count, subject.spec))
    batch_axis, time_axis = AXES[images.layout]
    steps = None if time_axis is None else inputs.shape[time_axis]
    counted = trace(subject.model, inputs, batch_axis=batch_axis, time_steps=steps)
    return _Ran(model=subject.model, inputs=inputs, batch_axis=batch_axis, trace=counted)


def _tell(written: Written, json: bool) -> None:
    if json:
        emit_json(
            {
                "simulator": written.simulator,
                "folder": str(written.folder),
                "files": list(written.files),
                "size_bytes": written.size_bytes,
                "losses": [{"what": loss.what, "where": loss.where, "why": loss.why} for loss in written.losses],
            }
        )
        return
    from rich.padding import Padding

    print_line(f"wrote {written.folder}: {len(written.files)} files, {written.size_bytes:,} bytes")
    if written.losses:
        print_line("not in them:", style="yellow")
    for loss in written.losses:
        print_block(Padding(str(loss), (0, 0, 0, 2)))
