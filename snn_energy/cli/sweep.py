"""`snn-energy sweep`: a grid of time steps, bits, sparsity and thresholds on several profiles."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_energy.cli.columns import prose, table_lines
from snn_energy.cli.compare import DEFAULT_HARDWARE, HardwaresOption
from snn_energy.cli.console import emit_json, print_line, progress, stdout_console
from snn_energy.cli.group import INTERRUPTED
from snn_energy.cli.options import (
    BatchSizeOption,
    DataDirOption,
    DataOption,
    FirstSamplesOption,
    JsonOption,
    LayoutOption,
    ModelArgsOption,
    ModelOption,
    SplitOption,
)
from snn_energy.cli.rendering import OutputOption, check_writable

if TYPE_CHECKING:
    from snn_energy.workflow.sweeping import Axes, Cells, Job

DEFAULT_SAMPLES = 1000
"""Each cell takes as long as a profile."""


def sweep_command(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHECKPOINT]",
            help="Checkpoint file, or name of a shipped one; with --model, a plain state dict.",
            show_default=False,
        ),
    ] = None,
    time_steps: Annotated[str | None, typer.Option(metavar="T,...", help="Time steps.", show_default=False)] = None,
    bits: Annotated[
        str | None,
        typer.Option(
            metavar="BITS,...",
            help="Bits of all weights: own, 16, 8, 4, 2; priced on the profile of that data type.",
            show_default=False,
        ),
    ] = None,
    sparsity: Annotated[
        str | None,
        typer.Option(metavar="SHARE,...", help="Share of each layer's weights set to zero.", show_default=False),
    ] = None,
    threshold: Annotated[
        str | None, typer.Option(metavar="FACTOR,...", help="Factor of all thresholds.", show_default=False)
    ] = None,
    hardware: HardwaresOption = None,
    method: Annotated[str, typer.Option(metavar="NAME", help="How energies are computed.")] = "arithmetic",
    data: DataOption = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: FirstSamplesOption = None,
    layout: LayoutOption = "N",
    batch_size: BatchSizeOption = 250,
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random numbers of each cell.")] = 0,
    baseline: Annotated[bool, typer.Option("--baseline/--no-baseline", help="Run the ANN twins as well.")] = False,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Processes; default: one for each core.", show_default=False)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --output: go on from FILE.partial, after an interrupt.")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the lines as CSV as well.", show_default=False)
    ] = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Run a grid of time steps, bits, sparsity, thresholds.

    Every combination runs once, is counted exactly, scored, and priced on every profile. Zero weights stay in the
    energy unless the method skips them (like neurobench); the JSON form has the events that meet non-zero weights.

    \b
    Examples:
      snn-energy sweep fashion-cnn --time-steps 1,2,4 --bits own,8
      snn-energy sweep my.pt --threshold 0.9,1,1.1 --output sweep.json
      snn-energy sweep my.pt --sparsity 0,0.5,0.9 --method neurobench
      snn-energy sweep my.pt --time-steps 1,2,4,8 --output s.json --resume
      snn-energy sweep --model my_net:build --data x.npy --bits 8,4 --json
    """
    from snn_energy.errors import UsageError

    for path in (output, csv):
        check_writable(path)
    if resume and output is None:
        raise UsageError("--resume goes on from FILE.partial beside the output: give --output FILE as well")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs must be >= 1 (got {jobs})")
    if batch_size < 1:
        raise UsageError(f"--batch-size must be >= 1 (got {batch_size})")
    if checkpoint is None and model is None:
        raise UsageError("nothing to sweep: name a checkpoint, like fashion-cnn, or give --model MODULE:FACTORY")
    axes = _axes(time_steps, bits, sparsity, threshold)
    job = _job(
        axes,
        checkpoint=checkpoint,
        hardware=hardware,
        method=method,
        data={"source": data, "split": split, "data_dir": data_dir, "layout": layout, "seed": seed},
        samples=samples,
        factory=model,
        arguments=model_args,
        batch_size=batch_size,
        baseline=baseline,
    )
    document = _swept(job, jobs or os.cpu_count() or 1, output, resume=resume)
    _deliver(document, output, csv, as_json=json)


def _axes(time_steps: str | None, bits: str | None, sparsity: str | None, threshold: str | None) -> Axes:
    from snn_energy.cli.lists import factors, shares, weights, whole_numbers
    from snn_energy.errors import UsageError
    from snn_energy.workflow.sweeping import Axes

    if time_steps is None and bits is None and sparsity is None and threshold is None:
        raise UsageError(
            "nothing to change: give --time-steps, --bits, --sparsity or --threshold, like --time-steps 1,2,4"
        )
    return Axes(
        time_steps=tuple(whole_numbers(time_steps, "--time-steps")) or (None,),
        weights=tuple(weights(bits, "--bits")) or (None,),
        sparsity=tuple(shares(sparsity, "--sparsity")) or (None,),
        threshold=tuple(factors(threshold, "--threshold")) or (None,),
    )


