"""`snn-energy export nir`: a network as a NIR graph."""

from __future__ import annotations

from dataclasses import asdict
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

if TYPE_CHECKING:
    from snn_energy.exporting.nir import ExportedNir

DEFAULT_SAMPLES = 64


def nir_command(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHECKPOINT]",
            help="A checkpoint file, the name of a shipped one, a .nir file to convert, or with --model a plain "
            "state dict.",
            show_default=False,
        ),
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)],
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="What it runs on once, to be followed and compared; default: the checkpoint's own test data.",
            show_default=False,
        ),
    ] = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    layout: LayoutOption = "N",
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="The first N samples at most.")] = DEFAULT_SAMPLES,
    convention: Annotated[
        str,
        typer.Option(metavar="NAME", help="Whose reader: nir, exponential, snntorch, spikingjelly, norse or sinabs."),
    ] = "nir",
    source_convention: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="NAME", help="Of a .nir file: whose it is; default: what it says.", show_default=False
        ),
    ] = None,
    source_dt: Annotated[
        float | None,
        typer.Option("--from-dt", metavar="SECONDS", help="Of a .nir file: its time step.", show_default=False),
    ] = None,
    dt: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Time step; default: the convention's.", show_default=False),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare every spike with the network's before writing.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Write it although something is lost; the file lists what.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Write a network as a NIR graph (HDF5), for simulators and chips that read NIR.

    The network runs once, and is followed from layer to layer. Batch norms are folded; a max pooling of
    spikes becomes a sum and a threshold, which says the same. A decay becomes the time constant
    dt / (1 - decay). What NIR cannot carry is refused by name, or with --force listed in the file.

    \b
    Examples:
      snn-energy export nir fashion-cnn --output fashion-cnn.nir
      snn-energy export nir my.pt -o my.nir --convention norse --dt 0.001
      snn-energy export nir --model net:build --data x.npy --layout TN -o a.nir
      snn-energy export nir a.nir --from norse --convention snntorch -o b.nir \\
          --data x.npy --layout TN
      snn-energy profile fashion-cnn.nir                    # and read it back
    """
    from snn_energy.exporting import checkpoint_metadata
    from snn_energy.exporting.nir import export_nir
    from snn_energy.models import checkpoint_path, load_checkpoint
    from snn_energy.reporting.graphfile import is_nir_file
    from snn_energy.reporting.subject import DataRequest

    check_writable(output)
    wanted = DataRequest(source=data, split=split, data_dir=data_dir, layout=layout)
    metadata: dict[str, str] = {}
    subject = named_subject(
        checkpoint,
        wanted,
        verb="export",
        model=model,
        model_args=model_args,
        convention=source_convention,
        dt=source_dt,
    )
    if model is None and checkpoint is not None and not is_nir_file(checkpoint):
        metadata = checkpoint_metadata(load_checkpoint(checkpoint_path(checkpoint)))
    count = min(samples, len(subject.images))
    example, _ = next(iter(subject.images.part(0, count).batches(count, subject.spec)))
    with progress("following the network"):
        exported = export_nir(
            subject.model,  # type: ignore[arg-type]  # neither kind of subject is a graph
            example,
            output,
            layout=layout,
            convention=convention,
            dt=dt,
            force=force,
            metadata=metadata,
            verify=verify,
        )
    if json:
        emit_json(_as_dict(exported))
    else:
        _print(exported)


def _as_dict(exported: ExportedNir) -> dict[str, Any]:
    return {**asdict(exported), "path": str(exported.path)}


def _print(exported: ExportedNir) -> None:
    nodes = ", ".join(f"{count} {kind}" for kind, count in exported.nodes.items())
    print_line(f"wrote {exported.path}: {exported.size_bytes:,} bytes, SHA-256 {exported.sha256}")
    print_line(f"{nodes}; {exported.edges} edges")
    print_line(f"time step {exported.dt:g}, for readers of convention {exported.convention}")
    for note in exported.notes:
        print_line(f"note: {note}")
    for loss in exported.losses:
        print_line(f"lost: {loss}", style="yellow")
    agreement = exported.agreement
    if agreement is not None and agreement.silent:
        print_line(
            f"{len(agreement.silent)} neuron layers never fired on these data, the first {agreement.silent[0]}: the "
            "comparison says little about them; give data on which they fire",
            style="yellow",
        )
    if agreement is None:
        print_line("not compared with the network (--no-verify)", style="yellow")
    elif agreement.differing:
        print_line(
            f"{agreement.differing:,} of {agreement.spikes:,} spikes differ, first in {agreement.first}", style="yellow"
        )
    else:
        print_line(
            f"the graph fires as the network does: {agreement.spikes:,} spikes of {agreement.neurons} neuron "
            f"layer{'s' * (agreement.neurons != 1)} on {agreement.samples} sample{'s' * (agreement.samples != 1)}",
            style="green",
        )
