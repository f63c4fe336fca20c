"""The facts recorded: frozen integer records that add up without loss over batches, files and ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from typing import Any, Protocol, Self, TypeVar

from snn_energy.counting.values import SILENT, OperandClass, ValueSet
from snn_energy.errors import TraceError

DETECTED = "detected"
"""Kind of a neuron layer that is known by its behaviour alone."""
MIXED = 0
"""Stands for time steps that differ between layers or samples."""


def _same(what: str, name: str, a: object, b: object) -> None:
    if a != b:
        raise TraceError(
            f"cannot merge traces: {what} of {name!r} differs (got {a!r} and {b!r}); "
            "merge only traces of one model with one set of weights"
        )


def _summed(a: Any, b: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(a, name) + getattr(b, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCounts:
    """One projection (module path x weight, or a product of two activations), summed over all calls and samples.

    `dense_macs` counts padding taps (fvcore's convention), `connections` only synapses that exist inside the image.
    An event is a non-zero operand meeting a connection; an effective event also needs a non-zero weight. For a
    product of two activations an event needs both factors to be non-zero.
    """

    name: str
    kind: str
    calls: int = 0
    values: ValueSet = SILENT
    partner_values: ValueSet | None = None
    """Second data operand: of a product of two activations, or of a bilinear form."""
    elements: int = 0
    spikes: int = 0
    dense_macs: int = 0
    connections: int = 0
    repeated_connections: int = 0
    """Connections whose operand is known to repeat an earlier time step's, as direct coding makes it: the same sums
    again. A lower bound: what is not known to repeat is not in it. 0 for products of two data operands."""
    events: int = 0
    effective_events: int = 0
    operand_units: int = 0
    """Events weighted by the operand's magnitude in units of its scale (n for an integer spike n); 0 once real."""
    partner_units: int = 0
    bias_adds: int = 0
    outputs: int = 0
    weights: int = 0
    zero_weights: int = 0
    operand_bits: int = 0
    weight_bits: int = 0
    geometry: tuple[tuple[str, tuple[int, ...]], ...] | None = None
    """Shape facts of one call without its batch size (kernel, stride, ...); None where calls differ."""

    @property
    def operand(self) -> OperandClass:
        """Class that decides the arithmetic, joined over all data before it is read.

        A product of two activations needs only one spiking factor to be an accumulate (the lower class decides); a
        bilinear form multiplies its operands first (the higher class decides).
        """
        own = self.values.operand_class
        if self.partner_values is None:
            return own
        other = self.partner_values.operand_class
        if "silent" in (own.kind, other.kind):
            return OperandClass("silent")
        if self.kind == "bilinear":
            kind = max(own, other, key=lambda c: c.rank).kind
            if own.scale is None or other.scale is None:
                return OperandClass(kind)
            return OperandClass(kind, own.scale * other.scale)
        return min(own, other, key=lambda c: c.rank)

    @property
    def spike_rate(self) -> float:
        """Non-zero operands per operand element (per neuron and time step when the operand is a spike train)."""
        return self.spikes / self.elements if self.elements else 0.0

    @property
    def acs(self) -> int:
        """Accumulates: events whose operand class is at most ternary."""
        return self.events if self.operand.accumulates else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates: connections whose operand is real-valued, zeros included."""
        return self.connections if self.operand.kind == "real" else 0

    @property
    def graded_events(self) -> int:
        """Events of an integer operand: n accumulates or one graded MAC each, by the hardware's policy."""
        return self.events if self.operand.kind == "integer" else 0

    @property
    def unit_events(self) -> int:
        """Events weighted by magnitude: an integer spike n is n; equal to `events` for binary and ternary operands."""
        if self.operand.kind != "integer":
            return self.events
        if self.kind == "bilinear" or self.partner_values is None:
            return self.operand_units
        own, other = self.values.operand_class, self.partner_values.operand_class
        return self.operand_units if own.rank <= other.rank else self.partner_units

    def __add__(self, other: Self) -> Self:
        """Merge two records of the same projection."""
        for what in ("name", "kind", "weights", "zero_weights"):
            _same(what, self.name, getattr(self, what), getattr(other, what))
        bits: dict[str, Any] = {
            name: max(getattr(self, name), getattr(other, name)) for name in ("operand_bits", "weight_bits")
        }
        joint = replace(
            self,
            values=self.values | other.values,
            partner_values=_join(self.partner_values, other.partner_values),
            geometry=self.geometry if self.geometry == other.geometry else None,
            **_summed(self, other, LAYER_SUMS),
            **bits,
        )
        units: dict[str, Any] = {
            name: rescaled(
                joint.unit_of_count(name),
                (getattr(self, name), self.unit_of_count(name)),
                (getattr(other, name), other.unit_of_count(name)),
            )
            for name in UNIT_SUMS
        }
        return replace(joint, **units)

    def unit_of_count(self, name: str) -> float:
        """Size of one unit in which `operand_units` or `partner_units` counts; 0 where real values leave no unit.

        The first factor's units count pairs of levels in a bilinear form, which multiplies both operands.
        """
        own, other = self.values, self.partner_values
        if name == "partner_units":
            return 0.0 if other is None or other.many else other.unit
        if self.kind != "bilinear" or other is None:
            return 0.0 if own.many else own.unit
        return 0.0 if own.many or other.many else own.unit * other.unit


LAYER_SUMS = (
    "calls", "elements", "spikes", "dense_macs", "connections", "repeated_connections", "events", "effective_events",
    "bias_adds", "outputs",
)  # fmt: skip
"""Fields of a layer that add up over samples; likewise the other `..._SUMS`."""
UNIT_SUMS = ("operand_units", "partner_units")
"""Fields of a layer that add up once they are counted in one unit."""
NEURON_SUMS = ("calls", "updates")
"""`spikes_per_step` adds up as well, step by step."""
ELEMENTWISE_SUMS = ("calls", "adds", "muls", "compares", "specials")
OPERATOR_SUMS = ("calls", "bound")


def _join(a: ValueSet | None, b: ValueSet | None) -> ValueSet | None:
    if a is None or b is None:
        return a if b is None else b
    return a | b


def rescaled(unit: float, *parts: tuple[int, float]) -> int:
    """Sum of counts held in different units, in the joint unit (which divides each of them); 0 where there is none."""
    return sum(count * round(part / unit) for count, part in parts) if unit else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronCounts:
    """One spiking neuron layer, charged by what the neuron means, not by the operators that one backend runs.

    A layer of kind "detected" was recognised by its behaviour alone: no equation is known, so its arithmetic stands
    among the element-wise records, as it ran, and the charges of one update are 0 here.
    """

    name: str
    kind: str
    calls: int = 0
    updates: int = 0
    """Neuron updates: neurons x time steps x samples."""
    state_elements: int = 0
    """State variables that one sample keeps (neurons x variables per neuron)."""
    state_variables: int = 0
    """State variables of one neuron: each update reads and writes every one of them."""
    spiking: bool = True
    """False for integrators, whose real-valued output holds no spikes: `spikes_per_step` is all zeros then."""
    spikes_per_step: tuple[int, ...] = ()
    update_adds: int = 0
    """Additions of ONE update, from the neuron's equation; likewise multiplications, comparisons and specials."""
    update_muls: int = 0
    update_compares: int = 0
    update_specials: int = 0
    """Exponentials of one update."""
    spike_adds: int = 0
    """Further additions of each spike (the subtraction of a soft reset)."""

    @property
    def spikes(self) -> int:
        """Spikes out, over all samples and time steps."""
        return sum(self.spikes_per_step)

    @property
    def resets(self) -> int:
        """State resets: one for each spike."""
        return self.spikes

    @property
    def time_steps(self) -> int:
        """Time steps seen for each sample."""
        return len(self.spikes_per_step)

    @property
    def spike_rate(self) -> float:
        """Spikes per neuron and time step."""
        return self.spikes / self.updates if self.updates else 0.0

    @property
    def adds(self) -> int:
        """Additions of all updates and resets."""
        return self.updates * self.update_adds + self.spikes * self.spike_adds

    @property
    def muls(self) -> int:
        """Multiplications of all updates (the leak)."""
        return self.updates * self.update_muls

    @property
    def compares(self) -> int:
        """Comparisons of all updates (the threshold)."""
        return self.updates * self.update_compares

    @property
    def specials(self) -> int:
        """Exponentials of all updates."""
        return self.updates * self.update_specials

    @property
    def state_reads(self) -> int:
        """Reads of a state variable: one for each variable and update."""
        return self.updates * self.state_variables

    @property
    def state_writes(self) -> int:
        """Writes of a state variable: one for each variable and update; a reset goes into the same write."""
        return self.updates * self.state_variables

    def __add__(self, other: Self) -> Self:
        """Merge two records of the same neuron layer."""
        for what in _NEURON_SAME:
            _same(what, self.name, getattr(self, what), getattr(other, what))
        steps = tuple(a + b for a, b in zip_longest(self.spikes_per_step, other.spikes_per_step, fillvalue=0))
        return replace(
            self,
            spikes_per_step=steps,
            state_elements=max(self.state_elements, other.state_elements),
            state_variables=max(self.state_variables, other.state_variables),  # a detected layer's are seen, not known
            **_summed(self, other, NEURON_SUMS),
        )


_NEURON_SAME = (
    "name", "kind", "spiking", "update_adds", "update_muls", "update_compares", "update_specials", "spike_adds",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementwiseCounts:
    """Arithmetic outside the projections (residual adds, pooling, activations), by module and operator."""

    name: str
    kind: str
    calls: int = 0
    adds: int = 0
    muls: int = 0
    compares: int = 0
    specials: int = 0
    """Transcendental functions and divisions, one for each element."""

    def __add__(self, other: Self) -> Self:
        """Merge two records of the same module and operator."""
        for what in ("name", "kind"):
            _same(what, self.name, getattr(self, what), getattr(other, what))
        return replace(self, **_summed(self, other, ELEMENTWISE_SUMS))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRecord:
    """One operator that ran: how often, in which modules, why it costs nothing or what it costs at most."""

    name: str
    calls: int = 0
    modules: tuple[str, ...] = ()
    reason: str = ""
    bound: int = 0
    """Upper bound on its multiply-accumulates; 0 unless uncounted."""

    def __add__(self, other: Self) -> Self:
        """Merge two records of the same operator."""
        modules = tuple(dict.fromkeys(self.modules + other.modules))
        return replace(self, modules=modules, **_summed(self, other, OPERATOR_SUMS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The certificate: every operator that ran is counted, declared free, or listed as uncounted with a bound."""

    counted: tuple[OperatorRecord, ...] = ()
    free: tuple[OperatorRecord, ...] = ()
    uncounted: tuple[OperatorRecord, ...] = ()
    never_called: tuple[str, ...] = ()
    """Modules with weights or neurons that no sample reached."""

    @property
    def complete(self) -> bool:
        """True when nothing that ran is left uncounted."""
        return not self.uncounted

    @property
    def bound(self) -> int:
        """Upper bound on the multiply-accumulates of everything uncounted."""
        return sum(record.bound for record in self.uncounted)

    def __add__(self, other: Self) -> Self:
        """Merge two certificates; a module is never called only if neither run called it."""
        return replace(
            self,
            counted=merge_by_name(self.counted, other.counted),
            free=merge_by_name(self.free, other.free),
            uncounted=merge_by_name(self.uncounted, other.uncounted),
            never_called=tuple(name for name in self.never_called if name in set(other.never_called)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleColumn:
    """One count of one record, for each sample: `values` holds one for each, or a single one that all of them share."""

    part: str
    """List that the record is in: layers, neurons, elementwise, counted, free or uncounted."""
    name: str
    kind: str = ""
    """Kind of an element-wise record, which its name does not tell alone; else empty."""
    field: str
    """Name of the count; `spikes_per_step.3` for time step 3."""
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerSample:
    """What each sample did, as columns in the order of the trace; a count without a column is 0 in all of them."""

    count: int
    columns: tuple[SampleColumn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What happened when a network ran on data: exact integers, no prices. Traces of one model add up."""

    model: str = ""
    layers: tuple[LayerCounts, ...] = ()
    neurons: tuple[NeuronCounts, ...] = ()
    elementwise: tuple[ElementwiseCounts, ...] = ()
    coverage: Coverage = Coverage()
    samples: int = 0
    time_steps: int | None = None
    """Time steps given by the caller or read off the neuron layers; MIXED where they differ, None where none tell."""
    per_sample: PerSample | None = None
    """Counts of each sample, where `trace(..., per_sample=True)` was asked for them."""

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of a dense machine, padding taps counted."""
        return sum(layer.dense_macs for layer in self.layers)

    @property
    def connections(self) -> int:
        """Real connections: padding taps left out."""
        return sum(layer.connections for layer in self.layers)

    @property
    def repeated_connections(self) -> int:
        """Connections known to meet the very input of an earlier time step: a lower bound."""
        return sum(layer.repeated_connections for layer in self.layers)

    @property
    def events(self) -> int:
        """Non-zero operands times the connections they meet."""
        return sum(layer.events for layer in self.layers)

    @property
    def effective_events(self) -> int:
        """Events that also meet a non-zero weight."""
        return sum(layer.effective_events for layer in self.layers)

    @property
    def acs(self) -> int:
        """Accumulates of all layers."""
        return sum(layer.acs for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def graded_events(self) -> int:
        """Events of integer operands: neither accumulates nor MACs until a hardware's policy is chosen."""
        return sum(layer.graded_events for layer in self.layers)

    def sample(self, index: int) -> Trace:
        """The trace of one sample, counted from 0, with the operand classes of ALL data; samples add up to the whole.

        To go through many of them, `counting.samples.each_sample` is quicker.

        Raises:
            TraceError: the trace has no per-sample records, or no such sample.
        """
        from snn_energy.counting.samples import each_sample  # which needs the records of this file

        if self.per_sample is None:
            raise TraceError("sample: this trace has no per-sample records; make it with trace(..., per_sample=True)")
        if not 0 <= index < self.per_sample.count:
            raise TraceError(f"sample: expected an index from 0 to {self.per_sample.count - 1} (got {index})")
        return next(each_sample(self, index))

    def without_samples(self) -> Self:
        """The same trace without its per-sample records, which can then be added to one that has none."""
        return replace(self, per_sample=None)

    def _repr_html_(self) -> str:
        """The projections and the certificate, as a notebook shows them; counts are totals over all samples."""
        from snn_energy.notebook import certificate, html_table, rate_text

        cells = (
            (layer.name, layer.kind, str(layer.operand), rate_text(layer.spike_rate), *map("{:,}".format, counts))
            for layer in self.layers
            for counts in [(layer.dense_macs, layer.connections, layer.events, layer.acs, layer.macs)]
        )
        headings = ("projection", "kind", "operand", "nonzero", "dense MACs", "connections", "events", "ACs", "MACs")
        said = certificate(self.coverage.complete, [record.name for record in self.coverage.uncounted])
        return html_table(f"{self.model}, {self.samples:,} samples; {said}", headings, cells, texts=3)

    def __add__(self, other: Self) -> Self:
        """Merge two traces of the same model over different samples; per-sample records are put behind each other.

        Raises:
            TraceError: traces of different models, or only one of them has per-sample records.
        """
        from snn_energy.counting.samples import joined  # which needs the records of this file

        if self.model and other.model:
            _same("model", "trace", self.model, other.model)
        if self.samples and other.samples and (self.per_sample is None) != (other.per_sample is None):
            raise TraceError(
                "cannot merge traces: only one of them has per-sample records, which would be lost; "
                "call without_samples() on it, or trace both with per_sample=True"
            )
        merged = replace(
            self,
            per_sample=None,
            model=self.model or other.model,
            layers=merge_by_name(self.layers, other.layers),
            neurons=merge_by_name(self.neurons, other.neurons),
            elementwise=merge_by_name(self.elementwise, other.elementwise, key=lambda r: (r.name, r.kind)),
            coverage=self.coverage + other.coverage if self.samples and other.samples else _fuller(self, other),
            samples=self.samples + other.samples,
            time_steps=_agreed(self.time_steps, other.time_steps),
        )
        if (self.per_sample or other.per_sample) is None or any(t.samples and not t.per_sample for t in (self, other)):
            return merged
        return replace(merged, per_sample=joined(self, other, merged))


def _fuller(a: Trace, b: Trace) -> Coverage:
    return a.coverage if a.samples else b.coverage


def _agreed(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return a if b is None else b
    return a if a == b else MIXED


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    def __add__(self, other: Any) -> Any: ...


R = TypeVar("R", bound=_Named)


def merge_by_name(a: Sequence[R], b: Sequence[R], key: Any = lambda record: record.name) -> tuple[R, ...]:
    """Add records that share a key, keeping the order of first appearance."""
    merged: dict[Any, R] = {key(record): record for record in a}
    for record in b:
        known = merged.get(key(record))
        merged[key(record)] = record if known is None else known + record
    return tuple(merged.values())


def record_fields(record: object) -> dict[str, Any]:
    """Field names and values of a slotted record, in order."""
    return {field.name: getattr(record, field.name) for field in fields(record)}  # type: ignore[arg-type]
