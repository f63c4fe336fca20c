"""Windows: a square map cut into p x p groups, plain or dilated, and which of them lie over a position.

A plain window is one part of the map, w = side / p wide. A dilated one is 3w/2 wide: the windows start evenly spread
over the map, the first at one edge and the last ending at the other, so that neighbours overlap. On the 2 x 2 grid of
the paper that is 3 side / 4, anchored at the four corners: a window twice as large, centred on the plain one, and
clipped at the edge. For larger grids, which the paper does not have, that clipping would make windows of several
sizes, whose membranes cannot be handed on element by element; here all windows of a grid have one size.

Source: Yao, Wu, Chen, Zhang, "Training a General Spiking Neural Network with Improved Efficiency and Minimum Latency",
ACML 2023, arXiv:2401.10843 (the windows and their order); larger grids are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import torch
from torch import Tensor

from snn_energy.errors import UsageError


@dataclass(frozen=True)
class WindowGrid:
    """The windows of one map: `parts` x `parts` groups of a map `side` wide, in row-major order.

    Errors: UsageError where the map cannot be cut so.
    """

    side: int
    parts: int = 2
    dilated: bool = False

    def __post_init__(self) -> None:
        if self.side % self.parts:
            raise UsageError(
                f"windows: a map {self.side} wide cannot be cut into {self.parts} x {self.parts} equal windows; use an "
                "image_size or a grid that divides it"
            )
        if self.dilated and self.plain_size % 2:
            raise UsageError(
                f"windows: a dilated window is 3/2 of a plain one (got plain windows {self.plain_size} wide, on a map "
                f"{self.side} wide); leave this block out of `dilated`"
            )
        if self.dilated and self.parts == 1:
            raise UsageError("windows: a single window has nothing to overlap with (got a dilated grid of 1)")

    @property
    def plain_size(self) -> int:
        """Width of a plain window."""
        return self.side // self.parts

    @property
    def size(self) -> int:
        """Width of a window."""
        return self.plain_size * 3 // 2 if self.dilated else self.plain_size

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return self.parts**2

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where the windows of one axis start; rounded down where they cannot be spread evenly."""
        if self.parts == 1:
            return (0,)
        return tuple(k * (self.side - self.size) // (self.parts - 1) for k in range(self.parts))

    @cached_property
    def corners(self) -> tuple[tuple[int, int], ...]:
        """First row and first column of each window, in order."""
        return tuple(product(self.starts, self.starts))

    @cached_property
    def segments(self) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
        """One axis cut wherever a window starts or ends: (first, end, the windows of the axis over it)."""
        cuts = sorted({edge for start in self.starts for edge in (start, start + self.size)})
        return tuple(
            (first, end, tuple(k for k, start in enumerate(self.starts) if start <= first and end <= start + self.size))
            for first, end in pairwise(cuts)
        )

    @cached_property
    def cover(self) -> tuple[int, ...]:
        """For each position of one axis, how many windows of that axis lie over it; n is the product of both axes."""
        return tuple(len(over) for first, end, over in self.segments for _ in range(first, end))

    def cut(self, x: Tensor) -> Tensor:
        """Map `... h w c` -> its windows, `k ... s s c`."""
        size = self.size
        return torch.stack([x[..., row : row + size, column : column + size, :] for row, column in self.corners])
