"""What an engine says of a trace, in its own unit (cycles or ns), before it becomes cycles and seconds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

from snn_energy.costing.timing.latency_records import Bottleneck
from snn_energy.costing.timing.spans import Span
from snn_energy.hardware.machines import Machine, Memory

Part = Literal["synapses", "neurons", "stage", "barrier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer's time."""

    name: str
    part: Part
    passes: int | None
    shares: tuple[tuple[Bottleneck, Span], ...]
    """What its own work consists of, one after the other; `memory` runs beside all of it."""
    compute: Span
    """The sum of the shares."""
    memory: Fraction | None = None
    note: str | None = None

    @property
    def busy(self) -> Span:
        """Work and traffic at the same time: the longer of the two (the roofline)."""
        return self.compute if self.memory is None else self.compute.at_least(self.memory)

    @property
    def bottleneck(self) -> Bottleneck | None:
        """What takes longest; None where the work is of unknown time, or nothing takes any."""
        if self.compute.even is None:
            return None
        if self.memory is not None and self.memory > self.compute.even:
            return "memory"
        name, longest = max(self.shares, key=lambda share: share[1].even or 0)
        return name if longest.even else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All rows, and the time of the whole."""

    rows: tuple[Row, ...]
    total: Span
    formula: str
    assumptions: tuple[str, ...]
    missing: str | None = None
    """Why nothing is known, where nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What every engine is asked: how often the network runs, and in what company."""

    samples: int
    steps: int
    batch: int
    unit_spikes: bool
    """Whether an integer spike n costs n operations rather than one."""


def memory_cycles(bits: Fraction, memory: Memory, machine: Machine) -> Fraction:
    """Cycles that so many bits take at the stated bandwidth, rounded up to whole ones."""
    assert machine.clock_mhz is not None  # the table's rules
    bytes_per_cycle = memory.gigabytes_per_second * 1000 / machine.clock_mhz  # 10^9 bytes/s over 10^6 cycles/s
    return Fraction(ceil(bits / 8 / bytes_per_cycle))
