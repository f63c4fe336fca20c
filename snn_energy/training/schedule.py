"""The learning rate of every optimizer step, as a closed form of its number: nothing to save, nothing to resume."""

from __future__ import annotations

import math
from collections.abc import Callable

from snn_energy.training.recipe import Recipe

FALLS: dict[str, Callable[[float], float]] = {
    "cosine": lambda share: 0.5 * (1 + math.cos(math.pi * share)),
    "triangle": lambda share: 1 - share,
    "constant": lambda _: 1.0,
}
"""Schedule -> the height above the minimum, 1 to 0, after a share of the steps that follow the warm-up."""


def learning_rate_at(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of optimizer step `step` (from 0) over both phases.

    First phase: linear rise over the warm-up, so that its last step has the whole rate, then the recipe's fall.
    Second phase: a half cosine from `snap_learning_rate` to 0.
    """
    first_phase = recipe.epochs * steps_per_epoch
    if step >= first_phase:
        share = (step - first_phase) / max(1, recipe.snap_epochs * steps_per_epoch)
        return recipe.snap_learning_rate * FALLS["cosine"](share)
    warmup = min(recipe.warmup_epochs * steps_per_epoch, first_phase)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / math.ceil(warmup)
    share = (step - warmup) / max(1.0, first_phase - warmup)
    height = FALLS[recipe.schedule](share)
    return recipe.min_learning_rate + (recipe.learning_rate - recipe.min_learning_rate) * height
