"""From a trace and a [latency] table to a latency: the engine's work, in cycles and seconds, with its bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from snn_energy.costing.timing.dense import on_array
from snn_energy.costing.timing.events import on_core
from snn_energy.costing.timing.latency_records import Bottleneck, Latency, LayerLatency
from snn_energy.costing.timing.spans import Span, exactly
from snn_energy.costing.timing.synchronous import on_cores
from snn_energy.costing.timing.work import Row, Task, Work
from snn_energy.counting.counts import MIXED, Trace
from snn_energy.errors import TraceError, UsageError
from snn_energy.hardware import Hardware
from snn_energy.hardware.machines import EventDriven, Machine, StepSynchronous, Systolic

DIFFERENT = "samples or layers differ in time steps: trace inputs of one length at a time"
NO_CLOCK = "the profile states no clock"
ASYNCHRONOUS = "the machine has no clock: its times are stated in ns"
PJ_PER_MW_S = 10**9


def latency_of(trace: Trace, machine: Machine, hardware: Hardware, *, batch: int = 1) -> Latency:
    """Latency of one inference, the mean over the samples of the trace.

    Args:
        trace: what happened; its counts are totals over `trace.samples`.
        machine: the profile's [latency] table.
        hardware: says what integer spikes cost, and whether a price contains leakage already.
        batch: inferences that run together; the times are then those of all of them. Dense arrays take their rows as
            one product, pipelines take their time steps one behind the other, a sequential core repeats itself.

    Raises:
        TraceError: the trace holds no sample.
        UsageError: `batch` is no number of inferences.
    """
    if not trace.samples:
        raise TraceError("latency: the trace holds no sample; trace at least one before asking for its time")
    if batch < 1:
        raise UsageError(f"latency: batch must be at least 1 (got {batch})")
    task = Task(
        samples=trace.samples,
        steps=trace.time_steps or 1,
        batch=batch,
        unit_spikes=hardware.integer_spikes == "accumulate-per-unit",
    )
    work, unit = _work(trace, machine, task), _Unit(machine)
    total = Span(work.total.low, work.total.even, None if trace.coverage.uncounted else work.total.high)
    cycles_low, cycles, cycles_high = unit.cycles(total)
    seconds_low, seconds, seconds_high = unit.seconds(total)
    static_pj, static_missing = _static(machine, hardware, seconds)
    return Latency(
        model=machine.model,
        formula=work.formula,
        rows=tuple(_row(row, unit) for row in work.rows),
        time_steps=trace.time_steps or None,
        batch=batch,
        cycles=cycles,
        cycles_low=cycles_low,
        cycles_high=cycles_high,
        cycles_missing=(ASYNCHRONOUS if unit.in_ns else _unknown(work)) if cycles is None else None,
        seconds=seconds,
        seconds_low=seconds_low,
        seconds_high=seconds_high,
        seconds_missing=(_unknown(work) or NO_CLOCK) if seconds is None else None,
        bottleneck=_bottleneck(work),
        static_pj=static_pj,
        static_missing=static_missing,
        assumptions=(*work.assumptions, *_gaps(trace), *_notes(machine)),
    )


def _work(trace: Trace, machine: Machine, task: Task) -> Work:
    engine = machine.engine
    if isinstance(engine, Systolic):
        return on_array(trace, machine, engine, task)
    if trace.time_steps == MIXED:
        return Work(rows=(), total=Span(Fraction(), None, None), formula="none", assumptions=(), missing=DIFFERENT)
    if isinstance(engine, EventDriven):
        return on_core(trace, machine, engine, task)
    return on_cores(trace, engine, task)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Turns an engine's own unit into cycles and seconds."""

    machine: Machine

    @property
    def in_ns(self) -> bool:
        return isinstance(self.machine.engine, StepSynchronous)

    @property
    def ticks_per_second(self) -> Fraction | None:
        if self.in_ns:
            return Fraction(10**9)
        return None if self.machine.clock_mhz is None else self.machine.clock_mhz * 10**6

    def cycles(self, span: Span) -> tuple[int | None, int | None, int | None]:
        """Low, even and high in whole cycles: the lower bound rounded down, the others up."""
        if self.in_ns:
            return None, None, None
        even = None if span.even is None else ceil(span.even)
        return floor(span.low), even, None if span.high is None else ceil(span.high)

    def seconds(self, span: Span) -> tuple[float | None, float | None, float | None]:
        """Low, even and high in seconds: whole cycles of the clock, where there is one."""
        rate = self.ticks_per_second
        ends = (span.low, span.even, span.high) if self.in_ns else self.cycles(span)
        if rate is None:
            return None, None, None
        low, even, high = (None if end is None else float(end / rate) for end in ends)
        return low, even, high


def _row(row: Row, unit: _Unit) -> LayerLatency:
    low, even, high = unit.cycles(row.busy)
    low_s, even_s, high_s = unit.seconds(row.busy)
    return LayerLatency(
        name=row.name,
        part=row.part,
        passes=row.passes,
        cycles=even,
        cycles_low=low,
        cycles_high=high,
        seconds=even_s,
        seconds_low=low_s,
        seconds_high=high_s,
        compute_cycles=unit.cycles(row.compute)[1],
        memory_cycles=None if row.memory is None else int(row.memory),
        bottleneck=row.bottleneck,
        note=row.note,
    )


def _static(machine: Machine, hardware: Hardware, seconds: float | None) -> tuple[float | None, str | None]:
    """Leakage and idle power x time in pJ, or why there is none."""
    covering = hardware.covered_by("leakage")
    if covering is not None:
        return None, f'the price of "{covering}" contains it already'
    if machine.static_mw is None:
        return None, "the profile states no static_power_mw"
    if seconds is None:
        return None, "it needs the time in seconds"
    return float(machine.static_mw) * seconds * PJ_PER_MW_S, None


def _unknown(work: Work) -> str | None:
    """The first layer of unknown time, with the reason."""
    return work.missing or next((f"{row.name}: {row.note}" for row in work.rows if row.busy.even is None), None)


def _bottleneck(work: Work) -> Bottleneck | None:
    """What the rows' time goes to, summed over rows; None where a row's time is unknown."""
    if _unknown(work) is not None:
        return None
    taken: dict[Bottleneck, Fraction] = {}
    for row in work.rows:
        memory = row.memory if row.bottleneck == "memory" else None
        shares = row.shares if memory is None else (("memory", exactly(memory)),)
        for name, span in shares:
            taken[name] = taken.get(name, Fraction()) + (span.even or Fraction())
    longest = max(taken.values(), default=Fraction())
    return next((name for name, time in taken.items() if time == longest > 0), None)


def _notes(machine: Machine) -> Iterator[str]:
    if machine.static_mw is not None:
        yield "the static power is that of one machine, however many the network needs"
    if "notes" in machine.texts:
        yield machine.texts["notes"].strip()


def _gaps(trace: Trace) -> Iterator[str]:
    """What no engine times."""
    if trace.time_steps is None and trace.neurons == ():
        yield "no neuron layer tells the time steps: one is taken for all"
    if trace.elementwise:
        yield "arithmetic outside projections and neurons (pooling, normalisation, residual sums) takes no time"
    if trace.coverage.uncounted:
        yield "uncounted work takes time that is not in this: there is no upper bound"
