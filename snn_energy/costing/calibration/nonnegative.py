"""Least squares with coefficients >= 0.

Lawson and Hanson's active-set method: C. L. Lawson, R. J. Hanson, "Solving Least Squares Problems", Prentice-Hall 1974,
chapter 23, algorithm NNLS. It ends at the optimum after finitely many steps, which the conditions of Kuhn and Tucker
prove: with r = b - A x, A^T r is 0 where x > 0, and not above 0 elsewhere.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


def nonnegative_least_squares(a: Array, b: Array) -> Array:
    """The x >= 0 with the smallest |A x - b|; unique where the columns of A are independent.

    Args:
        a: [n k], no column all zeros.
        b: [n].

    Returns:
        x: [k]; coefficients held at the bound are exactly 0.
    """
    # Columns of one length: counts differ by orders of magnitude, and the tolerance must mean the same for all.
    lengths = np.linalg.norm(a, axis=0)
    unit = a / lengths
    size = unit.shape[1]
    x, free = np.zeros(size), np.zeros(size, dtype=bool)
    tolerance = 1e-12 * max(1.0, float(np.linalg.norm(b)))
    barred = np.zeros(size, dtype=bool)
    while True:
        slope = unit.T @ (b - unit @ x)
        slope[free | barred] = -np.inf
        best = int(np.argmax(slope))
        if slope[best] <= tolerance:
            return np.asarray(x / lengths)
        free[best] = True
        trial = _solved(unit, b, free)
        if trial[best] <= 0:  # rounding alone called for it
            free[best], barred[best] = False, True
            continue
        barred[:] = False
        while (trial[free] <= 0).any():
            blocking = free & (trial <= 0)
            share = float((x[blocking] / (x[blocking] - trial[blocking])).min())
            x += share * (trial - x)
            free &= x > 1e-15
            x[~free] = 0.0
            trial = _solved(unit, b, free)
        x = trial


def _solved(a: Array, b: Array, free: npt.NDArray[np.bool_]) -> Array:
    """Least squares over the free columns; the others are 0."""
    x = np.zeros(a.shape[1])
    if free.any():
        x[free] = np.linalg.lstsq(a[:, free], b, rcond=None)[0]
    return x
