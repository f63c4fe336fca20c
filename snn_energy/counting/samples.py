"""Per-sample records: what each sample did, kept as columns beside the counts of all of them.

A sample is priced by the operand classes of the WHOLE run, so its record is the whole's with the counts replaced. Only
counts that add up are kept, as differences between the running totals before and after each sample: the samples add up
to the whole by construction, to the last integer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeAlias

from snn_energy.counting.counts import (
    ELEMENTWISE_SUMS,
    LAYER_SUMS,
    NEURON_SUMS,
    OPERATOR_SUMS,
    UNIT_SUMS,
    ElementwiseCounts,
    LayerCounts,
    NeuronCounts,
    OperatorRecord,
    PerSample,
    SampleColumn,
    Trace,
    rescaled,
)

Record: TypeAlias = LayerCounts | NeuronCounts | ElementwiseCounts | OperatorRecord
Place = tuple[str, str, str, str]
"""Part of the trace, name and kind of the record, and the field: where a count stands."""

PARTS: Mapping[str, Callable[[Trace], tuple[Record, ...]]] = {
    "layers": lambda trace: trace.layers,
    "neurons": lambda trace: trace.neurons,
    "elementwise": lambda trace: trace.elementwise,
    "counted": lambda trace: trace.coverage.counted,
    "free": lambda trace: trace.coverage.free,
    "uncounted": lambda trace: trace.coverage.uncounted,
}
"""Name of a list of records -> where a trace keeps it."""

_SUMS: Mapping[type, tuple[str, ...]] = {
    LayerCounts: (*LAYER_SUMS, *UNIT_SUMS),
    NeuronCounts: NEURON_SUMS,
    ElementwiseCounts: ELEMENTWISE_SUMS,
    OperatorRecord: OPERATOR_SUMS,
}
_STEP = "spikes_per_step."
"""A neuron's spikes at time step 3 are the field `spikes_per_step.3`."""


def _home(part: str, record: Record) -> tuple[str, str, str]:
    """What tells a record apart: operators of one module share its name, but not their kind."""
    return part, record.name, record.kind if isinstance(record, ElementwiseCounts) else ""


def cells(trace: Trace) -> Iterator[tuple[Place, int, float]]:
    """Every count that adds up over samples: its place, itself, and the size of one unit of it (1 for plain counts)."""
    for part, records in PARTS.items():
        for record in records(trace):
            home = _home(part, record)
            for name in _SUMS[type(record)]:
                in_units = isinstance(record, LayerCounts) and name in UNIT_SUMS
                unit = record.unit_of_count(name) if in_units and isinstance(record, LayerCounts) else 1.0
                yield (*home, name), getattr(record, name), unit
            if isinstance(record, NeuronCounts):
                for step, spikes in enumerate(record.spikes_per_step):
                    yield (*home, f"{_STEP}{step}"), spikes, 1.0


class SampleLog:
    """Turns running totals, read after each sample, into columns."""

    def __init__(self) -> None:
        self._taken = 0
        self._before: dict[Place, tuple[int, float]] = {}
        self._columns: dict[Place, list[int]] = {}

    def take(self, so_far: Trace) -> None:
        """Note the totals after one more sample."""
        for place, total, unit in cells(so_far):
            before, old = self._before.get(place, (0, unit))
            column = self._columns.get(place)
            if column is None:
                column = self._columns[place] = [0] * self._taken
            if unit != old:  # new values made a finer unit: earlier samples are counted in it as well
                column[:] = [rescaled(unit, (count, old)) for count in column]
                before = rescaled(unit, (before, old))
            column.append(total - before)
            self._before[place] = total, unit
        self._taken += 1

    def finish(self, whole: Trace) -> Trace:
        """The trace of all samples taken, with their records; it equals the last one noted."""
        return replace(whole, per_sample=_packed(whole, self._columns, self._taken))


def _packed(whole: Trace, columns: Mapping[Place, Sequence[int]], count: int) -> PerSample:
    """The canonical form: in the order of the trace, without what is 0 everywhere, and one value for what is equal."""
    packed = []
    for place, total, _ in cells(whole):
        if total:
            values = columns[place]
            packed.append(_column(place, tuple(values[:1] if values.count(values[0]) == count else values)))
    return PerSample(count=count, columns=tuple(packed))


def _column(place: Place, values: tuple[int, ...]) -> SampleColumn:
    part, name, kind, field = place
    return SampleColumn(part=part, name=name, kind=kind, field=field, values=values)


def _place(column: SampleColumn) -> Place:
    return column.part, column.name, column.kind, column.field


def joined(a: Trace, b: Trace, merged: Trace) -> PerSample:
    """The samples of `a` before those of `b`, in the units of `merged`, their sum; a trace without any adds none."""
    found = [(trace, trace.per_sample) for trace in (a, b) if trace.per_sample is not None]
    count = sum(records.count for _, records in found)
    parts = [_unpacked(trace, records) for trace, records in found]
    columns: dict[Place, tuple[int, ...]] = {}
    for place, total, unit in cells(merged):
        if total:
            columns[place] = tuple(chain.from_iterable(part(place, unit) for part in parts))
    return _packed(merged, columns, count)


