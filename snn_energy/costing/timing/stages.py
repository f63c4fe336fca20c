"""Stages of a pipeline: each projection with the neuron layer that it drives.

A trace says what ran, not what fed what, so the two are matched: in order where there are as many neuron layers as
projections, or one fewer (a chain whose read-out has no neurons); else each projection with the next neuron layer that
has as many updates as the projection has outputs. What matches nothing is a stage of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace


@dataclass(frozen=True, slots=True)
class Stage:
    """A projection, a neuron layer, or both."""

    layer: LayerCounts | None
    neuron: NeuronCounts | None

    @property
    def name(self) -> str:
        """Name of the projection, or of the neuron layer that has none."""
        record = self.layer or self.neuron
        return "" if record is None else record.name


def stages_of(trace: Trace) -> tuple[Stage, ...]:
    """The stages of a network, in the order of the trace."""
    layers, neurons = trace.layers, trace.neurons
    if 0 <= len(layers) - len(neurons) <= 1:
        padded = (*neurons, *(None for _ in range(len(layers) - len(neurons))))
        return tuple(Stage(layer, neuron) for layer, neuron in zip(layers, padded, strict=True))
    return tuple(_by_size(layers, neurons))


def _by_size(layers: tuple[LayerCounts, ...], neurons: tuple[NeuronCounts, ...]) -> Iterator[Stage]:
    ahead = 0
    for layer in layers:
        fits = (i for i in range(ahead, len(neurons)) if neurons[i].updates == layer.outputs)
        found = next(fits, None)
        if found is None:
            yield Stage(layer, None)
            continue
        yield from (Stage(None, skipped) for skipped in neurons[ahead:found])
        yield Stage(layer, neurons[found])
        ahead = found + 1
    yield from (Stage(None, left) for left in neurons[ahead:])
