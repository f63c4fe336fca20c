"""Pipelines: how long a row of stages takes for several items, which are time steps or the time steps of a batch.

Times are in any one unit, and exact. The formulas hold for items that all take the same time at a stage; they follow
from the definition of the pipeline and are checked against simulations, not against hardware.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def lockstep(stages: Sequence[Fraction], items: int, barrier: Fraction) -> Fraction:
    """Each stage on a core of its own, one item behind the stage before it; all wait for the slowest in each slot.

    `items + len(stages) - 1` slots (the pipeline fills for `len(stages) - 1` of them), each as long as the slowest
    stage that holds an item, plus the barrier. Stages of equal time c: `(items + len(stages) - 1) * (c + barrier)`.
    """
    total = Fraction()
    for slot in range(slots(stages, items)):
        first, last = max(0, slot - items + 1), min(slot, len(stages) - 1)
        total += max(stages[first : last + 1]) + barrier
    return total


def slots(stages: Sequence[object], items: int) -> int:
    """Number of slots of a pipeline: items, and those in which it fills; 0 without stages or items."""
    return items + len(stages) - 1 if stages and items else 0
