"""`snn-energy train`: train a reference network."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_energy.cli.console import Advance, print_line, progress
from snn_energy.cli.group import INTERRUPTED

if TYPE_CHECKING:
    from snn_energy.training import Event, Recipe


def train_command(
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Start from this recipe (fashion-cnn, digits-cnn).", show_default=False),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Data set: digits or fashion-mnist.", show_default=False),
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs.", show_default=False)] = None,
    time_steps: Annotated[
        int | None, typer.Option(metavar="T", help="Time steps per inference.", show_default=False)
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(metavar="W,W,...", help="Channels of each block, like 16,32.", show_default=False),
    ] = None,
    lr: Annotated[float | None, typer.Option(metavar="RATE", help="Peak learning rate.", show_default=False)] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Images per batch.", show_default=False)] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Decides all random numbers.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Checkpoint, .pt or .safetensors; default: NAME.pt.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the training images lie.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="CPU threads; equal ones give equal weights.", show_default=False),
    ] = None,
) -> None:
    """Train a reference spiking network.

    Start from a recipe, from a data set, or from both; options change single values. Ctrl-C is safe: the
    state of the last whole epoch is on disk, and --resume goes on from there.

    \b
    Examples:
      snn-energy train --recipe digits-cnn
      snn-energy train --data digits --epochs 5 --time-steps 2 --widths 8,16
      snn-energy train --recipe fashion-cnn --out fashion-cnn.pt --resume
    """
    from snn_energy.errors import UsageError
    from snn_energy.training import train

    if threads is not None:
        if threads < 1:
            raise UsageError(f"--threads must be >= 1 (got {threads})")
        import torch

        torch.set_num_threads(threads)
    plan = _plan(
        recipe,
        data,
        {
            "epochs": epochs,
            "time_steps": time_steps,
            "learning_rate": lr,
            "batch_size": batch_size,
            "seed": seed,
            "model_args": None if widths is None else {"widths": _parse_widths(widths)},
        },
    )
    path = out if out is not None else Path(f"{recipe or data}.pt")
    words = {
        "--recipe": recipe,
        "--data": data,
        "--epochs": epochs,
        "--time-steps": time_steps,
        "--widths": widths,
        "--lr": lr,
        "--batch-size": batch_size,
        "--seed": seed,
        "--out": out,
        "--data-dir": data_dir,
        "--threads": threads,
    }
    command = _command(words)
    # The record in the checkpoint names what decides the weights, not where the data lie on this machine.
    recorded = _command({flag: value for flag, value in words.items() if flag not in ("--out", "--data-dir")})
    with ExitStack() as stack:
        listener = _Listener(stack)
        try:
            result = train(plan, out=path, data_dir=data_dir, resume=resume, command=recorded, progress=listener)
        except KeyboardInterrupt:
            stack.close()
            print_line(f"interrupted {listener.where}; go on with: {command} --resume", to_stderr=True)
            raise typer.Exit(INTERRUPTED) from None
    print_line(f"test accuracy {_accuracy(result.evaluation)}")
    if result.snapped is not None:
        print_line(f"with {plan.snap_bits}-bit weights, as saved, {_accuracy(result.snapped)}")
    print_line(f"wrote {path}; see its energy with: snn-energy profile {shlex.quote(str(path))}")


class _Listener:
    """Draws one bar over the whole training and prints one line for each epoch."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.advance: Advance | None = None
        self.where = "before the first epoch"
        self.epoch = ""

    def __call__(self, event: Event) -> None:
        from snn_energy.training import BatchDone, EpochDone, EvaluationProgress, TrainingStarted

        if isinstance(event, TrainingStarted):
            left = event.epochs - event.first_epoch + 1
            print_line(
                f"{event.samples:,} images, {event.parameters:,} parameters, "
                f"epochs {event.first_epoch} to {event.epochs}"
            )
            self.where = f"in epoch {event.first_epoch} of {event.epochs}"
            self.advance = self.stack.enter_context(progress("training", left * event.batches))
        elif isinstance(event, BatchDone) and self.advance is not None:
            self.advance(note=f"epoch {event.epoch} loss {event.loss:.3f}{self.epoch}")
        elif isinstance(event, EpochDone):
            self.epoch = f" accuracy {event.train_accuracy:.1%}"
            self.where = f"after epoch {event.epoch} of {event.epochs}"
            print_line(
                f"epoch {event.epoch:>{len(str(event.epochs))}}/{event.epochs}  {event.phase:<5}  "
                f"loss {event.loss:.4f}  train accuracy {event.train_accuracy:.2%}  "
                f"lr {event.learning_rate:.4f}  {event.seconds:.1f} s"
            )
        elif isinstance(event, EvaluationProgress) and self.advance is not None:
            self.advance(0, note=f"testing ({event.what}) {event.done:,} of {event.total:,}")


def _plan(name: str | None, data: str | None, changes: dict[str, Any]) -> Recipe:
    from snn_energy.errors import UsageError
    from snn_energy.models.suggest import unknown
    from snn_energy.training import RECIPES, Recipe, dataset_names, find_recipe

    if name is None and data is None:
        raise UsageError(
            f"nothing to train: give --recipe ({', '.join(RECIPES)}) or --data ({', '.join(dataset_names())})"
        )
    if data is not None and data not in dataset_names():
        raise unknown("data set", data, dataset_names())
    base = find_recipe(name) if name is not None else Recipe(dataset=str(data))
    kept = {key: value for key, value in changes.items() if value is not None}
    if data is not None:
        kept["dataset"] = data
    if "model_args" in kept:
        kept["model_args"] = {**base.model_args, **kept["model_args"]}
    return replace(base, **kept)


def _parse_widths(text: str) -> list[int]:
    from snn_energy.errors import UsageError

    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise UsageError(f"--widths must be integers >= 1 with commas between them, like 16,32 (got {text!r})")
    return [int(part) for part in parts]


def _command(words: dict[str, Any]) -> str:
    given = [text for flag, value in words.items() if value is not None for text in (flag, str(value))]
    return shlex.join(["snn-energy", "train", *given])


def _accuracy(evaluation: Any) -> str:
    return f"{evaluation.accuracy:.2%} ({evaluation.correct:,} of {evaluation.total:,})"
