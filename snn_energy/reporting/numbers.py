"""Rounding for people: one unit for a column, and printed rows that add up to the printed total."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

ENERGY_UNITS = (("pJ", 1), ("nJ", 10**3), ("µJ", 10**6), ("mJ", 10**9), ("J", 10**12))
"""Units of energy and how many pJ each holds."""

COUNT_UNITS = (("", 1), ("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12))
"""Suffixes of shortened counts."""

ENERGY_DECIMALS = 3
SHARE_DECIMALS = 1
SHORT_DIGITS = 4
UNCERTAIN_DIGITS = 2
"""Significant digits of an uncertainty: "Guide to the expression of uncertainty in measurement" (JCGM 100:2008,
7.2.6), at most two; a value is rounded to the last of them."""


def energy_unit(pj: float | Fraction) -> tuple[str, int]:
    """The largest unit in which `pj` is at least 1, and its size in pJ; pJ for smaller energies."""
    return next((unit for unit in reversed(ENERGY_UNITS) if pj >= unit[1]), ENERGY_UNITS[0])


def energy(pj: float, unit: tuple[str, int] | None = None) -> str:
    """An energy given in pJ as text with its unit: `energy(40374)` is "40.374 nJ"."""
    name, size = unit or energy_unit(pj)
    return f"{fixed(nearest(Fraction(pj) / size * 10**ENERGY_DECIMALS), ENERGY_DECIMALS)} {name}"


def nearest(value: Fraction) -> int:
    """The nearest integer, halves up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def apportion(values: Sequence[Fraction], total: int | None = None) -> list[int]:
    """Round non-negative values to integers whose sum is `total`, by default the rounded sum of the values.

    The method of largest remainders: round down, then give the missing units to the largest fractions (the
    first of equal ones). No value moves by 1 or more, and 0 stays 0.
    """
    floors = [value.numerator // value.denominator for value in values]
    missing = (nearest(sum(values, Fraction())) if total is None else total) - sum(floors)
    by_remainder = sorted(range(len(values)), key=lambda i: (floors[i] - values[i], i))
    for i in by_remainder[:missing]:
        floors[i] += 1
    return floors


def fixed(steps: int, decimals: int) -> str:
    """A number of 10^-decimals steps as text: `fixed(40374, 3)` is "40.374"; thousands get commas."""
    whole, part = divmod(steps, 10**decimals)
    return f"{whole:,}.{part:0{decimals}d}" if decimals else f"{whole:,}"


def decimals_for(half: float) -> int:
    """Decimals that leave two significant digits of half an interval (> 0); below 0 for tens and hundreds."""
    return UNCERTAIN_DIGITS - 1 - math.floor(math.log10(half))


def rounded(value: Fraction, decimals: int) -> str:
    """A number >= 0 as text with these decimals; below 0, tens, hundreds ... stay: `rounded(1234, -2)` is "1,200"."""
    steps = nearest(value * Fraction(10) ** decimals)
    return fixed(steps, decimals) if decimals >= 0 else fixed(steps * 10**-decimals, 0)


def per_inference(counts: Iterable[int], samples: int) -> list[int]:
    """Totals over all samples as whole numbers for one inference that add up to their rounded sum."""
    return apportion([Fraction(count, samples) for count in counts])


def short(count: int) -> str:
    """A count in four digits and a suffix: 3,612,672 is "3.613M"; counts below 10,000 stay exact."""
    if count < 10**SHORT_DIGITS:
        return f"{count:,}"
    suffix, size = next(unit for unit in reversed(COUNT_UNITS) if count >= unit[1])
    decimals = max(0, SHORT_DIGITS - len(str(count // size)))
    steps = nearest(Fraction(count * 10**decimals, size))
    if decimals and len(str(steps)) > SHORT_DIGITS:  # 99.996k has become 100.00k
        decimals, steps = decimals - 1, nearest(Fraction(count * 10 ** (decimals - 1), size))
    return f"{fixed(steps, decimals)}{suffix}"


def percent(part: int, whole: int) -> str:
    """A share as a percentage with two decimals."""
    return f"{fixed(nearest(Fraction(part, whole) * 10**4), 2)} %"


def ratio(value: float) -> str:
    """A ratio with three significant digits, plain notation."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2}f}" if value >= 1 else f"{value:.3g}"
