"""A priced trace: energies by layer and component, what stayed unpriced, and what the total may miss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from snn_energy.costing.distribution import Distribution, distribution
from snn_energy.costing.memory.records import MemoryUse
from snn_energy.costing.timing.latency_records import Latency
from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace, record_fields
from snn_energy.hardware import Hardware

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
"""Version of the JSON form."""

COMPONENTS = ("mac", "ac", "neuron", "other")
"""Parts an energy splits into: multiply-accumulates, accumulates, neuron updates, all other arithmetic."""
MEMORY = "memory"
"""One more part, of the methods that count it: moving data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One line of a report: a projection ("synapses"), a neuron layer ("neurons") or other arithmetic ("other").

    Counts are totals over all samples; those that a part does not have are 0, and its operand and spike rate are None.
    """

    name: str
    part: str
    kind: str
    operand: str | None = None
    spike_rate: float | None = None
    calls: int = 0
    spikes: int = 0
    dense_macs: int = 0
    connections: int = 0
    repeated_connections: int = 0
    """Within `connections`: known to meet the very input of an earlier time step; a lower bound."""
    events: int = 0
    effective_events: int = 0
    operand_bits: int = 0
    weight_bits: int = 0
    macs: int = 0
    acs: int = 0
    updates: int = 0
    adds: int = 0
    muls: int = 0
    compares: int = 0
    specials: int = 0
    mac_pj: float = 0.0
    ac_pj: float = 0.0
    neuron_pj: float = 0.0
    other_pj: float = 0.0
    memory_pj: float | None = None
    """None where the method leaves memory out: unknown, not zero."""

    @property
    def energy_pj(self) -> float:
        """Sum of the components."""
        return self.mac_pj + self.ac_pj + self.neuron_pj + self.other_pj + (self.memory_pj or 0.0)


def layer_report_row(layer: LayerCounts) -> ReportRow:
    """What every method reports of a projection: the counts as they are, no work and no energy yet."""
    return ReportRow(
        name=layer.name,
        part="synapses",
        kind=layer.kind,
        operand=str(layer.operand),
        spike_rate=layer.spike_rate,
        calls=layer.calls,
        spikes=layer.spikes,
        dense_macs=layer.dense_macs,
        connections=layer.connections,
        repeated_connections=layer.repeated_connections,
        events=layer.events,
        effective_events=layer.effective_events,
        operand_bits=layer.operand_bits,
        weight_bits=layer.weight_bits,
    )


def neuron_report_row(neuron: NeuronCounts) -> ReportRow:
    """The same of a neuron layer."""
    return ReportRow(
        name=neuron.name,
        part="neurons",
        kind=neuron.kind,
        spike_rate=neuron.spike_rate,
        calls=neuron.calls,
        spikes=neuron.spikes,
        updates=neuron.updates,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """Actions that were counted but have no price on this hardware: named, never taken for zero."""

    action: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The price of a trace on one hardware profile by one method. Energies and counts are totals over all samples."""

    trace: Trace
    hardware: Hardware
    method: str
    rows: tuple[ReportRow, ...]
    unpriced: tuple[Unpriced, ...] = ()
    uncounted_pj: float = 0.0
    """Upper bound on the energy of everything the trace lists as uncounted."""
    samples_pj: tuple[float, ...] | None = None
    """Energy of each sample, in the order of the data; None for a trace without per-sample records."""
    latency: Latency | None = None
    """How long one inference takes; None on profiles without a [latency] table."""
    memory: MemoryUse | None = None
    """Where each tensor lies and what moving it costs; None where the method does not tell."""
    ann: Report | None = None
    """An ANN on the same data, hardware and method, where `profile` was given one to compare with."""

    @property
    def distribution(self) -> Distribution | None:
        """How the energy varies from sample to sample; None for a trace without per-sample records."""
        return distribution(self.samples_pj) if self.samples_pj else None

    @property
    def energy_pj(self) -> float:
        """Energy of everything counted and priced; the lower end of `energy_interval_pj`."""
        return sum(row.energy_pj for row in self.rows)

    @property
    def energy_interval_pj(self) -> tuple[float, float]:
        """From the counted energy to that plus the bound on uncounted work; both equal when coverage is complete."""
        return self.energy_pj, self.energy_pj + self.uncounted_pj

    @property
    def energy_per_inference_pj(self) -> float:
        """Energy of one sample, averaged over all of them."""
        return self.energy_pj / self.trace.samples

    @property
    def components_pj(self) -> Mapping[str, float]:
        """Energy by component, in the order of COMPONENTS; "memory" behind them where the method has it."""
        found = {name: sum(getattr(row, f"{name}_pj") for row in self.rows) for name in COMPONENTS}
        return {**found, MEMORY: sum(row.memory_pj or 0.0 for row in self.rows)} if self.moves_data else found

    @property
    def moves_data(self) -> bool:
        """Whether the method counts memory: `memory_pj` of the rows is a part of their energies."""
        return self.memory is not None or any(row.memory_pj is not None for row in self.rows)

    @property
    def latency_cycles(self) -> int | None:
        """Latency of ONE inference in clock cycles, the mean over samples; None on profiles that state no timing.

        None as well on machines without a clock, and where a layer's time is unknown: `latency` says which and why.
        """
        return None if self.latency is None else self.latency.cycles

    @property
    def energy_delay_pj_s(self) -> float | None:
        """Energy-delay product of one inference in pJ s: its energy, with leakage where stated, times its seconds.

        None where the profile states no timing, or no seconds follow from it.
        """
        if self.latency is None or self.latency.seconds is None:
            return None
        return (self.energy_per_inference_pj + (self.latency.static_pj or 0.0)) * self.latency.seconds

    @property
    def complete(self) -> bool:
        """True when everything that ran is counted and everything counted is priced."""
        return self.trace.coverage.complete and not self.unpriced

    def _repr_html_(self) -> str:
        """The rows, the total and the certificate, as a notebook shows them; energies in pJ per inference."""
        from snn_energy.notebook import certificate, html_table, rate_text

        samples, total = self.trace.samples, self.energy_pj
        rows = [
            (
                row.name,
                row.part,
                row.operand or row.kind,
                rate_text(row.spike_rate),
                *(f"{count / samples:,.1f}" for count in (row.acs, row.macs, row.updates)),
                f"{row.energy_pj / samples:,.1f}",
                f"{100 * row.energy_pj / total:.1f}" if total else "",
            )
            for row in self.rows
        ]
        headings = ("name", "part", "operand or kind", "nonzero", "ACs", "MACs", "updates", "energy, pJ", "%")
        left_out = [record.name for record in self.trace.coverage.uncounted]
        left_out += [f"{item.action} (no price)" for item in self.unpriced]
        caption = (
            f"{self.trace.model}: {self.energy_per_inference_pj:,.1f} pJ per inference, mean of {samples:,}, on "
            f"{self.hardware.name} by method {self.method}; {certificate(self.complete, left_out)}"
        )
        return html_table(caption, headings, rows, texts=3)

    def to_frame(self) -> pd.DataFrame:
        """One row for each layer and part; columns are the fields of `ReportRow` plus `energy_pj`."""
        import pandas as pd

        columns = [field.name for field in fields(ReportRow) if self.moves_data or field.name != "memory_pj"]
        table = [[getattr(row, name) for name in columns] + [row.energy_pj] for row in self.rows]
        return pd.DataFrame(table, columns=[*columns, "energy_pj"])

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON; the key order is fixed."""
        trace, coverage = self.trace, self.trace.coverage
        low, high = self.energy_interval_pj
        spread = self.distribution
        return {
            "format": FORMAT,
            "model": trace.model,
            "method": self.method,
            "hardware": self.hardware.price_list(),
            "samples": trace.samples,
            "time_steps": trace.time_steps or None,
            "complete": self.complete,
            "totals": {
                "dense_macs": trace.dense_macs,
                "connections": trace.connections,
                "repeated_connections": trace.repeated_connections,
                "events": trace.events,
                "effective_events": trace.effective_events,
                "macs": sum(row.macs for row in self.rows),
                "acs": sum(row.acs for row in self.rows),
                "energy_pj": low,
                "energy_upper_pj": high,
                "energy_per_inference_pj": self.energy_per_inference_pj,
                "components_pj": dict(self.components_pj),
                "latency_cycles": self.latency_cycles,
            },
            **self._latency(),
            **({} if self.memory is None else {"memory": self.memory.to_dict()}),
            "distribution": None if spread is None else {**record_fields(spread), "precision": spread.precision},
            "rows": [{**_fields(row), "energy_pj": row.energy_pj} for row in self.rows],
            "neurons": [
                {
                    **record_fields(neuron),
                    "spikes": neuron.spikes,
                    "spike_rate": neuron.spike_rate,
                    "state_reads": neuron.state_reads,
                    "state_writes": neuron.state_writes,
                }
                for neuron in trace.neurons
            ],
            "unpriced": [record_fields(item) for item in self.unpriced],
            **self._ann(),
            "coverage": {
                "complete": coverage.complete,
                "counted": [record_fields(record) for record in coverage.counted],
                "free": [record_fields(record) for record in coverage.free],
                "uncounted": [record_fields(record) for record in coverage.uncounted],
                "never_called": list(coverage.never_called),
            },
        }

    def _ann(self) -> dict[str, Any]:
        """The ANN, where there is one; its hardware is this one's."""
        if self.ann is None:
            return {}
        own = {key: value for key, value in self.ann.to_dict().items() if key != "hardware"}
        return {"ann": {"name": self.ann.trace.model, "baseline": own}}

    def _latency(self) -> dict[str, Any]:
        """The latency, where the profile states timing: reports on other profiles do without the key."""
        if self.latency is None:
            return {}
        return {"latency": {**self.latency.to_dict(), "energy_delay_pj_s": self.energy_delay_pj_s}}

    def to_json(self, indent: int | None = 2) -> str:
        """The report as JSON text with a final newline; identical for identical input."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False) + "\n"


def _fields(row: ReportRow) -> dict[str, Any]:
    """Fields of a row, that of memory only where the method has it: other reports stay as they were."""
    return {name: value for name, value in record_fields(row).items() if name != "memory_pj" or value is not None}
