"""Every row of the shipped trap suite, `snn-energy selftest`, one test each."""

from __future__ import annotations

import pytest

from snn_energy.selftest import ROWS, Row, run_row


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_row(row: Row) -> None:
    result = run_row(row)
    assert result.ok, f"{dict(row.expect) or row.refusal} expected, {result.got} got {result.note}; {row.why}"
