"""Rate times FLOPs, as Rathi and Roy and Panda, Aketi and Roy count.

    E = E_MAC * FL_1 + E_AC * sum over the other layers of r_l * T * FL_l

FL_l are the dense operations of a layer in one time step, padding taps among them, r_l the share of its input that is
not zero. The first layer meets real-valued pixels and is computed once. Only convolutions and linear layers have a
formula. Without spikes E = E_MAC * sum of FL_l. The rows of ResNets in Table 2 of Zhou et al. (Spikformer, ICLR 2023)
follow the same rule.
"""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.published_methods.accounts import (
    Book,
    account_of,
    has_spikes,
    is_first,
    rate,
    steps_of,
    weighted_layers,
)
from snn_energy.costing.timing.matrices import passes_of


def rate_flops_pj(mac_pj: Fraction, ac_pj: Fraction, macs: Fraction, synops: Fraction) -> Fraction:
    """Energy in pJ from the operations of the first layer and the synaptic operations of the others."""
    return macs * mac_pj + synops * ac_pj


@account_of("rate-flops")
def rate_flops(book: Book) -> None:
    """The formula on a trace, in which dense MACs hold all samples and time steps."""
    trace, spiking = book.trace, has_spikes(book.trace)
    for layer in weighted_layers(book, attention="the formula has convolutions and linear layers only"):
        dense = Fraction(layer.dense_macs)
        if is_first(layer, trace):
            runs = passes_of(layer, trace.samples, steps_of(trace)) if spiking else 1
            book.charge("first layer", layer.name, "mac", dense / runs)
        elif spiking:
            book.charge("synapses", layer.name, "ac", rate(layer) * dense)
        else:
            book.charge("synapses", layer.name, "mac", dense)
    for part in ("bias", "neurons", "other arithmetic"):
        book.leave(part, "not in the formula")
