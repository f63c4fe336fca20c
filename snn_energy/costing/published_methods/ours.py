"""The counts of this package beside the published methods: see `costing.arithmetic` and `costing.published`."""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.arithmetic import arithmetic, arithmetic_zero_skipping
from snn_energy.costing.methods import Method
from snn_energy.costing.published import every_operation_ac
from snn_energy.costing.published_methods.accounts import Book, account_of, is_attention, is_first
from snn_energy.costing.report import ReportRow
from snn_energy.errors import PriceError

_PART_OF_ROW = {"neurons": "neurons", "other": "other arithmetic"}


def _write(book: Book, method: Method) -> None:
    assert book.hardware is not None
    report = method(book.trace, book.hardware)
    if report.unpriced:
        missing = report.unpriced[0]
        raise PriceError(f'hardware "{book.hardware.name}" has no price for "{missing.action}": {missing.reason}')
    parts = {
        layer.name: "attention" if is_attention(layer) else "first layer" if is_first(layer, book.trace) else "synapses"
        for layer in book.trace.layers
    }
    for row in report.rows:
        _row(book, row, _PART_OF_ROW.get(row.part) or parts[row.name])


def _row(book: Book, row: ReportRow, part: str) -> None:
    if row.part == "synapses":
        _share(book, part, row, "mac", row.macs, row.mac_pj)
        _share(book, part, row, "ac", row.acs, row.ac_pj)
        _share(book, "bias", row, "add", row.adds, row.other_pj)
        return
    count = row.updates or row.adds + row.muls + row.compares + row.specials
    _share(book, part, row, "update" if row.updates else "operation", count, row.neuron_pj + row.other_pj)


def _share(book: Book, part: str, row: ReportRow, action: str, count: int, energy_pj: float) -> None:
    """One term from a row's energy, so that the terms add up to the report."""
    if energy_pj and count:
        book.add(part, row.name, action, count, Fraction(energy_pj) / count)
    elif energy_pj:  # a rate times dense MACs that rounds to no operation at all
        book.add(part, row.name, action, 1, Fraction(energy_pj))


@account_of("arithmetic")
def _arithmetic(book: Book) -> None:
    _write(book, arithmetic)


@account_of("arithmetic-zero-skipping")
def _zero_skipping(book: Book) -> None:
    _write(book, arithmetic_zero_skipping)


@account_of("every-operation-ac")
def _every_operation_ac(book: Book) -> None:
    _write(book, every_operation_ac)
    _leave_neurons(book)


def _leave_neurons(book: Book) -> None:
    for part in ("bias", "neurons", "other arithmetic"):
        book.leave(part, "not part of the convention")
