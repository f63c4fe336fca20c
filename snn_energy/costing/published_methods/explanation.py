"""Every method on one trace, and the way from the lowest total to the highest."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from snn_energy.costing.published_methods.accounts import accounts, check_name
from snn_energy.costing.published_methods.terms import PARTS, Account
from snn_energy.costing.published_methods.waterfall import Step, waterfall
from snn_energy.counting.counts import Trace
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware

FORMAT = 1
"""Version of the JSON form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All methods beside each other: those with an energy first, from the lowest to the highest."""

    trace: Trace
    accounts: tuple[Account, ...]
    between: tuple[str, str] | None = None
    """Methods that the waterfall leads between; None for the lowest and the highest."""

    @property
    def low(self) -> Account | None:
        """The lowest complete total; None where no method gives one."""
        return min(self._complete, key=lambda a: a.energy_pj, default=None)

    @property
    def high(self) -> Account | None:
        """The highest complete total."""
        return max(self._complete, key=lambda a: a.energy_pj, default=None)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What leads from one end of the waterfall to the other; () where there are no two."""
        ends = self.ends
        return () if ends is None else waterfall(*ends)

    @property
    def ends(self) -> tuple[Account, Account] | None:
        """Where the waterfall begins and ends; None where fewer than two methods give an energy."""
        if self.between is not None:
            by_name = {one.sheet.name: one for one in self.accounts}
            return by_name[self.between[0]], by_name[self.between[1]]
        low, high = self.low, self.high
        return None if low is None or high is None or low is high else (low, high)

    def ratio(self, account: Account) -> float | None:
        """Energy of an account over the lowest complete one; None where either has none."""
        low = self.low
        if low is None or not low.energy_pj or not account.priced:
            return None
        return float(account.energy_pj / low.energy_pj)

    @property
    def _complete(self) -> list[Account]:
        return [one for one in self.accounts if one.complete]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; energies in pJ for one inference."""
        ends = self.ends
        return {
            "format": FORMAT,
            "model": self.trace.model,
            "samples": self.trace.samples,
            "time_steps": self.trace.time_steps or None,
            "coverage_complete": self.trace.coverage.complete,
            "methods": [self._account(one) for one in self.accounts],
            "waterfall": {
                "from": None if ends is None else ends[0].sheet.name,
                "to": None if ends is None else ends[1].sheet.name,
                "steps": [
                    {
                        "part": step.part,
                        "cause": step.cause,
                        "energy_pj": float(step.energy_pj),
                        "count": [float(step.low_count), float(step.high_count)],
                        "price_pj": [_number(step.low_price_pj), _number(step.high_price_pj)],
                        "rule": [step.low_rule or None, step.high_rule or None],
                    }
                    for step in self.steps
                ],
            },
        }

    def _account(self, one: Account) -> dict[str, Any]:
        sheet = one.sheet
        parts = {name: one.part(name)[1] for name in PARTS}
        return {
            "method": sheet.name,
            "title": sheet.title,
            "citation": sheet.citation,
            "url": sheet.url,
            "hardware": one.hardware,
            "energy_per_inference_pj": float(one.energy_per_inference_pj) if one.priced else None,
            "ratio_to_lowest": self.ratio(one),
            "partial": sheet.partial,
            "refused": one.refused,
            "counts": dict(sheet.counts),
            "parts_pj": {name: float(energy) for name, energy in parts.items() if energy},
            "left_out": {left.part: left.reason for left in one.left},
            "measures_per_inference": {name: float(value / one.samples) for name, value in one.measures.items()},
        }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def explain(trace: Trace, hardware: Hardware | None = None, between: tuple[str, str] | None = None) -> Explanation:
    """Price one trace by every method.

    Args:
        trace: what happened.
        hardware: prices of the arithmetic in all methods; None: each publication's own.
        between: the two methods that the waterfall leads between; None: the lowest and the highest complete total.

    Raises:
        UsageError: `between` names a method that there is not, or that gives no energy here.
        TraceError: the trace holds no sample.
    """
    for name in between or ():
        check_name(name, "explain")
    found = accounts(trace, hardware)
    ordered = sorted(found, key=lambda one: (not one.priced, one.energy_pj, one.refused is not None))
    for name in between or ():
        one = next(one for one in found if one.sheet.name == name)
        if not one.priced:
            reason = one.refused or "it prices nothing"
            raise UsageError(f"explain: {name} gives no energy to compare: {reason}")
    return Explanation(trace=trace, accounts=tuple(ordered), between=between)
