"""Arithmetic outside the projections, counted from the definition of each operator; norms that fold, or do not."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snn_energy.selftest.pieces import Fn, real
from snn_energy.selftest.rows import trap

Operator = Callable[[Tensor], Tensor]


def index(x: Tensor) -> Tensor:
    """A hundred zeros: every row lands in one."""
    return torch.zeros(100, dtype=torch.long, device=x.device)


OPERATORS: dict[str, tuple[Operator, str, int, int, int, int]] = {
    "index_add": (lambda x: x.new_zeros(2, 4).index_add(0, index(x), x), "100 rows of 4 are added", 400, 0, 0, 0),
    "scatter_add": (
        lambda x: x.new_zeros(100, 4).scatter_add(0, index(x)[:1, None].expand(1, 4), x[:1]),
        "one row of 4 is added", 4, 0, 0, 0,
    ),
    "index_put": (
        lambda x: x.new_zeros(2, 4).index_put((index(x),), x, accumulate=True), "100 rows of 4 are added", 400, 0, 0, 0,
    ),
    "adaptive_avg_pool2d": (
        lambda x: F.adaptive_avg_pool2d(x[:5, :1].expand(5, 5)[None, None], 3),
        "5 -> 3 makes windows of 2, 3, 2: 7 x 7 elements, 9 of them first ones; 9 scalings", 40, 9, 0, 0,
    ),
    "sub with alpha": (lambda x: torch.sub(x[0], x[1], alpha=2), "4 scalings, 4 differences", 4, 4, 0, 0),
    "vector_norm": (lambda x: torch.linalg.vector_norm(x[0]), "4 squares, 3 sums, 1 root", 3, 4, 0, 1),
    "logsumexp": (
        lambda x: x[0].logsumexp(0),
        "largest of 4: 3; 3 differences and 3 sums beyond the first; 3 exponentials, then a logarithm and one more",
        6, 0, 3, 5,
    ),
    "mean": (lambda x: x[0].mean(), "3 sums, 1 scaling", 3, 1, 0, 0),
    "division by a constant": (lambda x: x[0] / 4, "4 scalings", 0, 4, 0, 0),
    "division of data": (lambda x: x[0] / x[1], "4 divisions", 0, 0, 0, 4),
    "square": (lambda x: x[0] ** 2, "4 products", 0, 4, 0, 0),
}  # fmt: skip
"""Name -> (function of `100 4`, derivation, additions, multiplications, comparisons, specials)."""


def _add(number: int, name: str) -> None:
    function, why, adds, muls, compares, specials = OPERATORS[name]
    trap(
        f"R8-{number}", name, lambda: Fn(lambda m, x: function(x)), lambda: real(100, 4), why, options={"samples": 100},
        adds=adds, muls=muls, compares=compares, specials=specials,
    )  # fmt: skip


for _number, _name in enumerate(OPERATORS, start=1):
    _add(_number, _name)

FOLDS = "the scale goes into the weights, the shift into the bias that is there"
trap(
    "R9-conv", "batch norm behind a convolution", lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)),
    lambda: real(2, 1, 5, 5), FOLDS, adds=0, muls=0,
)  # fmt: skip
trap(
    "R9-linear", "batch norm behind a Linear", lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
    lambda: real(2, 4), FOLDS, adds=0, muls=0,
)  # fmt: skip
trap(
    "R9-flattened", "batch norm of single pixels",
    lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.BatchNorm1d(18)), lambda: real(2, 1, 5, 5),
    "one scale for each of 18 pixels fits no shared kernel: 2 x 18 scalings and shifts", adds=36, muls=36,
)  # fmt: skip
trap(
    "R9-tokens", "batch norm over tokens", lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(5)),
    lambda: real(2, 5, 4), "its scales belong to tokens, not to outputs: 2 x 5 x 3", adds=30, muls=30,
)  # fmt: skip
trap(
    "R9-relu", "batch norm behind a ReLU",
    lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3)), lambda: real(2, 4),
    "nothing linear stands before it: 2 x 3", adds=6, muls=6,
)  # fmt: skip
trap(
    "R10", "two batch norms behind one convolution",
    lambda: Fn(lambda m, x: m.first(m.conv(x)) + m.second(m.conv(x)), conv=nn.Conv2d(1, 2, 1),
               first=nn.BatchNorm2d(2), second=nn.BatchNorm2d(2)),
    lambda: real(1, 1, 3, 3), "the weights take in one; the other is 18 scalings and shifts, then 18 sums",
    adds=36, muls=18,
)  # fmt: skip
trap(
    "N110", "layer norm does not fold", lambda: nn.Sequential(nn.Linear(4, 3, bias=False), nn.LayerNorm(3)),
    lambda: real(2, 4), "data decide its statistics: for each of 6 elements 4 additions and 3 multiplications",
    connections=24, adds=24, muls=18,
)  # fmt: skip
trap(
    "N111", "batch norm before any weights", lambda: nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()), lambda: real(2, 4),
    "8 scalings, 8 shifts, 8 comparisons", adds=8, muls=8, compares=8, connections=0,
)  # fmt: skip
