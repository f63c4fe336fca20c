"""Hypothesis strategies: operator geometries small enough for nested loops, and operands of every class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st

KINDS = ("binary", "scaled", "ternary", "integer", "graded", "real")
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
RATES = (0.0, 0.1, 0.3, 0.7, 1.0)

seeds = st.integers(0, 2**20)


@dataclass(frozen=True)
class Spikes:
    """How to draw an operand: its class, the share of non-zero elements, and a seed."""

    kind: str
    rate: float
    seed: int

    def tensor(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        rng = torch.Generator().manual_seed(self.seed)
        mask = torch.rand(shape, generator=rng) < self.rate
        return (mask * self._values(shape, rng)).to(dtype)

    def _values(self, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
        sign = torch.randint(0, 2, shape, generator=rng) * 2.0 - 1.0
        size = torch.randint(1, 4, shape, generator=rng).float()
        return {
            "binary": torch.ones(shape),
            "scaled": torch.full(shape, 0.25),
            "ternary": sign,
            "integer": size * sign,
            "graded": size * 0.5,
            # Between 0.5 and 1.5, so that no element vanishes and no small common step exists.
            "real": (0.5 + torch.rand(shape, generator=rng)) * sign,
        }[self.kind]


def spikes(kinds: tuple[str, ...] = KINDS) -> st.SearchStrategy[Spikes]:
    return st.builds(Spikes, kind=st.sampled_from(kinds), rate=st.sampled_from(RATES), seed=seeds)


def fill(parameter: torch.Tensor, seed: int, zeros: float = 0.3) -> None:
    """Small non-zero integers with a share of exact zeros, in place: counts need no other weights."""
    rng = torch.Generator().manual_seed(seed)
    size = torch.randint(1, 4, parameter.shape, generator=rng).double()
    sign = torch.randint(0, 2, parameter.shape, generator=rng) * 2.0 - 1.0
    keep = torch.rand(parameter.shape, generator=rng) >= zeros
    with torch.no_grad():
        parameter.copy_(size * sign * keep)


def fill_nonnegative(parameter: torch.Tensor, seed: int, zeros: float = 0.4) -> None:
    """Zeros and ones: where the sums of a nonlinear network must vanish only if every term does."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        parameter.copy_((torch.rand(parameter.shape, generator=rng) >= zeros).double())


@dataclass(frozen=True)
class ConvGeometry:
    """Constructor arguments of a convolution and the input it is shown."""

    rank: int
    batch: int
    ins: int
    outs: int
    groups: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    size: tuple[int, ...]
    output_padding: tuple[int, ...]
    mode: str
    bias: bool

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, self.ins, *self.size)

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "in_channels": self.ins,
            "out_channels": self.outs,
            "kernel_size": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": self.bias,
        }


@st.composite
def conv_geometries(
    draw: st.DrawFn, *, transposed: bool = False, mode: str = "zeros", named: bool = False
) -> ConvGeometry:
    """Rank 1 to 3, any stride, dilation, groups up to depthwise, and padding (numbers, or 'same'/'valid')."""
    rank = draw(st.integers(1, 3))
    most = {1: 7, 2: 5, 3: 3}[rank]  # largest image side: about the same number of taps in every rank

    def per_axis(strategy: st.SearchStrategy[int]) -> tuple[int, ...]:
        return tuple(draw(strategy) for _ in range(rank))

    kernel = per_axis(st.integers(1, 3 if rank < 3 else 2))
    dilation = per_axis(st.integers(1, 2))
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    ins = groups * draw(st.integers(1, 2 if groups < 3 else 1))
    outs = groups * draw(st.integers(1, 2))
    stride = per_axis(st.integers(1, 3))
    numbers = per_axis(st.integers(0, 2))
    padding: tuple[int, ...] | str = numbers
    low = [2 * p for p in numbers]
    if named:
        padding, low = draw(st.sampled_from(("same", "valid"))), [0] * rank
        if padding == "same":
            stride = (1,) * rank
            low = [d * (k - 1) for k, d in zip(kernel, dilation)]
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if transposed:
        size = per_axis(st.integers(1, most - 1))
        # The output must not be cropped away, and output_padding must stay below stride or dilation.
        padding = tuple(min(p, ((n - 1) * s + k - 1) // 2) for p, n, s, k in zip(numbers, size, stride, span))
        output_padding = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation))
    else:
        output_padding = (0,) * rank
        # Reflection needs padding < size, wrapping needs padding <= size.
        edge = [0] * rank if mode == "zeros" else [p + 1 for p in numbers]
        size = tuple(draw(st.integers(max(k - p, e, 1), max(k - p, e, 1, most))) for k, p, e in zip(span, low, edge))
    return ConvGeometry(
        rank=rank,
        batch=draw(st.integers(1, 2)),
        ins=ins,
        outs=outs,
        groups=groups,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        size=size,
        output_padding=output_padding,
        mode=mode,
        bias=draw(st.booleans()),
    )


@st.composite
def matmul_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that torch.matmul accepts: ranks 1 to 4, with broadcasting of the leading axes."""
    m, k, n = (draw(st.integers(1, 3)) for _ in range(3))
    left = draw(st.sampled_from(((k,), (m, k))))
    right = draw(st.sampled_from(((k,), (k, n))))
    lead = tuple(draw(st.integers(1, 3)) for _ in range(draw(st.integers(0, 2))))

    def partial() -> tuple[int, ...]:
        kept = lead[draw(st.integers(0, len(lead))) :]
        return tuple(1 if draw(st.booleans()) and draw(st.booleans()) else size for size in kept)

    lead_left = partial() if len(left) == 2 else ()
    lead_right = partial() if len(right) == 2 else ()
    return (*lead_left, *left), (*lead_right, *right)
