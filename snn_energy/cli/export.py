"""`snn-energy export`: write a network in a format that other tools read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_energy.cli.console import emit_json, print_block, print_line, progress
from snn_energy.cli.export_nir import nir_command
from snn_energy.cli.export_simulators import add_simulators

if TYPE_CHECKING:
    from torch import Tensor

    from snn_energy.counting.counts import Trace
    from snn_energy.exporting import ExportedModel
    from snn_energy.models import Checkpoint

app = typer.Typer(rich_markup_mode=None)
"""The subcommands of `export`."""

app.command("nir")(nir_command)

DEFAULT_SAMPLES = 64


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


@app.command("onnx")
def onnx_command(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A checkpoint file, or the name of a shipped one.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)],
    form: Annotated[
        str, typer.Option(metavar="FORM", help="unrolled, step or sequence: how time is laid out.")
    ] = "unrolled",
    opset: Annotated[
        int | None,
        typer.Option(metavar="N", help="ONNX operator set; 18, read by most tools, if not given."),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Weights as 8-bit integers behind DequantizeLinear.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify/--no-verify", help="Compare with the network in onnxruntime before writing."),
    ] = True,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Images to compare on; the test split of the checkpoint's data set if not given.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Compare on the first N images at most.")
    ] = DEFAULT_SAMPLES,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A JSON report whose spike rates and counts go into the file; measured on the images if not given.",
        ),
    ] = None,
    sidecar: Annotated[
        bool, typer.Option("--sidecar/--no-sidecar", help="Write FILE.json beside it, the same facts as JSON.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Write what ONNX cannot hold faithfully, and list it in the file.")
    ] = False,
    json: _Json = False,
) -> None:
    """Write a checkpoint as ONNX.

    Standard operators only; a spike is a comparison and a cast. Nothing is written unless the file agrees
    with the network on real images, spike by spike.

    \b
    unrolled: images -> logits, all T time steps in one graph without a loop.
    step:     frame and every membrane -> logits of this step, every membrane.
    sequence: frames [T, N, ...] -> logits, T free; one Scan over the step.

    \b
    Examples:
      snn-energy export onnx fashion-cnn --output fashion-cnn.onnx
      snn-energy export onnx fashion-cnn --form step --int8 -o step.onnx
      snn-energy export onnx trained.pt -o trained.onnx --samples 1000
      snn-energy export onnx trained.pt -o trained.onnx --report report.json
      snn-energy export onnx trained.pt -o trained.onnx --opset 20 --no-verify
    """
    import torch

    from snn_energy.exporting import checkpoint_metadata, export_onnx, read_report, report_metadata
    from snn_energy.exporting.converting import LOWEST_OPSET

    loaded = _load(checkpoint)
    metadata = checkpoint_metadata(loaded)
    node_metadata: dict[str, dict[str, str]] = {}
    if report is not None:
        measured, node_metadata = report_metadata(read_report(report))
        metadata |= measured
    images, source = _images(loaded, data, samples) if verify else (None, None)
    with progress("exporting"):
        exported = export_onnx(
            loaded.model,
            torch.zeros(2, *loaded.input.shape),
            output,
            form=form,
            int8=int8,
            metadata=metadata,
            node_metadata=node_metadata,
            trace=None if images is None or report is not None else _measured(loaded, images, form),
            sidecar=output.with_name(f"{output.name}.json") if sidecar else None,
            verify=images,
            force=force,
            opset=LOWEST_OPSET if opset is None else opset,
        )
    if json:
        emit_json(_as_dict(exported, source))
    else:
        _print(exported, source)


def _load(name: str) -> Checkpoint:
    from snn_energy.models import checkpoint_path, load_checkpoint

    return load_checkpoint(checkpoint_path(name))


def _images(checkpoint: Checkpoint, data: str | None, samples: int) -> tuple[Tensor, str]:
    """Return at most `samples` network inputs `n c h w` and where they came from."""
    from snn_energy.errors import UsageError
    from snn_energy.training import load_images

    try:
        images = load_images(data or checkpoint.dataset)
    except UsageError as problem:
        if data is not None:
            raise
        raise UsageError(f"{problem}; name images to compare on with --data, or use --no-verify") from None
    images = images.head(min(samples, len(images)))
    inputs, _ = next(images.batches(len(images), checkpoint.input))
    return inputs, images.source


def _measured(checkpoint: Checkpoint, images: Tensor, form: str) -> Trace:
    """What the network does on the images, as the form has it: one with a time step of its own is shown frames."""
    from snn_energy.counting.tracing import trace

    if form == "unrolled":
        return trace(checkpoint.model, images)
    return trace(checkpoint.model, images.expand(checkpoint.time_steps, *images.shape), batch_axis=1)


def _as_dict(exported: ExportedModel, source: str | None) -> dict[str, Any]:
    agreement = None if exported.agreement is None else {**asdict(exported.agreement), "data": source}
    return {
        **asdict(exported),
        "path": str(exported.path),
        "sidecar": None if exported.sidecar is None else str(exported.sidecar),
        "nodes": exported.nodes,
        "agreement": agreement,
    }


def _print(exported: ExportedModel, source: str | None) -> None:
    print_line(
        f"wrote {exported.path}: {exported.size_bytes:,} bytes, {exported.nodes} nodes, opset"
        f" {exported.opset}, SHA-256 {exported.sha256}"
    )
    states = f" and {len(exported.states)} states" if exported.states and exported.form == "step" else ""
    given = {"unrolled": "images", "step": "frame", "sequence": "frames"}[exported.form]
    print_line(f"{given} {_axes(exported.input_shape)}{states} -> logits {_axes(exported.output_shape)}{states}")
    for loss in exported.losses:
        print_line(f"lost: {loss}", style="yellow")
    agreement = exported.agreement
    if agreement is None:
        print_line("not compared with the network (--no-verify)", style="yellow")
        return
    what = (
        "bit-equal logits"
        if agreement.bit_equal
        else f"logits within {agreement.max_abs_diff:.3g}, same class on {agreement.same_class}"
    )
    if agreement.spikes:
        what += (
            f", {agreement.spikes:,} spikes identical"
            if not agreement.spikes_apart
            else f", {agreement.spikes_apart:,} of {agreement.spikes:,} spikes differ"
        )
    verb = "agrees" if not exported.losses else "was compared"
    print_line(f"onnxruntime {verb} on {agreement.samples} images of {source}: {what}", style="green")


def _axes(shape: tuple[str | int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


add_simulators(app)
