"""The spike rate at which an SNN costs what an ANN costs, for each layer and for the whole network, in closed form.

A rate is the share of a projection's operands that are not 0, over neurons and time steps. All else is kept as it was
measured: T, weights, where spikes fall, how large an integer spike is. Then the energy of a projection is

    E(r) = c0 + c1 r + c2 r^2        (pJ per inference)

where c0 holds what happens without any spike (the neurons' updates behind it, biases, and with a method of memory all
traffic that spikes do not cause), c1 what each spike adds, and c2 is 0 but for a product of two spiking operands
(attention), whose events need a spike on either side. The ANN's energy A does not depend on r, so the SNN wins below
the root of E(r) = A. An operand that is real-valued has no spike rate: its layer costs the same whatever the rates, and
no rate makes it win.

For the whole network all rates are scaled by one factor s. A rate ends at 1, so that a layer grows no further once s
times its rate is 1; between these points the energy is a quadratic function of s, and the scale at which it reaches the
ANN's is found exactly.

The network's input is an operand like the others where it is spikes or small integers: it is scaled with them.
A layer that never spiked has no measured fan-out; its curve assumes one event for each connection at rate 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from snn_energy.baselines.pairing import neurons_of
from snn_energy.costing.memory.pricing_memory import compared_methods
from snn_energy.costing.methods import find_method
from snn_energy.costing.report import Report
from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace, record_fields
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware

Outcome = Literal["below", "always", "never", "unrelated", "unknown"]
"""The SNN wins below the crossover; at any rate; at none, even without a spike; rates do not matter; not known."""

Coefficients = tuple[float, float, float]

PLAIN = ("arithmetic", "arithmetic-zero-skipping")
"""Methods that price each layer by itself, in proportion to its counts; those with memory do so as well."""

REAL = "its operand is real-valued, so that no spike rate makes it win or lose"
MIXED_PAIR = "one of its two operands is real-valued: the share of operands that are not 0 is no spike rate"
NO_LAYER = "the ANN has no such layer"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCrossover:
    """One projection with the neurons behind it, against the same layer of an ANN. Energies are per inference."""

    layer: str
    neuron: str | None
    """Neuron layer whose energy is in `snn_energy_pj` and `curve_pj`; None where none belongs to this projection."""
    operand: str
    rate: float
    """Measured: the share of operands that are not 0."""
    snn_energy_pj: float
    """At the measured rate."""
    ann_energy_pj: float | None
    """Of the ANN's layer and its activation; None where the ANN has no such layer."""
    curve_pj: Coefficients
    """c0, c1, c2 of the energy c0 + c1 r + c2 r^2 at the rate r."""
    outcome: Outcome
    crossover_rate: float | None
    """Where the two energies are equal: above 1 where the SNN always wins, None where no rate tells."""
    note: str | None = None
    """Why there is no crossover."""

    @property
    def margin(self) -> float | None:
        """Crossover rate over measured rate: above 1 the layer wins; None where either is missing."""
        return self.crossover_rate / self.rate if self.crossover_rate is not None and self.rate else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**record_fields(self), "curve_pj": list(self.curve_pj), "margin": self.margin}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """A network against an ANN. Energies are per inference."""

    method: str
    snn_energy_pj: float
    ann_energy_pj: float
    outcome: Outcome
    scale: float | None
    """Factor of all spike rates at which the energies are equal; None unless the outcome is "below"."""
    mean_rate: float | None
    """Measured: of all spiking operands, the share that is not 0; None without a spiking operand."""
    crossover_mean_rate: float | None
    """The same with all rates times `scale`, each at most 1."""
    layers: tuple[LayerCrossover, ...]
    note: str | None = None

    @property
    def ratio(self) -> float | None:
        """ANN energy over the SNN's; None if the SNN needs none."""
        return self.ann_energy_pj / self.snn_energy_pj if self.snn_energy_pj else None

    @property
    def wins(self) -> bool:
        """Whether the SNN needs less as it was measured."""
        return self.snn_energy_pj < self.ann_energy_pj

    def to_dict(self) -> dict[str, Any]:
        """The network alone as plain values; its layers are records of their own."""
        own = {name: value for name, value in record_fields(self).items() if name != "layers"}
        return {**own, "ratio": self.ratio}


