"""The state of an unfinished training on disk: enough to go on exactly where it was written.

The random numbers of an epoch depend on the recipe's seed and the epoch's number alone, and what the network draws by
itself on the batch's number too. So at the end of an epoch the state needs no generator, and inside one only that of
the augmentation. The learning rate is a closed form of the step's number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from snn_energy.errors import CheckpointError, UsageError
from snn_energy.files import write_atomic
from snn_energy.models import storage
from snn_energy.training.learner import Learner
from snn_energy.training.penalty import StatefulPenalty
from snn_energy.training.recipe import Recipe

FORMAT = "snn-energy-training-state"
FORMAT_VERSION = 2
KEYS = {"format", "format_version", "settings", "epoch", "inside", "history", "penalty"} | {
    *("model", "optimizer", "scaler", "average", "best")
}


def state_path(out: Path) -> Path:
    """Return where the unfinished training of `out` is kept: beside it, with .resume added."""
    return out.with_name(out.name + ".resume")


def save_state(
    path: Path,
    learner: Learner,
    epoch: int,
    history: list[dict[str, Any]],
    inside: dict[str, int | float | Tensor] | None = None,
) -> None:
    """Write the state after `epoch` whole epochs, atomically; `inside` is what the begun one has to remember."""
    payload = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "settings": _settings(learner),
        "epoch": epoch,
        "inside": inside,
        "history": history,
        "penalty": learner.penalty.state_dict() if isinstance(learner.penalty, StatefulPenalty) else None,
        **learner.state(),
    }
    write_atomic(path, storage.torch_bytes(payload))


def load_state(path: Path, learner: Learner) -> dict[str, Any]:
    """Return the state written by `save_state` for a learner with the same recipe and penalty.

    Errors: UsageError when there is none or it belongs to another recipe, CheckpointError when it is damaged.
    """
    if not path.exists():
        raise UsageError(f"{path}: no unfinished training to resume; start it without resume")
    payload = storage.read_torch(path, "training state", CheckpointError)
    if not isinstance(payload, dict) or payload.get("format") != FORMAT or "format_version" not in payload:
        raise CheckpointError(f"{path}: not a training state of this package; delete it and train again")
    if payload.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format_version must be {FORMAT_VERSION} (got {payload.get('format_version')!r}); delete it"
            " and train again"
        )
    if set(payload) != KEYS:
        raise CheckpointError(f"{path}: damaged training state: expected {', '.join(sorted(KEYS))}; delete it")
    mine, theirs = (json.loads(json.dumps(settings)) for settings in (_settings(learner), payload["settings"]))
    for name in sorted(set(mine) | set(theirs)):
        if mine.get(name) != theirs.get(name):
            raise UsageError(
                f"{path}: begun with {name} = {theirs.get(name)!r} (got {mine.get(name)!r}); resume with the"
                " same recipe, or delete the file to start anew"
            )
    return payload


def restore(learner: Learner, recipe: Recipe, saved: dict[str, Any]) -> None:
    """Put `learner` where it was when `saved` was written."""
    learner.restore(saved, snapping=saved["epoch"] >= recipe.epochs and recipe.snap_bits is not None)
    if isinstance(learner.penalty, StatefulPenalty):
        learner.penalty.load_state_dict(saved["penalty"])


def _settings(learner: Learner) -> dict[str, Any]:
    """Everything that both halves of a training must have in common."""
    penalty = learner.penalty
    return {**learner.recipe.to_plain(), "penalty": None if penalty is None else penalty.to_plain()}
