"""The training loop: from a recipe to a checkpoint, the same weights every time on the same machine."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from snn_energy.errors import SnnEnergyError, UsageError
from snn_energy.models.checkpoints import SUFFIXES, save_checkpoint
from snn_energy.models.folding import fold
from snn_energy.models.inputs import InputSpec, unit_pixels
from snn_energy.models.registry import build
from snn_energy.models.snapping import snap, snapped_parameters
from snn_energy.models.spiking_cnn import SpikingCNN
from snn_energy.training.augmentation import augment
from snn_energy.training.datasets import load_named
from snn_energy.training.evaluation import Evaluation, evaluate
from snn_energy.training.events import BatchDone, EpochDone, EvaluationProgress, Event, TrainingStarted
from snn_energy.training.imageset import ImageSet
from snn_energy.training.recipe import Recipe, learning_rate_at
from snn_energy.training.state import load_state, save_state, state_path

Listener = Callable[[Event], None]
PACKAGES = ("snn-energy", "torch", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a finished training produced.

    `evaluation`: test split, as trained. `snapped`: the same after folding and snapping, or None without
    `snap_bits`. The checkpoint at `path` holds the snapped network when there is one.
    """

    path: Path
    recipe: Recipe
    evaluation: Evaluation
    snapped: Evaluation | None
    history: tuple[dict[str, Any], ...]


def train(
    recipe: Recipe,
    *,
    out: str | Path,
    data_dir: str | Path | None = None,
    resume: bool = False,
    command: str | None = None,
    progress: Listener | None = None,
) -> TrainResult:
    """Train by `recipe`, test on the whole test split, and write the checkpoint `out` (.pt or .safetensors).

    After every epoch the state is written to `<out>.resume`; after an interruption the same call with
    `resume` goes on from there and ends with the same weights. The file is removed once the checkpoint is
    written. `data_dir` is where the training files are, `command` is noted in the training record, and
    `progress` is called with the events of `training.events`.

    Errors: UsageError when `out` has another suffix, when an unfinished training is in the way or is missing,
    or for a recipe that does not fit the data; DataError when the training data are not found; TrainingError
    when the loss is no longer finite.
    """
    out = Path(out)
    tell = progress if progress is not None else _silent
    if out.suffix not in SUFFIXES:
        raise UsageError(f"{out}: a checkpoint's name must end in {' or '.join(SUFFIXES)} (got {out.suffix!r})")
    unfinished = state_path(out)
    if unfinished.exists() and not resume:
        raise UsageError(f"{unfinished}: an unfinished training is here; resume it, or delete the file to start anew")
    saved = load_state(unfinished, recipe) if resume else None

    train_set = load_named(recipe.dataset, "train", data_dir)
    test_set = load_named(recipe.dataset, "test", data_dir)
    channels, height, width = (int(n) for n in train_set.images.shape[1:])
    spec = unit_pixels(channels, height, width)
    model = _new_model(recipe, train_set)
    run = _Run(recipe, train_set, spec, model)
    history: list[dict[str, Any]] = []
    done = 0
    if saved is not None:
        done, history = saved["epoch"], list(saved["history"])
        run.restore(done, saved)
    else:
        save_state(unfinished, recipe, 0, run.model, run.optimizer, history)

    parameters = sum(p.numel() for p in run.model.parameters())
    tell(
        TrainingStarted(
            first_epoch=done + 1,
            epochs=recipe.total_epochs,
            batches=run.batches,
            samples=len(train_set),
            parameters=parameters,
        )
    )
    for epoch in range(done, recipe.total_epochs):
        event = run.epoch(epoch, tell)
        history.append({"loss": event.loss, "train_accuracy": event.train_accuracy})
        if epoch + 1 == recipe.epochs:
            history[-1] |= run.finish_first_phase(test_set, tell)
        save_state(unfinished, recipe, epoch + 1, run.model, run.optimizer, history)
        tell(event)

    evaluation = Evaluation(**history[recipe.epochs - 1]["test"])
    final, snapped = run.model, None
    if recipe.snap_bits is not None:
        final = snap(run.model, recipe.snap_bits)
        snapped = _evaluate(final, test_set, spec, "snapped", tell)
    save_checkpoint(
        out,
        final,
        input=spec,
        classes=train_set.classes,
        dataset=train_set.name,
        training=_record(recipe, command, evaluation, snapped, history),
    )
    unfinished.unlink()
    return TrainResult(path=out, recipe=recipe, evaluation=evaluation, snapped=snapped, history=tuple(history))


class TrainingError(SnnEnergyError):
    """The training diverged."""


