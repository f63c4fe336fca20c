"""Bit budgets and synaptic arithmetic (Shen et al. 2024): operations weighted with the bits they handle.

    BB = T * b_w * b_s      S-ACE = sum of n * BB      NS-ACE = sum of r * n * BB

n are the dense operations of a layer in one time step, b_w the bits of its weights, b_s those of its spikes (1 for
binary ones), r its rate. The measures compare networks; they are no energies, and none is made of them here.
"""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.published_methods.accounts import Book, account_of, is_attention, rate
from snn_energy.counting.counts import LayerCounts

_BITS = {"silent": 1, "binary": 1, "ternary": 2}


def spike_bits(layer: LayerCounts) -> int:
    """Bits of one operand element: those of its data type where it is real-valued or an integer of many levels."""
    return _BITS.get(layer.operand.kind, layer.operand_bits)


@account_of("bit-budget")
def bit_budget(book: Book) -> None:
    """S-ACE and NS-ACE over all samples; dense MACs of a trace hold all time steps already."""
    for name in ("S-ACE", "NS-ACE"):
        book.measures[name] = Fraction()
    for layer in book.trace.layers:
        if is_attention(layer):
            book.leave("attention", "no weight bits")
            continue
        budget = Fraction(layer.dense_macs * layer.weight_bits * spike_bits(layer))
        book.measures["S-ACE"] += budget
        book.measures["NS-ACE"] += rate(layer) * budget
