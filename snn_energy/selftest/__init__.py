"""The public trap suite: networks on which counters go wrong, with the exact numbers, worked out by hand."""

from snn_energy.selftest.document import as_document, as_list, headline, spelled
from snn_energy.selftest.questions import QUESTIONS, Question
from snn_energy.selftest.rows import Promise, Row, Said
from snn_energy.selftest.running import Result, matching, run_row, run_rows
from snn_energy.selftest.traps import ROWS

__all__ = [
    "QUESTIONS",
    "ROWS",
    "Promise",
    "Question",
    "Result",
    "Row",
    "Said",
    "as_document",
    "as_list",
    "headline",
    "matching",
    "run_row",
    "run_rows",
    "spelled",
]
