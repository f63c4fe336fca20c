"""What a trace says once about a network, so that training can count without looking: classes, prices, constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from snn_energy.costing.pricing import price
from snn_energy.costing.report import Report
from snn_energy.counting.counts import DETECTED, LayerCounts, NeuronCounts, Trace
from snn_energy.counting.tracing import uncounted_message
from snn_energy.counting.values import ValueSet
from snn_energy.errors import UncountedError, UsageError
from snn_energy.hardware import Hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class SynapseRule:
    """How one projection with a spiking operand is charged."""

    values: ValueSet
    partner: ValueSet | None
    """Second factor of a product of two activations."""
    units: bool
    """True where an integer spike n is n accumulates; else every event costs the same."""
    first_units: bool
    """With two factors: whether the first one's units are counted, or the second one's."""
    pj: float
    """Price of one event, or of one unit."""
    counted: int
    """Events or units that the trace found: what the hooks must find as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeRule:
    """What each spike of a neuron layer costs beyond the layer's updates: the subtraction of a soft reset."""

    pj: float
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The energy of one batch, in pJ, split into what spikes decide and what they do not."""

    synapses: Mapping[str, SynapseRule]
    neurons: Mapping[str, SpikeRule]
    constant_pj: float
    """Of the whole batch: real-valued layers, neuron updates, biases, element-wise arithmetic."""
    ceiling_pj: float
    """Of the whole batch, if every operand of every spiking layer were one unit of spike in every time step."""
    unpriced: tuple[str, ...]
    """Actions that ran and that the profile has no price for: they are in no energy here."""

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for the state of an interrupted training."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Survey:
        """What `to_plain` wrote."""
        synapses = {name: SynapseRule(**{**rule, **_values(rule)}) for name, rule in plain["synapses"].items()}
        neurons = {name: SpikeRule(**rule) for name, rule in plain["neurons"].items()}
        return cls(**{**plain, "synapses": synapses, "neurons": neurons, "unpriced": tuple(plain["unpriced"])})


def _values(rule: Mapping[str, Any]) -> dict[str, ValueSet | None]:
    return {name: None if rule[name] is None else ValueSet(**rule[name]) for name in ("values", "partner")}


def survey(trace: Trace, hardware: Hardware) -> Survey:
    """Read the rules off the trace of one batch.

    Raises:
        UncountedError: work ran that is not counted.
        UsageError: the profile does not price what a spike costs.
    """
    if not trace.coverage.complete:
        raise UncountedError(f"energy term: {uncounted_message(trace).removeprefix('strict: ')}")
    report = price(trace, hardware)
    synapses = {layer.name: _synapses(layer, hardware) for layer in trace.layers if layer.operand.kind != "real"}
    rules = {n.name: _spikes(n, hardware) for n in trace.neurons}
    neurons = {name: rule for name, rule in rules.items() if rule is not None}
    constant = report.energy_pj - sum(rule.pj * rule.counted for rule in synapses.values())
    constant -= sum(rule.pj * rule.counted for rule in neurons.values())
    most = sum(synapses[layer.name].pj * layer.connections for layer in trace.layers if layer.name in synapses)
    most += sum(neurons[n.name].pj * n.updates for n in trace.neurons if n.name in neurons)
    return Survey(
        synapses=synapses,
        neurons=neurons,
        constant_pj=constant,
        ceiling_pj=constant + most,
        unpriced=_unpriced(report),
    )


def _synapses(layer: LayerCounts, hardware: Hardware) -> SynapseRule:
    graded = layer.operand.kind == "integer" and hardware.integer_spikes == "graded-mac"
    units = layer.operand.kind == "integer" and not graded
    own, other = layer.values, layer.partner_values
    return SynapseRule(
        values=own,
        partner=other,
        units=units,
        first_units=other is None or own.operand_class.rank <= other.operand_class.rank,
        pj=_price(hardware, "mac" if graded else "ac", layer.name),
        counted=layer.unit_events if units else layer.events,
    )


def _spikes(neuron: NeuronCounts, hardware: Hardware) -> SpikeRule | None:
    if not neuron.spike_adds or neuron.kind == DETECTED or hardware.mentions("neuron_update"):
        return None
    return SpikeRule(pj=neuron.spike_adds * _price(hardware, "add", neuron.name), counted=neuron.spikes)


def _price(hardware: Hardware, action: str, where: str) -> float:
    if hardware.covered_by(action):
        return 0.0
    found = hardware.price(action)
    if found is None:
        raise UsageError(
            f"energy term: hardware {hardware.name!r} does not price {action!r}, which each spike into {where} costs "
            f"({hardware.unpriced[action]}); choose a profile that does: snn-energy hardware list"
        )
    return found.value_pj


def _unpriced(report: Report) -> tuple[str, ...]:
    return tuple(item.action for item in report.unpriced)
