"""The front between accuracy and energy: which networks no other one beats in both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One network: energy per inference in pJ, and samples classified correctly out of how many."""

    name: str
    energy_pj: float
    correct: int
    total: int

    @property
    def accuracy(self) -> Fraction:
        """Share of correct samples, exactly."""
        return Fraction(self.correct, self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A point and its place: on the front, or dominated by another one."""

    point: Point
    dominated_by: str | None
    """Of the points that dominate it, the most accurate one on the front (of several, the one of least energy)."""
    equals: tuple[str, ...]
    """Other points of the very same accuracy and energy."""

    @property
    def on_front(self) -> bool:
        """True if no point is at least as good in both and better in one."""
        return self.dominated_by is None


def dominates(a: Point, b: Point) -> bool:
    """True if `a` is at least as good as `b` in both, and better in one; equal points do not dominate each other."""
    return (
        a.energy_pj <= b.energy_pj
        and a.accuracy >= b.accuracy
        and (a.energy_pj < b.energy_pj or a.accuracy > b.accuracy)
    )


def pareto_front(points: Iterable[Point]) -> tuple[Placed, ...]:
    """Place every point; in order of energy, of equal ones the more accurate first, then by name."""
    ordered = sorted(points, key=lambda p: (p.energy_pj, -p.accuracy, p.name))
    front = _front(ordered)
    return tuple(
        Placed(
            point=point,
            dominated_by=next((better.name for better in reversed(front) if dominates(better, point)), None),
            equals=tuple(
                other.name
                for other in ordered
                if other is not point and (other.energy_pj, other.accuracy) == (point.energy_pj, point.accuracy)
            ),
        )
        for point in ordered
    )


def _front(ordered: Sequence[Point]) -> list[Point]:
    """The points that are not dominated, of least energy and accuracy first."""
    found: list[Point] = []
    for point in ordered:
        if not found or not dominates(found[-1], point):  # the last one is the most accurate so far
            found.append(point)
    return found
