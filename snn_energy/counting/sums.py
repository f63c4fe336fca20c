"""Exact sums over the rows of an operand, at the speed of memory: small temporaries only, none as large as the operand.

What is summed are zeros and ones, or small whole numbers, so single precision is exact up to 2^24, in any order. That
makes it free to choose the fastest kernel: on the CPU a product with a row of ones takes half as long as a sum over the
leading axis. A mask is made piece by piece in one buffer that stays in the cache; made at once, it would go through
main memory twice, and need fresh memory as large as the operand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

from snn_energy.counting.values import MAX_LEVEL

EXACT_SUM = 1 << 24
"""Whole numbers up to here are exact in single precision."""
EXACT_ROWS = EXACT_SUM // MAX_LEVEL
"""Levels that single precision adds up exactly."""
PIECE = 1 << 19
"""Elements worked on together: one buffer of them, 2 MiB, stays in the cache between two kernels."""
_LARGE_PIECE = 1 << 24
"""The same on other devices than the CPU, where starting a kernel costs more than the cache saves."""
FLOATS = (torch.float32, torch.float64)
"""Types whose sums stay exact as they are; the others are summed in single precision."""


def piece_of(x: Tensor) -> int:
    """How many elements of a tensor are worked on together."""
    return PIECE if x.device.type == "cpu" else _LARGE_PIECE


def sum_type(x: Tensor) -> torch.dtype:
    """The type in which sums of a tensor's masks stay exact."""
    return x.dtype if x.dtype in FLOATS else torch.float32


def row_sum(x: Tensor) -> Tensor:
    """Exact sum over axis 0 of masks or levels; long axes are cut so that no partial sum can pass 2^24."""
    rows = x.shape[0]
    if x.dtype is torch.float64 or rows <= EXACT_ROWS:
        if _by_product(x):
            if x.is_contiguous():
                return torch.mm(_row_of_ones(rows), x.view(rows, -1)).view(x.shape[1:])
            axes = sorted(range(x.dim()), key=x.stride, reverse=True)  # as they lie in memory
            if axes[0] == 0 and (turned := x.permute(axes)).is_contiguous():
                inner = [axis - 1 for axis in axes[1:]]
                return row_sum(turned).permute([inner.index(axis) for axis in range(len(inner))])
        return x.sum(0, dtype=sum_type(x))
    return torch.stack([x[i : i + EXACT_ROWS].sum(0).double() for i in range(0, rows, EXACT_ROWS)]).sum(0)


def step_sums(x: Tensor) -> Tensor:
    """Exact sums `t ...` of masks or levels `t n ...` over n."""
    steps, rows = x.shape[:2]
    if rows <= EXACT_ROWS and x.is_contiguous() and _by_product(x):
        return torch.bmm(_row_of_ones(rows).expand(steps, 1, rows), x.view(steps, rows, -1)).view(steps, *x.shape[2:])
    return x.sum(1, dtype=sum_type(x) if rows <= EXACT_ROWS else torch.float64)


@lru_cache(maxsize=32)
def _row_of_ones(length: int) -> Tensor:
    return torch.ones(1, length)


def _by_product(x: Tensor) -> bool:
    """True where a product with ones is the same sum, only faster; autocast would do it in half precision."""
    if x.dtype is not torch.float32 or x.device.type != "cpu" or not x.numel():
        return False
    return not torch._C._is_any_autocast_enabled()


@dataclass(frozen=True, slots=True)
class Nonzero:
    """1.0 where `x` is not zero: a mask that is made piece by piece while it is summed."""

    x: Tensor

    @property
    def shape(self) -> torch.Size:
        """That of the operand."""
        return self.x.shape

    def whole(self) -> Tensor:
        """The mask itself."""
        return torch.ne(self.x, 0, out=torch.empty_like(self.x, dtype=sum_type(self.x)))

    def row_sum(self) -> Tensor:
        """Sum over axis 0."""
        rows = self.x.shape[0]
        step = max(1, min(piece_of(self.x) * rows // max(1, self.x.numel()), EXACT_ROWS))
        if step >= rows:
            return row_sum(self.whole())
        total: Tensor | None = None
        for mask in self._pieces(step):
            part = row_sum(mask)
            part = part.double() if rows > EXACT_ROWS else part
            total = part if total is None else total.add_(part)
        assert total is not None
        return total

    def count(self) -> int:
        """All of them, read off the device."""
        return int(self.row_sum().double().sum().item()) if self.x.dim() else int(self.whole().item())

    def over(self, dim: int) -> Tensor:
        """Sum over another axis than the first, in double precision."""
        step = max(1, piece_of(self.x) * self.x.shape[0] // max(1, self.x.numel()))
        if step >= self.x.shape[0]:
            return over(self.whole(), dim)
        return torch.cat([over(mask, dim) for mask in self._pieces(step)])

    def _pieces(self, step: int) -> Iterator[Tensor]:
        """Masks of `step` rows at a time; each overwrites the one before."""
        x = self.x
        buffer = torch.empty_like(x[:step], dtype=sum_type(x))
        for i in range(0, x.shape[0], step):
            part = x[i : i + step]
            yield torch.ne(part, 0, out=buffer[: len(part)])


@dataclass(frozen=True, slots=True)
class Times:
    """`factor * x`, whole numbers, where the factor is a power of two: sums are scaled instead of the operand."""

    x: Tensor
    factor: float

    def whole(self) -> Tensor:
        """The product itself."""
        return self.x.to(sum_type(self.x)) * self.factor

    def row_sum(self) -> Tensor:
        """Sum over axis 0."""
        return row_sum(self.x) * self.factor

    def over(self, dim: int) -> Tensor:
        """Sum over another axis than the first, in double precision."""
        return over(self.x, dim) * self.factor


_ROUNDED = 1 << 13
"""Rows whose magnitudes n * u, of up to MAX_LEVEL u each and rounded in single precision, add up to less than half a u
beside the exact sum."""


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """|x|, of which it is not known yet how many units they are; sums have a leading axis of parts to be rounded."""

    x: Tensor

    def whole(self) -> Tensor:
        """The magnitudes themselves, in one part."""
        return self.x.abs().double().unsqueeze(0)

    def row_sum(self) -> Tensor:
        """Sums over axis 0, in double precision."""
        return self.over(0)

    def over(self, dim: int) -> Tensor:
        """Sums over an axis, in double precision."""
        parts: list[Tensor] = list(self.x.split(_ROUNDED, dim))  # type: ignore[no-untyped-call]
        return torch.stack([part.abs().sum(dim, dtype=torch.float64) for part in parts])


Summable: TypeAlias = Tensor | Nonzero | Times | Magnitudes
"""Masks or levels: as a tensor, or as what is to be summed without making one."""


def rows_summed(x: Summable) -> Tensor:
    """Exact sum of masks or levels over axis 0."""
    return row_sum(x) if isinstance(x, Tensor) else x.row_sum()


def whole(x: Summable) -> Tensor:
    """Masks or levels as a tensor."""
    return x if isinstance(x, Tensor) else x.whole()


def over(x: Summable, dim: int) -> Tensor:
    """Exact sum of masks or levels over an axis other than the first, in double precision."""
    if not isinstance(x, Tensor):
        return x.over(dim)
    return x.sum(dim, dtype=torch.float32 if x.shape[dim] < EXACT_ROWS else torch.float64).double()