def crossover_of(report: Report, baseline: Report) -> Crossover:
    """Find the rates at which `report` costs what `baseline` costs.

    Args:
        report: of the spiking network, by a method that prices layer by layer: arithmetic, with zero-skipping or
            memory.
        baseline: of an ANN on the same hardware; layers are matched by name, kind and number of weights.

    Raises:
        UsageError: another method.
    """
    if report.method not in PLAIN and compared_methods(report.method) is None:
        raise UsageError(
            f"crossover: method {report.method!r} does not price layer by layer in proportion to its counts; expected "
            f"{', '.join(PLAIN)}, or one of these with +memory"
        )
    trace = report.trace
    layers, neurons, others = _parts(trace, report.hardware, report.method)
    behind = neurons_of(trace)
    # Arithmetic that runs inside a neuron whose equation nobody told stands under the neuron's name.
    beside = {name: part.at(1.0) + others.get(name, 0.0) for name, part in neurons.items()}
    found = []
    for layer in trace.layers:
        neuron = behind.get(layer.name)
        spent = 0.0 if neuron is None else beside[neuron.name]
        found.append(_layer(layer, layers[layer.name], neuron, spent, _ann_energy(layer, neuron, baseline)))
    # No factor makes a silent layer spike.
    parts = [layers[each.name] if each.spikes else _Part(fixed=layers[each.name].fixed) for each in trace.layers]
    target = baseline.energy_per_inference_pj
    outcome, scale = _network([*parts, *neurons.values()], math.fsum(others.values()), target)
    rated = [layer for layer in trace.layers if _degree(layer) and not _mixed(layer)]
    return Crossover(
        method=report.method,
        snn_energy_pj=report.energy_per_inference_pj,
        ann_energy_pj=target,
        outcome=outcome,
        scale=scale,
        mean_rate=_mean_rate(rated, 1.0),
        crossover_mean_rate=None if scale is None else _mean_rate(rated, scale),
        layers=tuple(found),
        note=_note(outcome, report, baseline),
    )


def _note(outcome: Outcome, *sides: Report) -> str | None:
    if outcome == "unrelated":
        return "no energy of this network depends on a spike"
    return "uncounted work is left out on either side" if any(side.uncounted_pj for side in sides) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Energy of one row per inference where its rate is s times the measured one: fixed + linear s + quadratic s^2."""

    fixed: float
    linear: float = 0.0
    quadratic: float = 0.0
    most: float = math.inf
    """Scale at which the rate is 1."""

    def at(self, scale: float) -> float:
        s = min(scale, self.most)
        return self.fixed + self.linear * s + self.quadratic * s * s


def _parts(
    trace: Trace, hardware: Hardware, method: str
) -> tuple[dict[str, _Part], dict[str, _Part], dict[str, float]]:
    """Projections, neuron layers, and by module the energy of all else, which no rate changes.

    Read off the method itself, like the coefficients of `costing.uncertainty`: without spikes, with their traffic
    alone, and with the events that they cause.
    """
    trace = trace.without_samples()
    silent, moved, full = (
        _energies(_varied(trace, spikes=spikes, events=events), hardware, method)
        for spikes, events in ((False, False), (True, False), (True, True))
    )
    layers: dict[str, _Part] = {}
    neurons: dict[str, _Part] = {}
    for i, layer in enumerate(trace.layers):
        # Where the second factor is real, nobody knows how much of the traffic is the first one's: all of it stays.
        fixed = moved[i] if _mixed(layer) else silent[i]
        carried, met = max(0.0, moved[i] - fixed), max(0.0, full[i] - moved[i])
        degree = _degree(layer)
        layers[layer.name] = _Part(
            fixed=fixed,
            linear=carried + (met if degree == 1 else 0.0),
            quadratic=met if degree == 2 else 0.0,
            most=_most(layer),
        )
    for j, neuron in enumerate(trace.neurons, len(trace.layers)):
        rate = neuron.spike_rate
        neurons[neuron.name] = _Part(
            fixed=silent[j], linear=max(0.0, moved[j] - silent[j]), most=1 / rate if rate else math.inf
        )
    others: dict[str, float] = {}
    for record, spent in zip(trace.elementwise, full[len(trace.layers) + len(trace.neurons) :], strict=True):
        others[record.name] = others.get(record.name, 0.0) + spent
    return layers, neurons, others


def _energies(trace: Trace, hardware: Hardware, method: str) -> list[float]:
    return [row.energy_pj / trace.samples for row in find_method(method)(trace, hardware).rows]


def _varied(trace: Trace, *, spikes: bool, events: bool) -> Trace:
    """The trace without its spikes, or without the events that they cause."""
    layers = tuple(_varied_layer(layer, spikes=spikes, events=events) for layer in trace.layers)
    neurons = trace.neurons if spikes else tuple(replace(n, spikes_per_step=_none(n)) for n in trace.neurons)
    return replace(trace, layers=layers, neurons=neurons)


def _none(neuron: NeuronCounts) -> tuple[int, ...]:
    return (0,) * len(neuron.spikes_per_step)


def _varied_layer(layer: LayerCounts, *, spikes: bool, events: bool) -> LayerCounts:
    if not _degree(layer):
        return layer
    if not layer.spikes:  # the curve of a layer that never spiked: all of its operands at once
        layer = replace(layer, spikes=layer.elements, events=layer.connections, effective_events=layer.connections)
    changed: dict[str, Any] = {} if spikes else {"spikes": 0}
    if not events:
        changed |= dict.fromkeys(("events", "effective_events", "operand_units", "partner_units"), 0)
    return replace(layer, **changed)


def _degree(layer: LayerCounts) -> int:
    """Power of the rate that events go with: 0 for a real-valued operand, 2 where both factors spike."""
    if layer.operand.kind == "real":
        return 0
    return 1 if layer.partner_values is None or _mixed(layer) else 2


def _mixed(layer: LayerCounts) -> bool:
    """Whether one of two data operands is real-valued, and the other decides the arithmetic."""
    pair = (layer.values, layer.partner_values)
    kinds = [values.operand_class.kind for values in pair if values is not None]
    return layer.operand.kind != "real" and "real" in kinds


def _most(layer: LayerCounts) -> float:
    if not _degree(layer) or not layer.spikes:
        return math.inf
    if _mixed(layer):
        return layer.connections / layer.events if layer.events else math.inf
    return 1 / layer.spike_rate


def _mean_rate(layers: Sequence[LayerCounts], scale: float) -> float | None:
    elements = sum(layer.elements for layer in layers)
    if not elements:
        return None
    return math.fsum(layer.spikes * min(scale, _most(layer)) for layer in layers if layer.spikes) / elements


def _layer(
    layer: LayerCounts, part: _Part, neuron: NeuronCounts | None, beside: float, ann_pj: float | None
) -> LayerCrossover:
    """Its neurons' energy is part of it, at the rate that they had: they fire into the next layer, not into this."""
    reference = layer.spike_rate or 1.0
    curve = (part.fixed + beside, part.linear / reference, part.quadratic / reference**2)
    outcome, rate, note = _of_layer(layer, curve, ann_pj)
    measured = curve[0] + curve[1] * layer.spike_rate + curve[2] * layer.spike_rate**2
    return LayerCrossover(
        layer=layer.name,
        neuron=None if neuron is None else neuron.name,
        operand=str(layer.operand),
        rate=layer.spike_rate,
        snn_energy_pj=measured,
        ann_energy_pj=ann_pj,
        curve_pj=curve,
        outcome=outcome,
        crossover_rate=rate,
        note=note,
    )


