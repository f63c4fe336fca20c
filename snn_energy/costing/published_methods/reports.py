"""The complete methods as methods of `price`: one row for each record of the trace.

`mac_pj` and `ac_pj` hold the projections, `neuron_pj` the neurons, and `other_pj` what else the method charges a
record: biases, addressing, memory. The arithmetic is priced on the hardware asked for, memory by the method's own
sheet. A method of which something could not be carried over is not offered here: its total would pass for the whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

from snn_energy.costing.arithmetic import arithmetic
from snn_energy.costing.methods import Method, method
from snn_energy.costing.published_methods.accounts import account, account_names
from snn_energy.costing.published_methods.sheets import load_sheet
from snn_energy.costing.published_methods.terms import Term
from snn_energy.costing.report import Report, ReportRow, layer_row, neuron_row
from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace
from snn_energy.errors import PriceError
from snn_energy.hardware import Hardware

_PROJECTION = frozenset({"first layer", "synapses", "attention"})


def offered() -> tuple[str, ...]:
    """Methods that `price` takes besides those of `costing.arithmetic` and `costing.published`."""
    ours = {"arithmetic", "arithmetic-zero-skipping", "every-operation-ac"}
    sheets = (load_sheet(name) for name in account_names() if name not in ours)
    return tuple(s.name for s in sheets if s.hardware is not None and s.partial is None)


def report_method(name: str) -> Method:
    """The method of this name as a function from a trace and a profile to a report."""

    def priced(trace: Trace, hardware: Hardware) -> Report:
        found = account(trace, name, hardware)
        if found.refused is not None:
            raise PriceError(found.refused)
        terms: dict[str, list[Term]] = defaultdict(list)
        for term in found.terms:
            terms[term.layer].append(term)
        uncounted = arithmetic(Trace(coverage=trace.coverage, samples=trace.samples), hardware).uncounted_pj
        return Report(
            trace=trace,
            hardware=hardware,
            method=name,
            rows=(
                *(_layer(layer, terms[layer.name]) for layer in trace.layers),
                *(_neuron(neuron, terms[neuron.name]) for neuron in trace.neurons),
            ),
            uncounted_pj=uncounted,
        )

    return priced


def _layer(layer: LayerCounts, terms: list[Term]) -> ReportRow:
    main = {a: [t for t in terms if t.part in _PROJECTION and t.action == a] for a in ("mac", "ac")}
    return replace(
        layer_row(layer),
        macs=round(sum((t.count for t in main["mac"]), Fraction())),
        acs=round(sum((t.count for t in main["ac"]), Fraction())),  # no whole number where rates are multiplied
        mac_pj=_sum(main["mac"]),
        ac_pj=_sum(main["ac"]),
        other_pj=_sum([t for t in terms if t.part not in _PROJECTION]),
    )


def _neuron(neuron: NeuronCounts, terms: list[Term]) -> ReportRow:
    return replace(
        neuron_row(neuron),
        neuron_pj=_sum([t for t in terms if t.part == "neurons"]),
        other_pj=_sum([t for t in terms if t.part != "neurons"]),
    )


def _sum(terms: list[Term]) -> float:
    return float(sum((term.energy_pj for term in terms), Fraction()))


for _name in offered():
    method(_name)(report_method(_name))
