"""The neurons of NIR in time steps, multi-step or stepped; each is recognised by its row in `counting.nir_neurons`.

Constants are Python floats where all neurons of the layer share them, else tensors of the layer's shape. What is a
multiplication by 1 or an addition of 0 is left out, and is not charged either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

Constant = float | Tensor

CONSTANTS = ("decay", "gain", "offset", "threshold", "v_reset", "rest", "decay_syn", "gain_syn", "subtract")
"""`offset` is what the leak potential adds in each time step, None where that is 0; `rest` the state at the start,
`subtract` what a subtracting reset takes off, where that is not the threshold."""


class NirNeuron(nn.Module):
    """A layer of neurons in the form of `conventions`; what the subclasses share.

    Args: `constants` by name, a float or a tensor of the layer's shape each; `fires_at` "gt" or "ge"; `reset` "value"
    or "subtract"; `stepped`: one call is one time step, and takes and returns the state.

    Shapes: current `t n ...` -> spikes (or values) `t n ...`; stepped: current `n ...` and state -> (spikes `n ...`,
    state).
    """

    has_synapse, spiking = False, True
    decay: Constant
    gain: Constant
    offset: Constant | None
    threshold: Constant
    v_reset: Constant
    rest: Constant | None
    decay_syn: Constant
    gain_syn: Constant
    subtract: Constant | None

    def __init__(
        self,
        constants: Mapping[str, Constant],
        *,
        fires_at: str = "gt",
        reset: str = "value",
        stepped: bool = False,
    ) -> None:
        super().__init__()
        self.fires_at, self.reset_rule, self.stepped = fires_at, reset, stepped
        for name in CONSTANTS:
            value = constants.get(name)
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, current: Tensor, state: tuple[Tensor, ...] | None = None) -> Any:
        """See the class."""
        if self.stepped:
            return self._step(current, state)
        outputs = []
        for now in current.unbind(0):
            out, state = self._step(now, state)
            outputs.append(out)
        return torch.stack(outputs)

    def _step(self, current: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        zero = torch.zeros_like(current)
        start = zero if self.rest is None else zero + self.rest
        membrane, synapse = (*(state or (start,)), zero)[:2]
        kept: tuple[Tensor, ...] = ()
        if self.has_synapse:
            current = _leak(current, synapse, self.decay_syn, self.gain_syn, None)
            kept = (current,)
        charged = _leak(current, membrane, self.decay, self.gain, self.offset)
        if not self.spiking:
            return charged, (charged, *kept)
        fired = charged >= self.threshold if self.fires_at == "ge" else charged > self.threshold
        spikes = fired.to(charged.dtype)
        if self.reset_rule == "subtract":
            after = charged - (self.threshold if self.subtract is None else self.subtract) * spikes
        elif self.reset_rule == "none":
            after = charged
        else:
            after = torch.where(fired, torch.as_tensor(self.v_reset).to(charged), charged)
        return spikes, (after, *kept)

    def extra_repr(self) -> str:
        """Show the constants in the printed model."""
        shared = {name: getattr(self, name) for name in ("decay", "gain", "threshold") if hasattr(self, name)}
        return ", ".join(f"{name}={value:g}" for name, value in shared.items() if isinstance(value, float))


class NirIF(NirNeuron):
    """Integrate-and-fire."""


class NirLIF(NirNeuron):
    """Leaky integrate-and-fire."""


class NirCubaLIF(NirNeuron):
    """Leaky integrate-and-fire with a synaptic current."""

    has_synapse = True


class NirI(NirNeuron):
    """Integrator."""

    spiking = False


class NirLI(NirNeuron):
    """Leaky integrator."""

    spiking = False


class NirCubaLI(NirNeuron):
    """Leaky integrator with a synaptic current."""

    has_synapse, spiking = True, False


class NirThreshold(NirNeuron):
    """A spike where the input is above the threshold; no state."""

    def _step(self, current: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:  # noqa: ARG002
        return (current > self.threshold).to(current.dtype), ()


def _leak(x: Tensor, state: Tensor, decay: Constant, gain: Constant, offset: Constant | None) -> Tensor:
    """decay * state + gain * x + offset."""
    if not isinstance(gain, float) or gain != 1:
        x = x * gain
    x = torch.add(x, state, alpha=decay) if isinstance(decay, float) else x + decay * state
    return x if offset is None else x + offset
