"""The group-wise neuron: LIF whose membrane is handed on from one window of a block to the next.

One call is all T time steps of one window, on axis 0. With the membrane U_0 that the caller hands in (None: at rest),

    U_t = decay * U_{t-1} * (1 - S_{t-1}) + I_t      S_0 = 0: what is handed in is not reset
    S_t = 1[U_t > threshold]                         strictly above

and U_T is handed out as it is. So at T = 1 membranes add up over the windows without a reset; the hard reset acts
between time steps, inside a window. The gradient of S_t is the surrogate's; the reset is a constant in the backward
pass (our choice, as in `neurons`).

Source: Yao et al., ACML 2023, arXiv:2401.10843, with decay 0.4, threshold 0.5 and the rectangular surrogate; the
learnable threshold is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snn_energy.errors import UsageError
from snn_energy.models.surrogate import find_surrogate


class GroupLIF(nn.Module):
    """Leaky integrate-and-fire on the windows of a map; no weights but, where asked for, its threshold.

    Attributes: `decay`, `threshold` (a number, or a parameter of no axes where it is learned), `surrogate` (name).
    Errors: UsageError for an unknown surrogate or a number out of range.
    """

    threshold: float | nn.Parameter

    def __init__(
        self,
        decay: float = 0.4,
        threshold: float = 0.5,
        surrogate: str = "rectangular",
        *,
        learn_threshold: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise UsageError(f"GroupLIF: decay must be between 0 and 1 (got {decay!r})")
        if not 0 < threshold < float("inf"):
            raise UsageError(f"GroupLIF: threshold must be a finite number > 0 (got {threshold!r})")
        self.decay = float(decay)
        self.surrogate = find_surrogate(surrogate).name
        self.threshold = nn.Parameter(torch.tensor(float(threshold))) if learn_threshold else float(threshold)

    def forward(self, current: Tensor, membrane: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Current `t n ...` and membrane `n ...` -> (spikes `t n ...`, membrane after the last step `n ...`)."""
        steps: list[Tensor] = []
        charged = membrane
        for now in current.unbind(0):
            if charged is not None and steps:
                charged = charged * (1 - steps[-1].detach())
            charged = now if charged is None else torch.add(now, charged, alpha=self.decay)
            steps.append(self._fire(charged))
        assert charged is not None  # T >= 1
        return (torch.stack(steps) if len(steps) > 1 else steps[0].unsqueeze(0)), charged

    def _fire(self, charged: Tensor) -> Tensor:
        if torch.is_grad_enabled() and charged.requires_grad:
            derivative = find_surrogate(self.surrogate).derivative
            spikes: Tensor = _Above.apply(charged, self.threshold, derivative)  # type: ignore[no-untyped-call]
            return spikes
        return (charged > self.threshold).to(charged.dtype)

    def extra_repr(self) -> str:
        """Show the neuron's constants in the printed model."""
        learned = ", learned" if isinstance(self.threshold, nn.Parameter) else ""
        return f"decay={self.decay:g}, threshold={float(self.threshold):g}{learned}, surrogate={self.surrogate}"


class _Above(torch.autograd.Function):
    """1[x > threshold]; its gradient with respect to x is the surrogate's, that of the threshold its negative sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: float | Tensor, derivative: Callable[[Tensor], Tensor]) -> Tensor:
        learned = isinstance(threshold, Tensor)
        ctx.save_for_backward(x, *((threshold,) if learned else ()))
        ctx.threshold, ctx.derivative = None if learned else threshold, derivative
        return torch.gt(x, threshold, out=torch.empty_like(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, *learned = ctx.saved_tensors
        threshold = learned[0] if learned else ctx.threshold
        slope: Tensor = ctx.derivative(x - threshold).mul_(grad)
        return slope, -slope.sum().to(learned[0].dtype) if learned else None, None