def _of_layer(
    layer: LayerCounts, curve: Coefficients, ann_pj: float | None
) -> tuple[Outcome, float | None, str | None]:
    if ann_pj is None:
        return "unknown", None, NO_LAYER
    if not _degree(layer):
        return "unrelated", None, REAL
    if _mixed(layer):
        return "unknown", None, MIXED_PAIR
    root = crossing(curve, ann_pj)
    if root is None:
        return "never", None, None
    if math.isinf(root):
        return "unrelated", None, "no energy of it depends on a spike"
    return ("always" if root > 1 else "below"), root, None


def crossing(curve: Coefficients, target_pj: float) -> float | None:
    """The r > 0 at which c0 + c1 r + c2 r^2 reaches a target, for c1, c2 >= 0.

    None where even r = 0 needs as much; infinity where no r does.
    """
    c0, c1, c2 = curve
    gap = target_pj - c0
    if gap <= 0:
        return None
    slope = c1 + math.sqrt(c1 * c1 + 4 * c2 * gap)  # the stable form: nothing cancels, and c2 may be 0
    return 2 * gap / slope if slope else math.inf


def _ann_energy(layer: LayerCounts, neuron: NeuronCounts | None, baseline: Report) -> float | None:
    """Energy per inference of the ANN's layer of this name, with its activation in the place of the neurons.

    A layer of this name with other weights is another layer.
    """
    like = (layer.name, layer.kind, layer.weights)
    if not any((each.name, each.kind, each.weights) == like for each in baseline.trace.layers):
        return None
    activation = None if neuron is None else neuron.name
    rows = (row for row in baseline.rows if row.name == (layer.name if row.part == "synapses" else activation))
    return math.fsum(row.energy_pj for row in rows) / baseline.trace.samples


def _network(parts: Sequence[_Part], others_pj: float, target_pj: float) -> tuple[Outcome, float | None]:
    """Go from one scale at which a rate becomes 1 to the next until the energy reaches the target."""
    ends = sorted({part.most for part in parts if part.linear or part.quadratic})
    if not ends:
        return "unrelated", None
    start = 0.0
    for end in ends:
        root = crossing(_sum(parts, others_pj, end), target_pj)
        if root is None or root <= start:
            return ("never", None) if not start else ("below", start)
        if root <= end:
            return "below", root
        start = end
    return "always", None


def _sum(parts: Iterable[_Part], others_pj: float, end: float) -> Coefficients:
    """Coefficients of the whole up to the scale `end`: parts whose rate is 1 before it stay as they are."""
    found = [others_pj], [0.0], [0.0]
    for part in parts:
        if part.most < end:
            found[0].append(part.at(part.most))
        else:
            for own, coefficient in zip(found, (part.fixed, part.linear, part.quadratic), strict=True):
                own.append(coefficient)
    return math.fsum(found[0]), math.fsum(found[1]), math.fsum(found[2])
