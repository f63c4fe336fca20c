"""What a pass over part of the data gave, as something that adds up and travels as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from snn_energy.counting.counts import Trace, record_fields
from snn_energy.counting.tracefile import trace_bytes, trace_of_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Samples classified correctly, out of how many."""

    correct: int = 0
    total: int = 0
    missing: str | None = None
    """Why there is no accuracy: the first batch that could not be scored decides."""

    def __add__(self, other: Score) -> Score:
        """Merge the scores of two parts of the data, in their order."""
        return Score(
            correct=self.correct + other.correct,
            total=self.total + other.total,
            missing=self.missing or other.missing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Counts and score of some batches."""

    trace: Trace = field(default_factory=Trace)
    score: Score = field(default_factory=Score)
    batches: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        """Merge what two parts of the data gave, in their order."""
        return Outcome(
            trace=self.trace + other.trace, score=self.score + other.score, batches=self.batches + other.batches
        )


def outcome_bytes(outcome: Outcome, extra: dict[str, Any] | None = None) -> bytes:
    """Two lines: an object of the score, the number of batches and `extra`; then the content of a trace file."""
    head = {**(extra or {}), "batches": outcome.batches, "score": record_fields(outcome.score)}
    return json.dumps(head).encode("ascii") + b"\n" + trace_bytes(outcome.trace, "outcome")


def outcome_of_bytes(data: bytes, where: str) -> tuple[Outcome, dict[str, Any]]:
    """The outcome that `outcome_bytes` wrote, and the whole first line.

    Raises:
        ValueError, KeyError, TypeError: the first line is not what was written.
        DataError, TraceError: the trace is not.
    """
    first, _, rest = data.partition(b"\n")
    head = json.loads(first)
    score = Score(**head["score"])
    return Outcome(trace=trace_of_bytes(rest, where), score=score, batches=head["batches"]), head
