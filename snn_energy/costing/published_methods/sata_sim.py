"""SATA_Sim (Yin et al.): power of three units, busy as often as there are spikes, clocked as long as the array runs.

    E_unit = (P_gated * N + (P_ungated + P_leak) * cycles * PEs) / f

for the spike accumulators and the scratch pads (N = dense MACs * T * (1 - sparsity)) and for the neurons
(N = outputs * T). The cycles come from SCALE-Sim: the tool reads them off its SRAM traces, `(start + outputs) * T +
filters` (`costing.timing.systolic.sata_sim_cycles`); a trace of this package gives the compute cycles of the same
8 x 16 weight-stationary array instead. DRAM and SRAM energies need SCALE-Sim's access counts and are left out.
Source: github.com/RuokaiYin/SATA_Sim (commit d447058), inference-energy-cal.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from snn_energy.costing.published_methods.accounts import Book, account_of, is_first, rate, weighted_layers
from snn_energy.costing.published_methods.sheets import Sheet
from snn_energy.costing.timing.matrices import Unknown, product_of
from snn_energy.costing.timing.systolic import compute_cycles
from snn_energy.errors import PriceError

UNITS: Mapping[str, str] = {"spike_mac": "macs", "spad": "macs", "lif": "updates"}
"""Unit of a processing element -> what keeps it busy."""

PJ_PER_NJ = 1000


def busy_pj(sheet: Sheet, unit: str) -> Fraction:
    """Energy in pJ of one operation of a unit: mW / MHz is nJ."""
    return sheet.constant(f"{unit}_gated_mw") / sheet.constant("clock_mhz") * PJ_PER_NJ


def idle_pj(sheet: Sheet, unit: str) -> Fraction:
    """Energy in pJ of one unit in one cycle, whatever it does."""
    power = sheet.constant(f"{unit}_ungated_mw") + sheet.constant(f"{unit}_leak_mw")
    return power / sheet.constant("clock_mhz") * PJ_PER_NJ


def compute_pj(sheet: Sheet, *, macs: int, updates: int, cycles: int) -> Fraction:
    """Energy in pJ of all units for these operations in that many cycles of the whole array."""
    counts = {"macs": macs, "updates": updates}
    elements = sheet.whole("rows") * sheet.whole("cols")
    return sum(
        (
            busy_pj(sheet, unit) * counts[what] + idle_pj(sheet, unit) * cycles * elements
            for unit, what in UNITS.items()
        ),
        Fraction(),
    )


@account_of("sata-sim")
def sata_sim(book: Book) -> None:
    """Its compute energy, on the cycles of the systolic model."""
    trace, sheet = book.trace, book.sheet
    rows, cols = sheet.whole("rows"), sheet.whole("cols")
    for layer in weighted_layers(book, attention="an array with stationary weights has none to hold"):
        part = "first layer" if is_first(layer, trace) else "synapses"
        macs = rate(layer) * layer.dense_macs
        book.add(part, layer.name, "spike-mac", macs, busy_pj(sheet, "spike_mac") + busy_pj(sheet, "spad"))
        product = product_of(layer, trace.samples, trace.time_steps or None)
        if isinstance(product, Unknown):
            raise PriceError(f"{layer.name}: the cycles of the array are not known: {product.reason}")
        once = compute_cycles(product.m, product.n, product.k, rows=rows, cols=cols, dataflow="weight-stationary")
        cycles = once * product.copies * product.passes * trace.samples
        idle = sum((idle_pj(sheet, unit) for unit in UNITS), Fraction())
        book.add(part, layer.name, "cycle", cycles * rows * cols, idle)
    for neuron in trace.neurons:
        book.add("neurons", neuron.name, "update", neuron.updates, busy_pj(sheet, "lif"))
    for part in ("inputs and outputs", "weights", "potentials"):
        book.leave(part, "needs the access counts of SCALE-Sim's SRAM and DRAM traces")