def _unpacked(trace: Trace, records: PerSample) -> Callable[[Place, float], Sequence[int]]:
    """Looks up a column of `trace`, one value for each sample, counted in a given unit."""
    columns = {_place(column): column.values for column in records.columns}
    units = {place: unit for place, _, unit in cells(trace) if place in columns}

    def look(place: Place, unit: float) -> Sequence[int]:
        values = columns.get(place, (0,))
        own = units.get(place, unit)
        if own != unit:
            values = tuple(rescaled(unit, (value, own)) for value in values)
        return values * records.count if len(values) == 1 else values

    return look


def misfit(trace: Trace) -> str | None:
    """What is wrong with the records of a trace that was read from a file; None if its samples add up to it."""
    records = trace.per_sample
    if records is None:
        return None
    if records.count != trace.samples:
        return f"per_sample.count must be the number of samples, {trace.samples} (got {records.count})"
    totals = {place: total for place, total, _ in cells(trace)}
    seen: set[Place] = set()
    for i, column in enumerate(records.columns):
        place, where = _place(column), f"per_sample.columns[{i}]"
        if place not in totals or place in seen:
            return f"{where} must be the only one of a count of this trace (got {', '.join(map(repr, place))})"
        seen.add(place)
        if not column.values or len(column.values) not in (1, records.count):
            return f"{where}.values must hold 1 or {records.count} values (got {len(column.values)})"
        total = sum(column.values) * (records.count if len(column.values) == 1 else 1)
        if total != totals[place]:
            return f"{where}.values must add up to {totals[place]}, the count of all samples (got {total})"
    missing = next((place for place, total in totals.items() if total and place not in seen), None)
    if missing is not None:
        return f"per_sample.columns has no column for {', '.join(map(repr, missing))}"
    # What is written again must have the same bytes, so there is one form only.
    columns = {_place(column): column.values * (records.count // len(column.values)) for column in records.columns}
    if _packed(trace, columns, records.count) != records:
        return "per_sample.columns must be in the order of the trace, with one value where all samples are equal"
    return None


def each_sample(trace: Trace, start: int = 0) -> Iterator[Trace]:
    """The trace of each sample from number `start` on, with the operand classes of all samples.

    A sample holds all records of the whole: those that it did not run have counts of 0, and every neuron layer has as
    many time steps as the longest sample gave it.
    """
    records = trace.per_sample
    if records is None:
        return
    fixed: dict[tuple[str, str, str], dict[str, int]] = {}
    varying: dict[tuple[str, str, str], dict[str, tuple[int, ...]]] = {}
    for column in records.columns:
        home = (column.part, column.name, column.kind)
        if len(column.values) == 1:
            fixed.setdefault(home, {})[column.field] = column.values[0]
        else:
            varying.setdefault(home, {})[column.field] = column.values
    template = {
        part: [(record, varying.get(_home(part, record), {})) for record in _with_counts(part, trace, fixed)]
        for part in PARTS
    }
    for i in range(start, records.count):
        made: dict[str, Any] = {
            part: tuple(
                _with(record, {field: values[i] for field, values in columns.items()}) if columns else record
                for record, columns in rows
            )
            for part, rows in template.items()
        }
        coverage = replace(trace.coverage, **{part: made.pop(part) for part in ("counted", "free", "uncounted")})
        yield replace(trace, **made, coverage=coverage, samples=1, per_sample=None)


def blank(trace: Trace) -> Trace:
    """What all samples of a trace have in common: its records with all counts that add up set to 0."""
    made: dict[str, Any] = {part: tuple(_with_counts(part, trace, {})) for part in PARTS}
    coverage = replace(trace.coverage, **{part: made.pop(part) for part in ("counted", "free", "uncounted")})
    return replace(trace, **made, coverage=coverage, samples=0, per_sample=None)


def _with_counts(part: str, trace: Trace, counts: Mapping[tuple[str, str, str], Mapping[str, int]]) -> Iterator[Record]:
    """The records of a part with only these counts; all others are 0."""
    for record in PARTS[part](trace):
        zero: dict[str, Any] = dict.fromkeys(_SUMS[type(record)], 0)
        if isinstance(record, NeuronCounts):
            zero["spikes_per_step"] = (0,) * len(record.spikes_per_step)
        yield _with(replace(record, **zero), counts.get(_home(part, record), {}))


def _with(record: Record, counts: Mapping[str, int]) -> Record:
    plain: dict[str, Any] = {field: count for field, count in counts.items() if not field.startswith(_STEP)}
    if isinstance(record, NeuronCounts) and len(plain) < len(counts):
        steps = list(record.spikes_per_step)
        for field, count in counts.items():
            if field.startswith(_STEP):
                steps[int(field.removeprefix(_STEP))] = count
        plain["spikes_per_step"] = tuple(steps)
    return replace(record, **plain)
