"""The front: held against its definition, pair by pair."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from snn_energy.tuning.front import Point, pareto_front

points = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 5), st.sampled_from([5, 10])), min_size=1, max_size=12
).map(
    lambda rows: [
        Point(name=f"p{i}", energy_pj=float(e), correct=min(c, t), total=t) for i, (e, c, t) in enumerate(rows)
    ]
)


def beats(a, b):
    """As good in both and not the same place."""
    one, other = (a.energy_pj, -Fraction(a.correct, a.total)), (b.energy_pj, -Fraction(b.correct, b.total))
    return one[0] <= other[0] and one[1] <= other[1] and one != other


@settings(max_examples=40)
@given(points)
def test_the_front_by_its_definition(found):
    placed = pareto_front(found)
    assert sorted(p.point.name for p in placed) == sorted(p.name for p in found)
    by_name = {p.name: p for p in found}
    for place in placed:
        beaten = [p for p in found if beats(p, place.point)]
        assert place.on_front == (not beaten)
        if beaten:
            better = by_name[place.dominated_by]
            assert beats(better, place.point)
            assert not any(beats(p, better) for p in found)  # on the front itself
        same = {
            p.name
            for p in found
            if p.name != place.point.name
            and (p.energy_pj, Fraction(p.correct, p.total)) == (place.point.energy_pj, place.point.accuracy)
        }
        assert set(place.equals) == same


@settings(max_examples=15)
@given(points, st.randoms())
def test_the_order_of_the_points_does_not_matter(found, random):
    mixed = list(found)
    random.shuffle(mixed)
    assert pareto_front(mixed) == pareto_front(found)


def test_along_the_front_accuracy_is_paid_for():
    placed = pareto_front(
        Point(name=name, energy_pj=e, correct=c, total=10)
        for name, e, c in (("a", 1.0, 5), ("b", 2.0, 5), ("c", 2.0, 7), ("d", 3.0, 6), ("e", 3.0, 9), ("f", 1.0, 5))
    )
    assert [(p.point.name, p.dominated_by, p.equals) for p in placed] == [
        ("a", None, ("f",)),
        ("f", None, ("a",)),
        ("c", None, ()),
        ("b", "c", ()),
        ("e", None, ()),
        ("d", "e", ()),
    ]
