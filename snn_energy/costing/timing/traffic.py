"""Bits that pass between memory and engine: what the roofline sets against the bandwidth.

Compulsory traffic only, a lower bound: each operand once for each pass, as a bitmap where it is a spike; each weight as
often as the profile says; each output of a dense array once; each state variable read and written at each update. What
a small buffer makes a machine fetch again is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from snn_energy.counting.counts import LayerCounts, NeuronCounts
from snn_energy.hardware.machines import Memory, WeightReads

_WEIGHTS: Mapping[WeightReads, Callable[[LayerCounts, int, int, int], Fraction]] = {
    "once-per-inference": lambda layer, _samples, _passes, _batch: Fraction(layer.weights),
    "once-per-pass": lambda layer, _samples, passes, _batch: Fraction(layer.weights * passes),
    "per-event": lambda layer, samples, _passes, batch: Fraction(layer.events * batch, samples),
}
"""Weights read for `batch` inferences that run together."""


def layer_bits(
    layer: LayerCounts, memory: Memory, samples: int, passes: int, *, outputs: bool, batch: int = 1
) -> Fraction:
    """Bits of a projection for `batch` inferences at once, which share the weights unless these are read per event.

    Args:
        layer: counts over all samples.
        memory: bits of each kind of value.
        samples: number of samples in the counts.
        passes: how often one inference runs the layer.
        outputs: whether outputs leave the engine; those of an event-driven core stay in the neurons' states.
        batch: inferences that run together.
    """
    weights = _WEIGHTS[memory.weights](layer, samples, passes, batch)
    moved = Fraction(layer.elements * operand_bits(layer, memory), samples)
    if outputs:
        moved += Fraction(layer.outputs * memory.activation_bits, samples)
    return weights * memory.weight_bits + moved * batch


def neuron_bits(neuron: NeuronCounts, memory: Memory, samples: int, *, batch: int = 1) -> Fraction:
    """Bits of a neuron layer for `batch` inferences: its states, and what it sends, as a bitmap if these are spikes."""
    states = (neuron.state_reads + neuron.state_writes) * memory.state_bits
    sent = neuron.updates * (memory.spike_bits if neuron.spiking else memory.activation_bits)
    return Fraction(states + sent, samples) * batch


def operand_bits(layer: LayerCounts, memory: Memory) -> int:
    """Bits of one operand, by its class joined over all data; the wider one of a product of two data operands."""
    by_class = {"silent": memory.spike_bits, "binary": memory.spike_bits, "ternary": memory.spike_bits + 1}
    both = (layer.values, layer.partner_values)
    return max(by_class.get(v.operand_class.kind, memory.activation_bits) for v in both if v is not None)
