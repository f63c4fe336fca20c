"""Quantiles of Student's t distribution, from its definition: no table, no further dependency.

Up to 200 degrees of freedom the distribution function is summed exactly (for a whole number of degrees it is a finite
trigonometric series) and inverted by bisection. Beyond that the quantile is the normal one plus four terms in inverse
powers of the degrees of freedom, whose next term is below 1e-9. Source of both: M. Abramowitz and I. A. Stegun,
"Handbook of Mathematical Functions", National Bureau of Standards 1964, 26.7.3, 26.7.4 and 26.7.5.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_SERIES_UP_TO = 200


def t_within(t: float, freedom: int) -> float:
    """Probability that Student's t with `freedom` >= 1 degrees of freedom lies between -t and t."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    # Powers of the cosine: 1, 3, 5, ... for odd degrees of freedom, 0, 2, 4, ... for even ones.
    term = total = cosine if odd else 1.0
    for power in range(odd, freedom - 3, 2):
        term *= cosine * cosine * (power + 1) / (power + 2)
        total += term
    if not odd:
        return sine * total
    return 2 / math.pi * (angle + (sine * total if freedom > 1 else 0.0))


@lru_cache(maxsize=256)
def t_quantile(within: float, freedom: int) -> float:
    """The t such that Student's t of `freedom` >= 1 degrees of freedom lies between -t and t with this probability."""
    if freedom > _SERIES_UP_TO:
        return _expansion(NormalDist().inv_cdf((1 + within) / 2), freedom)
    low, high = 0.0, 1.0
    while t_within(high, freedom) < within:
        high *= 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if t_within(middle, freedom) < within else (low, middle)
    return high


def _expansion(x: float, freedom: int) -> float:
    square = x * x
    terms = (
        (square + 1) / 4,
        ((5 * square + 16) * square + 3) / 96,
        (((3 * square + 19) * square + 17) * square - 15) / 384,
        ((((79 * square + 776) * square + 1482) * square - 1920) * square - 945) / 92160,
    )
    return x + x * math.fsum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))
