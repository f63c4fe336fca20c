"""A time with its bounds: what a sum over time steps leaves open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Span:
    """An exact time in one unit (cycles or ns): the least, that of evenly spread events, and the most it can be.

    `even` and `high` are None where they cannot be known.
    """

    low: Fraction
    even: Fraction | None
    high: Fraction | None

    def times(self, count: int) -> Span:
        """The same again and again."""
        return Span(self.low * count, *(None if end is None else end * count for end in (self.even, self.high)))

    def at_least(self, bound: Fraction) -> Span:
        """The larger of the two, end by end: two things that happen at the same time."""
        return Span(max(self.low, bound), *(None if end is None else max(end, bound) for end in (self.even, self.high)))


NOTHING = Span(Fraction(), Fraction(), Fraction())


def exactly(time: Fraction | int) -> Span:
    """A time that is known."""
    return Span(Fraction(time), Fraction(time), Fraction(time))


def in_turn(spans: Iterable[Span]) -> Span:
    """One after another: sums, unknown as soon as one is."""
    low, even, high = Fraction(), Fraction(0), Fraction(0)
    known_even = known_high = True
    for span in spans:
        low += span.low
        known_even &= span.even is not None
        known_high &= span.high is not None
        even += span.even or 0
        high += span.high or 0
    return Span(low, even if known_even else None, high if known_high else None)


def steps_of_work(total: int, lanes: int, *, passes: int, samples: int) -> Span:
    """Cycles of one sample for `total` operations, `lanes` in a cycle, in `samples * passes` parts of unknown sizes.

    Each part takes its operations over lanes, rounded up. The parts' sum is known, their sizes are not: together they
    take at least `ceil(total / lanes)`, and at most `floor((total + parts * (lanes - 1)) / lanes)`, or one cycle for
    each operation. Even parts take `passes * ceil(total / parts / lanes)`, kept within the bounds. The means over
    samples are whole cycles, the lower bound rounded down and the upper one up, so that layers add up to the total.
    """
    parts = samples * passes
    low = -(-total // lanes) // samples
    high = -(-min(total, (total + parts * (lanes - 1)) // lanes) // samples)
    even = passes * -(-total // (parts * lanes)) if parts else 0
    return Span(Fraction(low), Fraction(min(max(even, low), high)), Fraction(high))
