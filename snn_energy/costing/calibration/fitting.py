"""Fit prices to measured energies: coefficients with intervals, held-out errors, and what cannot be told apart.

- Weights: each measurement counts by 1 / its error: the standard deviation of its mean (sd / sqrt(repeats))
  where the file states one, else a constant share of the energy ("relative", over sqrt(repeats)), or, where asked for,
  one energy for all ("absolute").
- Held-out error: all measurements of one network are left out at a time (or of a fold of networks), the rest is fitted,
  and the error is |predicted - measured| / measured.
- Intervals: residual bootstrap. Weighted residuals, each over sqrt(1 - its leverage) and centred, are drawn with
  replacement onto the fitted energies, and the fit is repeated (A. C. Davison and D. V. Hinkley, "Bootstrap Methods and
  their Application", Cambridge 1997, section 6.2.3); the interval lies between the 2.5 % and 97.5 % quantiles. The
  networks stay those that were measured: intervals hold for noise, not for what the terms leave out.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from snn_energy.costing.calibration.identify import Identifiability, identifiability
from snn_energy.costing.calibration.measured import Measurement, Measurements
from snn_energy.costing.calibration.nonnegative import Array, nonnegative_least_squares
from snn_energy.costing.calibration.terms import Counts, FittedTerm
from snn_energy.costing.distribution import quantile
from snn_energy.counting.counts import record_fields
from snn_energy.errors import DataError, UsageError

FORMAT = 1
"""Version of the JSON form."""
RESAMPLES = 1000
SEED = 0
LOW, HIGH = 0.025, 0.975

Weighting: TypeAlias = Literal["sd", "relative", "absolute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """One fitted price in pJ, with its 95 % interval."""

    term: str
    value_pj: float
    low_pj: float
    high_pj: float
    at_zero: bool
    """Whether the measurements would have it below 0, where no energy can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measurement beside what the prices say of it; energies of one inference in pJ."""

    source: str
    measured_pj: float
    fitted_pj: float
    held_out_pj: float | None
    """By prices that were fitted without this network; None where these cannot be told apart without it."""

    @property
    def fitted_error(self) -> float:
        """(fitted - measured) / measured."""
        return self.fitted_pj / self.measured_pj - 1

    @property
    def held_out_error(self) -> float | None:
        """(predicted - measured) / measured."""
        return None if self.held_out_pj is None else self.held_out_pj / self.measured_pj - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Fitted prices and how far to trust them."""

    measurements: Measurements
    terms: tuple[FittedTerm, ...]
    never: tuple[str, ...]
    """Default terms that never happened, and were left out for it."""
    coefficients: tuple[Coefficient, ...]
    points: tuple[Point, ...]
    identifiability: Identifiability
    weights: Weighting
    folds: int
    resamples: int
    seed: int

    @property
    def held_out(self) -> tuple[float, ...]:
        """Sizes of the held-out errors that are known."""
        return tuple(abs(p.held_out_error) for p in self.points if p.held_out_error is not None)

    @property
    def median_error(self) -> float | None:
        """Median size of the held-out errors; None where none is known."""
        return statistics.median(self.held_out) if self.held_out else None

    @property
    def largest_error(self) -> float | None:
        """Largest size of the held-out errors."""
        return max(self.held_out, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; energies of one inference in pJ, errors as shares."""
        found = self.identifiability
        return {
            "format": FORMAT,
            "measurements": {"file": self.measurements.name, "sha256": self.measurements.sha256},
            "terms": [term.label for term in self.terms],
            "never_happened": list(self.never),
            "weights": self.weights,
            "coefficients": [record_fields(one) for one in self.coefficients],
            "condition": found.condition,
            "weakly_identified": [list(group) for group in found.weak],
            "held_out": {
                "folds": self.folds,
                "known": len(self.held_out),
                "median_error": self.median_error,
                "largest_error": self.largest_error,
            },
            "bootstrap": {"resamples": self.resamples, "seed": self.seed, "interval": [LOW, HIGH]},
            "points": [
                {**record_fields(p), "fitted_error": p.fitted_error, "held_out_error": p.held_out_error}
                for p in self.points
            ],
        }


def calibrated_prices(
    measurements: Measurements,
    terms: Sequence[FittedTerm],
    counts: Sequence[Counts],
    *,
    weights: Weighting | None = None,
    folds: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    drop_unused: bool = False,
) -> Calibration:
    """Fit a price >= 0 for each term.

    Args:
        measurements: energies of one inference.
        terms: what is fitted.
        counts: of each measurement, in the same order.
        weights: see the module; None: "sd" where the file states it, else "relative".
        folds: parts that the networks are held out in; None: one network at a time.
        resamples: of the bootstrap.
        seed: of the bootstrap, and of the order of networks in folds.
        drop_unused: leave out terms that never happen, instead of refusing them.

    Raises:
        DataError: too few measurements, a term that never happens, or terms that cannot be told apart.
        UsageError: weights or folds that do not suit the file.
    """
    used = [i for i in range(len(terms)) if any(count.terms[i] for count in counts)]
    never = [terms[i].label for i in range(len(terms)) if i not in used]
    if never and not (drop_unused and used):
        raise DataError(
            f"calibrate: {', '.join(never)} never happens in any measurement, so that its price cannot be found; leave "
            "it out of the terms"
        )
    chosen = tuple(terms[i] for i in used)
    names = [term.label for term in chosen]
    rows = measurements.rows
    if len(rows) <= len(names):
        raise DataError(
            f"calibrate: {len(names)} terms ({', '.join(names)}) need at least {len(names) + 1} measurements, one of "
            f"them to judge the fit by (got {len(rows)}); measure more networks, or choose fewer with --terms"
        )
    kind = _weighting(rows, weights)
    scale = np.array([_weight(row, kind) for row in rows])
    table = np.array([[count.terms[i] for i in used] for count in counts])
    fixed = np.array([count.fixed_pj for count in counts])
    energy = np.array([row.energy_pj for row in rows])
    a, b = table * scale[:, None], (energy - fixed) * scale
    found = identifiability(a, names)
    if found.confused:
        raise _confusion(found, len(rows))
    x = nonnegative_least_squares(a, b)
    parts = _folds([row.source for row in rows], folds, seed)
    held_out = _held_out(a, b, table, fixed, parts, names)
    low, high = _intervals(a, b, x, resamples, seed)
    return Calibration(
        measurements=measurements,
        terms=chosen,
        never=tuple(never),
        coefficients=tuple(
            Coefficient(
                term=name,
                value_pj=float(x[i]),
                low_pj=min(low[i], float(x[i])),
                high_pj=max(high[i], float(x[i])),
                at_zero=bool(x[i] == 0),
            )
            for i, name in enumerate(names)
        ),
        points=tuple(
            Point(
                source=row.source,
                measured_pj=row.energy_pj,
                fitted_pj=float(fixed[i] + table[i] @ x),
                held_out_pj=held_out[i],
            )
            for i, row in enumerate(rows)
        ),
        identifiability=found,
        weights=kind,
        folds=len(parts),
        resamples=resamples,
        seed=seed,
    )


def _weighting(rows: Sequence[Measurement], asked: Weighting | None) -> Weighting:
    stated = all(row.sd_pj is not None for row in rows)
    if asked is None:
        return "sd" if stated else "relative"
    if asked not in get_args(Weighting):
        raise UsageError(f"weights must be one of {', '.join(get_args(Weighting))} (got {asked!r})")
    if asked == "sd" and not stated:
        raise UsageError("weights: sd needs a column of standard deviations, like sd_uj; add it, or choose relative")
    return asked


def _weight(row: Measurement, kind: Weighting) -> float:
    error = {"sd": row.sd_pj or 1.0, "relative": row.energy_pj, "absolute": 1.0}[kind]
    return float(row.repeats**0.5 / error)


def _confusion(found: Identifiability, measurements: int) -> DataError:
    names = found.confused
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    why = (
        f"in all {measurements} measurements they happen in one and the same proportion"
        if found.proportional
        else "one of them is a mix of the others in every measurement"
    )
    return DataError(
        f"calibrate: {listed} cannot be told apart: {why} ({found.rank} of {found.terms} terms are determined); "
        f"tie them (--terms {'='.join(names)},...), leave one out, or measure networks in which they differ"
    )


def _folds(sources: Sequence[str], folds: int | None, seed: int) -> list[list[int]]:
    """Rows of each part that is held out: whole networks, so that no measurement of one helps to predict it."""
    networks = list(dict.fromkeys(sources))
    if folds is None:
        parts = [[name] for name in networks]
    else:
        if not 2 <= folds <= len(networks):
            raise UsageError(f"folds must be from 2 to {len(networks)}, the number of networks (got {folds})")
        random.Random(seed).shuffle(networks)
        parts = [networks[i::folds] for i in range(folds)]
    return [[i for i, source in enumerate(sources) if source in part] for part in parts]


def _held_out(
    a: Array, b: Array, table: Array, fixed: Array, parts: Sequence[Sequence[int]], names: Sequence[str]
) -> list[float | None]:
    found: list[float | None] = [None] * len(b)
    for part in parts:
        kept = [i for i in range(len(b)) if i not in part]
        inner = a[kept]
        if len(kept) < len(names) or not inner.any(axis=0).all() or identifiability(inner, names).confused:
            continue
        x = nonnegative_least_squares(inner, b[kept])
        for i in part:
            found[i] = float(fixed[i] + table[i] @ x)
    return found


def _intervals(a: Array, b: Array, x: Array, resamples: int, seed: int) -> tuple[list[float], list[float]]:
    fitted = a @ x
    free = x > 0
    leverage = np.zeros(len(b))
    if free.any():
        basis, _ = np.linalg.qr(a[:, free])
        leverage = (basis**2).sum(axis=1)
    left = np.clip(1 - leverage, 0.0, 1.0)
    # A measurement that alone determines a price has no residual to be widened.
    residuals = np.where(left > 1e-9, (b - fitted) / np.sqrt(np.maximum(left, 1e-9)), 0.0)
    residuals = residuals - residuals.mean()
    drawn = random.Random(seed)
    draws: list[list[float]] = [[] for _ in x]
    for _ in range(resamples):
        again = fitted + np.array(drawn.choices(residuals.tolist(), k=len(b)))
        for values, value in zip(draws, nonnegative_least_squares(a, again), strict=True):
            values.append(float(value))
    ordered = [sorted(values) for values in draws]
    return [quantile(v, LOW) for v in ordered], [quantile(v, HIGH) for v in ordered]
