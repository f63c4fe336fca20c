"""`snn-energy profile`: the energy report of a network on real input."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_energy.cli.console import print_line, progress
from snn_energy.cli.rendering import (
    FormatOption,
    JsonOption,
    OutputOption,
    check_writable,
    chosen_format,
    deliver,
    deliver_figure,
)
from snn_energy.errors import UsageError


def profile_command(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHECKPOINT]",
            help="Checkpoint file or name of a shipped one (fashion-cnn), or an .onnx or .pt2 graph; with --model, a "
            "plain state dict.",
            show_default=False,
        ),
    ] = None,
    hardware: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="Hardware profile: what each action costs.")
    ] = "horowitz-45nm-fp32",
    method: Annotated[str, typer.Option(metavar="NAME", help="How energies are computed.")] = "arithmetic",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Data set, folder of images or events, .npy, .npz or .pt; default: the checkpoint's own.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(metavar="train|test", help="Split of a named data set.")] = "test",
    data_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where a named data set lies.", show_default=False)
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only the first N samples; default: all.", show_default=False),
    ] = None,
    layout: Annotated[
        str, typer.Option(metavar="N|TN|NT", help="Leading axes of an array: samples, or time steps too.")
    ] = "N",
    encode: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Spread images over time: direct, rate, rate-deterministic, latency or latency-log.",
            show_default=False,
        ),
    ] = None,
    encode_steps: Annotated[
        int | None, typer.Option(metavar="T", help="With --encode: time steps.", show_default=False)
    ] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="T", help="Event data: frames, one per time step.", show_default=False)
    ] = None,
    bin_ms: Annotated[
        float | None,
        typer.Option(metavar="MS", help="Event data: width of a frame; default: duration / T.", show_default=False),
    ] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Resize images to the checkpoint's input.")] = False,
    image_size: Annotated[
        str | None,
        typer.Option(metavar="CxHxW", help="With --model: resize images to this.", show_default=False),
    ] = None,
    time_steps: Annotated[
        int | None,
        typer.Option(metavar="T", help="Time steps; default: the network's own.", show_default=False),
    ] = None,
    batch_size: Annotated[int, typer.Option(metavar="N", help="Samples per call.")] = 250,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FACTORY", help="Your own network, made by this function.", show_default=False),
    ] = None,
    model_args: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Arguments of the --model function.", show_default=False),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of weights drawn anew (--model) and of rate coding.")
    ] = 0,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load a .pt2 program, which may run code that the file holds.")
    ] = False,
    baseline: Annotated[bool, typer.Option("--baseline/--no-baseline", help="Run the ANN twin as well.")] = True,
    fold: Annotated[
        bool,
        typer.Option("--fold/--no-fold", help="Fold a batch norm right behind a layer into it, or count it."),
    ] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if any work is not counted or not priced.")] = False,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the figure into a .png, .svg or .pdf.", show_default=False),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Save the counts, to price them again with snn-energy price; .gz compresses.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Report the energy of a network, layer by layer.

    Runs the network once on real input, counts exactly what happened, and prices it; its ANN twin is counted
    by the same rules.

    \b
    Examples:
      snn-energy profile fashion-cnn
      snn-energy profile fashion-cnn --hardware horowitz-45nm-int8 --json
      snn-energy profile my.pt --data photos/ --resize --output report.md
      snn-energy profile weights.pt --model my_net:build --data x.npy --layout TN
      snn-energy profile fashion-cnn --encode rate --encode-steps 8 --layout TN
      snn-energy profile --model my_net:build --data nmnist --data-dir N --frames 10 --layout TN
      snn-energy profile my.onnx --data x.npy
    """
    form = chosen_format(format, json, output)
    for path in (output, plot, trace):
        check_writable(path)
    if trace is not None and trace.resolve() in {path.resolve() for path in (output, plot) if path is not None}:
        raise UsageError(f"{trace}: --trace and another option write this file; give each its own name")
    if checkpoint is None and model is None:
        raise UsageError("nothing to profile: name a checkpoint, like fashion-cnn, or give --model MODULE:FACTORY")
    if plot is not None:
        from snn_energy.reporting.plots import figure_suffix

        figure_suffix(plot)
    from snn_energy.hardware import load_hardware

    prices = load_hardware(hardware)

    from snn_energy.reporting.graphfile import is_graph_file
    from snn_energy.reporting.subject import DataRequest, checkpoint_subject, factory_subject, graph_subject

    wanted = DataRequest(
        source=data,
        split=split,
        data_dir=data_dir,
        layout=layout,
        resize=resize,
        image_size=image_size,
        samples=samples,
        encode=encode,
        encode_steps=encode_steps,
        seed=seed,
        frames=frames,
        bin_ms=bin_ms,
    )
    if model is not None:
        subject = factory_subject(
            model, wanted, weights=checkpoint, arguments=model_args, time_steps=time_steps, seed=seed
        )
    elif checkpoint is not None and is_graph_file(checkpoint):
        if time_steps is not None:
            raise UsageError(f"--time-steps: the time steps of {checkpoint} are fixed; export it again with others")
        subject = graph_subject(checkpoint, wanted, trust=trust)
    else:
        assert checkpoint is not None
        subject = checkpoint_subject(checkpoint, wanted, time_steps)
    passes = 2 if baseline and subject.has_twin else 1
    with progress("profiling", len(subject.images) * passes) as advance:
        assessment = subject.assess(
            batch_size=batch_size,
            hardware=prices,
            method=method,
            strict=strict,
            baseline=baseline,
            fold=fold,
            progress=advance,
        )
    document = assessment.to_dict()
    if trace is not None:
        from snn_energy.counting.tracefile import save_trace

        save_trace(assessment.report.trace, trace)
        print_line(f"wrote {trace}", to_stderr=True)
    if plot is not None:
        deliver_figure(document, "layers", plot)
    deliver(document, form, output)
