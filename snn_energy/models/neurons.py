"""Spiking neurons, multi-step: one forward call is all T time steps, on axis 0; no state between calls.

The dynamics of one time step, element-wise, with U_0 = 0 before the first:

    V_t = decay * U_{t-1} + I_t                 charge (LIF; the IF neuron has decay = 1)
    S_t = 1 if V_t >= threshold, else 0         fire: reaching the threshold is enough
    U_t = V_t * (1 - S_t)                       reset "hard": back to zero
    U_t = V_t - threshold * S_t                 reset "soft": the surplus stays

The gradient of S_t is the surrogate's; the reset is treated as a constant in the backward pass, so the
gradient runs through the leak alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snn_energy.counting.taps import SPIKE_TAP, row_sum
from snn_energy.errors import DataError, UsageError
from snn_energy.models.suggest import unknown
from snn_energy.models.surrogate import find_surrogate

RESETS = ("hard", "soft")


class SpikingNeuron(nn.Module):
    """A layer of identical neurons without weights; use `LIF` or `IF`.

    Attributes: `decay` (factor of the membrane kept per time step, 1 = no leak), `threshold`, `reset` ("hard"
    or "soft"), `surrogate` (name). Errors: UsageError for an unknown reset or surrogate, or a number out of
    range.
    """

    def __init__(self, decay: float, threshold: float = 1.0, reset: str = "hard", surrogate: str = "arctan") -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise UsageError(f"{type(self).__name__}: decay must be between 0 and 1 (got {decay!r})")
        if not 0 < threshold < float("inf"):
            raise UsageError(f"{type(self).__name__}: threshold must be a finite number > 0 (got {threshold!r})")
        if reset not in RESETS:
            raise unknown("reset", reset, RESETS)
        self.decay = float(decay)
        self.threshold = float(threshold)
        self.reset = reset
        self.surrogate = find_surrogate(surrogate).name

    def forward(self, current: Tensor) -> Tensor:
        """Return the spikes, exactly 0.0 or 1.0 in the dtype of `current`.

        Shapes: current `t n ...` -> spikes `t n ...`. Errors: DataError without a time step.
        """
        if current.dim() == 0 or current.shape[0] == 0:
            raise DataError(
                f"{type(self).__name__}: expected a current [T, N, ...] with T >= 1 (got shape"
                f" {list(current.shape)}); put the time steps on axis 0"
            )
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
            return self._unrolled(current)
        if torch.is_grad_enabled() and current.requires_grad:
            surrogate = find_surrogate(self.surrogate)
            spikes: Tensor = _MultiStep.apply(  # type: ignore[no-untyped-call]
                current, self.decay, self.threshold, self.reset, surrogate.derivative
            )
            return spikes
        return _run(current, self.decay, self.threshold, self.reset, None)

    def step(self, current: Tensor, membrane: Tensor) -> tuple[Tensor, Tensor]:
        """Advance by one time step and return (spikes, membrane after the reset), both of shape `n ...`."""
        charged = torch.add(current, membrane, alpha=self.decay)
        if torch.is_grad_enabled() and charged.requires_grad:
            spikes = find_surrogate(self.surrogate).spike(charged - self.threshold)
        else:
            spikes = (charged >= self.threshold).to(charged.dtype)
        fired = spikes.detach()
        if self.reset == "hard":
            return spikes, charged * (1 - fired)
        return spikes, charged - self.threshold * fired

    def _unrolled(self, current: Tensor) -> Tensor:
        # Plain operators only, for exporters and compilers, which cannot follow the buffers of `_run`.
        membrane = torch.zeros_like(current[0])
        steps = []
        for now in current.unbind(0):
            spikes, membrane = self.step(now, membrane)
            steps.append(spikes)
        return torch.stack(steps)

    def extra_repr(self) -> str:
        """Show the neuron's constants in the printed model."""
        return f"decay={self.decay:g}, threshold={self.threshold:g}, reset={self.reset}, surrogate={self.surrogate}"


class LIF(SpikingNeuron):
    """Leaky integrate-and-fire: the membrane keeps the factor `decay` of itself from step to step."""

    def __init__(
        self, decay: float = 0.5, threshold: float = 1.0, reset: str = "hard", surrogate: str = "arctan"
    ) -> None:
        super().__init__(decay, threshold, reset, surrogate)


class IF(SpikingNeuron):
    """Integrate-and-fire: no leak, `decay` is 1."""

    def __init__(self, threshold: float = 1.0, reset: str = "hard", surrogate: str = "arctan") -> None:
        super().__init__(1.0, threshold, reset, surrogate)


def _run(current: Tensor, decay: float, threshold: float, reset: str, charged: Tensor | None) -> Tensor:
    """Return the spikes of all steps; where `charged` (`t n ...`) is given, leave V_t of every step in it."""
    spikes = torch.empty_like(current)  # in the layout of the current: channels_last stays channels_last
    steps = current.shape[0]
    membrane = torch.empty_like(current[0]) if steps > 1 else current[0]
    tap = SPIKE_TAP.get()
    for t, now in enumerate(current.unbind(0)):
        # At first the membrane rests at zero, so the current is all there is.
        into = membrane if charged is None else charged[t]
        volt = torch.add(now, membrane, alpha=decay, out=into) if t else now
        torch.ge(volt, threshold, out=spikes[t])
        if tap is not None:
            tap.append(row_sum(spikes[t]))
        if t + 1 == steps:  # nobody asks for the membrane after the last step
            break
        if reset == "hard":
            torch.addcmul(volt, volt, spikes[t], value=-1, out=membrane)
        else:
            torch.sub(volt, spikes[t], alpha=threshold, out=membrane)
    if charged is not None and charged is not current:
        charged[0] = current[0]
    return spikes


class _MultiStep(torch.autograd.Function):
    """All time steps as one node of the graph: half the memory passes that one node per step would take."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        decay: float,
        threshold: float,
        reset: str,
        derivative: Callable[[Tensor], Tensor],
    ) -> Tensor:
        charged = torch.empty_like(current) if current.shape[0] > 1 else current
        spikes = _run(current, decay, threshold, reset, charged)
        ctx.save_for_backward(charged, spikes)
        ctx.decay, ctx.threshold, ctx.reset, ctx.derivative = decay, threshold, reset, derivative
        return spikes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        charged, spikes = ctx.saved_tensors
        out = torch.empty_like(charged)
        for t in range(charged.shape[0] - 1, -1, -1):
            torch.mul(ctx.derivative(charged[t] - ctx.threshold), grad[t], out=out[t])
            if t + 1 < charged.shape[0]:
                later = out[t + 1] * ctx.decay
                if ctx.reset == "hard":  # dU/dV = 1 - S; "soft": 1
                    later.addcmul_(later, spikes[t], value=-1)
                out[t].add_(later)
        return out, None, None, None, None
