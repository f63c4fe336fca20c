"""Which row of one report is which row of another: by name first, renamed layers by what they are and their place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
Pair = tuple[Row | None, Row | None]

ALIKE = 0.8
"""Names of one kind that share this much, as difflib measures it, are taken for one layer that was renamed."""


def pairs(old: Sequence[Row], new: Sequence[Row], old_samples: int, new_samples: int) -> list[Pair]:
    """Rows of both sides in the order of the new report, removed ones behind; None where a side has no such row.

    Rows match by part, name and kind; then by part, kind and size for one inference, in order; then by part, kind and
    the most similar name, where it is similar enough.
    """
    partner: dict[int, int] = {}
    for key in (
        lambda row, _: (row["part"], row["name"], row["kind"]),
        lambda row, samples: (row["part"], row["kind"], _size(row, samples)),
    ):
        _match(partner, old, new, lambda row: key(row, old_samples), lambda row: key(row, new_samples))  # noqa: B023
    _match_names(partner, old, new)
    taken = set(partner.values())
    found: list[Pair] = [(old[partner[j]] if j in partner else None, row) for j, row in enumerate(new)]
    return found + [(row, None) for i, row in enumerate(old) if i not in taken]


def _size(row: Row, samples: int) -> tuple[Fraction, ...]:
    names = ("dense_macs", "connections", "updates") if row["part"] != "other" else ("adds", "muls", "compares")
    return tuple(Fraction(row.get(name, 0), samples) for name in names)


def _match(
    partner: dict[int, int],
    old: Sequence[Row],
    new: Sequence[Row],
    old_key: Callable[[Row], object],
    new_key: Callable[[Row], object],
) -> None:
    waiting: dict[object, list[int]] = defaultdict(list)
    taken = set(partner.values())
    for i, row in enumerate(old):
        if i not in taken:
            waiting[old_key(row)].append(i)
    for j, row in enumerate(new):
        if j not in partner and waiting[new_key(row)]:
            partner[j] = waiting[new_key(row)].pop(0)


def _likeness(a: str, b: str) -> float:
    """From 0 to 1; 1 for a name inside another module, like fc and net.fc."""
    inside = a.endswith(f".{b}") or b.endswith(f".{a}")
    return 1.0 if inside else SequenceMatcher(None, a, b).ratio()


def _match_names(partner: dict[int, int], old: Sequence[Row], new: Sequence[Row]) -> None:
    taken = set(partner.values())
    candidates = sorted(
        (-_likeness(before["name"], row["name"]), j, i)
        for j, row in enumerate(new)
        if j not in partner
        for i, before in enumerate(old)
        if i not in taken and (before["part"], before["kind"]) == (row["part"], row["kind"])
    )
    for likeness, j, i in candidates:
        if -likeness >= ALIKE and j not in partner and i not in taken:
            partner[j] = i
            taken.add(i)