def _job(
    axes: Axes,
    *,
    hardware: list[str] | None,
    method: str,
    data: Mapping[str, Any],
    samples: int | None,
    **options: Any,
) -> Job:
    from snn_energy.cli.compare import refuse_twice
    from snn_energy.costing.pricing import price
    from snn_energy.counting.counts import Trace
    from snn_energy.hardware import load_hardware
    from snn_energy.reporting.subject import DataRequest
    from snn_energy.workflow.sweeping import Job

    profiles = tuple(load_hardware(name) for name in hardware or (DEFAULT_HARDWARE,))
    refuse_twice(profiles)
    for profile in profiles:
        price(Trace(samples=1), profile, method)  # an unknown method should fail before the network runs
    job = Job(axes=axes, hardware=profiles, method=method, data=DataRequest(**data, samples=samples), **options)
    if samples is None and len(job.subject().images) > DEFAULT_SAMPLES:
        job = Job(
            axes=axes,
            hardware=profiles,
            method=method,
            data=DataRequest(**data, samples=DEFAULT_SAMPLES),
            **options,
        )
    return job


def _swept(job: Job, jobs: int, output: Path | None, *, resume: bool) -> dict[str, Any]:
    from snn_energy.workflow.sweeping import Partial, document_of, identity_of, prepare, run_cells

    subject = prepare(job)
    done: Cells = {}
    partial = None if output is None else Partial(output, identity_of(job, subject))
    if partial is not None and resume:
        if not partial.path.is_file():
            print_line(f"nothing to resume, there is no {partial.path}; beginning anew", to_stderr=True)
        done = partial.read()
    elif partial is not None and partial.path.is_file():
        print_line(
            f"{partial.path} is of an interrupted run, which --resume would go on with; beginning anew", to_stderr=True
        )
    cells = len(job.axes.cells())
    try:
        with progress("sweeping", cells) as advance:
            advance(len(done))

            def on_done(number: int) -> None:
                del number
                if partial is not None:
                    partial.write(done)
                advance()

            run_cells(job, done, jobs, on_done)
    except KeyboardInterrupt:
        if partial is None or not done:
            raise
        print_line(
            f"interrupted; {partial.path} holds {len(done)} of {cells} cells: go on with the same command and --resume",
            to_stderr=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    return document_of(job, subject, done)


def _deliver(document: Mapping[str, Any], output: Path | None, csv: Path | None, *, as_json: bool) -> None:
    from snn_energy.cli.compare import SUFFIXES, TEXTS
    from snn_energy.files import write_atomic
    from snn_energy.workflow.sweeping import lines_of

    tables, names = lines_of(document), document["hardware"]
    if csv is not None:
        write_atomic(csv, TEXTS["csv"](tables, names))
        print_line(f"wrote {csv}", to_stderr=True)
    if output is not None:
        form = "json" if as_json else SUFFIXES.get(output.suffix.lower(), "table")
        write_atomic(output, _json(document) if form == "json" else TEXTS[form](tables, names))
        print_line(f"wrote {output}", to_stderr=True)
        output.with_name(f"{output.name}.partial").unlink(missing_ok=True)
    elif as_json:
        emit_json(document)
    else:
        for text, style in sweep_lines(document, stdout_console().width):
            print_line(text, style=style or None)
        sys.stdout.flush()


def _json(document: Mapping[str, Any]) -> str:
    import json

    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def sweep_lines(document: Mapping[str, Any], width: int) -> list[tuple[str, str]]:
    """The tables as lines and their styles."""
    from snn_energy.workflow.comparing import grid_of, remarks
    from snn_energy.workflow.sweeping import lines_of

    title = f"{document['network']} on {document['dataset']}, method {document['method']}"
    if document["checkpoint"]:
        title = (
            f"{document['network']} ({document['checkpoint']}) on {document['dataset']}, method {document['method']}"
        )
    shown = [(text, "bold") for text in prose(title, width)]
    for name, lines in zip(document["hardware"], lines_of(document), strict=True):
        grid = grid_of(lines)
        head, *rest = table_lines(*grid.marked(), width, left=grid.left)
        shown += [("", ""), (name, "bold"), (head, "dim"), *((text, "") for text in rest), ("", "")]
        shown += [(text, "dim") for remark in remarks(lines, name) for text in prose(remark, width)]
    return shown
