"""Spiking neurons, single-step: one forward call is one time step, and the state is an argument and a result.

`LIFCell` and `IFCell` obey the equations of `neurons`, step by step; nothing is kept between calls. `ALIFCell` adapts
its threshold:

    V_t = decay * U_{t-1} + I_t                           charge
    B_t = threshold + A_{t-1}                             the threshold now, raised by the past
    S_t = 1 if V_t >= B_t, else 0                         fire
    U_t = V_t - B_t * S_t                                 soft reset
    A_t = adaptation_decay * A_{t-1} + adaptation * S_t   every spike raises the threshold by `adaptation`

Source: G. Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking neurons", NeurIPS 2018,
arXiv:1803.09574, section 2 (the LSNN neuron), without its refractory time and delays.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.neurons import SpikingNeuron
from snn_energy.models.surrogate import find_surrogate


class LIFCell(SpikingNeuron):
    """One time step of leaky integrate-and-fire."""

    def __init__(
        self, decay: float = 0.5, threshold: float = 1.0, reset: str = "hard", surrogate: str = "arctan"
    ) -> None:
        super().__init__(decay, threshold, reset, surrogate)

    def forward(self, current: Tensor, membrane: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Current `n ...` and membrane `n ...` (None: at rest) -> (spikes, membrane after the reset), both `n ...`."""
        return self.step(current, torch.zeros_like(current) if membrane is None else membrane)


class IFCell(LIFCell):
    """One time step of integrate-and-fire: no leak, `decay` is 1."""

    def __init__(self, threshold: float = 1.0, reset: str = "hard", surrogate: str = "arctan") -> None:
        super().__init__(1.0, threshold, reset, surrogate)


class ALIFCell(nn.Module):
    """One time step of adaptive leaky integrate-and-fire.

    Attributes: `decay` and `adaptation_decay` (factors kept per time step), `threshold` at rest, `adaptation` (rise of
    the threshold per spike), `surrogate` (name). Errors: UsageError for an unknown surrogate or a number out of range.
    """

    def __init__(
        self,
        decay: float = 0.5,
        threshold: float = 1.0,
        adaptation: float = 0.5,
        adaptation_decay: float = 0.9375,
        surrogate: str = "arctan",
    ) -> None:
        super().__init__()
        for name, value in (("decay", decay), ("adaptation_decay", adaptation_decay)):
            if not 0 <= value <= 1:
                raise UsageError(f"ALIFCell: {name} must be between 0 and 1 (got {value!r})")
        for name, value in (("threshold", threshold), ("adaptation", adaptation)):
            if not 0 < value < float("inf"):
                raise UsageError(f"ALIFCell: {name} must be a finite number > 0 (got {value!r})")
        self.decay, self.threshold = float(decay), float(threshold)
        self.adaptation, self.adaptation_decay = float(adaptation), float(adaptation_decay)
        self.surrogate = find_surrogate(surrogate).name

    def forward(self, current: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Current `n ...` and state (None: at rest) -> (spikes, (membrane, adaptation)), all `n ...`."""
        membrane, raised = (torch.zeros_like(current),) * 2 if state is None else state
        charged = torch.add(current, membrane, alpha=self.decay)
        barrier = self.threshold + raised
        if torch.is_grad_enabled() and charged.requires_grad:
            spikes = find_surrogate(self.surrogate).spike(charged - barrier)
        else:
            spikes = (charged >= barrier).to(charged.dtype)
        fired = spikes.detach()
        return spikes, (charged - barrier * fired, raised * self.adaptation_decay + self.adaptation * fired)

    def extra_repr(self) -> str:
        """Show the neuron's constants in the printed model."""
        return (
            f"decay={self.decay:g}, threshold={self.threshold:g}, adaptation={self.adaptation:g}, "
            f"adaptation_decay={self.adaptation_decay:g}, surrogate={self.surrogate}"
        )


class LeakyIntegrator(nn.Module):
    """A read-out without spikes, multi-step: y_t = decay y_{t-1} + x_t, with y_{-1} = 0.

    Errors: UsageError for a decay out of range.
    """

    def __init__(self, decay: float = 0.9375) -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise UsageError(f"LeakyIntegrator: decay must be between 0 and 1 (got {decay!r})")
        self.decay = float(decay)

    def forward(self, currents: Tensor) -> Tensor:
        """Currents `t n ...` -> the value after each time step, `t n ...`."""
        value = torch.zeros_like(currents[0])
        values = []
        for now in currents.unbind(0):
            value = torch.add(now, value, alpha=self.decay)
            values.append(value)
        return torch.stack(values)

    def extra_repr(self) -> str:
        """Show the constant in the printed model."""
        return f"decay={self.decay:g}"
