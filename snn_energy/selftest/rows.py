"""What a trap is: a network, an input, questions, and answers worked out by hand; one row each, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from torch import nn

from snn_energy.errors import UsageError

Answer = int | str
Build = Callable[[], nn.Module]
Feed = Callable[[], Any]


class Promise(Enum):
    """What a row asks of a counter."""

    EXACT = "exact"
    """Every answer, and nothing left uncounted."""
    HONEST = "honest"
    """Every answer; or a certificate that lists the rest under a bound that holds; or a refusal of one line."""
    AT_LEAST = "at least"
    """No less than the answer, be it counted or only bounded: where the exact number is a matter of algorithm."""
    REFUSED = "refused"
    """An error whose one line holds the row's `refusal`."""


@dataclass(frozen=True, slots=True)
class Said:
    """What another tool answered to a row."""

    tool: str
    """Name and version."""
    answer: Mapping[str, int | float] | str
    """Facts by the names of `questions`, where the tool has an adapter in benchmarks/; else in words."""
    evidence: str = "measured"
    """`measured`: run; `read`: read in its source."""

    def __str__(self) -> str:
        answer = self.answer
        words = answer if isinstance(answer, str) else ", ".join(f"{value:,} {name}" for name, value in answer.items())
        return f"{self.tool}: {words}" + ("" if self.evidence == "measured" else f" ({self.evidence})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trap.

    `expect` maps a question (a name of `questions.QUESTIONS`, or `layer: name` for one layer) to its answer, and `why`
    derives the answer in words. No answer is ever computed by a counter.
    """

    id: str
    title: str
    build: Build
    """Makes the network anew; random weights come from seed 0."""
    feed: Feed
    """Makes what `snn_energy.trace` takes as `data`."""
    why: str
    expect: Mapping[str, Answer] = field(default_factory=lambda: MappingProxyType({}))
    promise: Promise = Promise.EXACT
    refusal: str = ""
    said: tuple[Said, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Keyword arguments of `snn_energy.trace`."""
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Context in which everything runs."""
    before: tuple[Build, Feed] | None = None
    """A count made before, in the same process; it must leave no mark."""
    cpu_only: str = ""
    """Why the network cannot run on any other device; empty where it can."""


ROWS: dict[str, Row] = {}


def trap(id: str, title: str, build: Build, feed: Feed, why: str, **keywords: Any) -> None:
    """Add a row.

    Keywords that are fields of `Row` set them; `of` holds questions about single layers, `{"fc: events": 10}`; every
    other keyword is a question about the whole network, `events=64`.
    """
    if id in ROWS:
        raise UsageError(f"selftest: there is a row {id!r} already ({ROWS[id].title}); give the new one another id")
    fields = {name: keywords.pop(name) for name in _OPTIONAL if name in keywords}
    expect: dict[str, Answer] = {**keywords.pop("of", {}), **keywords}
    ROWS[id] = Row(id=id, title=title, build=build, feed=feed, why=why, expect=expect, **fields)


_OPTIONAL = ("promise", "refusal", "said", "options", "around", "before", "cpu_only")
