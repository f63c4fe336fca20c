"""Which prices the measurements can tell apart.

Collinear counts leave a whole family of prices that fit equally well. The diagnosis is that of D. A. Belsley, E. Kuh
and R. E. Welsch, "Regression Diagnostics", Wiley 1980, chapter 3: columns scaled to length 1, condition indices (the
largest singular value over each one), and, for each small singular value, the terms most of whose variance it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snn_energy.costing.calibration.nonnegative import Array

HOPELESS = 1e8
"""Condition index from which on terms are one: what separates them is lost in any measurement's error."""
WEAK = 30.0
"""Condition index from which on Belsley, Kuh and Welsch speak of moderate to strong dependencies."""
MUCH = 0.5
"""Share of a term's variance that ties it to a weak direction, likewise theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiability:
    """What the counts determine, whatever was measured."""

    terms: int
    rank: int
    condition: float | None
    """Largest over smallest singular value of the scaled counts; None where the rank is not full."""
    confused: tuple[str, ...]
    """Terms that cannot be told apart; empty where the rank is full."""
    proportional: bool
    """Whether these occur in one and the same proportion in all measurements, rather than as a mix of each other."""
    weak: tuple[tuple[str, ...], ...]
    """Groups of terms that can barely be told apart: their prices answer to small errors with large changes."""


def identifiability(counts: Array, names: Sequence[str]) -> Identifiability:
    """Diagnose a table of counts [n k] (weighted like the measurements), no column of it all zeros."""
    unit = counts / np.linalg.norm(counts, axis=0)
    _, sizes, directions = np.linalg.svd(unit, full_matrices=True)
    sizes = np.append(sizes, np.zeros(len(names) - len(sizes)))  # fewer measurements than terms
    lost = sizes * HOPELESS < sizes[0]
    if lost.any():
        confused, proportional = _confused(unit, directions[lost], names)
        return Identifiability(
            terms=len(names),
            rank=int((~lost).sum()),
            condition=None,
            confused=confused,
            proportional=proportional,
            weak=(),
        )
    parts = (directions / sizes[:, None]) ** 2  # [directions, terms]
    shares = parts / parts.sum(axis=0)
    found = [
        tuple(name for name, share in zip(names, shares[i], strict=True) if share > MUCH)
        for i in range(len(names))
        if sizes[0] / sizes[i] > WEAK
    ]
    return Identifiability(
        terms=len(names),
        rank=len(names),
        condition=float(sizes[0] / sizes[-1]),
        confused=(),
        proportional=False,
        weak=tuple(group for group in found if len(group) > 1),
    )


def _confused(unit: Array, null: Array, names: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Terms in the null space; where some of them are proportional to one, these alone."""
    for i in range(len(names)):
        others = [j for j in range(i + 1, len(names)) if np.linalg.norm(unit[:, i] - unit[:, j]) * HOPELESS < 10]
        if others:
            return tuple(names[j] for j in (i, *others)), True
    reach = np.abs(null).max(axis=0)
    return tuple(name for name, size in zip(names, reach, strict=True) if size > 1e-3), False
