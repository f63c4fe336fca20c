"""The ANNs that a report compares the network with, all alike: the twin, its quantised sibling, and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import without_price
from snn_energy.reporting.numbers import ratio
from snn_energy.reporting.verdict import SHOWN, baseline_name

MACHINES = {"arithmetic": "dense", "arithmetic-zero-skipping": "zero-skipping"}
"""Method of a comparison, without memory -> the machine it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """One ANN on one machine, beside the SNN by the same method."""

    name: str
    """As in `baselines.crossover_table.BASELINES`."""
    label: str
    """What sentences call it."""
    comparison: Mapping[str, Any]

    @property
    def words(self) -> str | None:
        """How the SNN compares, like "4.29 times less than"; None where there is no ratio."""
        value, low, high = (self.comparison[key] for key in ("ratio", "ratio_low", "ratio_high"))
        if value is None:
            return None
        if low is not None and high is not None and low != high:
            return f"between {ratio(low)} and {ratio(high)} times less than"
        if not value:
            return "more than"
        if ratio(value) == "1.00":
            return "as much as"
        return f"{ratio(value)} times less than" if value > 1 else f"{ratio(1 / value)} times more than"


def rivals(document: Document) -> list[Rival]:
    """Every comparison that the hardware has the prices for, in the order of the report."""
    found = []
    for prefix, holder, baseline in _sides(document):
        if without_price({"unpriced": [*document.get("unpriced", ()), *(baseline or {}).get("unpriced", ())]}):
            continue
        for item in holder.get("comparison") or ():
            method = str(item["method"])
            name = prefix + MACHINES.get(method.partition("+")[0], method)
            found.append(Rival(name=name, label=baseline_name(document, name), comparison=item))
    return found


def main_rivals(document: Document) -> list[Rival]:
    """Those that a sentence names: the quantised twin only where it costs least."""
    return [rival for rival in rivals(document) if rival.name in SHOWN]


def _sides(document: Document) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any] | None]]:
    """Prefix of the names, what holds the comparisons, and the ANN's report."""
    sides: list[tuple[str, Mapping[str, Any], Mapping[str, Any] | None]] = []
    if document.get("baseline") is not None:
        sides.append(("", document, document["baseline"]))
    for key in ("quantised", "ann"):
        rival = document.get(key)
        if rival:
            sides.append((f"{key}-", rival, rival.get("baseline")))
    return sides
