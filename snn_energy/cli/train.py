"""`snn-energy train`: train a reference network."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_energy.cli.console import Advance, emit_json, print_line, progress
from snn_energy.cli.group import INTERRUPTED
from snn_energy.cli.sharing import shared_run

if TYPE_CHECKING:
    from snn_energy.training import EpochDone, Event, Recipe, TrainResult
    from snn_energy.training.penalty import Penalty


PLACES = ("--out", "--data-dir", "--save-every", "--tensorboard")
"""Options that decide where things lie and when they are saved, not what the weights become."""


def _list_recipes(asked: bool) -> None:
    if not asked:
        return
    from snn_energy.training import find_recipe, recipe_names

    for name in recipe_names():
        recipe = find_recipe(name)
        print_line(
            f"{name:<28}{recipe.model:<20}{recipe.dataset:<15}T = {recipe.time_steps}, {recipe.total_epochs} epochs"
        )
    raise typer.Exit


def train_command(
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Start from this shipped recipe (see --list-recipes).", show_default=False),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Start from the recipe in this TOML file.", show_default=False)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Data set like digits or cifar10, or a folder with train and test.", show_default=False
        ),
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
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change any value of the recipe; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Checkpoint, .pt or .safetensors; default: NAME.pt.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    save_every: Annotated[
        int | None,
        typer.Option(metavar="N", help="Save the state every N batches too, not by epoch alone.", show_default=False),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the files of the data set lie.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, or auto.")] = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="CPU threads; equal ones give equal weights.", show_default=False),
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write TensorBoard logs here.", show_default=False)
    ] = None,
    energy_weight: Annotated[
        float | None,
        typer.Option(
            metavar="W", help="Add W x energy / energy of a spike everywhere to the loss.", show_default=False
        ),
    ] = None,
    energy_target_uj: Annotated[
        float | None,
        typer.Option(
            metavar="UJ", help="Pull the energy per inference below this, in microjoules.", show_default=False
        ),
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH", help="Prices of that energy; default: horowitz-45nm-fp32.", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON at the end; the epochs to standard error.")] = False,
    _list: Annotated[
        bool, typer.Option("--list-recipes", help="List the shipped recipes.", callback=_list_recipes, is_eager=True)
    ] = False,
) -> None:
    """Train a reference spiking network.

    Start from a recipe or from a data set; options change single values. Ctrl-C or worse is safe: --resume goes
    on from the last saved state. The log is FILE.csv; a checkpoint that is at FILE is replaced at the very end.
    Under torchrun the processes share each batch.

    \b
    Examples:
      snn-energy train --recipe digits-cnn
      snn-energy train --config mine.toml --set augmentation.flip=true
      snn-energy train --data digits --epochs 5 --time-steps 2 --widths 8,16
      snn-energy train --recipe fashion-cnn --out fashion-cnn.pt --resume
      snn-energy train --recipe digits-cnn --energy-target-uj 0.1
      torchrun --nproc-per-node 2 -m snn_energy train --recipe digits-cnn
    """
    from snn_energy.errors import UsageError

    if threads is not None and threads < 1:
        raise UsageError(f"--threads must be >= 1 (got {threads})")
    values = {
        "epochs": epochs,
        "time_steps": time_steps,
        "learning_rate": lr,
        "batch_size": batch_size,
        "seed": seed,
        "model_args": None if widths is None else {"widths": _parse_widths(widths)},
    }
    words = {
        "--recipe": recipe,
        "--config": config,
        "--data": data,
        "--epochs": epochs,
        "--time-steps": time_steps,
        "--widths": widths,
        "--lr": lr,
        "--batch-size": batch_size,
        "--seed": seed,
        "--set": set_,
        "--out": out,
        "--data-dir": data_dir,
        "--save-every": save_every,
        "--device": None if device == "cpu" else device,
        "--threads": threads,
        "--tensorboard": tensorboard,
        "--energy-weight": energy_weight,
        "--energy-target-uj": energy_target_uj,
        "--hardware": hardware,
    }
    import torch

    from snn_energy.training import train
    from snn_energy.tuning import energy_penalty

    penalty = energy_penalty(hardware or "horowitz-45nm-fp32", energy_weight, energy_target_uj)
    if penalty is None and hardware is not None:
        raise UsageError("--hardware prices an energy: give --energy-weight or --energy-target-uj as well")

    if threads is not None:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with shared_run(device) as ranks:
        plan = _plan(recipe, config, data, values, set_ or [])
        path = out if out is not None else Path(f"{recipe or (config.stem if config else Path(str(data)).name)}.pt")
        launcher = [] if ranks is None else ["torchrun", "--nproc-per-node", str(ranks.size), "-m"]
        command = _command(words, launcher)
        # The record in the checkpoint names what decides the weights, not where files lie on this machine.
        recorded = _command({flag: value for flag, value in words.items() if flag not in PLACES})
        with ExitStack() as stack:
            listener = _Listener(stack, penalty, to_stderr=json)
            try:
                result = train(
                    plan,
                    out=path,
                    data_dir=data_dir,
                    resume=resume,
                    command=recorded,
                    progress=listener,
                    device=device,
                    save_every=save_every,
                    tensorboard=tensorboard,
                    penalty=penalty,
                )
            except KeyboardInterrupt:
                stack.close()
                if ranks is None or ranks.rank == 0:
                    print_line(f"interrupted {listener.where}; go on with: {command} --resume", to_stderr=True)
                raise typer.Exit(INTERRUPTED) from None
        if ranks is None or ranks.rank == 0:
            emit_json(_record(result)) if json else _say(result)


def _record(result: TrainResult) -> dict[str, Any]:
    """What came of a training as plain values: the evaluations that `_say` prints, each with its counts."""
    evaluations = {"unsaved": result.evaluation, "saved": result.saved, **result.encoders}
    return {
        "checkpoint": str(result.path),
        "test": {
            name: {"correct": evaluation.correct, "total": evaluation.total, "accuracy": evaluation.accuracy}
            for name, evaluation in evaluations.items()
        },
    }


def _say(result: TrainResult) -> None:
    """Print what came of a training."""
    recipe, path = result.recipe, result.path
    print_line(f"test accuracy {_accuracy(result.evaluation)}")
    if result.snapped is not None:
        print_line(f"with {recipe.snap_bits}-bit weights, as saved, {_accuracy(result.snapped)}")
    if recipe.saved_as == "float16":
        print_line(f"with float16 weights, as saved, {_accuracy(result.saved)}")
    for name, evaluation in result.encoders.items():
        print_line(f"with the {name} encoder {_accuracy(evaluation)}")
    print_line(f"wrote {path}; see its energy with: snn-energy profile {shlex.quote(str(path))}")


class _Listener:
    """Draws one bar over the whole training and prints one line for each epoch."""

    def __init__(self, stack: ExitStack, penalty: Penalty | None = None, *, to_stderr: bool = False) -> None:
        self.stack, self.penalty, self.to_stderr = stack, penalty, to_stderr
        self.advance: Advance | None = None
        self.where = "before the first epoch"
        self.epoch = ""
        self.started, self.first_epoch = time.monotonic(), 1

    def __call__(self, event: Event) -> None:
        from snn_energy.training import BatchDone, EpochDone, EvaluationProgress, TrainingStarted

        if isinstance(event, TrainingStarted):
            left = event.epochs - event.first_epoch + 1
            self.started, self.first_epoch = time.monotonic(), event.first_epoch
            print_line(
                f"{event.samples:,} images, {event.parameters:,} parameters, "
                f"epochs {event.first_epoch} to {event.epochs}",
                to_stderr=self.to_stderr,
            )
            self.where = f"in epoch {event.first_epoch} of {event.epochs}"
            self.advance = self.stack.enter_context(progress("training", left * event.batches))
        elif isinstance(event, BatchDone) and self.advance is not None:
            self.advance(note=f"epoch {event.epoch} loss {event.loss:.3f}{self.epoch}")
        elif isinstance(event, EpochDone):
            self.epoch = f" accuracy {event.train_accuracy:.1%}"
            self.where = f"after epoch {event.epoch} of {event.epochs}"
            held_out = "" if event.validation_accuracy is None else f"  validation {event.validation_accuracy:.2%}"
            spent = "" if self.penalty is None else f"  energy {self.penalty.record()['energy_uj']:.4g} uJ"
            print_line(
                f"epoch {event.epoch:>{len(str(event.epochs))}}/{event.epochs}  {event.phase:<5}  "
                f"loss {event.loss:.4f}  train accuracy {event.train_accuracy:.2%}{held_out}{spent}  "
                f"lr {event.learning_rate:.4f}  {event.seconds:.1f} s{self._left(event)}",
                to_stderr=self.to_stderr,
            )
        elif isinstance(event, EvaluationProgress) and self.advance is not None:
            self.advance(0, note=f"testing ({event.what}) {event.done:,} of {event.total:,}")

    def _left(self, event: EpochDone) -> str:
        """The time that the epochs still to come will take, at the mean pace of those since the start."""
        left = event.epochs - event.epoch
        if not left:
            return ""
        seconds = (time.monotonic() - self.started) / (event.epoch - self.first_epoch + 1) * left
        if seconds < 60:
            return f"  {seconds:.0f} s left"
        minutes = round(seconds / 60)
        return f"  {minutes // 60} h {minutes % 60} min left" if minutes >= 60 else f"  {minutes} min left"


def _plan(
    name: str | None, config: Path | None, data: str | None, changes: dict[str, Any], settings: list[str]
) -> Recipe:
    from snn_energy.errors import UsageError
    from snn_energy.models.suggest import unknown
    from snn_energy.training import Recipe, changed, dataset_names, find_recipe, read_recipe, recipe_names

    if name is not None and config is not None:
        raise UsageError(f"expected --recipe or --config (got both: {name} and {config}); leave one out")
    if name is None and config is None and data is None:
        raise UsageError(
            f"nothing to train: give --recipe ({', '.join(recipe_names())}), --config FILE"
            f" or --data ({', '.join(dataset_names())})"
        )
    if data is not None and data not in dataset_names() and not Path(data).is_dir():
        raise unknown("data set", data, dataset_names())
    if config is not None:
        base = read_recipe(config)
    else:
        base = find_recipe(name) if name is not None else Recipe(dataset=str(data))
    kept = {key: value for key, value in changes.items() if value is not None}
    if data is not None:
        kept["dataset"] = data
    if "model_args" in kept:
        kept["model_args"] = {**base.model_args, **kept["model_args"]}
    return changed(replace(base, **kept), settings)


def _parse_widths(text: str) -> list[int]:
    from snn_energy.errors import UsageError

    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise UsageError(f"--widths must be integers >= 1 with commas between them, like 16,32 (got {text!r})")
    return [int(part) for part in parts]


def _command(words: dict[str, Any], launcher: Sequence[str] = ()) -> str:
    given = []
    for flag, value in words.items():
        for each in value if isinstance(value, list) else [value]:
            given += [] if each is None else [flag, str(each)]
    return shlex.join([*(launcher or ["snn-energy"]), *(["snn_energy"] if launcher else []), "train", *given])


def _accuracy(evaluation: Any) -> str:
    return f"{evaluation.accuracy:.2%} ({evaluation.correct:,} of {evaluation.total:,})"
