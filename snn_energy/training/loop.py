"""The training loop: from a recipe to a checkpoint, the same weights every time on the same machine."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snn_energy.errors import UsageError
from snn_energy.models import packing
from snn_energy.models.checkpoints import SUFFIXES, save_checkpoint
from snn_energy.training.batches import batch_count, epoch_batches, made_ahead
from snn_energy.training.distributed import World, this_world
from snn_energy.training.evaluation import Evaluation
from snn_energy.training.events import BatchDone, EpochDone, Event, TrainingStarted
from snn_energy.training.learner import Learner, Tally
from snn_energy.training.logs import Curves, NoCurves, TensorBoard, log_path, write_csv
from snn_energy.training.network import input_spec, new_network
from snn_energy.training.penalty import Penalty
from snn_energy.training.precision import find_device
from snn_energy.training.recipe import Recipe
from snn_energy.training.record import training_record
from snn_energy.training.schedule import learning_rate_at
from snn_energy.training.splits import Splits, load_splits
from snn_energy.training.state import load_state, restore, save_state, state_path
from snn_energy.training.synced_norms import synced_norms
from snn_energy.training.testing import Examiner

Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a finished training produced.

    `evaluation`: test split, as trained. `snapped`: the same after folding and snapping, or None without `snap_bits`.
    `saved`: the test of the network that the checkpoint at `path` holds. `encoders`: that by the form of its spike
    encoders ("bernoulli", "deterministic"), empty where they have one form.
    """

    path: Path
    recipe: Recipe
    evaluation: Evaluation
    snapped: Evaluation | None
    saved: Evaluation
    encoders: dict[str, Evaluation]
    history: tuple[dict[str, Any], ...]


def train(
    recipe: Recipe,
    *,
    out: str | Path,
    data_dir: str | Path | None = None,
    resume: bool = False,
    command: str | None = None,
    progress: Listener | None = None,
    device: str = "cpu",
    save_every: int | None = None,
    tensorboard: str | Path | None = None,
    penalty: Penalty | None = None,
) -> TrainResult:
    """Train by `recipe`, test on the whole test split, and write the checkpoint `out` (.pt or .safetensors).

    After every epoch, and with `save_every` also after so many batches, the state is written to `<out>.resume` and the
    log to `<out>.csv`. After an interruption, however hard, the same call with `resume` goes on from there and ends
    with the same weights (on a CPU, with equally many threads). The state is removed once the checkpoint is written; a
    checkpoint that was at `out` before is replaced in that moment and not earlier. `data_dir` is where the files of the
    data set are, `command` is noted in the training record, `progress` is called with the events of
    `training.events`, `device` is "cpu", "cuda" or "auto", `tensorboard` a folder for event files, `penalty` a further
    term of the loss.

    Called in each process of a `torch.distributed` process group, the processes share every batch; rank 0 alone writes.

    Errors: UsageError when `out` has another suffix, when an unfinished training is in the way or is missing, or for a
    recipe that does not fit the data, the machine or the processes; DataError when the data are not found;
    TrainingError when the loss is no longer finite; RankError when another process failed.
    """
    out = Path(out)
    world = this_world(find_device(device, _local_rank()))
    gpus = [world.device] if world.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        training = world.together(
            lambda: _Training(recipe, out, data_dir, resume, world, progress, save_every, penalty)
        )
        curves = world.together(lambda: _curves(tensorboard, world, training.done + 1))
        try:
            return training.run(command, curves)
        finally:
            curves.close()


