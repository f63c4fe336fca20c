"""From the lowest total to the highest: what each part adds because of its count, and because of its price.

For a part with n operations of mean price p in the one method and n', p' in the other, the energies differ by

    n' p' - n p  =  (n' - n) p  +  n' (p' - p)

which is a step for the counting and one for the price; where only one of them charges the part, it is a single step.
The steps add up to the difference exactly (rational numbers), whichever two methods are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from snn_energy.costing.published_methods.terms import PARTS, Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a waterfall, for one inference."""

    part: str
    cause: Literal["count", "price", "charged", "left out"]
    low_count: Fraction
    high_count: Fraction
    low_price_pj: Fraction | None
    """Mean price of the part's operations; None where they are not charged."""
    high_price_pj: Fraction | None
    energy_pj: Fraction
    low_rule: str
    """What the method assumes, in its sheet's words; "" where the sheet says nothing of the part."""
    high_rule: str


def waterfall(low: Account, high: Account) -> tuple[Step, ...]:
    """Steps from the energy of `low` to that of `high`, in the order of PARTS; steps of 0 pJ are left out."""
    steps: list[Step] = []
    for part in PARTS:
        (n0, e0), (n1, e1) = low.part(part), high.part(part)
        p0, p1 = e0 / n0 if n0 else None, e1 / n1 if n1 else None
        found: list[tuple[Literal["count", "price", "charged", "left out"], Fraction]]
        if p0 is None:
            found = [("charged", e1)]
        elif p1 is None:
            found = [("left out", -e0)]
        else:
            found = [("count", (n1 - n0) * p0), ("price", n1 * (p1 - p0))]
        steps += [
            Step(
                part=part,
                cause=cause,
                low_count=n0,
                high_count=n1,
                low_price_pj=p0,
                high_price_pj=p1,
                energy_pj=energy,
                low_rule=_rule(low, part),
                high_rule=_rule(high, part),
            )
            for cause, energy in found
            if energy
        ]
    return tuple(steps)


def _rule(account: Account, part: str) -> str:
    if part in account.sheet.rules:
        return account.sheet.rules[part]
    return next((left.reason for left in account.left if left.part == part), "")
