"""The complete methods as methods of `price`: one row for each record of the trace.

`mac_pj` and `ac_pj` hold the projections, `neuron_pj` the neurons, `memory_pj` the memories of methods that count them,
and `other_pj` what else the method charges a record: biases, addressing. The arithmetic is priced on the hardware asked
for, memory by the method's own sheet. A method of which something could not be carried over is not offered here: its
total would pass for the whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

from snn_energy.costing.arithmetic import arithmetic
from snn_energy.costing.memory.pricing_memory import DENSE, ZERO_SKIPPING
from snn_energy.costing.methods import Method, method
from snn_energy.costing.published_methods.accounts import account, account_names
from snn_energy.costing.published_methods.sheets import load_sheet
from snn_energy.costing.published_methods.terms import Term
from snn_energy.costing.report import Report, ReportRow, layer_report_row, neuron_report_row
from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace
from snn_energy.errors import PriceError
from snn_energy.hardware import Hardware

_PROJECTION = frozenset({"first layer", "synapses", "attention"})
_OURS = frozenset({"arithmetic", "arithmetic-zero-skipping", "every-operation-ac", DENSE, ZERO_SKIPPING})
_MEMORY = frozenset({"inputs and outputs", "weights", "potentials"})


def offered() -> tuple[str, ...]:
    """Methods that `price` takes besides those of `costing.arithmetic` and `costing.published`."""
    sheets = (load_sheet(name) for name in account_names() if name not in _OURS)
    return tuple(s.name for s in sheets if s.hardware is not None and s.partial is None)


def report_method(name: str) -> Method:
    """The method of this name as a function from a trace and a profile to a report."""

    moves = load_sheet(name).counts["memory"] != "no"

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
                *(_layer(layer, terms[layer.name], moves=moves) for layer in trace.layers),
                *(_neuron(neuron, terms[neuron.name], moves=moves) for neuron in trace.neurons),
            ),
            uncounted_pj=uncounted,
        )

    return priced


def _layer(layer: LayerCounts, terms: list[Term], *, moves: bool) -> ReportRow:
    main = {a: [t for t in terms if t.part in _PROJECTION and t.action == a] for a in ("mac", "ac")}
    return replace(
        layer_report_row(layer),
        macs=round(sum((t.count for t in main["mac"]), Fraction())),
        acs=round(sum((t.count for t in main["ac"]), Fraction())),  # no whole number where rates are multiplied
        mac_pj=_sum(main["mac"]),
        ac_pj=_sum(main["ac"]),
        other_pj=_sum([t for t in terms if t.part not in _PROJECTION | _MEMORY]),
        memory_pj=_sum([t for t in terms if t.part in _MEMORY]) if moves else None,
    )


def _neuron(neuron: NeuronCounts, terms: list[Term], *, moves: bool) -> ReportRow:
    return replace(
        neuron_report_row(neuron),
        neuron_pj=_sum([t for t in terms if t.part == "neurons"]),
        other_pj=_sum([t for t in terms if t.part not in _MEMORY and t.part != "neurons"]),
        memory_pj=_sum([t for t in terms if t.part in _MEMORY]) if moves else None,
    )


def _sum(terms: list[Term]) -> float:
    return float(sum((term.energy_pj for term in terms), Fraction()))


for _name in offered():
    method(_name)(report_method(_name))
