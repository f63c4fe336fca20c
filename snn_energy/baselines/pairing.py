"""Which neuron layer takes the sums of which projection: told by sizes, places and order, since a trace holds no graph.

A projection hands each of its sums to one neuron, at every time step or, where a current is repeated, once for all of
them. So a neuron layer can only belong to a projection that makes as many sums. Among several of that size the one
whose module path agrees longest is taken, then the first that ran; no neuron layer is given away twice. A neuron layer
that fits nowhere (behind a residual sum of other sizes, say) belongs to none.
"""

from __future__ import annotations

from collections.abc import Mapping

from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace


def neurons_of(trace: Trace) -> Mapping[str, NeuronCounts]:
    """Name of a projection -> the neuron layer that takes its sums; projections without one are left out."""
    left = list(trace.neurons)
    found: dict[str, NeuronCounts] = {}
    steps = trace.time_steps or 1
    for layer in trace.layers:
        fitting = [neuron for neuron in left if _fits(layer, neuron, steps)]
        if fitting:
            best = max(fitting, key=lambda neuron: _shared(layer.name, neuron.name))  # the first of equal ones
            left.remove(best)
            found[layer.name] = best
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
