"""syops, with its conventions as they are: dense operations with padding and bias, times the mean of a 0/1 input.

An input whose values lie in [0, 1] and number at most two is a spike train; its rate is its SUM over its elements, so
that spikes of height 0.25 have a quarter of the rate. Any other input makes multiply-accumulates of all operations,
zeros among them. Each neuron update is one accumulate. Products of activations, LSTM and attention modules count
nothing. Pooling is charged by its input elements, which a trace does not hold.
Source: syops 0.0.5, ops.py; prices from its README.
"""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.published_methods.accounts import Book, account_of, is_first, rate, weighted_layers
from snn_energy.counting.counts import LayerCounts


def height_of_spikes(layer: LayerCounts) -> Fraction | None:
    """The height of spikes that syops takes for a spike train; None where it does not."""
    operand = layer.operand
    if operand.kind == "silent":
        return Fraction()
    if operand.kind != "binary" or operand.per_channel:
        return None
    height = Fraction(1 if operand.scale is None else operand.scale)
    return height if 0 <= height <= 1 else None


@account_of("syops")
def syops(book: Book) -> None:
    """Layers at dense operations times rate, neurons at one accumulate for each update."""
    for layer in weighted_layers(book, attention="products of activations are not hooked"):
        part = "first layer" if is_first(layer, book.trace) else "synapses"
        height = height_of_spikes(layer)
        action, share = ("mac", Fraction(1)) if height is None else ("ac", height * rate(layer))
        book.charge(part, layer.name, action, share * layer.dense_macs)
        book.charge("bias", layer.name, action, share * layer.bias_adds)
    for neuron in book.trace.neurons:
        book.charge("neurons", neuron.name, "ac", neuron.updates)
    if book.trace.elementwise:
        book.leave("other arithmetic", "pooling and norms go by their input elements, which a trace does not hold")
