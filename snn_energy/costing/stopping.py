"""Stop early: run samples until the mean energy is known as precisely as asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from snn_energy.costing.distribution import distribution
from snn_energy.costing.methods import find_method
from snn_energy.counting.counts import Trace
from snn_energy.counting.samples import blank, each_sample
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware

MIN_SAMPLES = 30
"""Fewest samples to stop after: the interval takes their mean for normally distributed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """How a run that may stop early ended.

    Stopping when the interval first looks narrow enough is sequential: the interval of such a run covers the true mean
    a little less often than 95 times in 100.
    """

    target: float
    """Half the width of the 95 % interval of the mean energy that was asked for, as a share of the mean."""
    precision: float | None
    """The one reached; None for a single sample."""
    reached: bool
    """False where the data ended first."""
    samples: int
    minimum_samples: int = MIN_SAMPLES


def checked_target(until: float) -> float:
    """`until` if it is a share above 0 and below 1, else UsageError."""
    if isinstance(until, bool) or not isinstance(until, (int, float)) or not 0 < until < 1 or math.isnan(until):
        raise UsageError(f"until must be a share of the mean above 0 and below 1, like 0.01 for 1 % (got {until!r})")
    return float(until)


@dataclass(slots=True)
class Stopper:
    """Watches a growing trace; a sample is priced once, unless later ones change the class of an operand."""

    target: float
    hardware: Hardware
    method: str
    _energies: list[float] = field(default_factory=list)
    _common: Trace | None = None

    def __call__(self, so_far: Trace) -> bool:
        """True once the trace of all samples so far is precise enough."""
        return self.judge(so_far).reached

    def judge(self, so_far: Trace) -> Stopping:
        """How precise the mean energy of a trace with per-sample records is."""
        common = blank(so_far)
        if common != self._common:
            self._common, self._energies = common, []
        price = find_method(self.method)
        new = each_sample(so_far, start=len(self._energies))
        self._energies += [price(sample, self.hardware).energy_pj for sample in new]
        precision = distribution(self._energies).precision
        enough = precision is not None and precision <= self.target and so_far.samples >= MIN_SAMPLES
        return Stopping(target=self.target, precision=precision, reached=enough, samples=so_far.samples)
