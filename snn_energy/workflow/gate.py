"""Conditions that a report must meet, for a gate in continuous integration: each one a verdict and one line.

Unknown is never good enough: an energy is compared with its upper bound, which holds uncounted work, and a condition on
what the report does not know fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import energy_unit
from snn_energy.workflow.attribution import Attribution, attribute

FORMAT = 1
"""Version of the JSON form."""
PJ_PER_UJ = 10**6
MS_PER_S = 10**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What to ask of a report; None or False asks nothing."""

    max_uj: Fraction | None = None
    """Energy of one inference in µJ."""
    max_latency_ms: Fraction | None = None
    """Time of one inference in ms."""
    min_accuracy: Fraction | None = None
    """Share of correct samples, 0 to 1."""
    baseline: Document | None = None
    """Another report, whose energy must not be exceeded by more than `tolerance`."""
    tolerance: Fraction = Fraction()
    """Share of the baseline's energy."""
    require_complete: bool = False
    """Everything counted and priced."""

    @property
    def asked(self) -> bool:
        """Whether there is any condition."""
        limits = (self.max_uj, self.max_latency_ms, self.min_accuracy, self.baseline)
        return self.require_complete or any(limit is not None for limit in limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One condition, judged."""

    condition: str
    passed: bool
    text: str
    """What was found, against what was asked, on one line."""
    got: float | None = None
    limit: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "condition": self.condition, "passed": self.passed, "got": self.got, "limit": self.limit,
            "text": self.text,
        }  # fmt: skip


def verdicts(document: Document, conditions: Conditions) -> list[Verdict]:
    """Judge every condition that is asked, in the order of the table."""
    return [verdict for judge in _JUDGES for verdict in judge(document, conditions)]


def to_dict(found: list[Verdict]) -> dict[str, Any]:
    """The JSON form."""
    return {
        "format": FORMAT,
        "passed": all(verdict.passed for verdict in found),
        "conditions": [verdict.to_dict() for verdict in found],
    }


def annotation(verdict: Verdict) -> str:
    """A failed condition as a workflow command of GitHub Actions, which marks it in the run's summary."""
    text = verdict.text
    for mark, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(mark, code)
    return f"::error title=snn-energy check {verdict.condition}::{text}"


def _upper_pj(document: Document) -> Fraction:
    totals = document["totals"]
    exact = sum((Fraction(str(row["energy_pj"])) for row in document["rows"]), Fraction())
    uncounted = max(Fraction(str(totals["energy_upper_pj"])) - Fraction(str(totals["energy_pj"])), Fraction())
    return (exact + uncounted) / int(document["samples"])


def _energy(document: Document, conditions: Conditions) -> Iterator[Verdict]:
    limit = conditions.max_uj
    if limit is None:
        return
    got = _upper_pj(document) / PJ_PER_UJ
    bound = " (with the bound on uncounted work)" if document["totals"]["energy_upper_pj"] > document["totals"][
        "energy_pj"
    ] else ""  # fmt: skip
    yield Verdict(
        condition="max-uj",
        passed=got <= limit,
        text=f"energy is {_number(got)} µJ{bound}, at most {_number(limit)} µJ asked{_unpriced(document)}",
        got=float(got),
        limit=float(limit),
    )


def _latency(document: Document, conditions: Conditions) -> Iterator[Verdict]:
    limit = conditions.max_latency_ms
    if limit is None:
        return
    latency: Mapping[str, Any] = document.get("latency") or {}
    seconds = latency.get("seconds")
    asked = f"at most {_number(limit)} ms asked"
    if seconds is None:
        why = latency.get("seconds_missing") or f"{document['hardware']['name']} states no timing"
        yield Verdict(
            condition="max-latency-ms", passed=False, limit=float(limit), text=f"latency is unknown ({why}), {asked}"
        )
        return
    got = Fraction(str(seconds)) * MS_PER_S
    yield Verdict(
        condition="max-latency-ms",
        passed=got <= limit,
        text=f"latency is {_number(got)} ms, {asked}",
        got=float(got),
        limit=float(limit),
    )


def _accuracy(document: Document, conditions: Conditions) -> Iterator[Verdict]:
    limit = conditions.min_accuracy
    if limit is None:
        return
    accuracy = document.get("accuracy")
    asked = f"at least {_number(100 * limit)} % asked"
    if not accuracy:
        why = document.get("accuracy_missing") or "the report has none"
        yield Verdict(
            condition="min-accuracy", passed=False, limit=float(limit), text=f"accuracy is unknown ({why}), {asked}"
        )
        return
    got = Fraction(accuracy["correct"], accuracy["total"])
    yield Verdict(
        condition="min-accuracy",
        passed=got >= limit,
        text=f"accuracy is {_number(100 * got)} % ({accuracy['correct']:,} of {accuracy['total']:,}), {asked}",
        got=float(got),
        limit=float(limit),
    )


ALIKE: Mapping[str, Callable[[Document], object]] = {
    "hardware": lambda document: document["hardware"]["name"],
    "prices": lambda document: {k: price["value_pj"] for k, price in document["hardware"].get("energy_pj", {}).items()},
    "method": lambda document: document.get("method"),
    "data": lambda document: document.get("dataset"),
    "samples": lambda document: document["samples"],
}
"""What a report and its baseline must share."""


def _baseline(document: Document, conditions: Conditions) -> Iterator[Verdict]:
    base = conditions.baseline
    if base is None:
        return
    unlike = [what for what, value in ALIKE.items() if value(document) != value(base)]
    if unlike:
        what = unlike[0]
        pair = "" if what == "prices" else f" (got {ALIKE[what](document)}, expected {ALIKE[what](base)})"
        yield Verdict(
            condition="baseline",
            passed=False,
            text=f"the baseline is of other {' and '.join(unlike)}{pair}: make both reports alike, then compare",
        )
        return
    found = attribute(base, document)
    got, old = _upper_pj(document), _upper_pj(base)
    limit = old * (1 + conditions.tolerance)
    unit, size = energy_unit(max(got, old))
    grown = f"{float(100 * (got / old - 1)):+.2f} %" if old else "from nothing"
    text = (
        f"energy is {_number(got / size)} {unit}, {grown} against the baseline's {_number(old / size)} {unit}, at most "
        f"+{_number(100 * conditions.tolerance)} % asked{'' if got <= limit else _culprit(found)}"
    )
    yield Verdict(
        condition="baseline",
        passed=got <= limit,
        text=text,
        got=float(got / PJ_PER_UJ),
        limit=float(limit / PJ_PER_UJ),
    )


def _culprit(found: Attribution) -> str:
    """The layer that grew most, and why."""
    change = max(found.changes, key=lambda one: one.change_pj, default=None)
    if change is None or not change.terms:
        return ""
    term = max(change.terms, key=lambda one: one.energy_pj)
    unit, size = energy_unit(change.change_pj)
    return f"; most in {change.name} (+{_number(change.change_pj / size)} {unit}, {term.cause})"


def _complete(document: Document, conditions: Conditions) -> Iterator[Verdict]:
    if not conditions.require_complete:
        return
    coverage = document["coverage"]
    missing = [f"{one['name']} uncounted" for one in coverage.get("uncounted") or ()]
    missing += [f"{one['action']} unpriced" for one in document.get("unpriced") or ()]
    if not missing and document.get("complete") is False:
        missing = ["the report says so"]
    shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    yield Verdict(
        condition="require-complete",
        passed=not missing,
        text=f"incomplete: {shown}" if missing else "everything is counted and priced",
    )


_JUDGES: tuple[Callable[[Document, Conditions], Iterator[Verdict]], ...] = (
    _energy,
    _latency,
    _accuracy,
    _baseline,
    _complete,
)


def _unpriced(document: Document) -> str:
    actions = ", ".join(item["action"] for item in document.get("unpriced") or ())
    return f" (without {actions}, unpriced)" if actions else ""


def _number(value: Fraction) -> str:
    """Up to six significant digits."""
    return f"{float(value):.6g}"
