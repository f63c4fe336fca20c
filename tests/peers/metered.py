"""Numbers that count their own arithmetic: a neuron's equation, run on them, tells what one update costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Meter:
    adds: int = 0
    muls: int = 0
    compares: int = 0
    specials: int = 0
    spike_adds: int = 0

    @contextmanager
    def for_the_spike(self) -> Iterator[None]:
        """Additions in here are charged to the spike, not to the update."""
        before = self.adds
        yield
        self.spike_adds += self.adds - before
        self.adds = before


class Num:
    """A float of a meter. Constants are plain floats: folding them costs nothing, `constant * Num` costs one."""

    def __init__(self, value: float, meter: Meter) -> None:
        self.value = value
        self.meter = meter

    def __add__(self, other: Num | float) -> Num:
        self.meter.adds += 1
        return Num(self.value + _plain(other), self.meter)

    def __sub__(self, other: Num | float) -> Num:
        self.meter.adds += 1
        return Num(self.value - _plain(other), self.meter)

    def __rmul__(self, other: float) -> Num:
        return self * other

    def __mul__(self, other: Num | float) -> Num:
        self.meter.muls += 1
        return Num(self.value * _plain(other), self.meter)

    def reaches(self, threshold: Num | float) -> bool:
        self.meter.compares += 1
        return self.value >= _plain(threshold)

    def held_above(self, floor: float) -> Num:
        self.meter.compares += 1
        return Num(max(self.value, floor), self.meter)

    def times_reached(self, threshold: Num | float, most: int | None = None) -> int:
        """Rounded down; to the nearest where a largest number is given."""
        self.meter.compares += 1
        times = self.value / _plain(threshold)
        return max(0, int(times) if most is None else min(most, round(times)))

    def exp(self) -> Num:
        self.meter.specials += 1
        return Num(math.exp(self.value), self.meter)


def _plain(value: Num | float) -> float:
    return value.value if isinstance(value, Num) else value
