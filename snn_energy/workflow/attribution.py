"""Why the energy of a network changed between two reports, layer by layer; the terms add up exactly.

A row's energy is Σ n x p over its actions, with n = b x r: b the connections (of a projection) or updates (of neurons),
r the actions for each of them. Between two reports, action by action,

    b' r' p' - b r p  =  (b' - b) r p  +  b' (r' - r) p  +  b' r' (p' - p)

which are the terms of size, of rate, and of price. All numbers are rationals (prices as the decimals they were written
as), so the terms of all rows add up to the difference of the totals with residue 0. Other causes:

| cause   | what                                                                                               |
|---------|----------------------------------------------------------------------------------------------------|
| size    | more or fewer connections, updates, element-wise operations: shapes and time steps                 |
| rate    | more or fewer events for each connection, or spikes for each update                                |
| operand | spikes became real values, or the other way round: a MAC for each connection, or an AC an event    |
| price   | another hardware profile, or another policy for integer spikes                                     |
| memory  | traffic, where both methods count it                                                               |
| method  | what another method charges; of methods whose rows are no count x price, also what follows from    |
|         | counts and prices at once                                                                          |
| layers  | rows that only one of the reports has                                                              |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.workflow.pairing import Row, pairs

CAUSES = ("size", "rate", "operand", "price", "memory", "method", "layers")

FAMILY = ("arithmetic", "arithmetic-zero-skipping")
"""Methods whose rows are counts x prices, with or without "+memory"."""

ROUNDING = Fraction(1, 10**9)
"""Relative difference up to which a float in a report is taken for its exact count x price."""

ARITHMETIC = {"add": "adds", "mul": "muls", "compare": "compares", "special": "specials"}
"""Action -> the key of its count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One reason, for one inference."""

    action: str
    """"" where it is no single action."""
    cause: str
    energy_pj: Fraction
    old: Fraction | None = None
    """What changed: connections or updates, actions for each of them, or the price in pJ."""
    new: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row of both reports."""

    name: str
    old_name: str | None
    """Where it was renamed, or is gone; None for a new row."""
    part: str
    kind: str
    old_pj: Fraction
    new_pj: Fraction
    terms: tuple[Term, ...]

    @property
    def change_pj(self) -> Fraction:
        """New energy less the old one."""
        return self.new_pj - self.old_pj

    one_sided: bool = False
    """Whether only one of the reports has it."""

    @property
    def renamed(self) -> bool:
        """Whether both reports have the row, under two names."""
        return self.old_name not in (None, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """All rows of two reports, for one inference."""

    changes: tuple[Change, ...]

    @property
    def old_pj(self) -> Fraction:
        """Total of the old report."""
        return sum((change.old_pj for change in self.changes), Fraction())

    @property
    def new_pj(self) -> Fraction:
        """Total of the new report."""
        return sum((change.new_pj for change in self.changes), Fraction())

    @property
    def by_cause(self) -> dict[str, Fraction]:
        """Energy of each cause in pJ, in the order of CAUSES; together the change of the total."""
        found = dict.fromkeys(CAUSES, Fraction())
        for change in self.changes:
            for term in change.terms:
                found[term.cause] += term.energy_pj
        return found

    @property
    def residue_pj(self) -> Fraction:
        """What the terms leave unexplained: 0."""
        return self.new_pj - self.old_pj - sum(self.by_cause.values(), Fraction())


@dataclass(frozen=True, slots=True)
class _Work:
    """One action of one row, for one inference."""

    base: Fraction
    rate: Fraction
    price_pj: Fraction

    @property
    def energy_pj(self) -> Fraction:
        return self.base * self.rate * self.price_pj


_NOTHING = _Work(Fraction(), Fraction(), Fraction())


class _Side:
    """One report: its prices, and what its rows are made of."""

    def __init__(self, document: Document) -> None:
        hardware: Mapping[str, Any] = document["hardware"]
        self.samples: int = document["samples"]
        self.method = str(document.get("method"))
        self.base, _, self.memory = self.method.partition(":")[0].partition("+")
        self.integers = hardware.get("integer_spikes")
        priced: Mapping[str, Any] = hardware.get("energy_pj", {})
        self.prices = {action: Fraction(str(price["value_pj"])) for action, price in priced.items()}
        said = {*priced, *(hardware.get("unpriced") or ()), *(hardware.get("included") or ())}
        self.updates_priced = "neuron_update" in said

    def price(self, action: str) -> Fraction:
        """0 where there is none, or another price contains it: the energies have no such part either."""
        return self.prices.get(action, Fraction())

    def work(self, row: Row) -> dict[str, _Work]:
        """Actions of a row."""
        if row["part"] == "synapses":
            counts = {"mac": (row["macs"], row["connections"]), "ac": (row["acs"], row["connections"])}
            counts["add"] = (row["adds"], row["adds"])
        elif row["part"] == "neurons" and self.updates_priced and row["kind"] != "detected":
            counts = {"neuron_update": (row["updates"], row["updates"])}
        elif row["part"] == "neurons":
            counts = {action: (row[key], row["updates"]) for action, key in ARITHMETIC.items()}
        else:
            counts = {action: (row[key], row[key]) for action, key in ARITHMETIC.items()}
        return {
            action: _Work(Fraction(base, self.samples), Fraction(count, base), self.price(action))
            for action, (count, base) in counts.items()
            if base
        }

    def stated_pj(self, row: Row) -> Fraction:
        """Energy of a row without memory, as the report states it."""
        parts = sum((Fraction(row[f"{part}_pj"]) for part in ("mac", "ac", "neuron", "other")), Fraction())
        return parts / self.samples

    def memory_pj(self, row: Row) -> Fraction:
        return Fraction(row.get("memory_pj") or 0) / self.samples

    def rest_pj(self, row: Row) -> Fraction:
        """What a row costs beyond its counts x prices; 0 for the arithmetic methods."""
        stated = self.stated_pj(row)
        explained = sum((work.energy_pj for work in self.work(row).values()), Fraction())
        return Fraction() if abs(stated - explained) <= ROUNDING * max(stated, explained) else stated - explained

    def energy_pj(self, row: Row) -> Fraction:
        """Exact energy of a row: counts x prices, and what there is beyond."""
        explained = sum((work.energy_pj for work in self.work(row).values()), Fraction())
        return explained + self.rest_pj(row) + self.memory_pj(row)


def attribute(old: Document, new: Document) -> Attribution:
    """Lead the energy of `old` to that of `new`, row by row."""
    before, after = _Side(old), _Side(new)
    return Attribution(
        changes=tuple(
            _change(row, instead, before, after)
            for row, instead in pairs(old["rows"], new["rows"], before.samples, after.samples)
        )
    )


def _change(row: Row | None, instead: Row | None, before: _Side, after: _Side) -> Change:
    old_pj = Fraction() if row is None else before.energy_pj(row)
    new_pj = Fraction() if instead is None else after.energy_pj(instead)
    if row is None or instead is None:
        there = row or instead
        assert there is not None
        cause = "method" if _unlike(before, after) and there["part"] == "other" else "layers"  # some have no such rows
        terms = [Term(action="", cause=cause, energy_pj=new_pj - old_pj)]
    else:
        there = instead
        terms = list(_terms(row, instead, before, after))
    return Change(
        name=there["name"],
        old_name=None if row is None else row["name"],
        part=there["part"],
        kind=there["kind"],
        old_pj=old_pj,
        new_pj=new_pj,
        terms=tuple(term for term in terms if term.energy_pj),
        one_sided=row is None or instead is None,
    )


def _terms(row: Row, instead: Row, before: _Side, after: _Side) -> Iterator[Term]:
    if _unlike(before, after):
        yield Term(action="", cause="method", energy_pj=after.energy_pj(instead) - before.energy_pj(row))
        return
    old, new = before.work(row), after.work(instead)
    operand = _operand(row), _operand(instead)
    if before.base != after.base and operand[0] == "real":
        counted = _recounted(row, after)
        work = old.get("mac", _NOTHING)
        moved = _Work(work.base, counted, work.price_pj)
        yield Term(action="mac", cause="method", energy_pj=moved.energy_pj - work.energy_pj,
                   old=work.rate, new=moved.rate)  # fmt: skip
        old["mac"] = moved
    second = "rate"
    if operand[0] != operand[1]:
        second = "operand"
    elif operand[0] == "integer" and before.integers != after.integers:
        second = "price"
    for action in dict.fromkeys([*old, *new]):
        a, b = old.get(action), new.get(action)
        synaptic = action in ("mac", "ac")
        if a is None or b is None:  # of another price list: updates as a whole, or their arithmetic
            a, b = a or _NOTHING, b or _NOTHING
            one_list = before.updates_priced == after.updates_priced
            cause = "price" if row["part"] == "neurons" and not one_list else "size"
            yield Term(action=action, cause=cause, energy_pj=b.energy_pj - a.energy_pj)
            continue
        p = a.price_pj
        yield Term(action=action, cause="size", energy_pj=(b.base - a.base) * a.rate * p, old=a.base, new=b.base)
        yield Term(action=action, cause=second if synaptic else "rate", energy_pj=b.base * (b.rate - a.rate) * p,
                   old=a.rate, new=b.rate)  # fmt: skip
        yield Term(action=action, cause="price", energy_pj=b.base * b.rate * (b.price_pj - p), old=p, new=b.price_pj)
    rest = after.rest_pj(instead) - before.rest_pj(row)
    yield Term(action="", cause=_cause_of_rest(row, instead, before, after), energy_pj=rest)
    memory = "memory" if before.memory and after.memory else "method"
    yield Term(action="", cause=memory, energy_pj=after.memory_pj(instead) - before.memory_pj(row))


def _unlike(before: _Side, after: _Side) -> bool:
    """Whether the rows of the two methods cannot be led from one to the other, action by action."""
    return before.base != after.base and not {before.base, after.base} <= set(FAMILY)


def _cause_of_rest(row: Row, instead: Row, before: _Side, after: _Side) -> str:
    """Why a row costs more beyond its counts x prices: what else changed, or the method where that is not one thing."""
    if before.method != after.method:
        return "method"
    names = ("connections", "updates", "macs", "acs", "spikes", "adds")
    old, new = (
        [Fraction(one[name], side.samples) for name in names] for one, side in ((row, before), (instead, after))
    )
    if before.prices == after.prices:
        return "rate" if old[:2] == new[:2] else "size"
    return "price" if old == new else "method"


def _operand(row: Row) -> str:
    """Class of the operand as it is charged: binary and ternary spikes are both accumulates."""
    kind = str(row["operand"] or "").split(" ")[0]
    return "spikes" if kind in ("silent", "binary", "ternary") else kind


def _recounted(row: Row, side: _Side) -> Fraction:
    """MACs for each connection of a real-valued operand, as the other method counts them."""
    if not row["connections"]:
        return Fraction()
    events: int = row.get("events", row["connections"])
    return Fraction(events if side.base == FAMILY[1] else row["connections"], row["connections"])