class _Run:
    """The moving parts of one training: the network, its optimizer, and which phase they are in."""

    def __init__(self, recipe: Recipe, data: ImageSet, spec: InputSpec, model: SpikingCNN) -> None:
        self.recipe, self.data, self.spec = recipe, data, spec
        self.batches = -(-len(data) // recipe.batch_size)
        self.model = model
        self.optimizer = _optimizer(recipe, model)

    def restore(self, epoch: int, saved: dict[str, Any]) -> None:
        """Take over a saved state, which is that of the folded network once the first phase is over."""
        if epoch >= self.recipe.epochs and self.recipe.snap_bits is not None:
            self._adopt(fold(self.model))
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])

    def epoch(self, epoch: int, tell: Listener) -> EpochDone:
        """Train for one epoch, whose random numbers depend on the seed and its number alone."""
        recipe, started = self.recipe, time.perf_counter()
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.data), generator=generator)
        assert self.data.labels is not None
        self.model.train()
        loss_sum, correct, seen, rate = 0.0, 0, 0, 0.0
        for i, chosen in enumerate(torch.split(order, recipe.batch_size)):
            pixels, labels = self.data.images[chosen], self.data.labels[chosen]
            if recipe.augment:
                pixels = augment(pixels, generator, recipe.shift_pixels, recipe.flip)
            rate = learning_rate_at(recipe, epoch * self.batches + i, self.batches)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            logits = self._logits(self.spec.apply(pixels))
            loss = cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            if not bool(torch.isfinite(loss)):
                raise TrainingError(
                    f"training: loss {loss.item()} in epoch {epoch + 1}, batch {i + 1}: expected a finite"
                    f" number; lower learning_rate (it is {recipe.learning_rate:g}) and start anew"
                )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            seen += len(labels)
            loss_sum += loss.item() * len(labels)
            correct += int((logits.detach().argmax(1) == labels).sum())
            tell(BatchDone(epoch=epoch + 1, batch=i + 1, batches=self.batches, loss=loss_sum / seen))
        return EpochDone(
            epoch=epoch + 1,
            epochs=recipe.total_epochs,
            phase="snap" if self.model.folded else "train",
            loss=loss_sum / seen,
            train_accuracy=correct / seen,
            learning_rate=rate,
            seconds=time.perf_counter() - started,
        )

    def finish_first_phase(self, test_set: ImageSet, tell: Listener) -> dict[str, Any]:
        """Test the network as trained, then fold it for the second phase; return what history keeps."""
        result = _evaluate(self.model, test_set, self.spec, "float", tell)
        if self.recipe.snap_bits is not None:
            self._adopt(fold(self.model))
        return {"test": {"correct": result.correct, "total": result.total}}

    def _adopt(self, model: SpikingCNN) -> None:
        self.model = model
        self.optimizer = _optimizer(self.recipe, model)

    def _logits(self, x: Tensor) -> Tensor:
        if not self.model.folded:
            return self.model(x)  # type: ignore[no-any-return]
        assert self.recipe.snap_bits is not None
        snapped = snapped_parameters(self.model, self.recipe.snap_bits)
        return torch.func.functional_call(self.model, snapped, (x,))  # type: ignore[no-any-return]


def _silent(_: Event) -> None:
    """Tell nobody."""


def _new_model(recipe: Recipe, data: ImageSet) -> SpikingCNN:
    channels, height, width = (int(n) for n in data.images.shape[1:])
    if height != width:
        raise UsageError(f"{recipe.dataset}: the reference network takes square images (got {height} x {width})")
    fixed = {"in_channels": channels, "classes": len(data.classes), "image_size": height}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, **fixed, **recipe.model_args, time_steps=recipe.time_steps)
    assert isinstance(model, SpikingCNN)
    return model


def _optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.SGD:
    """Weight decay is for tensors with more than one axis: biases and batch norms are left alone."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def _evaluate(model: nn.Module, images: ImageSet, spec: InputSpec, what: str, tell: Listener) -> Evaluation:
    def report(done: int, total: int) -> None:
        tell(EvaluationProgress(what=what, done=done, total=total))

    return evaluate(model, images, spec, progress=report)


def _record(
    recipe: Recipe,
    command: str | None,
    evaluation: Evaluation,
    snapped: Evaluation | None,
    history: list[dict[str, Any]],
) -> dict[str, Any]:
    final = snapped if snapped is not None else evaluation
    return {
        "command": command,
        "recipe": recipe.to_plain(),
        "seed": recipe.seed,
        "epochs": recipe.total_epochs,
        "test_correct": final.correct,
        "test_total": final.total,
        "test_accuracy": final.accuracy,
        "test_accuracy_before_snapping": evaluation.accuracy,
        "loss": [round(entry["loss"], 4) for entry in history],
        "train_accuracy": [round(entry["train_accuracy"], 4) for entry in history],
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed (run from a checkout)"
