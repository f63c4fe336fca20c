"""What a profile's [latency] table is read into: one record for each kind of machine, numbers with their sources.

What these machines take for a trace is worked out in `costing.timing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

from snn_energy.hardware.records import Confidence, Evidence

Dataflow = Literal["output-stationary", "weight-stationary", "input-stationary"]
OverTime = Literal["repeat", "fold", "unroll"]
"""How a dense array meets T time steps: one pass after another; all steps as rows of one product; on T arrays."""
Schedule = Literal["sequential", "pipelined"]
"""Layers one after another on one core; or each stage on a core of its own, one time step apart."""
WeightReads = Literal["once-per-inference", "once-per-pass", "per-event"]
"""Whether weights stay beside the engine for all time steps, for one pass of their layer, or for one event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of a [latency] table, with the place it was read from; `source` is a key of the profile's sources."""

    value: Fraction
    evidence: Evidence
    source: str
    locator: str
    range: tuple[Fraction, Fraction] | None = None
    """Lowest and highest published value."""
    confidence: Confidence | None = None

    def as_table(self) -> dict[str, object]:
        """The number as plain values, ready for JSON."""
        plain: dict[str, object] = {
            "value": _number(self.value),
            "evidence": self.evidence,
            "source": self.source,
            "locator": self.locator,
        }
        plain |= {} if self.range is None else {"range": [_number(end) for end in self.range]}
        return plain | ({} if self.confidence is None else {"confidence": self.confidence})


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Systolic:
    """A dense array of `rows` x `cols` multiply-accumulate units; zeros cost what all operands cost."""

    rows: int
    cols: int
    dataflow: Dataflow
    over_time: OverTime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDriven:
    """A clocked core that pays for each event: `synops` and `updates` at most in one cycle, and a barrier each step."""

    synops: int
    updates: int
    barrier: int
    """Cycles at the end of each time step."""
    schedule: Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSynchronous:
    """A chip without a clock whose cores wait for one another at the end of each time step; times in ns."""

    synop_ns: Fraction
    update_ns: Fraction
    barrier_ns: Fraction
    neurons_per_core: int | None = None
    """A layer of more neurons is spread evenly over several cores; None: each stage on one core."""


Engine = Systolic | EventDriven | StepSynchronous


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What feeds the engine: its bandwidth, and the bits of all that passes through it."""

    gigabytes_per_second: Fraction
    """10^9 bytes per second."""
    weight_bits: int
    activation_bits: int
    spike_bits: int
    """Of a binary operand; a ternary one has one more, its sign."""
    state_bits: int
    weights: WeightReads


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A [latency] table, checked: the machine whose time is counted."""

    model: str
    engine: Engine
    clock_mhz: Fraction | None = None
    updates_per_cycle: int | None = None
    """Neuron updates of the unit beside a systolic array; None: the table states none."""
    static_mw: Fraction | None = None
    """Leakage and idle power."""
    memory: Memory | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict, hash=False)
    """All numbers of the table by their names, with their sources."""
    texts: Mapping[str, str] = field(default_factory=dict, hash=False)
    """All choices of the table, and its notes."""

    def __post_init__(self) -> None:
        for name in ("figures", "texts"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy cannot be pickled; the plain dictionaries behind it can.
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        return _rebuilt, (state | {"figures": dict(self.figures), "texts": dict(self.texts)},)

    def as_table(self) -> dict[str, object]:
        """The table as plain values, ready for JSON, as `machine_of` reads it back."""
        return {**self.texts, **{name: figure.as_table() for name, figure in self.figures.items()}}


def _rebuilt(state: dict[str, object]) -> Machine:
    return Machine(**state)  # type: ignore[arg-type]
