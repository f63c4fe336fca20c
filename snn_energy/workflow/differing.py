"""The tables of a difference between two reports: printed rows that add up to the printed totals."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import ENERGY_DECIMALS, apportion, energy_unit, fixed, nearest, short
from snn_energy.workflow.attribution import Attribution, Change, Term

FORMAT = 1
"""Version of the JSON form."""
SHOWN_TERMS = 12
"""Terms that the terminal lists; the others share one line."""

NAMED = ("network", "checkpoint", "dataset", "samples", "time_steps", "method")
"""Keys of a report whose difference is named."""


def settings(old: Document, new: Document) -> list[tuple[str, Any, Any]]:
    """What the two reports were made with, where it differs: (what, old, new)."""
    found = [(key, old.get(key), new.get(key)) for key in NAMED if old.get(key) != new.get(key)]
    names = old["hardware"]["name"], new["hardware"]["name"]
    if names[0] != names[1]:
        found.append(("hardware", *names))
    elif old["hardware"] != new["hardware"]:
        found.append(("hardware", f"{names[0]} (old prices)", f"{names[1]} (new prices)"))
    return found


def to_dict(old: Document, new: Document, found: Attribution) -> dict[str, Any]:
    """Plain values for JSON; energies in pJ for one inference."""
    return {
        "format": FORMAT,
        "settings": {what: [before, after] for what, before, after in settings(old, new)},
        "old_pj": float(found.old_pj),
        "new_pj": float(found.new_pj),
        "change_pj": float(found.new_pj - found.old_pj),
        "causes_pj": {cause: float(energy) for cause, energy in found.by_cause.items()},
        "residue_pj": float(found.residue_pj),
        "unpriced": {"old": _unpriced(old), "new": _unpriced(new)},
        "uncounted_pj": {"old": _uncounted(old), "new": _uncounted(new)},
        "rows": [_row(change) for change in found.changes],
    }


def _row(change: Change) -> dict[str, Any]:
    return {
        "name": change.name,
        "old_name": change.old_name,
        "part": change.part,
        "kind": change.kind,
        "old_pj": float(change.old_pj),
        "new_pj": float(change.new_pj),
        "change_pj": float(change.change_pj),
        "terms": [
            {
                "action": term.action or None,
                "cause": term.cause,
                "energy_pj": float(term.energy_pj),
                "old": None if term.old is None else float(term.old),
                "new": None if term.new is None else float(term.new),
            }
            for term in change.terms
        ],
    }


def _unpriced(document: Document) -> list[str]:
    return [item["action"] for item in document.get("unpriced") or ()]


def _uncounted(document: Document) -> float:
    totals = document["totals"]
    return float((totals["energy_upper_pj"] - totals["energy_pj"]) / document["samples"])


def notes(old: Document, new: Document, found: Attribution) -> list[str]:
    """What a reader must know beside the tables."""
    said = []
    for change in found.changes:
        if change.renamed:
            said.append(f"{change.old_name} is {change.name} now: same kind, same size or a similar name.")
    for word, document in (("old", old), ("new", new)):
        if _unpriced(document):
            said.append(f"{word}: {', '.join(_unpriced(document))} unpriced, in no energy here.")
        if _uncounted(document):
            said.append(f"{word}: uncounted work could add {_text(Fraction(_uncounted(document)))}.")
    return said


def _text(pj: Fraction) -> str:
    unit, size = energy_unit(pj)
    return f"{fixed(nearest(pj / size * 10**ENERGY_DECIMALS), ENERGY_DECIMALS)} {unit}"


class Printed:
    """Energies of a difference in steps of the last printed digit of one unit, so that all tables add up."""

    def __init__(self, found: Attribution) -> None:
        self.found = found
        self.unit, size = energy_unit(max(found.old_pj, found.new_pj))
        scale = Fraction(10**ENERGY_DECIMALS, size)
        self.old = apportion([change.old_pj * scale for change in found.changes])
        self.new = apportion([change.new_pj * scale for change in found.changes])
        self.change = [b - a for a, b in zip(self.old, self.new, strict=True)]
        self.terms = [
            shared([term.energy_pj * scale for term in change.terms], total)
            for change, total in zip(found.changes, self.change, strict=True)
        ]

    @property
    def total(self) -> tuple[int, int, int]:
        """Old, new, change."""
        return sum(self.old), sum(self.new), sum(self.change)

    def layers(self) -> list[list[str]]:
        """Rows that changed, one for all others, the total."""
        rows, same = [], [0, 0]
        for i, change in enumerate(self.found.changes):
            if change.terms:
                rows.append([_label(change), plain(self.old[i]), plain(self.new[i]), signed(self.change[i])])
            else:
                same[0], same[1] = same[0] + self.old[i], same[1] + self.new[i]
        if any(not change.terms for change in self.found.changes):
            rows.append(["(unchanged)", plain(same[0]), plain(same[1]), signed(same[1] - same[0])])
        old, new, total = self.total
        return [*rows, ["total", plain(old), plain(new), signed(total)]]

    def causes(self) -> list[list[str]]:
        """What each cause adds, those of no term left out, and the total."""
        sums: dict[str, int] = {}
        for change, steps in zip(self.found.changes, self.terms, strict=True):
            for term, value in zip(change.terms, steps, strict=True):
                sums[term.cause] = sums.get(term.cause, 0) + value
        rows = [[cause, signed(sums[cause])] for cause in self.found.by_cause if cause in sums]
        left = self.total[2] - sum(sums.values())
        return [*rows, *([["(rounding)", signed(left)]] if left else []), ["total", signed(self.total[2])]]

    def reasons(self) -> list[list[str]]:
        """The largest terms, one row for all others, and the total."""
        listed = [
            (abs(term.energy_pj), _label(change), term, value)
            for change, steps in zip(self.found.changes, self.terms, strict=True)
            for term, value in zip(change.terms, steps, strict=True)
        ]
        listed.sort(key=lambda item: -item[0])
        top, others = listed[:SHOWN_TERMS], listed[SHOWN_TERMS:]
        rows = [[name, term.cause, term.action, *_ends(term), signed(value)] for _, name, term, value in top]
        left = self.total[2] - sum(value for *_, value in top)
        if others or left:
            rows.append([f"({len(others)} others)" if others else "(rounding)", "", "", "", "", signed(left)])
        return [*rows, ["total", "", "", "", "", signed(self.total[2])]]


def _label(change: Change) -> str:
    if change.one_sided:
        return f"{'+' if change.old_name is None else '-'} {change.name}"
    return change.name if change.part != "other" else f"{change.name} {change.kind}"


def _ends(term: Term) -> tuple[str, str]:
    if term.old is None or term.new is None:
        return "", ""
    if term.cause == "size":
        return short(nearest(term.old)), short(nearest(term.new))
    if term.cause == "price" and term.action:
        return f"{float(term.old):.3g} pJ", f"{float(term.new):.3g} pJ"
    return f"{float(term.old):.4f}", f"{float(term.new):.4f}"


def shared(values: Sequence[Fraction], total: int) -> list[int]:
    """Round values of any sign to integers whose sum is `total`; what rounding leaves goes to the largest ones."""
    steps = [nearest(value) for value in values]
    left = total - sum(steps)
    order = sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))
    for i in order[: abs(left)]:
        steps[i] += 1 if left > 0 else -1
    return steps


def plain(steps: int) -> str:
    """Steps as a number."""
    return fixed(steps, ENERGY_DECIMALS)


def signed(steps: int) -> str:
    """Steps as a number with its sign; 0 has none."""
    return f"{'' if not steps else '+' if steps > 0 else '-'}{fixed(abs(steps), ENERGY_DECIMALS)}"
