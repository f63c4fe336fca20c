"""The counts of this package beside the published methods: see `costing.arithmetic` and `costing.published`.

The terms are written from the report's rows and the rates that it uses, so that their sum is the report's total but for
the rounding of floating-point sums, which rational numbers have not. Memory is that of the default policy: see
`costing.memory`.
"""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.arithmetic import arithmetic, arithmetic_zero_skipping
from snn_energy.costing.memory.pricing_memory import DENSE, ZERO_SKIPPING, with_memory, zero_skipping_with_memory
from snn_energy.costing.memory.records import MemoryUse
from snn_energy.costing.methods import Method
from snn_energy.costing.published import mean_rate
from snn_energy.costing.published_methods.accounts import Book, account_of, is_attention, is_first, rate
from snn_energy.costing.static import STATIC, STATIC_ACTIONS
from snn_energy.counting.counts import DETECTED, LayerCounts

_PLAIN = {"add": "adds", "mul": "muls", "compare": "compares", "special": "specials"}
"""Action -> the field of a row that counts it."""
_TENSORS = {
    "inputs": "inputs and outputs",
    "results": "inputs and outputs",
    "weights": "weights",
    "sums": "potentials",
    "state": "potentials",
}
"""Tensor that is moved -> the part of the energy it belongs to."""


def _part(book: Book, layer: LayerCounts) -> str:
    if is_attention(layer):
        return "attention"
    return "first layer" if is_first(layer, book.trace) else "synapses"


def _write(book: Book, method: Method) -> None:
    assert book.hardware is not None
    parts = {layer.name: _part(book, layer) for layer in book.trace.layers}
    report = method(book.trace, book.hardware)
    for row in report.rows:
        if row.part == "synapses":
            book.charge(parts[row.name], row.name, "mac", row.macs)
            book.charge(parts[row.name], row.name, "ac", row.acs)
            book.charge("bias", row.name, "add", row.adds)
        elif row.part == "neurons" and book.hardware.mentions("neuron_update") and row.kind != DETECTED:
            book.charge("neurons", row.name, "neuron_update", row.updates)
        elif row.name == STATIC and row.kind in STATIC_ACTIONS:
            book.charge("static", row.name, row.kind, row.calls)
        else:
            part = "neurons" if row.part == "neurons" else "other arithmetic"
            for action, counted in _PLAIN.items():
                book.charge(part, row.name, action, getattr(row, counted))
    if report.memory is not None:
        _move(book, report.memory)


def _move(book: Book, use: MemoryUse) -> None:
    """Accesses at the mean price of reads and writes, which leaves the energy of each tensor as it is."""
    bits = {level.name: level.access_bits for level in use.levels}
    for row in use.rows:
        accesses = Fraction(row.read_bits + row.write_bits, bits[row.level])
        book.add(_TENSORS[row.tensor], row.name, "access", accesses, Fraction(row.energy_pj) / accesses)


@account_of("arithmetic")
def _arithmetic(book: Book) -> None:
    _write(book, arithmetic)


@account_of("arithmetic-zero-skipping")
def _zero_skipping(book: Book) -> None:
    _write(book, arithmetic_zero_skipping)


@account_of(DENSE)
def _with_memory(book: Book) -> None:
    _write(book, with_memory(""))


@account_of(ZERO_SKIPPING)
def _zero_skipping_with_memory(book: Book) -> None:
    _write(book, zero_skipping_with_memory(""))


@account_of("every-operation-ac")
def _every_operation_ac(book: Book) -> None:
    mean = mean_rate(book.trace)
    for layer in book.trace.layers:
        share = rate(layer) if layer.operand.kind != "real" else mean
        if share is None:  # no spikes anywhere: the ANN of the comparison
            book.charge(_part(book, layer), layer.name, "mac", layer.dense_macs)
        else:
            book.charge(_part(book, layer), layer.name, "ac", share * layer.dense_macs)
    for part in ("bias", "neurons", "other arithmetic"):
        book.leave(part, "not part of the convention")
