"""The arithmetic method: energy = sum of actions x price, on the actions that really happened.

Projections cost one accumulate for each event of a spiking operand and one multiply-accumulate for each connection of
a real-valued one (each event, where the hardware skips zeros); integer spikes follow the hardware's policy. Neuron
updates cost the arithmetic of the neuron's equation, or the profile's own price of an update if it has one. Bias,
pooling, normalisation and activation arithmetic is charged as what it is. Memory is not part of this method.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from snn_energy.costing.methods import method
from snn_energy.costing.report import Report, ReportRow, Unpriced, layer_report_row, neuron_report_row
from snn_energy.costing.static import STATIC, static_counts
from snn_energy.counting.counts import DETECTED, ElementwiseCounts, LayerCounts, NeuronCounts, Trace
from snn_energy.hardware import Hardware


@dataclass(slots=True)
class _Till:
    """Multiplies counts by prices and remembers what had none."""

    hardware: Hardware
    unpriced: Counter[str] = field(default_factory=Counter)

    def pj(self, action: str, count: int) -> float:
        """Energy of `count` actions; nothing is asked of the profile for actions that never happened."""
        if not count or self.hardware.covered_by(action):  # in the latter case another price contains it
            return 0.0
        price = self.hardware.price(action)
        if price is None:
            self.unpriced[action] += count
            return 0.0
        return count * price.value_pj

    def elementwise(self, adds: int, muls: int, compares: int, specials: int = 0) -> float:
        """Energy of plain arithmetic."""
        parts = (("add", adds), ("mul", muls), ("compare", compares), ("special", specials))
        return sum(self.pj(action, count) for action, count in parts)


@method("arithmetic")
def arithmetic(trace: Trace, hardware: Hardware) -> Report:
    """Exact counts times prices; a real-valued operand costs a MAC for each connection, zeros included."""
    return _price(trace, hardware, "arithmetic", skip_zeros=False)


@method("arithmetic-zero-skipping")
def arithmetic_zero_skipping(trace: Trace, hardware: Hardware) -> Report:
    """The same on hardware that skips zero operands of real-valued layers too, in the ANN as in the SNN."""
    return _price(trace, hardware, "arithmetic-zero-skipping", skip_zeros=True)


def _price(trace: Trace, hardware: Hardware, name: str, *, skip_zeros: bool) -> Report:
    till = _Till(hardware)
    rows = (
        *(_layer(layer, till, skip_zeros=skip_zeros) for layer in trace.layers),
        *(_neuron(neuron, till) for neuron in trace.neurons),
        *(_other(record, till) for record in trace.elementwise),
        *_static(trace, till),
    )
    uncounted_pj = till.pj("mac", trace.coverage.bound)
    return Report(
        trace=trace,
        hardware=hardware,
        method=name,
        rows=rows,
        unpriced=tuple(
            Unpriced(action=action, count=count, reason=hardware.unpriced[action])
            for action, count in sorted(till.unpriced.items())
        ),
        uncounted_pj=uncounted_pj,
    )


def _layer(layer: LayerCounts, till: _Till, *, skip_zeros: bool) -> ReportRow:
    macs, acs = (layer.events if skip_zeros else layer.connections) if layer.macs else 0, layer.acs
    if layer.graded_events:
        if till.hardware.integer_spikes == "graded-mac":
            macs = layer.graded_events
        else:
            acs = layer.unit_events
    return replace(
        layer_report_row(layer),
        macs=macs,
        acs=acs,
        adds=layer.bias_adds,
        mac_pj=till.pj("mac", macs),
        ac_pj=till.pj("ac", acs),
        other_pj=till.pj("add", layer.bias_adds),
    )


def _neuron(neuron: NeuronCounts, till: _Till) -> ReportRow:
    if till.hardware.mentions("neuron_update") and neuron.kind != DETECTED:  # whose arithmetic is charged as it ran
        energy = till.pj("neuron_update", neuron.updates)
    else:
        energy = till.elementwise(neuron.adds, neuron.muls, neuron.compares, neuron.specials)
    return replace(
        neuron_report_row(neuron),
        adds=neuron.adds,
        muls=neuron.muls,
        compares=neuron.compares,
        specials=neuron.specials,
        neuron_pj=energy,
    )


def _other(record: ElementwiseCounts, till: _Till) -> ReportRow:
    return ReportRow(
        name=record.name,
        part="other",
        kind=record.kind,
        calls=record.calls,
        adds=record.adds,
        muls=record.muls,
        compares=record.compares,
        specials=record.specials,
        other_pj=till.elementwise(record.adds, record.muls, record.compares, record.specials),
    )


def _static(trace: Trace, till: _Till) -> Iterator[ReportRow]:
    for action, count in static_counts(trace, till.hardware).items():
        yield ReportRow(name=STATIC, part="other", kind=action, calls=count, other_pj=till.pj(action, count))
