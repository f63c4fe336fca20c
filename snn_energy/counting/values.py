"""Operand classes: which values a projection has ever been fed, and what arithmetic that makes of it.

The lattice is `silent < binary < ternary < integer < real`, each with a constant scale. It is kept as the set of
distinct magnitudes seen (a `ValueSet`), because a union of sets is associative and commutative: the class of a
layer never depends on how its data were split into calls, batches or ranks. A class is read off the set only at
the end. Where each input channel has a magnitude of its own, see `channels.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

KINDS = ("silent", "binary", "ternary", "integer", "real")

MAX_LEVEL = 64
"""Largest |n| that still counts as an integer spike n; beyond it an operand is a multi-bit number, hence `real`.

A convention, not physics: spike sums of residual blocks, 8x8 average pools and 6-bit graded spikes lie within it,
8-bit pixels do not.
"""


@dataclass(frozen=True, slots=True)
class OperandClass:
    """Kind of operand and its constant scale: every value is `scale * n`, n in {0, 1}, {-1, 0, 1} or small integers."""

    kind: str
    scale: float | None = None
    per_channel: bool = False
    """Whether each input channel has a constant scale of its own."""

    @property
    def accumulates(self) -> bool:
        """True when one event is one accumulate: the scale folds into the weights, the sign into add or subtract."""
        return self.kind in ("silent", "binary", "ternary")

    @property
    def rank(self) -> int:
        """Height in the lattice, 0 (silent) to 4 (real)."""
        return KINDS.index(self.kind)

    def __str__(self) -> str:
        if self.per_channel:
            return f"{self.kind} x [c]"
        if self.scale is None or self.scale == 1:
            return self.kind
        return f"{self.kind} x {self.scale:.6g}"


Run = tuple[int, float, int, bool]
"""Neighbouring channels alike: how many; their magnitude (0 while silent); non-zero elements seen in each, at most 2
told apart; whether a zero was seen."""


@dataclass(frozen=True, slots=True)
class ValueSet:
    """The distinct non-zero values an operand has taken; `many` once they are no scale times small integers.

    `channels` is known apart: where every input channel has one magnitude only, it is that, channel by channel.
    """

    magnitudes: tuple[float, ...] = ()
    positive: bool = False
    negative: bool = False
    many: bool = False
    eps: float = 0.0
    """Relative rounding step of the coarsest floating type seen (0 for integer types)."""
    channels: tuple[Run, ...] = ()
    """Magnitudes of the input channels in order; empty where one has several, or where channels are not told apart."""

    @classmethod
    def of(cls, magnitudes: Iterable[float], *, positive: bool, negative: bool, eps: float) -> ValueSet:
        """Build the canonical set: real-valued sets forget their members, empty ones their signs."""
        found = tuple(sorted(set(magnitudes)))
        if not found:
            return cls()
        if len(found) > MAX_LEVEL or unit_of(found, eps) is None:
            return REAL
        return cls(found, positive, negative, False, eps)

    def __or__(self, other: ValueSet) -> ValueSet:
        """Join of the lattice: the values of both."""
        for one, another in ((self, other), (other, self)):
            if one == SILENT:
                return another
        channels = _joined_channels(self.channels, other.channels)
        if self.many or other.many:
            return self.real_with(other, channels)
        if not (self.magnitudes and other.magnitudes) or self.magnitudes == other.magnitudes:
            joined = self if self.magnitudes else other
            return replace(
                joined,
                positive=self.positive or other.positive,
                negative=self.negative or other.negative,
                eps=max(self.eps, other.eps),
                channels=channels,
            )
        joined = ValueSet.of(
            self.magnitudes + other.magnitudes,
            positive=self.positive or other.positive,
            negative=self.negative or other.negative,
            eps=max(self.eps, other.eps),
        )
        if joined.many:
            return self.real_with(other, channels)
        return replace(joined, channels=channels)

    def real_with(self, other: ValueSet, channels: tuple[Run, ...]) -> ValueSet:
        """The real-valued set: its signs matter only while its channels are known apart."""
        if not channels:
            return REAL
        return ValueSet(
            many=True,
            positive=self.positive or other.positive,
            negative=self.negative or other.negative,
            channels=channels,
        )

    @property
    def operand_class(self) -> OperandClass:
        """The class that these values make, with the largest scale that fits them all, or one for each channel."""
        common = self._common_class
        if not common.accumulates and self._heights_are_proven:
            return OperandClass("ternary" if self.positive and self.negative else "binary", per_channel=True)
        return common

    @property
    def _heights_are_proven(self) -> bool:
        """Whether half of the active channels, at least, have shown their one magnitude twice and a zero once."""
        active = sum(length for length, height, _, _ in self.channels if height)
        proven = sum(length for length, height, seen, rested in self.channels if height and seen > 1 and rested)
        return 0 < active <= 2 * proven

    @property
    def _common_class(self) -> OperandClass:
        if self.many:
            return OperandClass("real")
        if not self.magnitudes:
            return OperandClass("silent")
        unit = unit_of(self.magnitudes, self.eps)
        assert unit is not None  # `of` made every other set REAL
        if len(self.magnitudes) > 1:
            return OperandClass("integer", unit)
        if self.positive and self.negative:
            return OperandClass("ternary", unit)
        return OperandClass("binary", unit if self.positive else -unit)

    @property
    def unit(self) -> float:
        """Size of one level; 1 for silent and real sets, where levels mean nothing."""
        scale = self._common_class.scale
        return 1.0 if scale is None else abs(scale)


def _joined_channels(a: tuple[Run, ...], b: tuple[Run, ...]) -> tuple[Run, ...]:
    """Channel by channel, what was seen in either; () where a channel has two magnitudes or is not known apart."""
    if not (a and b) or sum(run[0] for run in a) != sum(run[0] for run in b):
        return ()
    joined: list[Run] = []
    left, right = list(a[::-1]), list(b[::-1])
    while left:
        (n, height, seen, rested), (m, other, again, idle) = left.pop(), right.pop()
        if height and other and height != other:
            return ()
        length = min(n, m)
        if n > length:
            left.append((n - length, height, seen, rested))
        if m > length:
            right.append((m - length, other, again, idle))
        run = (length, max(height, other), min(2, seen + again), rested or idle)
        if joined and joined[-1][1:] == run[1:]:
            run = (joined.pop()[0] + length, *run[1:])
        joined.append(run)
    return tuple(joined)


REAL = ValueSet(many=True)
SILENT = ValueSet()


@lru_cache(maxsize=4096)
def unit_of(magnitudes: tuple[float, ...], eps: float) -> float | None:
    """Largest u such that every magnitude is n*u with integer 1 <= n <= MAX_LEVEL; None where there is none.

    Magnitudes that were rounded once or twice (k/9 of a 3x3 average pool) match within 4 eps; types too coarse for
    that to be safe at MAX_LEVEL (fp16, bf16) must match exactly.
    """
    tolerance = 4 * eps if 4 * eps * MAX_LEVEL < 1e-2 else 0.0
    smallest, largest = magnitudes[0], magnitudes[-1]
    if largest > smallest * MAX_LEVEL * (1 + tolerance):
        return None
    for divisor in range(1, MAX_LEVEL + 1):
        unit = smallest / divisor
        levels = [round(m / unit) for m in magnitudes]
        if levels[-1] > MAX_LEVEL:
            return None
        if all(abs(m - n * unit) <= tolerance * m for m, n in zip(magnitudes, levels, strict=True)):
            return unit
    return None
