"""Several inferences together: what batches and pipelines gain over one inference after another.

Dense arrays take the rows of a batch as rows of one product; pipelines take the time steps of the next inference while
the last one drains; a sequential core gains nothing. See `estimate.latency_of`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snn_energy.costing.timing.estimate import latency_of
from snn_energy.counting.counts import Trace, record_fields
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Time of `batch` inferences together, and what it makes of one."""

    batch: int
    cycles: int | None
    """Of the whole batch; None without a clock, or with a layer of unknown time. Likewise the seconds."""
    seconds: float | None
    inferences_per_second: float | None
    gain: float | None
    """How many times faster than one inference after another; None where no time is known."""
    missing: str | None
    """Why there are no seconds."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return record_fields(self)


def throughput_of(trace: Trace, hardware: Hardware, batch: int) -> Throughput:
    """Time of `batch` inferences that run together, each the mean over the samples of the trace.

    Raises:
        UsageError: the profile states no timing, or `batch` is no number of inferences.
        TraceError: the trace holds no sample.
    """
    if hardware.latency is None:
        raise UsageError(
            f'throughput: hardware "{hardware.name}" states no timing; choose a profile with a [latency] table '
            '("time" in snn-energy hardware list)'
        )
    one = latency_of(trace, hardware.latency, hardware)
    found = latency_of(trace, hardware.latency, hardware, batch=batch)
    gain = None
    if found.cycles and one.cycles is not None:
        gain = batch * one.cycles / found.cycles
    elif found.seconds and one.seconds is not None:
        gain = batch * one.seconds / found.seconds
    return Throughput(
        batch=batch,
        cycles=found.cycles,
        seconds=found.seconds,
        inferences_per_second=batch / found.seconds if found.seconds else None,
        gain=gain,
        missing=found.seconds_missing,
    )
