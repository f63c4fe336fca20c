"""What a report says of memory: where the energy goes, where tensors lie, what was declared."""

from __future__ import annotations

from fractions import Fraction

from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import ENERGY_DECIMALS, apportion, energy_unit, fixed


def memory_facts(document: Document) -> list[tuple[str, str]]:
    """Labelled sentences; none where the method leaves memory out."""
    memory = document.get("memory")
    if not memory:
        return []
    samples: int = document["samples"]
    spent: dict[tuple[str, str], Fraction] = {}
    for row in memory["rows"]:
        key = (row["tensor"], row["level"])
        spent[key] = spent.get(key, Fraction()) + Fraction(row["energy_pj"]) / samples
    unit, size = energy_unit(sum(spent.values(), Fraction()))
    printed = apportion([part / size * 10**ENERGY_DECIMALS for part in spent.values()])
    parts = ", ".join(
        f"{fixed(value, ENERGY_DECIMALS)} {tensor} in {level}"
        for value, (tensor, level) in zip(printed, spent)
        if value
    )
    total = f"{fixed(sum(printed), ENERGY_DECIMALS)} {unit} per inference, within the rows of its layers"
    found = [("memory", f"{total}: {parts}" if parts else total)]
    found += [
        ("" if number else "assumed", text) for number, text in enumerate((_declared(document), *memory["assumptions"]))
    ]
    return found


def _declared(document: Document) -> str:
    policy = document["memory"]["policy"]
    words = [
        f"kept through each pass of a layer: {', '.join(policy['stays']) or 'nothing'}",
        f"operands that skip zeros stored as {policy['encoding']}",
    ]
    words += [text for key, text in _CHOICES.items() if policy[key]]
    return "; ".join(words) + "; declared, for the SNN and the ANN alike"


_CHOICES = {
    "time_reuse": "weights kept through all time steps",
    "words": "each value an access of its own",
    "stored": "sums stored before they go on",
    "trace_bits": "values as wide as they ran",
    "dram": "the DRAM chosen",
}
"""Choice -> what to say where it is made."""
