"""`snn-energy export onnx`: a network as ONNX, in one of three forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_energy.cli.console import emit_json, print_line, progress
from snn_energy.cli.networks import named_subject
from snn_energy.cli.options import (
    DataDirOption,
    LayoutOption,
    ModelArgsOption,
    ModelOption,
    SplitOption,
)
from snn_energy.cli.rendering import check_writable
from snn_energy.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from snn_energy.counting.counts import Trace
    from snn_energy.exporting import ExportedModel
    from snn_energy.reporting.subject import DataRequest

DEFAULT_SAMPLES = 64


def onnx_command(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHECKPOINT]",
            help="A checkpoint file, the name of a shipped one, or with --model a plain state dict.",
            show_default=False,
        ),
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)],
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
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
            help="What to compare on, and the example of a network of your own; default: the checkpoint's own.",
            show_default=False,
        ),
    ] = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    layout: LayoutOption = "N",
    time_steps: Annotated[
        int | None,
        typer.Option(
            metavar="T",
            min=1,
            help="With --model: time steps; a network that does not loop over them itself is called T times.",
            show_default=False,
        ),
    ] = None,
    readout: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What becomes of the outputs of those T calls: mean (default), sum, max, last or stack.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Compare on the first N samples at most.")
    ] = DEFAULT_SAMPLES,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A JSON report whose spike rates and counts go into the file; measured on the data if not given.",
        ),
    ] = None,
    sidecar: Annotated[
        bool, typer.Option("--sidecar/--no-sidecar", help="Write FILE.json beside it, the same facts as JSON.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Write what ONNX cannot hold faithfully, and list it in the file.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Write a network as ONNX.

    Standard operators only; a spike is a comparison and a cast. Nothing is written unless the file agrees
    with the network on real data, spike by spike.

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
      snn-energy export onnx --model net:build --data x.npy -o net.onnx
      snn-energy export onnx w.pt --model net:build --data x.npy \\
          --layout TN --form sequence -o net.onnx
      snn-energy export onnx --model net:step --data x.npy --time-steps 8 \\
          --readout sum -o net.onnx
    """
    from snn_energy.exporting import export_onnx, forms, read_report, report_metadata
    from snn_energy.exporting.converting import LOWEST_OPSET
    from snn_energy.exporting.metadata import PREFIX
    from snn_energy.reporting.subject import DataRequest

    check_writable(output)
    forms.check_form(form)
    metadata = _checkpoint_facts(checkpoint, model)
    node_metadata: dict[str, dict[str, str]] = {}
    if report is not None:
        measured, node_metadata = report_metadata(read_report(report))
        metadata |= measured
    wanted = DataRequest(source=data, split=split, data_dir=data_dir, layout=layout)
    ready = _ready(checkpoint, wanted, model=model, model_args=model_args, verify=verify, samples=samples)
    ready = _in_time(ready, form=form, time_steps=time_steps, readout=readout)
    if ready.layout == "NT":
        metadata[f"{PREFIX}time_steps"] = str(ready.example.shape[1])
    with progress("exporting"):
        exported = export_onnx(
            ready.model,
            ready.example,
            output,
            form=form,
            frames=ready.layout == "TN",
            time_steps=ready.calls,
            readout=readout or "mean",
            int8=int8,
            metadata=metadata,
            node_metadata=node_metadata,
            trace=None if not verify or report is not None else _measured(ready, form),
            sidecar=output.with_name(f"{output.name}.json") if sidecar else None,
            verify=ready.example if verify else None,
            force=force,
            opset=LOWEST_OPSET if opset is None else opset,
        )
    if json:
        emit_json(_as_dict(exported, ready.source))
    else:
        _print(exported, ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A network, inputs as it takes them (`n ...`, `t n ...` or `n t ...`), and where they are from (None: zeros).

    `calls`: of a network that is called once for each time step, how often.
    """

    model: nn.Module
    example: Tensor
    layout: str
    source: str | None
    is_own: bool
    calls: int | None = None


def _checkpoint_facts(checkpoint: str | None, model: str | None) -> dict[str, str]:
    """What a checkpoint of ours says of itself; nothing of other networks."""
    from snn_energy.exporting import checkpoint_metadata
    from snn_energy.models import checkpoint_path, load_checkpoint
    from snn_energy.reporting.graphfile import is_graph_file, is_nir_file

    if model is not None or checkpoint is None or is_nir_file(checkpoint) or is_graph_file(checkpoint):
        return {}
    return checkpoint_metadata(load_checkpoint(checkpoint_path(checkpoint)))


def _ready(
    checkpoint: str | None,
    wanted: DataRequest,
    *,
    model: str | None,
    model_args: str | None,
    verify: bool,
    samples: int,
) -> _Ready:
    """The network with the first samples of its data; a checkpoint knows its input, and needs none to be written."""
    import torch

    from snn_energy.models import checkpoint_path, load_checkpoint
    from snn_energy.reporting.graphfile import is_graph_file, is_nir_file

    own = model is not None or checkpoint is None or is_nir_file(checkpoint) or is_graph_file(checkpoint)
    if not own and not verify and wanted.layout == "N":
        loaded = load_checkpoint(checkpoint_path(str(checkpoint)))
        example = torch.zeros(2, *loaded.input.shape)
        return _Ready(model=loaded.model, example=example, layout="N", source=None, is_own=False)
    try:
        subject = named_subject(checkpoint, wanted, verb="export", model=model, model_args=model_args, nir=False)
    except UsageError as problem:
        if wanted.source is not None or wanted.layout != "N" or own:
            raise
        raise UsageError(f"{problem}; name images to compare on with --data, or use --no-verify") from None
    assert isinstance(subject.model, torch.nn.Module)
    count = min(samples, len(subject.images))
    images = subject.images.part(0, count)
    example, _ = next(iter(images.batches(count, subject.spec)))
    return _Ready(model=subject.model, example=example, layout=images.layout, source=images.source, is_own=own)


def _in_time(ready: _Ready, *, form: str, time_steps: int | None, readout: str | None) -> _Ready:
    """Settle how the network takes its time steps.

    Raises:
        UsageError: words that do not go together.
    """
    if ready.layout == "NT" and form != "unrolled":
        raise UsageError(
            f"--layout NT: the {form} form has the time steps first; give --form unrolled, or a network and data "
            "[T, N, ...] with --layout TN"
        )
    if time_steps is None:
        if readout is not None:
            raise UsageError("--readout says what becomes of the outputs of T calls: give --time-steps T as well")
        return ready
    if not ready.is_own:
        raise UsageError("--time-steps: a checkpoint has its own; leave it out, or train one with others")
    if ready.layout != "N":
        raise UsageError(f"--time-steps: data with --layout {ready.layout} have the time steps inside; leave it out")
    if isinstance(getattr(ready.model, "time_steps", None), int):
        if readout is not None:
            raise UsageError("--readout: this network has time_steps, and reads out itself; leave it out")
        ready.model.time_steps = time_steps  # type: ignore[assignment]
        return ready
    return replace(ready, calls=time_steps)


def _measured(ready: _Ready, form: str) -> Trace:
    """What the network does on the samples, as the form has it: one with a time step of its own is shown frames."""
    from snn_energy.counting.tracing import trace
    from snn_energy.exporting.carrying import copied
    from snn_energy.reporting.assessment import AXES

    batch_axis, time_axis = AXES[ready.layout]
    x = ready.example
    if ready.calls is not None:
        return _measured_in_calls(copied(ready.model), x, ready.calls)
    if time_axis is not None:
        return trace(ready.model, x, batch_axis=batch_axis, time_steps=x.shape[time_axis])
    steps = getattr(ready.model, "time_steps", None)
    if form == "unrolled" or not isinstance(steps, int):
        return trace(ready.model, x)
    return trace(ready.model, x.expand(steps, *x.shape), batch_axis=1)


def _measured_in_calls(network: nn.Module, frame: Tensor, calls: int) -> Trace:
    """Count all time steps of one inference: state stays in the network, or comes back and is given to the next."""
    from snn_energy.counting.tracing import trace

    states: list[Any] = []

    def given() -> Iterator[tuple[Any, ...]]:
        for _ in range(calls):
            yield (frame, *states)

    def keep(output: Any) -> None:
        states[:] = output[1:] if isinstance(output, tuple) else []

    return trace(network, given(), samples=len(frame), time_steps=calls, on_output=keep)


def _as_dict(exported: ExportedModel, source: str | None) -> dict[str, Any]:
    agreement = None if exported.agreement is None else {**asdict(exported.agreement), "data": source}
    return {
        **asdict(exported),
        "path": str(exported.path),
        "sidecar": None if exported.sidecar is None else str(exported.sidecar),
        "nodes": exported.nodes,
        "agreement": agreement,
    }


def _print(exported: ExportedModel, ready: _Ready) -> None:
    print_line(
        f"wrote {exported.path}: {exported.size_bytes:,} bytes, {exported.nodes} nodes, opset"
        f" {exported.opset}, SHA-256 {exported.sha256}"
    )
    kept = len(exported.states) if exported.form == "step" else 0
    states = f" and {kept} state{'s' if kept > 1 else ''}" if kept else ""
    given = {"unrolled": "frames" if ready.layout == "TN" else "images", "step": "frame", "sequence": "frames"}
    print_line(
        f"{given[exported.form]} {_axes(exported.input_shape)}{states} -> logits {_axes(exported.output_shape)}{states}"
    )
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
    samples = "sample" if ready.is_own or ready.layout != "N" else "image"
    samples += "s" if agreement.samples > 1 else ""
    verb = "agrees" if not exported.losses else "was compared"
    print_line(f"onnxruntime {verb} on {agreement.samples} {samples} of {ready.source}: {what}", style="green")


def _axes(shape: tuple[str | int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