class _Training:
    """One call of `train`: what was read and built before the first step, and where it stands."""

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        data_dir: str | Path | None,
        resume: bool,
        world: World,
        progress: Listener | None,
        save_every: int | None,
        penalty: Penalty | None,
    ) -> None:
        if out.suffix not in SUFFIXES:
            raise UsageError(f"{out}: a checkpoint's name must end in {' or '.join(SUFFIXES)} (got {out.suffix!r})")
        if save_every is not None and save_every < 1:
            raise UsageError(f"save_every must be a number of batches >= 1 (got {save_every})")
        if recipe.compile and penalty is not None:
            raise UsageError("recipe: compile = true hides a network's layers from a penalty; set compile = false")
        self.recipe, self.out, self.world, self.penalty, self.save_every = recipe, out, world, penalty, save_every
        self.tell: Listener = progress if progress is not None and world.rank == 0 else _silent
        self.unfinished = state_path(out)
        if self.unfinished.exists() and not resume:
            raise UsageError(
                f"{self.unfinished}: an unfinished training is here; resume it, or delete the file to start anew"
            )
        if resume and not self.unfinished.exists():
            raise UsageError(f"{self.unfinished}: no unfinished training to resume; start it without resume")
        self.splits: Splits = load_splits(recipe, data_dir)
        self.batches = batch_count(recipe, self.splits.train)
        _refuse_empty_shares(recipe, len(self.splits.train), world)
        self.spec = input_spec(recipe, self.splits.train)
        self.model = new_network(recipe, self.splits.train)
        self.examine = Examiner(self.spec, world, self.tell, recipe.seed)
        self.learner = Learner(recipe, self.model, world, penalty)
        self.history: list[dict[str, Any]] = []
        self.done, self.inside = 0, None
        if resume:
            saved = load_state(self.unfinished, self.learner)
            restore(self.learner, recipe, saved)
            self.done, self.history, self.inside = saved["epoch"], list(saved["history"]), saved["inside"]

    def run(self, command: str | None, curves: Curves) -> TrainResult:
        """Go through the epochs that are left, test, and write the checkpoint."""
        recipe, world, learner = self.recipe, self.world, self.learner
        for network in (learner.model, *([] if learner.average is None else [learner.average.model])):
            world.copy_from_first(network)
        if not self.done and self.inside is None:
            world.on_first(lambda: save_state(self.unfinished, learner, 0, self.history))
        self.tell(
            TrainingStarted(
                first_epoch=self.done + 1,
                epochs=recipe.total_epochs,
                batches=self.batches,
                samples=len(self.splits.train),
                parameters=sum(p.numel() for p in self.model.parameters()),
            )
        )
        for epoch in range(self.done, recipe.total_epochs):
            event = self._epoch(epoch)
            if epoch + 1 == recipe.epochs:
                self._finish_first_phase()
            world.on_first(lambda done=epoch + 1: self._save(done))  # type: ignore[misc]
            curves.add(self.history[-1])
            self.tell(event)
        return self._finish(command)

    def _epoch(self, epoch: int) -> EpochDone:
        """Train for one epoch, or for what is left of it, and note it in the history."""
        recipe, learner, splits = self.recipe, self.learner, self.splits
        started, tally, first, generator = time.perf_counter(), Tally(), 0, None
        if self.inside is not None:
            first, generator, tally = self.inside["batch"], self.inside["generator"], Tally(**self.inside["tally"])
            self.inside = None
        before = tally.seconds
        batches = epoch_batches(recipe, splits.train, self.spec, epoch, first, generator)
        if self.world.device.type == "cuda":
            batches = made_ahead(batches)
        learner.model.train()
        rate = 0.0
        watching = nullcontext() if self.penalty is None else self.penalty.watching(learner.model)
        with watching, synced_norms(learner.model, active=self.world.size > 1):
            for batch in batches:
                rate = learning_rate_at(recipe, epoch * self.batches + batch.number, self.batches)
                learner.step(epoch, batch, rate, tally)
                tally.seconds = before + time.perf_counter() - started
                number = batch.number + 1
                if self.save_every is not None and number % self.save_every == 0 and number < self.batches:
                    inside = {"batch": number, "generator": batch.generator, "tally": tally.to_plain()}
                    self.world.on_first(lambda state=inside: self._save(epoch, state))  # type: ignore[misc]
                mean = tally.loss / tally.samples
                self.tell(BatchDone(epoch=epoch + 1, batch=number, batches=self.batches, loss=mean))
        entry: dict[str, Any] = {
            "epoch": epoch + 1,
            "phase": "snap" if learner.snapping else "train",
            "loss": tally.loss / tally.samples,
            "train_accuracy": tally.correct / tally.samples,
            "learning_rate": rate,
        }
        if self.penalty is not None:
            entry["penalty"] = self.penalty.record()
        if (epoch + 1) % recipe.evaluate_every == 0 or epoch + 1 in (recipe.epochs, recipe.total_epochs):
            entry |= self._validate(epoch)
        entry["seconds"] = before + time.perf_counter() - started
        self.history.append(entry)
        return EpochDone(
            epoch=epoch + 1,
            epochs=recipe.total_epochs,
            phase=str(entry["phase"]),
            loss=tally.loss / tally.samples,
            train_accuracy=tally.correct / tally.samples,
            learning_rate=rate,
            seconds=before + time.perf_counter() - started,
            validation_accuracy=entry.get("validation_accuracy"),
        )

    def _validate(self, epoch: int) -> dict[str, float]:
        if self.splits.validation is None:
            return {}
        result = self.examine(self.learner.present(), self.splits.validation, "validation")
        self.learner.judge(epoch + 1, result.correct)
        return {"validation_accuracy": result.accuracy}

    def _finish_first_phase(self) -> None:
        """Test the network as trained, then fold it for the second phase."""
        result = self.examine(self.learner.chosen(), self.splits.test, "float")
        self.history[-1]["test"] = {"correct": result.correct, "total": result.total}
        if self.recipe.snap_bits is not None:
            self.learner.start_snapping()

    def _save(self, epoch: int, inside: dict[str, Any] | None = None) -> None:
        save_state(self.unfinished, self.learner, epoch, self.history, inside)
        if self.history:
            write_csv(log_path(self.out), self.history)

    def _finish(self, command: str | None) -> TrainResult:
        recipe, splits = self.recipe, self.splits
        saved = evaluation = Evaluation(**self.history[recipe.epochs - 1]["test"])
        snapped = None
        final = copy.deepcopy(self.learner.chosen()).eval()
        if recipe.snap_bits is not None:
            saved = snapped = self.examine(final, splits.test, "snapped")
        if recipe.saved_as == "float16":
            final.load_state_dict(packing.rounded(final.state_dict(), "float16"))
            saved = self.examine(final, splits.test, "saved")
        encoders = self.examine.by_encoder(final, splits.test)
        record = training_record(
            recipe,
            command=command,
            world=self.world,
            penalty=self.penalty,
            history=self.history,
            evaluation=evaluation,
            saved=saved,
            encoders=encoders,
        )
        self.world.on_first(lambda: self._write(final, record))
        return TrainResult(
            path=self.out,
            recipe=recipe,
            evaluation=evaluation,
            snapped=snapped,
            saved=saved,
            encoders=encoders,
            history=tuple(self.history),
        )

    def _write(self, final: nn.Module, record: dict[str, Any]) -> None:
        recipe, data = self.recipe, self.splits.train
        final = final.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        save_checkpoint(
            self.out,
            final,
            input=self.spec,
            classes=data.classes,
            dataset=data.name,
            training=record,
            weight_bits=recipe.snap_bits if recipe.saved_as == "packed" else None,
            weight_dtype="float16" if recipe.saved_as == "float16" else "float32",
        )
        self.unfinished.unlink()


def _refuse_empty_shares(recipe: Recipe, samples: int, world: World) -> None:
    last = (samples - 1) % recipe.batch_size + 1
    least = last // recipe.accumulate
    if least < world.size:
        raise UsageError(
            f"recipe: batch_size = {recipe.batch_size} leaves a last batch of {last} samples in {recipe.accumulate}"
            f" parts: expected one sample at least in each part for each of {world.size} processes; choose another"
            " batch_size"
        )


def _curves(folder: str | Path | None, world: World, first_epoch: int) -> Curves:
    return NoCurves() if folder is None or world.rank else TensorBoard(folder, first_epoch)


def _local_rank() -> int:
    import os

    return int(os.environ.get("LOCAL_RANK", "0"))


def _silent(_: Event) -> None:
    """Tell nobody."""
