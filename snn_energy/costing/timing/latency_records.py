"""The result: latency by layer and in all, with its bounds, its bottleneck, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from snn_energy.counting.counts import record_fields

Bottleneck = Literal["compute", "memory", "neuron sweep", "barrier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLatency:
    """Time that one layer takes of one inference (of one batch, where a batch was asked for).

    Cycles are None on machines without a clock, seconds where no clock is stated; all of them are None where the
    layer's time cannot be known, and `note` says why. The bounds hold whatever the data did within an inference:
    a trace holds sums over time steps. Means over samples are rounded down to the lower and up to the upper bound.
    """

    name: str
    part: Literal["synapses", "neurons", "stage", "barrier"]
    passes: int | None
    """Runs in one inference; None where unknown."""
    cycles: int | None
    cycles_low: int | None
    cycles_high: int | None
    seconds: float | None
    seconds_low: float | None
    seconds_high: float | None
    compute_cycles: int | None = None
    """What the engine alone takes, on machines with a clock; for a neuron layer its sweep."""
    memory_cycles: int | None = None
    """What its traffic takes at the stated bandwidth; None where none is stated."""
    bottleneck: Bottleneck | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one inference takes, averaged over the samples of the trace; `batch` of them where that is not 1."""

    model: str
    formula: str
    """How the layers make up the total, in words."""
    rows: tuple[LayerLatency, ...]
    time_steps: int | None
    batch: int
    cycles: int | None
    """With events spread evenly over time steps and samples; None without a clock, or with a layer of unknown time."""
    cycles_low: int | None
    cycles_high: int | None
    cycles_missing: str | None
    seconds: float | None
    seconds_low: float | None
    seconds_high: float | None
    seconds_missing: str | None
    bottleneck: Bottleneck | None
    """What takes the largest share of the rows' time."""
    static_pj: float | None
    """Leakage and idle power over the whole time; not among the report's energies."""
    static_missing: str | None
    assumptions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; the key order is fixed."""
        plain = record_fields(self)
        return {**plain, "rows": [record_fields(row) for row in self.rows], "assumptions": list(self.assumptions)}
