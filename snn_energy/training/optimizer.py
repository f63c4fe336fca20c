"""The optimizer of a recipe: which parameters it decays, and by which rule it steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from snn_energy.training.recipe import Recipe


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of `model`: tensors with more than one axis decay; biases, norms and thresholds do not;
    what the network froze is left alone.

    The learning rate is set before every step by the loop (see `schedule`).
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    weights = [p for p in trained if p.dim() > 1]
    others = [p for p in trained if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return _OPTIMIZERS[recipe.optimizer](recipe, groups)


def _sgd(recipe: Recipe, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    nesterov = recipe.nesterov and recipe.momentum > 0
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=nesterov)


def _adamw(recipe: Recipe, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    first, second = recipe.betas
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(first, second))


_OPTIMIZERS: dict[str, Callable[[Recipe, Iterable[dict[str, Any]]], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}
