"""The section on coverage: everything that ran, and whether it is in the number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.pieces import figure, grid, section

STATES = ("uncounted", "counted", "free")
"""Groups of operators, what is missing first."""
FEW = 3
"""Modules of an operator that are named in the table; the others are counted."""


def certificate_section(document: Document) -> Element:
    """The verdict on coverage and the operators behind it."""
    coverage = document["coverage"]
    numbers = {state: len(coverage[state]) for state in STATES}
    complete = not numbers["uncounted"]
    said = (
        "Complete: every operator that ran is counted, or declared free with a reason."
        if complete
        else "Incomplete: some work is not counted. It is bounded, and the energy is an interval."
    )
    silent = coverage.get("never_called") or []
    headings = ("operator", "state", "calls", "where", "why, or at most")
    listed = ", ".join(f"{number} {state}" for state, number in numbers.items())
    return section(
        "coverage",
        "Coverage certificate",
        [tag("strong", said, class_="good" if complete else "alarm"), f" Operators: {listed}."],
        grid(headings, _operators(coverage), "Operators that ran", (2,), short=(1,), long=(4,)),
        tag("p", tag("b", "Never called: "), ", ".join(silent)) if silent else None,
        _unpriced(document),
    )


def _operators(coverage: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for state in STATES:
        for record in coverage[state]:
            why = f"at most {record['bound']:,} MACs in all samples" if state == "uncounted" else record.get("reason")
            yield record["name"], state, _calls(record), _modules(record), str(why or "")


def _calls(record: Mapping[str, Any]) -> str:
    calls = record.get("calls")
    return f"{calls:,}" if isinstance(calls, int) else ""


def _modules(record: Mapping[str, Any]) -> str:
    modules = record.get("modules")
    if not isinstance(modules, (list, tuple)):
        return ""
    more = f" and {len(modules) - FEW} more" if len(modules) > FEW else ""
    return ", ".join(map(str, modules[:FEW])) + more


def _unpriced(document: Document) -> Element | None:
    items = document.get("unpriced") or ()
    if not items:
        return None
    return figure(
        "Counted, but without a price on this hardware",
        None,
        grid(
            ("action", "in all samples", "reason"),
            ((item["action"], f"{item['count']:,}", item["reason"]) for item in items),
            "Actions without a price",
            (1,),
            long=(2,),
        ),
    )
