"""Facts about an operand that stay on its device until the batch is through, so that nothing waits for the device.

Whether a tensor holds spikes, levels or real numbers decides how it is counted, and to ask it for that is to wait for
everything that runs before it. On the CPU this costs nothing; elsewhere the answers are kept as small tensors (smallest
and largest value, the distinct magnitudes as a table of fixed size, the height of each channel), and so are the sums of
magnitudes. Both are read after the batch, and give the counts that a look at once would have given: a sum of n * u is
rounded to whole levels once u is known.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snn_energy.counting.sums import piece_of
from snn_energy.counting.values import MAX_LEVEL

ALWAYS: ContextVar[bool] = ContextVar("always_later", default=False)
"""Set by tests: tensors on the CPU are treated like those on any other device."""

_SLOTS = MAX_LEVEL + 2
"""Distinct magnitudes kept, zero among them: one more than levels can have tells that there are many."""


def asks_later(x: Tensor) -> bool:
    """True for tensors whose values are not asked for while the model runs."""
    return x.device.type != "cpu" or ALWAYS.get()


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is known on the device of one operand tensor."""

    where: str
    low: Tensor
    high: Tensor
    table: Tensor
    """Distinct magnitudes, filled up with zeros."""
    overflow: Tensor
    """Whether there are more of them."""
    eps: float
    """Rounding step of the tensor's type."""
    channels: int
    """How many axes told channels apart; 0: none."""
    heights: Tensor | None
    """Largest magnitude of each channel, float64; likewise whether it is the only one."""
    alike: Tensor | None

    def read(self) -> Read:
        """Wait for the device, and ask for everything at once."""
        numbers = torch.stack((self.low.double(), self.high.double(), self.overflow.double()))
        if self.alike is not None:
            numbers = torch.cat((numbers, self.alike.double().reshape(1)))
        low, high, overflow, *alike = numbers.tolist()
        members = tuple(value for value in self.table.tolist() if value)
        return Read(low, high, members, bool(overflow) or len(members) > MAX_LEVEL, bool(alike and alike[0]))


@dataclass(frozen=True, slots=True)
class Read:
    """The same, as numbers."""

    low: float
    high: float
    members: tuple[float, ...]
    overflow: bool
    alike: bool


def facts_of(where: str, x: Tensor, channels: int, measured: tuple[Tensor, Tensor] | None) -> Facts:
    """Gather the facts of a tensor; `measured` are heights and their proof, where channels are told apart."""
    low, high = torch.aminmax(x)
    table, overflow = _distinct(x)
    eps = torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0
    heights, alike = (None, None) if measured is None else measured
    return Facts(where, low, high, table, overflow, eps, channels, heights, alike)


def _distinct(x: Tensor) -> tuple[Tensor, Tensor]:
    """Table of the distinct magnitudes, and whether there are more: of each piece, then of these tables."""
    pieces = x.reshape(-1).split(piece_of(x))  # type: ignore[no-untyped-call]
    tables, overflow = zip(*(_table(piece.abs()) for piece in pieces), strict=True)
    table, more = _table(torch.cat(tables)) if len(tables) > 1 else (tables[0], overflow[0])
    return table, torch.stack((more, *overflow)).any()


def _table(magnitudes: Tensor) -> tuple[Tensor, Tensor]:
    ordered: Any = magnitudes.sort().values
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    place = fresh.cumsum(0) - 1
    table = torch.zeros(_SLOTS + 1, dtype=ordered.dtype, device=ordered.device)
    table.scatter_(0, place.clamp(max=_SLOTS), ordered)
    return table[:_SLOTS], place[-1] >= _SLOTS
