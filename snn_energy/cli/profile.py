"""`snn-energy profile`: the energy report of a network on real input."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.console import print_line, progress
from snn_energy.cli.group import INTERRUPTED
from snn_energy.cli.options import (
    BatchSizeOption,
    DataDirOption,
    HardwareOption,
    LayoutOption,
    ModelArgsOption,
    ModelOption,
    SamplesOption,
    SplitOption,
)
from snn_energy.cli.rendering import (
    CrossoverOption,
    FormatOption,
    JsonOption,
    OutputOption,
    UncertaintyOption,
    check_crossover,
    check_writable,
    chosen_format,
    deliver,
    deliver_figure,
)
from snn_energy.cli.sharing import chosen_device, shared_run, together
from snn_energy.errors import UncountedError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from snn_energy.counting.ranks import Ranks
    from snn_energy.hardware import Hardware
    from snn_energy.reporting.partial import Keeper
    from snn_energy.reporting.subject import Subject


def profile_command(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHECKPOINT]",
            help="Checkpoint file or name of a shipped one (fashion-cnn), or an .onnx, .nir or .pt2 graph; with "
            "--model, a plain state dict.",
            show_default=False,
        ),
    ] = None,
    hardware: HardwareOption = "horowitz-45nm-fp32",
    method: Annotated[
        str, typer.Option(metavar="NAME", help="How energies are computed: arithmetic, arithmetic+memory, ...")
    ] = "arithmetic",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Data set, folder of images or events, .npy, .npz or .pt; default: the checkpoint's own.",
            show_default=False,
        ),
    ] = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: SamplesOption = None,
    layout: LayoutOption = "N",
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
    convention: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of a .nir file: how its equations become time steps: nir, exponential, snntorch, spikingjelly, norse "
            "or sinabs; default: what the file says, or nir.",
            show_default=False,
        ),
    ] = None,
    dt: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Of a .nir file: the time step; default: the file's.", show_default=False),
    ] = None,
    batch_size: BatchSizeOption = 250,
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of weights drawn anew (--model) and of rate coding.")
    ] = 0,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load a .pt2 program, which may run code that the file holds.")
    ] = False,
    baseline: Annotated[bool, typer.Option("--baseline/--no-baseline", help="Run the ANN twin as well.")] = True,
    quantised: Annotated[
        bool,
        typer.Option(
            "--quantised/--no-quantised", help="Run the twin of T + 1 levels as well: two more passes at one time step."
        ),
    ] = True,
    ann: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FACTORY",
            help="Compare with this ANN too, counted on the same data and priced alike.",
            show_default=False,
        ),
    ] = None,
    ann_weights: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="With --ann: its state dict.", show_default=False),
    ] = None,
    fold: Annotated[
        bool,
        typer.Option("--fold/--no-fold", help="Fold a batch norm right behind a layer into it, or count it."),
    ] = True,
    per_sample: Annotated[
        bool,
        typer.Option(
            "--per-sample",
            help="Run each sample by itself, for the distribution of the energy: slower, and exact in any network, "
            "whichever way it folds time into the batch.",
        ),
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Stop after the first batch, from 30 samples on, at which the 95 % interval of the mean energy "
            "reaches no further than this to either side, like 1%; implies --per-sample.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where the network runs.")] = "cpu",
    strict: Annotated[bool, typer.Option("--strict", help="Fail if any work is not counted or not priced.")] = False,
    uncertainty: UncertaintyOption = False,
    crossover: CrossoverOption = False,
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
            help="Save the counts, to price them again with snn-energy price; .gz compresses. Until the run is "
            "through, FILE.partial holds what is done.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --trace: go on from FILE.partial, after an interrupt.")
    ] = False,
) -> None:
    """Report the energy of a network, layer by layer.

    Runs the network once on real input, counts exactly what happened, and prices it; its ANN twin is counted
    by the same rules, and so is any ANN of your own. The verdict says up to which spike rate the SNN needs less.

    \b
    Examples:
      snn-energy profile fashion-cnn
      snn-energy profile fashion-cnn --hardware horowitz-45nm-int8 --json
      snn-energy profile my.pt --data photos/ --resize --output report.md
      snn-energy profile fashion-cnn --output report.html
      snn-energy profile weights.pt --model my_net:build --data x.npy --layout TN
      snn-energy profile fashion-cnn --encode rate --encode-steps 8 --layout TN
      snn-energy profile my.pt --data shd --data-dir D --frames 10 --layout TN
      snn-energy profile my.onnx --data x.npy
      snn-energy profile my.nir --data x.npy --layout TN --convention snntorch
      snn-energy profile fashion-cnn --until 1% --batch-size 50
      snn-energy profile fashion-cnn --crossover
      snn-energy profile fashion-cnn --ann my_net:build_ann --ann-weights ann.pt
      torchrun --nproc-per-node 2 -m snn_energy profile fashion-cnn
    """
    with shared_run(device) as ranks:

        def prepare() -> _Run:
            form = chosen_format(format, json, output)
            check_crossover(crossover, form)
            if crossover and not baseline and ann is None:
                raise UsageError("--crossover needs an ANN to compare with: leave out --no-baseline, or give --ann")
            if ann_weights is not None and ann is None:
                raise UsageError(
                    f"--ann-weights {ann_weights} are of no network: give --ann MODULE:FACTORY, which makes it"
                )
            for path in (output, plot, trace):
                check_writable(path)
            if trace is not None and trace.resolve() in {path.resolve() for path in (output, plot) if path is not None}:
                raise UsageError(f"{trace}: --trace and another option write this file; give each its own name")
            if resume and trace is None:
                raise UsageError("--resume goes on from FILE.partial beside the trace file: give --trace FILE as well")
            if checkpoint is None and model is None:
                raise UsageError(
                    "nothing to profile: name a checkpoint, like fashion-cnn, or give --model MODULE:FACTORY"
                )
            target = None if until is None else parsed_share(until)
            if plot is not None:
                from snn_energy.reporting.style import figure_suffix

                figure_suffix(plot)
            from snn_energy.hardware import load_hardware

            prices = load_hardware(hardware)
            place = chosen_device(device)

            from snn_energy.reporting.graphfile import is_graph_file, is_nir_file
            from snn_energy.reporting.partial import Keeper
            from snn_energy.reporting.subject import (
                DataRequest,
                built_ann,
                checkpoint_subject,
                factory_subject,
                graph_subject,
                nir_subject,
            )

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
            is_nir = model is None and checkpoint is not None and is_nir_file(checkpoint)
            if not is_nir and (convention is not None or dt is not None):
                raise UsageError(
                    f"--convention and --dt say how a .nir file is run (got {checkpoint or model}); leave them out"
                )
            if model is not None:
                subject = factory_subject(
                    model, wanted, weights=checkpoint, arguments=model_args, time_steps=time_steps, seed=seed
                )
            elif checkpoint is not None and is_nir:
                subject = nir_subject(checkpoint, wanted, convention=convention, dt=dt, time_steps=time_steps)
            elif checkpoint is not None and is_graph_file(checkpoint):
                if time_steps is not None:
                    raise UsageError(
                        f"--time-steps: the time steps of {checkpoint} are fixed; export it again with others"
                    )
                if place is not None:
                    raise UsageError(f"--device {device}: an exported graph runs on the CPU; leave --device out")
                subject = graph_subject(checkpoint, wanted, trust=trust)
            else:
                assert checkpoint is not None
                subject = checkpoint_subject(checkpoint, wanted, time_steps)
            opponent = None if ann is None else (ann, built_ann(ann, weights=ann_weights, seed=seed))
            keeper = None
            if trace is not None and (trace.is_file() or not trace.exists()):
                keeper = Keeper(trace.resolve() if trace.is_symlink() else trace, resume=resume)
            if resume and keeper is None:
                raise UsageError(f"{trace}: --resume needs a file, and nothing can lie beside a pipe or a device")
            return _Run(
                form=form, subject=subject, prices=prices, until=target, device=place, keeper=keeper, ann=opponent
            )

        run = together(ranks, prepare)
        speaks = ranks is None or ranks.rank == 0
        if speaks:
            _remark(run, ranks, resume=resume, batch_size=batch_size)
        twins = (1 + 2 * quantised) if baseline and run.subject.has_twin else 0
        total = len(run.subject.images) * (1 + twins + (ann is not None))
        try:
            with progress("profiling", total) if speaks else nullcontext(None) as advance:
                assessment = run.subject.assess(
                    batch_size=batch_size,
                    device=run.device,
                    hardware=run.prices,
                    method=method,
                    strict=strict,
                    baseline=baseline,
                    quantised=quantised,
                    ann=run.ann,
                    fold=fold,
                    progress=advance,
                    per_sample=per_sample,
                    until=run.until,
                    keeper=run.keeper,
                    **({} if ranks is None else {"ranks": ranks}),
                )
        except KeyboardInterrupt:
            if speaks and run.keeper is not None and run.keeper.exists():
                print_line(
                    f"interrupted; {run.keeper.path} holds what is done: go on with the same command and --resume",
                    to_stderr=True,
                )
                raise typer.Exit(INTERRUPTED) from None
            raise

        def hand_over() -> None:
            if not speaks:
                return
            document = assessment.to_dict()
            if uncertainty or run.form == "html":
                from snn_energy.reporting.spread import uncertainty_key

                document |= uncertainty_key(assessment.report, against=assessment.against)
            if run.form == "html":
                from snn_energy.reporting.explained import explanation_key

                document |= explanation_key(assessment.report.trace)
            if trace is not None:
                from snn_energy.counting.tracefile import save_trace

                save_trace(assessment.report.trace, trace)
                print_line(f"wrote {trace}", to_stderr=True)
                if run.keeper is not None:
                    run.keeper.remove()
            if plot is not None:
                deliver_figure(document, "layers", plot)
            deliver(document, run.form, output, crossover=crossover)

        together(ranks, hand_over)
        stopping = assessment.stopping
        if strict and stopping is not None and not stopping.reached:
            raise UncountedError(
                f"strict: --until {until} was not reached by {stopping.samples} samples; give more samples, or a wider "
                "interval"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the options make, before anything runs."""

    form: str
    subject: Subject
    prices: Hardware
    until: float | None
    device: str | None
    keeper: Keeper | None
    ann: tuple[str, nn.Module] | None


def parsed_share(text: str) -> float:
    """A share of the mean written as a percentage, like 1% or 0.5 %.

    Raises:
        UsageError: not a percentage above 0 and below 100.
    """
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not text.strip().endswith("%") or not 0 < share < 1:
        raise UsageError(f"--until must be a percentage above 0% and below 100%, like 1% (got {text!r})")
    return share


def _remark(run: _Run, ranks: Ranks | None, *, resume: bool, batch_size: int) -> None:
    """Say what a user may not expect: an old partial trace, processes without work."""
    keeper = run.keeper
    if keeper is not None and keeper.exists() and not resume:
        print_line(
            f"{keeper.path} is of an interrupted run, which --resume would go on with; beginning anew", to_stderr=True
        )
    if keeper is not None and resume and not keeper.exists():
        print_line(f"nothing to resume, there is no {keeper.path}; beginning anew", to_stderr=True)
    if ranks is not None and batch_size > 0 and (batches := -(-len(run.subject.images) // batch_size)) < ranks.size:
        print_line(
            f"{ranks.size - batches} of {ranks.size} processes have no work: {len(run.subject.images):,} samples make "
            f"{batches} batches of {batch_size}; choose a smaller --batch-size",
            to_stderr=True,
        )
