"""The sections on memory and time, where the method and the hardware have them."""

from __future__ import annotations

from fractions import Fraction

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.elements import Element
from snn_energy.reporting.html.pieces import bar, bars, fact_list, grid, section, stacked
from snn_energy.reporting.memory_facts import memory_facts
from snn_energy.reporting.numbers import ENERGY_DECIMALS, apportion, energy_unit, fixed
from snn_energy.reporting.timetable import latency_facts, timetable


def memory_section(document: Document) -> Element | None:
    """What moving each tensor costs at each level; None where the method leaves memory out."""
    memory = document.get("memory")
    if not memory:
        return None
    spent: dict[tuple[str, str], Fraction] = {}
    for row in memory["rows"]:
        place = (row["tensor"], row["level"])
        spent[place] = spent.get(place, Fraction()) + Fraction(row["energy_pj"]) / document["samples"]
    unit, size = energy_unit(sum(spent.values(), Fraction()))
    printed = apportion([pj / size * 10**ENERGY_DECIMALS for pj in spent.values()])
    highest = max(spent.values(), default=Fraction()) or Fraction(1)
    rows = []
    for ((tensor, level), pj), steps in zip(spent.items(), printed, strict=True):
        tip = f"{tensor} in {level}: {fixed(steps, ENERGY_DECIMALS)} {unit}"
        rows.append(
            bar(tensor, stacked([("memory", float(pj / highest), tip)], tip), fixed(steps, ENERGY_DECIMALS), level)
        )
    return section(
        "memory",
        "Memory",
        f"{unit} per inference for moving each tensor, within the energies of its layers.",
        bars(rows, "Energy of moving each tensor"),
        fact_list(memory_facts(document)),
    )


def latency_section(document: Document) -> Element | None:
    """Cycles and seconds of each layer; None where the hardware states no timing."""
    times = timetable(document)
    if times is None:
        return None
    numbers = range(1, len(times.headings) - 1)
    return section(
        "latency",
        "Time",
        "How long one inference takes on this hardware.",
        grid(times.headings, [*times.rows, times.total], "Time of each layer", numbers),
        fact_list(latency_facts(document)),
    )
