"""The tables of Spikformer, Spikingformer and the Spike-driven Transformer: first layer T times, attention at rates.

    E = E_MAC * T * FL_1 + E_AC * (sum over layers of r_l * T * FL_l + SOP_SSA)

A layer whose input has no zero at all is charged multiply-accumulates like the first one; batch norms, neurons,
pooling and residual additions cost nothing. The authors' script for Spikingformer takes

    SOP_SSA = T * h * N * (d/h)^2 * (r_q + min(r_k, r_v))

for h heads of N tokens and width d. A trace holds the two products of attention themselves, each with the joint rate
of its factors, which takes the place of r_q and min(r_k, r_v): min would leave out the denser factor.
Source: github.com/zhouchenlin2096/Spikingformer, imagenet/energy_consumption_logs (commit 4378623).
"""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.published_methods.accounts import (
    Book,
    account_of,
    has_spikes,
    is_attention,
    is_first,
    rate,
    steps_of,
)
from snn_energy.costing.timing.matrices import passes_of


def attention_synops(
    *, steps: int, heads: int, tokens: int, width: int, q: Fraction, k: Fraction, v: Fraction
) -> Fraction:
    """Accumulates of one spiking self-attention, at the rates of queries, keys and values."""
    per_head = Fraction(width, heads) ** 2
    return steps * heads * tokens * per_head * (q + min(k, v))


@account_of("spikformer")
def spikformer(book: Book) -> None:
    """The tables' rule on a trace."""
    trace, spiking = book.trace, has_spikes(book.trace)
    steps = steps_of(trace)
    for layer in trace.layers:
        dense, share = Fraction(layer.dense_macs), rate(layer)
        if is_first(layer, trace):
            times = Fraction(steps, passes_of(layer, trace.samples, steps)) if spiking else 1
            book.charge("first layer", layer.name, "mac", dense * times)
        elif is_attention(layer):
            book.charge("attention", layer.name, "ac" if spiking else "mac", share * dense if spiking else dense)
        elif share == 1 or not spiking:
            book.charge("synapses", layer.name, "mac", dense)
        else:
            book.charge("synapses", layer.name, "ac", share * dense)
    for part in ("bias", "neurons", "other arithmetic"):
        book.leave(part, "listed in the authors' logs, charged nothing")
