"""Surrogate gradients: the spike is a step forward and a smooth bump backward.

Each entry is a pair of closed forms in x = membrane - threshold: `derivative`, used in the backward pass, and
`primitive`, the sigmoid-like curve whose derivative it is (for plots and for tests).

| name        | derivative at x                         | source                                             |
|-------------|-----------------------------------------|----------------------------------------------------|
| rectangular | 1 where |x| < 1/2, else 0               | Wu et al. 2018, Front. Neurosci. 12:331, h1, a = 1 |
| triangular  | max(0, 1 - |x|)                         | Esser et al. 2016, PNAS 113:11441                  |
| sigmoid     | a s (1 - s), s = 1/(1 + e^(-ax)), a = 4 | Wu et al. 2018, h3                                 |
| arctan      | 1 / (1 + (pi x)^2)                      | Fang et al. 2021, ICCV, alpha = 2                  |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snn_energy.models.suggest import unknown

SIGMOID_SLOPE = 4.0


@dataclass(frozen=True, slots=True)
class Surrogate:
    """One surrogate: `derivative` and its `primitive`, both element-wise on x = membrane - threshold."""

    name: str
    derivative: Callable[[Tensor], Tensor]
    primitive: Callable[[Tensor], Tensor]

    def spike(self, x: Tensor) -> Tensor:
        """Return 1.0 where x >= 0, else 0.0, in the dtype of `x`; the gradient is `derivative(x)`."""
        spikes: Tensor = _Spike.apply(x, self.derivative)  # type: ignore[no-untyped-call]
        return spikes


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, derivative: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.derivative = derivative
        return (x >= 0).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return ctx.derivative(x).mul_(grad), None


def _rectangular(x: Tensor) -> Tensor:
    return (x.abs() < 0.5).to(x.dtype)


def _triangular(x: Tensor) -> Tensor:
    return x.abs().neg_().add_(1).clamp_(min=0)


def _sigmoid(x: Tensor) -> Tensor:
    s = torch.sigmoid(SIGMOID_SLOPE * x)
    return s.mul(SIGMOID_SLOPE).mul_(1 - s)


def _arctan(x: Tensor) -> Tensor:
    return (x * math.pi).square_().add_(1).reciprocal_()


def _triangular_primitive(x: Tensor) -> Tensor:
    x = x.clamp(-1, 1)
    return 0.5 + x - 0.5 * x * x.abs()


SURROGATES: dict[str, Surrogate] = {
    s.name: s
    for s in (
        Surrogate("rectangular", _rectangular, lambda x: (x + 0.5).clamp(0, 1)),
        Surrogate("triangular", _triangular, _triangular_primitive),
        Surrogate("sigmoid", _sigmoid, lambda x: torch.sigmoid(SIGMOID_SLOPE * x)),
        Surrogate("arctan", _arctan, lambda x: torch.atan(math.pi * x) / math.pi + 0.5),
    )
}


def find_surrogate(name: str) -> Surrogate:
    """Return the surrogate called `name`; UsageError with a suggestion when there is none."""
    try:
        return SURROGATES[name]
    except KeyError:
        raise unknown("surrogate", name, SURROGATES) from None
