"""How time runs through a network: all steps folded into the batch, or one step after the other.

A network's layers are written once, for tensors `b ...`. Folded, b is all time steps of all samples, and every layer
is one call; stepped, b is the samples alone, the whole network is called once for each step, and the membranes are
kept here from one step to the next. Only a neuron can tell the two apart, so every neuron fires through the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class Clock:
    """The time of one forward pass. Folded: `steps` is T; stepped: None, and `states` holds what neurons remember."""

    steps: int | None
    states: dict[nn.Module, Any] = field(default_factory=dict)

    def fire(self, neuron: nn.Module, current: Tensor) -> Tensor:
        """Current `b ...` -> spikes `b ...`, from a multi-step neuron (folded) or a single-step one (stepped)."""
        if self.steps is not None:
            folded: Tensor = neuron(current.reshape(self.steps, -1, *current.shape[1:])).flatten(0, 1)
            return folded
        spikes: Tensor
        spikes, self.states[neuron] = neuron(current, self.states.get(neuron))
        return spikes


def run(network: Callable[[Tensor, Clock], Tensor], frames: Tensor, *, stepped: bool) -> Tensor:
    """Frames `t n ...` -> the outputs of all time steps, `t n ...`, of a network of `b ...`."""
    if stepped:
        clock = Clock(None)
        return torch.stack([network(frame, clock) for frame in frames.unbind(0)])
    outputs = network(frames.flatten(0, 1), Clock(frames.shape[0]))
    return outputs.reshape(*frames.shape[:2], *outputs.shape[1:])
