"""Energy as a distribution over samples: what one number hides."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from snn_energy.costing.student import t_quantile

CONFIDENCE = 0.95
"""Probability with which an interval computed like this covers the mean of all samples there could be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Energies of single inferences, in pJ.

    The interval of the mean is Student's, `mean -+ t * sd / sqrt(n)`: it takes the samples for independent draws and
    their mean for normally distributed, which a few dozen samples make nearly true.
    """

    samples: int
    mean_pj: float
    sd_pj: float | None
    """Standard deviation with n - 1 in the denominator; None for a single sample, as is the interval."""
    ci95_low_pj: float | None
    ci95_high_pj: float | None
    median_pj: float
    p95_pj: float
    """95 % of the samples need at most this energy: see `quantile`."""
    min_pj: float
    max_pj: float

    @property
    def precision(self) -> float | None:
        """Half the width of the interval, as a share of the mean; None for a single sample."""
        if self.ci95_high_pj is None:
            return None
        half = self.ci95_high_pj - self.mean_pj
        return half / self.mean_pj if self.mean_pj else 0.0


def distribution(energies_pj: Sequence[float]) -> Distribution:
    """Summarise the energies (pJ) of at least one sample."""
    ordered = sorted(energies_pj)
    count = len(ordered)
    mean = math.fsum(ordered) / count
    deviation = half = None
    if count > 1:
        deviation = statistics.stdev(ordered)
        half = t_quantile(CONFIDENCE, count - 1) * deviation / math.sqrt(count)
    return Distribution(
        samples=count,
        mean_pj=mean,
        sd_pj=deviation,
        ci95_low_pj=None if half is None else mean - half,
        ci95_high_pj=None if half is None else mean + half,
        median_pj=quantile(ordered, 0.5),
        p95_pj=quantile(ordered, CONFIDENCE),
        min_pj=ordered[0],
        max_pj=ordered[-1],
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Value below which this share of an ascending sequence lies, by linear interpolation.

    Definition 7 of R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", The American Statistician
    50(4), 1996, 361-365: the default of R, NumPy and spreadsheets.
    """
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    if below + 1 >= len(ordered):
        return ordered[-1]
    low, high = ordered[below], ordered[below + 1]
    return low + (high - low) * (position - below)
