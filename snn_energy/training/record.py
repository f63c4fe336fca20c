"""The record of a training that its checkpoint carries: what was done, with what, and what came of it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import torch

from snn_energy.training.distributed import World
from snn_energy.training.evaluation import Evaluation
from snn_energy.training.penalty import Penalty
from snn_energy.training.recipe import Recipe

PACKAGES = ("snn-energy", "torch", "numpy")


def training_record(
    recipe: Recipe,
    *,
    command: str | None,
    world: World,
    penalty: Penalty | None,
    history: list[dict[str, Any]],
    evaluation: Evaluation,
    saved: Evaluation,
    encoders: Mapping[str, Evaluation],
) -> dict[str, Any]:
    """Return the record, plain values: recipe, seed, versions, machine, the epochs' history, and the tests.

    `evaluation` is the test as trained, `saved` that of the network in the file, `encoders` the latter's by the form
    of its spike encoders, where they have several.
    """
    record: dict[str, Any] = {
        "command": command,
        "recipe": recipe.to_plain(),
        "seed": recipe.seed,
        "epochs": recipe.total_epochs,
        "test_correct": saved.correct,
        "test_total": saved.total,
        "test_accuracy": saved.accuracy,
        "test_accuracy_before_snapping": evaluation.accuracy,
        "loss": [round(entry["loss"], 4) for entry in history],
        "train_accuracy": [round(entry["train_accuracy"], 4) for entry in history],
        "learning_rate": [entry["learning_rate"] for entry in history],
        "seconds": round(sum(entry["seconds"] for entry in history), 1),
        "threads": torch.get_num_threads(),
        "processes": world.size,
        "device": torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else world.device.type,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }
    if recipe.validation:
        record["validation_accuracy"] = [entry.get("validation_accuracy") for entry in history]
    if encoders:
        record["test_correct_by_encoder"] = {name: result.correct for name, result in encoders.items()}
    if penalty is not None:
        record["penalty"] = {**penalty.to_plain(), "epochs": [entry["penalty"] for entry in history]}
    return record


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed (run from a checkout)"
