"""NeuroBench's synaptic operations, priced: non-zero operand times non-zero weight.

An input of only 0, 1 and -1 makes accumulates, any other multiply-accumulates of its non-zero elements; padding is
left out, zero weights are, biases too. Products of activations are not hooked. NeuroBench itself prices nothing: the
energies here are its counts at the prices of the profile. It decides the kind of an input batch by batch; here it is
decided once, for all data. Source: neurobench 2.3.0, metrics/utils/layers/macs.py and input.py.
"""

from __future__ import annotations

from snn_energy.costing.published_methods.accounts import Book, account_of, is_first, weighted_layers
from snn_energy.counting.counts import LayerCounts


def only_units(layer: LayerCounts) -> bool:
    """Whether an operand took no values but 0, 1 and -1."""
    operand = layer.operand
    return operand.kind == "silent" or (
        operand.accumulates and not operand.per_channel and operand.scale in (None, 1.0, -1.0)
    )


@account_of("neurobench")
def neurobench(book: Book) -> None:
    """Effective ACs and MACs of the layers with weights."""
    for layer in weighted_layers(book, attention="only layers with weights are hooked"):
        part = "first layer" if is_first(layer, book.trace) else "synapses"
        book.charge(part, layer.name, "ac" if only_units(layer) else "mac", layer.effective_events)
    for part in ("bias", "neurons", "other arithmetic"):
        book.leave(part, "no synaptic operation; counted apart, if at all, and not priced")
