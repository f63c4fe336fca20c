"""Numbers as they are printed: an interval of half a unit in the last digit to either side, exact rationals.

"78.29" stands for anything from 78.285 to 78.295; an integer written out ("4") that counts something is taken as it is
by `exact`, and as 3.5 to 4.5 where it is a rounded measure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

ENERGY_UNITS = {"fj": Fraction(1, 1000), "pj": Fraction(1), "nj": Fraction(10**3), "uj": Fraction(10**6),
                "mj": Fraction(10**9), "j": Fraction(10**12)}  # fmt: skip
"""Unit of energy -> pJ."""
SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
"""Prefix of a count -> its factor."""

LARGEST = 10**60
"""Larger numbers are no counts and no energies, whatever the cell holds."""

_NUMBER = re.compile(
    r"(?<![\w.])([-+−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+−]?\d+(?:\.\d+)?|[-+−]?\.\d+)(?:[eE]([-+]?\d{1,2})(?!\d))?"
    r"\s*(?:[×x]\s*10\s*\^?\s*([-+−]?\d{1,2})(?!\d))?\s*([%µμ]?[a-zA-Z]*)"
)


@dataclass(frozen=True, slots=True)
class Interval:
    """All values that a printed number may stand for."""

    low: Fraction
    high: Fraction

    @property
    def middle(self) -> Fraction:
        """The number as printed."""
        return (self.low + self.high) / 2

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __mul__(self, other: Interval) -> Interval:
        """Product of two intervals without negative numbers."""
        return Interval(self.low * other.low, self.high * other.high)

    def __truediv__(self, other: Interval) -> Interval:
        """Quotient of two intervals of positive numbers."""
        return Interval(self.low / other.high, self.high / other.low)

    def meets(self, other: Interval) -> bool:
        """Whether some value is in both."""
        return self.low <= other.high and other.low <= self.high

    def times(self, factor: Fraction | int) -> Interval:
        """Multiplied by an exact factor of 0 or more."""
        return Interval(self.low * factor, self.high * factor)


def exact(value: Fraction | int) -> Interval:
    """An interval of one value."""
    return Interval(Fraction(value), Fraction(value))


@dataclass(frozen=True, slots=True)
class Quantity:
    """A printed number with the word behind it, in lower case: "%", "pj", "g", "" and so on."""

    value: Interval
    word: str


def quantity(cell: str) -> Quantity | None:
    """The first number of a cell; None for an empty cell, a dash or words."""
    found = _NUMBER.search(cell.replace("\u2009", "").replace("\u202f", ""))
    if found is None:
        return None
    digits = found[1].replace(",", "").replace("−", "-")
    exponent = int(found[2] or 0) + int((found[3] or "0").replace("−", "-"))
    decimals = len(digits.partition(".")[2])
    scale = Fraction(10) ** exponent
    middle, half = Fraction(digits) * scale, scale / Fraction(10) ** decimals / 2
    word = found[4].lower().replace("µ", "u").replace("μ", "u")
    if abs(middle) >= LARGEST:
        return None
    if middle == 0 and not decimals:
        half = Fraction()  # a plain 0 says that there is none
    low = max(middle - half, Fraction()) if middle >= 0 else middle - half
    return Quantity(Interval(low, middle + half), word)
