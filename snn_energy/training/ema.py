"""An exponential moving average of a network's weights: less noisy than the weights of the last step.

    w' <- d w' + (1 - d) w     after every optimizer step, for parameters and floating-point buffers alike
    d = min(decay, (1 + n) / (10 + n)) with warm-up, n = averages taken before; d = decay without

So the running mean and variance of a batch norm are averaged together with the weights that they belong to; integer
buffers are copied. The warm-up keeps the first, random weights from weighing in long trainings and short ones alike.
Source: B. T. Polyak and A. B. Juditsky, SIAM J. Control Optim. 30:838 (1992), in the form of exponential decay; the
warm-up is that of TensorFlow's ExponentialMovingAverage (argument num_updates).
"""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.training.recipe import Recipe


class WeightAverage:
    """The average of `model`, a network of its own in eval mode; `update` after every optimizer step."""

    def __init__(self, model: nn.Module, decay: float, *, warmup: bool) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.warmup, self.updates = decay, warmup, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the present weights of `model` into the average."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self.updates += 1
        for mine, present in zip(_tensors(self.model), _tensors(model), strict=True):
            if mine.is_floating_point():
                mine.lerp_(present, 1 - decay)
            else:
                mine.copy_(present)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"updates": self.updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])


def make_average(recipe: Recipe, model: nn.Module) -> WeightAverage | None:
    """The average that the recipe asks for, of the weights as they are now."""
    return WeightAverage(model, recipe.ema_decay, warmup=recipe.ema_warmup) if recipe.ema_decay else None


def _tensors(model: nn.Module) -> list[Tensor]:
    """Parameters and buffers, a shared one once."""
    return list(chain(model.parameters(), model.buffers()))
