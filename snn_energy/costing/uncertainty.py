"""How far a total can be off because its prices are: intervals, effects of single prices, and chances.

An energy is linear in the prices, with coefficients >= 0 (they are counts). So:

- interval: all prices at the low ends of their published ranges, and all at the high ends, give the exact lowest and
  highest total;
- tornado: one price moves over its range while the others keep their values;
- Monte Carlo: every ranged price is drawn independently, uniformly over its range, from a stated seed. Nobody publishes
  how likely the values of such a range are; uniform is a declaration, not a finding;
- SNN against ANN: both totals of one draw use the same prices, and the chance is the share of draws in which the SNN
  needs less.

A price without a published range keeps its value; it is listed, for it is no more certain than the others. How the
energy varies with the data is another matter: see `distribution`.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from snn_energy.costing.distribution import quantile
from snn_energy.costing.methods import find_method
from snn_energy.costing.report import Report
from snn_energy.counting.counts import record_fields
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware

DRAWS = 10_000
SEED = 0
LOW, HIGH = 0.05, 0.95
"""Quantiles of the draws that are reported."""

_SECTIONS = ("energy_pj", "memory_pj", "event_pj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What one price does: energy of one inference at either end of its range, all other prices at their values."""

    price: str
    """As in the profile: `energy_pj.mac`."""
    price_pj: float
    price_low_pj: float
    price_high_pj: float
    energy_low_pj: float
    energy_high_pj: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """Energy of one inference under the published ranges of its prices, in pJ."""

    energy_pj: float
    low_pj: float
    high_pj: float
    mean_pj: float
    """Of the draws, as are the standard deviation and the quantiles."""
    sd_pj: float
    p05_pj: float
    p95_pj: float
    draws: int
    seed: int
    tornado: tuple[Bar, ...]
    """Prices that matter and have a range, the widest effect first."""
    without_range: tuple[str, ...]
    """Prices that matter and have none."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**record_fields(self), "tornado": [record_fields(bar) for bar in self.tornado],
                "without_range": list(self.without_range)}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """SNN against ANN under joint draws of the prices."""

    method: str
    probability: float
    """Share of the draws in which the SNN needs less."""
    ratio_low: float | None
    """5 % quantile of ANN energy / SNN energy over the draws; None if the SNN needs none."""
    ratio_high: float | None


def uncertainty(report: Report, *, draws: int = DRAWS, seed: int = SEED) -> Uncertainty:
    """What the published ranges of its prices leave of a report's energy.

    Raises:
        UsageError: fewer than two draws.
    """
    _check(draws)
    line = _line(report)
    drawn = sorted(_drawn((line,), draws, seed)[0])
    bars = [
        Bar(
            price=name,
            price_pj=price.value,
            price_low_pj=price.low,
            price_high_pj=price.high,
            energy_low_pj=line.at({name: price.low}),
            energy_high_pj=line.at({name: price.high}),
        )
        for name, price in line.prices.items()
        if price.ranged
    ]
    return Uncertainty(
        energy_pj=line.at({}),
        low_pj=line.at({name: price.low for name, price in line.prices.items()}),
        high_pj=line.at({name: price.high for name, price in line.prices.items()}),
        mean_pj=math.fsum(drawn) / draws,
        sd_pj=statistics.stdev(drawn),
        p05_pj=quantile(drawn, LOW),
        p95_pj=quantile(drawn, HIGH),
        draws=draws,
        seed=seed,
        tornado=tuple(sorted(bars, key=lambda bar: (bar.energy_low_pj - bar.energy_high_pj, bar.price))),
        without_range=tuple(name for name, price in line.prices.items() if not price.ranged),
    )


def chance(report: Report, baseline: Report, *, draws: int = DRAWS, seed: int = SEED) -> Chance:
    """How likely a report's network needs less energy than its baseline, one set of prices for both in each draw.

    Raises:
        UsageError: different hardware or methods; fewer than two draws.
    """
    _check(draws)
    if (report.hardware, report.method) != (baseline.hardware, baseline.method):
        raise UsageError(
            f"uncertainty: both sides must be priced alike (got {report.method!r} on {report.hardware.name!r} and "
            f"{baseline.method!r} on {baseline.hardware.name!r}); price both traces by one method on one profile"
        )
    own, other = _drawn((_line(report), _line(baseline)), draws, seed)
    ratios = sorted(theirs / ours for ours, theirs in zip(own, other, strict=True) if ours)
    whole = len(ratios) == draws
    return Chance(
        method=report.method,
        probability=sum(ours < theirs for ours, theirs in zip(own, other, strict=True)) / draws,
        ratio_low=quantile(ratios, LOW) if whole else None,
        ratio_high=quantile(ratios, HIGH) if whole else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranged:
    value: float
    low: float
    high: float
    ranged: bool
    slope: float
    """Energy of one inference for each pJ of this price: how often it is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """Energy of one inference as a linear function of the prices it depends on."""

    prices: Mapping[str, _Ranged]
    rest: float
    """What does not depend on them: 0 but for rounding."""

    def at(self, values: Mapping[str, float]) -> float:
        """Energy where some prices have other values."""
        paid = (price.slope * values.get(name, price.value) for name, price in self.prices.items())
        return math.fsum((self.rest, *paid))


def _line(report: Report) -> _Line:
    """Read the coefficients off the method itself, one price at a time: it is linear, whatever it counts."""
    method, hardware = find_method(report.method), report.hardware

    def energy(changed: Hardware) -> float:
        return method(report.trace, changed).energy_per_inference_pj

    nominal = energy(hardware)
    found: dict[str, _Ranged] = {}
    for section in _SECTIONS:
        for name, price in getattr(hardware, section).items():
            slope = energy(_changed(hardware, section, name, price.value_pj + 1.0)) - nominal
            # One action in a sum of many others: what rounding makes of "not at all" must not count as a use.
            if slope > nominal * 1e-12:
                low, high = price.range_pj or (price.value_pj, price.value_pj)
                found[f"{section}.{name}"] = _Ranged(
                    value=price.value_pj, low=low, high=high, ranged=low < high, slope=slope
                )
    paid = math.fsum(price.slope * price.value for price in found.values())
    return _Line(prices=found, rest=nominal - paid)


def _changed(hardware: Hardware, section: str, name: str, value_pj: float) -> Hardware:
    prices = dict(getattr(hardware, section))
    prices[name] = replace(prices[name], value_pj=value_pj, range_pj=None)
    change: dict[str, Any] = {section: prices}
    return replace(hardware, **change)


def _drawn(lines: Sequence[_Line], draws: int, seed: int) -> list[list[float]]:
    """Energies of each line for every draw, one set of prices for all lines in each."""
    ranged = {name: price for line in lines for name, price in line.prices.items() if price.ranged}
    uniform: Callable[[float, float], float] = random.Random(seed).uniform
    found: list[list[float]] = [[] for _ in lines]
    for _ in range(draws):
        # By name, so that neither the order of a file nor what else is used changes the draws.
        values = {name: uniform(ranged[name].low, ranged[name].high) for name in sorted(ranged)}
        for energies, line in zip(found, lines, strict=True):
            energies.append(line.at(values))
    return found


def _check(draws: int) -> None:
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 2:
        raise UsageError(f"uncertainty: draws must be a whole number >= 2 (got {draws!r})")
