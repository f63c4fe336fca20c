"""Small networks and inputs that many rows share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class Fn(nn.Module):
    """A function of (module, *inputs) as a module; parts given by name become attributes, parameters, submodules."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(self, *args, **kwargs)


WEIGHT = 0.75
"""Value of every weight where it does not matter: not 0, exact in every format, and nothing that looks like a spike."""


def level(module: M) -> M:
    """The same module with every parameter `WEIGHT`: no product is zero by chance, a spike makes equal outputs."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(WEIGHT)
    return module


def held(*shape: int) -> Tensor:
    """Weights that all are `WEIGHT`."""
    return torch.full(shape, WEIGHT)


def linear(ins: int = 10, outs: int = 10, bias: bool = False) -> nn.Linear:
    """`n i` -> `n o`: a spike has a fan-out of `outs`."""
    return level(nn.Linear(ins, outs, bias=bias))


def conv(ins: int = 1, outs: int = 16, **options: Any) -> nn.Conv2d:
    """3x3, padding 1, no bias: a spike inside reaches 9 x 16 sums, one in a corner 4 x 16."""
    return level(nn.Conv2d(ins, outs, 3, **({"padding": 1, "bias": False} | options)))


def wired(weight: list[list[float]]) -> nn.Linear:
    """A linear layer with these weights, `o i`."""
    values = torch.tensor(weight)
    layer = nn.Linear(values.shape[1], values.shape[0], bias=False)
    with torch.no_grad():
        layer.weight.copy_(values)
    return layer


def kept_columns(kept: int, size: int = 10) -> Tensor:
    """Weights `size size`: `WEIGHT` in the first `kept` columns, else 0."""
    return WEIGHT * (torch.arange(size) < kept).float().expand(size, size).clone()


def spike(*where: int, shape: tuple[int, ...] = (1, 1, 8, 8), value: float = 1.0) -> Tensor:
    """Zeros but for one value; `where` indexes the last axes."""
    x = torch.zeros(shape)
    x[(0,) * (len(shape) - len(where)) + where] = value
    return x


def row(*values: float, width: int = 10) -> Tensor:
    """`1 width`: these values, then zeros."""
    x = torch.zeros(1, width)
    x[0, : len(values)] = torch.tensor(values)
    return x


def real(*shape: int) -> Tensor:
    """Real values, none of them zero: 1.0 to 2.0 in steps that are no multiples of one unit."""
    count = torch.Size(shape).numel()
    return (1 + torch.arange(count).float().mul(0.7548776662466927).frac()).view(shape)


def spikes(count: int) -> dict[str, int]:
    """Answers where a spike train meets weights that are not zero."""
    return {
        "events": count,
        "unit_events": count,
        "effective_events": count,
        "acs": count,
        "effective_acs": count,
        "macs": 0,
        "effective_macs": 0,
    }


def reals(count: int) -> dict[str, int]:
    """Answers where real values, none of them zero, meet weights that are not zero."""
    return {"connections": count, "macs": count, "effective_macs": count, "acs": 0, "effective_acs": 0}
