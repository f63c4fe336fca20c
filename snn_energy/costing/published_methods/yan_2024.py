"""Yan, Bai and Wong 2024, version 4: simple operations, and the movement of spikes from core to core.

Read in a re-implementation and in the abstract alone: accumulates at T * s_r * N (here each spike's real fan-out), one
comparison for each update and one subtraction for each spike, and `hops` hops for each spike of one bit. The paper
moves and reads weights and dense data as well; those terms could not be read in full and are not made up. Its fair
opponent is a network quantised to ceil(log2(T + 1)) bits (`quantised_bits`).
"""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.published_methods.accounts import Book, account_of, is_attention, is_first


def quantised_bits(steps: int) -> int:
    """Bits that hold as many levels as a spike count over `steps` time steps: ceil(log2(T + 1))."""
    return steps.bit_length()


def dense_ratio(steps: int) -> Fraction:
    """Energy of the spiking network over that of its quantised counterpart where moving dense data dominates."""
    return Fraction(steps, quantised_bits(steps))


@account_of("yan-2024")
def yan_2024(book: Book) -> None:
    """The terms that were read, on a trace."""
    assert book.hardware is not None
    hop = book.sheet.constant("move_sparse_pj") * book.sheet.constant("hops")
    for layer in book.trace.layers:
        if layer.operand.kind == "real":
            book.leave(
                "first layer" if is_first(layer, book.trace) else "synapses",
                "a multiply-accumulate has no price in what was read",
            )
            continue
        book.charge("attention" if is_attention(layer) else "synapses", layer.name, "ac", layer.events)
    for neuron in book.trace.neurons:
        book.charge("neurons", neuron.name, "compare", neuron.updates)
        book.charge("neurons", neuron.name, "add", neuron.spikes)
        book.add("movement", neuron.name, "bit", neuron.spikes, hop)
