"""Rounding: printed rows add up, nothing moves by a whole step, zero stays zero."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_energy.reporting.numbers import (
    apportion,
    energy,
    energy_unit,
    fixed,
    nearest,
    per_inference,
    percent,
    ratio,
    short,
)

fractions = st.fractions(min_value=0, max_value=10**6, max_denominator=10**4)


@given(st.lists(fractions, max_size=30))
def test_apportioned_values_add_up_and_stay_near(values):
    steps = apportion(values)
    assert sum(steps) == nearest(sum(values, Fraction()))
    assert all(abs(step - value) < 1 for step, value in zip(steps, values, strict=True))
    assert all(step == 0 for step, value in zip(steps, values, strict=True) if value == 0)


@given(st.lists(st.integers(0, 10**12), max_size=12), st.integers(1, 10**4))
def test_counts_of_one_inference_add_up(counts, samples):
    assert sum(per_inference(counts, samples)) == nearest(Fraction(sum(counts), samples))


def test_equal_fractions_favour_the_first():
    assert apportion([Fraction(1, 2)] * 4) == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("pj", "text"),
    [
        (0, "0.000 pJ"),
        (0.9, "0.900 pJ"),
        (999.9, "999.900 pJ"),
        (1000, "1.000 nJ"),
        (40373.9625, "40.374 nJ"),
        (2.5e6, "2.500 µJ"),
        (7e9, "7.000 mJ"),
        (1234e12, "1,234.000 J"),
    ],
)
def test_energy_picks_the_unit(pj, text):
    assert energy(pj) == text


def test_a_unit_can_be_imposed():
    assert energy(2.5e6, energy_unit(5e3)) == "2,500.000 nJ"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (9999, "9,999"),
        (10_000, "10.00k"),
        (99_996, "100.0k"),
        (999_949, "999.9k"),
        (3_612_672, "3.613M"),
        (12 * 10**9, "12.00G"),
        (5 * 10**15, "5,000T"),
        (7 * 10**20, "700,000,000T"),
    ],
)
def test_short_counts(count, text):
    assert short(count) == text


@given(st.integers(0, 10**15))
def test_short_counts_are_short_and_right(count):
    text = short(count)
    assert len(text) <= 6
    scale = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}.get(text[-1], 1)
    value = Fraction(text.rstrip("kMGT").replace(",", "")) * scale
    assert abs(value - count) <= Fraction(count, 1000)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00865, "0.00865"), (0.9642, "0.964"), (1.5, "1.50"), (12.345, "12.3"), (109.2, "109"), (12345, "12,345")],
)
def test_ratio(value, text):
    assert ratio(value) == text


def test_fixed_and_percent():
    assert fixed(40374, 3) == "40.374"
    assert fixed(5, 3) == "0.005"
    assert fixed(1234567, 0) == "1,234,567"
    assert percent(9141, 10_000) == "91.41 %"
    assert percent(1, 3) == "33.33 %"
