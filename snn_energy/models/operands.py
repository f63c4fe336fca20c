"""What the layers of a network can take at most: the bound that exact sums rest on (see `snapping`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

PIXEL_FRACTION_BITS = 8


@dataclass(frozen=True, slots=True)
class Operand:
    """A layer's input: its largest magnitude, and its bits after the binary point (infinity: it is rounded)."""

    largest: float = 1.0
    fraction_bits: float = 0

    def mean(self, count: int) -> Operand:
        """The mean of `count` such values: exact where `count` is a power of two."""
        exact = math.frexp(count)[0] == 0.5
        return Operand(self.largest, self.fraction_bits + math.log2(count) if exact else math.inf)


@dataclass(frozen=True, slots=True)
class Sum:
    """What becomes of several layers' outputs: each times at most its gain, with so many bits more after the point."""

    gains: Mapping[str, float]
    fraction_bits: float = 0


SPIKES = Operand()
PIXELS = Operand(1.0, PIXEL_FRACTION_BITS)
"""Multiples of 1/256 below 1, as `inputs.unit_pixels` gives them."""
