"""The state of an unfinished training on disk: enough to go on exactly where the last whole epoch ended.

The random numbers of an epoch depend on the recipe's seed and the epoch's number alone, so the state needs no
generator: weights, momenta and the count of finished epochs decide everything that follows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn, optim

from snn_energy.errors import CheckpointError, UsageError
from snn_energy.files import write_atomic
from snn_energy.models import storage
from snn_energy.training.recipe import Recipe

FORMAT = "snn-energy-training-state"
FORMAT_VERSION = 1


def state_path(out: Path) -> Path:
    """Return where the unfinished training of `out` is kept: beside it, with .resume added."""
    return out.with_name(out.name + ".resume")


def save_state(
    path: Path,
    recipe: Recipe,
    epoch: int,
    model: nn.Module,
    optimizer: optim.Optimizer,
    history: list[dict[str, Any]],
) -> None:
    """Write the state after `epoch` whole epochs, atomically."""
    payload = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "recipe": recipe.to_plain(),
        "epoch": epoch,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": history,
    }
    write_atomic(path, storage.torch_bytes(payload))


def load_state(path: Path, recipe: Recipe) -> dict[str, Any]:
    """Return the state written by `save_state`.

    Errors: UsageError when there is none or it belongs to another recipe, CheckpointError when it is damaged.
    """
    if not path.exists():
        raise UsageError(f"{path}: no unfinished training to resume; start it without resume")
    payload = storage.read_torch(path, "training state", CheckpointError)
    keys = {"format", "format_version", "recipe", "epoch", "model", "optimizer", "history"}
    if not isinstance(payload, dict) or set(payload) != keys or payload["format"] != FORMAT:
        raise CheckpointError(f"{path}: not a training state of this package; delete it and train again")
    if payload["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format_version must be {FORMAT_VERSION} (got {payload['format_version']!r}); delete it"
            " and train again"
        )
    mine, theirs = (json.loads(json.dumps(r)) for r in (recipe.to_plain(), payload["recipe"]))
    for name in sorted(set(mine) | set(theirs)):
        if mine.get(name) != theirs.get(name):
            raise UsageError(
                f"{path}: begun with {name} = {theirs.get(name)!r} (got {mine.get(name)!r}); resume with the"
                " same recipe, or delete the file to start anew"
            )
    return payload
