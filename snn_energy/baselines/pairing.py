"""Which neuron layer takes the sums of which projection: told by sizes, places and order, since a trace holds no graph.

A projection hands each of its sums to one neuron, at every time step or, where a current is repeated, once for all of
them. So a neuron layer can only belong to a projection that makes as many sums. Of all pairs that fit, those come first
whose module paths agree longest, then those that ran first; none is given away twice. A neuron layer that fits nowhere
(behind a residual sum of other sizes, say) belongs to none. (`costing.timing.stages` cuts a network into stages in the
order that it ran instead: there, every neuron layer is in one.)
"""

from __future__ import annotations

from collections.abc import Mapping

from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace


def neurons_of(trace: Trace) -> Mapping[str, NeuronCounts]:
    """Name of a projection -> the neuron layer that takes its sums; projections without one are left out."""
    steps = trace.time_steps or 1
    pairs = [(layer, neuron) for layer in trace.layers for neuron in trace.neurons if _fits(layer, neuron, steps)]
    found: dict[str, NeuronCounts] = {}
    taken: set[str] = set()
    for layer, neuron in sorted(pairs, key=lambda pair: -_shared(pair[0].name, pair[1].name)):  # stable: in order
        if layer.name not in found and neuron.name not in taken:
            found[layer.name] = neuron
            taken.add(neuron.name)
    return found


def _fits(layer: LayerCounts, neuron: NeuronCounts, steps: int) -> bool:
    return neuron.updates > 0 and neuron.updates in (layer.outputs, layer.outputs * steps)


def _shared(one: str, other: str) -> int:
    """Module names that two paths begin with."""
    count = 0
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if a != b:
            break
        count += 1
    return count
