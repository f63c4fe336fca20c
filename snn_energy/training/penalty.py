"""What may be added to the loss beside the cross entropy: the energy of the spikes, for example.

The loop knows this interface alone; whoever calls `train` brings the penalty.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Penalty(Protocol):
    """A differentiable term of the loss that watches the network's forward passes."""

    def watching(self, model: nn.Module) -> AbstractContextManager[None]:
        """Watch `model` inside the context; entered around each epoch."""
        ...

    def loss(self, samples: int) -> Tensor:
        """The term, a scalar, for the forward pass of `samples` samples that has just been; uses up what it left."""
        ...

    def record(self) -> dict[str, Any]:
        """Plain values of the epoch that ends, for its log, like {"energy_uj": 1.2}."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """The settings as plain values, for the checkpoint's record and to compare on resume."""
        ...


@runtime_checkable
class StatefulPenalty(Penalty, Protocol):
    """A penalty that changes from step to step (a multiplier, say): its state is saved and resumed with the rest."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors, as torch.save takes them."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        ...
