"""Weighted condense: the outputs of all windows put back on the map, and joined where windows overlap.

    average: y = sum_k pad(S^k) / n      n: how many windows lie over a position (1, 2 or 4)
    or:      y = 1[y > 0.2]              of the average of spikes: a logical OR, as one spike of four gives 0.25

The average of spikes is a multiple of 1/n, the OR is a spike again. What is worked out, and counted, is what a
position needs: n - 1 additions and one multiplication for an average, nothing where n = 1; n - 1 comparisons for an
OR. The gradient of both is the average's: the OR's threshold passes it straight through (our choice).

Source: Yao et al., ACML 2023, arXiv:2401.10843 (weighted condense, region threshold 0.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snn_energy.models.suggest import unknown
from snn_energy.models.windowed.grid import WindowGrid

Rule = Callable[[Sequence[Tensor]], Tensor]


def _average(parts: Sequence[Tensor]) -> Tensor:
    total = reduce(torch.add, parts)
    return total if len(parts) == 1 else total * (1 / len(parts))


def _or(parts: Sequence[Tensor]) -> Tensor:
    return reduce(torch.maximum, parts)


RULES: dict[str, Rule] = {"average": _average, "or": _or}


class Condense(nn.Module):
    """Joins the windows of a grid by a rule of `RULES`. Errors: UsageError for an unknown rule."""

    def __init__(self, grid: WindowGrid, rule: str = "average") -> None:
        super().__init__()
        if rule not in RULES:
            raise unknown("condense rule", rule, RULES)
        self.grid, self.rule = grid, rule

    def forward(self, windows: Tensor) -> Tensor:
        """Windows `k ... s s c` -> map `... h w c`."""
        if torch.is_grad_enabled() and windows.requires_grad and not torch.compiler.is_compiling():
            joined: Tensor = _Joined.apply(windows, self.grid, self.rule)  # type: ignore[no-untyped-call]
            return joined
        return _join(windows, self.grid, RULES[self.rule])

    def extra_repr(self) -> str:
        """Show the rule in the printed model."""
        return f"{self.grid.parts}x{self.grid.parts}, {'dilated' if self.grid.dilated else 'plain'}, {self.rule}"


def _join(windows: Tensor, grid: WindowGrid, rule: Rule) -> Tensor:
    rows = []
    for top, bottom, above in grid.segments:
        cells = []
        for left, right, beside in grid.segments:
            parts = []
            for r in above:
                for c in beside:
                    up, back = grid.starts[r], grid.starts[c]
                    window = windows[r * grid.parts + c]
                    parts.append(window[..., top - up : bottom - up, left - back : right - back, :])
            cells.append(rule(parts))
        rows.append(torch.cat(cells, -2))
    return torch.cat(rows, -3)


class _Joined(torch.autograd.Function):
    """One node of the graph: slices would each fill a gradient of the whole window with zeros first."""

    @staticmethod
    def forward(ctx: Any, windows: Tensor, grid: WindowGrid, rule: str) -> Tensor:
        ctx.grid = grid
        return _join(windows, grid, RULES[rule])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        grid: WindowGrid = ctx.grid
        if grid.dilated:
            share = torch.tensor([1 / n for n in grid.cover], dtype=grad.dtype, device=grad.device)
            grad = grad * (share[:, None, None] * share[:, None])
        return grid.cut(grad), None, None
