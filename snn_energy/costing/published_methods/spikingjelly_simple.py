"""SpikingJelly's "simple" energy: MACs, ACs, and one price for every byte of weights and neuron states.

An input of only 0 and 1 makes accumulates, at the exact fan-out of each spike; any other input a multiply-accumulate
for each dense MAC, padding among them. Every operation reads its weight anew, every output its bias; each update of a
neuron reads and writes its states. Biases and the element-wise operations of a neuron's code are accumulates there too,
but how many depends on the backend that runs: they are left out here and named.
Source: spikingjelly 2.0.0, activation_based/op_counter/simple_energy.py and neuromorphic_memory_access.py.
"""

from __future__ import annotations

from snn_energy.costing.published_methods.accounts import Book, account_of, is_attention, is_first
from snn_energy.counting.counts import LayerCounts


def zeros_and_ones(layer: LayerCounts) -> bool:
    """Whether SpikingJelly takes an operand for spikes: no values but 0 and 1."""
    operand = layer.operand
    return operand.kind == "silent" or (
        operand.kind == "binary" and not operand.per_channel and operand.scale in (None, 1.0)
    )


@account_of("spikingjelly-simple")
def spikingjelly_simple(book: Book) -> None:
    """Arithmetic at the profile's prices, memory at the sheet's price of a byte."""
    book.own_memory()
    byte = book.sheet.constant("memory_pj_per_byte")
    for layer in book.trace.layers:
        attention = is_attention(layer)
        part = "attention" if attention else "first layer" if is_first(layer, book.trace) else "synapses"
        spikes = zeros_and_ones(layer)
        uses = layer.events if spikes else layer.dense_macs
        book.charge(part, layer.name, "ac" if spikes else "mac", uses)
        if not attention:
            size = layer.weight_bits // 8
            book.add("weights", layer.name, "byte", (uses + layer.bias_adds) * size, byte)
    state_bytes = book.sheet.whole("state_bytes")
    for neuron in book.trace.neurons:
        accesses = neuron.state_reads + neuron.state_writes
        book.add("potentials", neuron.name, "byte", accesses * state_bytes, byte)
    for part in ("bias", "neurons"):
        book.leave(part, "charged as the element-wise operations that the running backend makes of it")
