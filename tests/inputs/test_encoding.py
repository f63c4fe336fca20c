"""Encoders against their equations, worked out in fractions, one value at a time."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_energy.errors import DataError, UsageError
from snn_energy.inputs import ENCODERS, delta, direct, latency, latency_log, rate, rate_deterministic

units = st.floats(0, 1, width=32)
pixels = st.lists(units, min_size=1, max_size=8)
steps = st.integers(1, 40)


def spikes_of(encoded: torch.Tensor) -> list[list[float]]:
    """The train of each value of a single sample."""
    return [list(train) for train in zip(*encoded[:, 0].tolist(), strict=True)]


@given(pixels, steps)
def test_direct_is_the_image_at_every_step(values, T):
    x = torch.tensor([values])
    out = direct(x, T)
    assert out.tolist() == [[values_of(x)]] * T
    assert out.data_ptr() == x.data_ptr()


def values_of(x: torch.Tensor) -> list[float]:
    values: list[float] = x[0].tolist()
    return values


@given(pixels, steps)
def test_deterministic_rate_is_an_if_neuron_under_constant_current(values, T):
    x = torch.tensor([values])
    for value, train in zip(values_of(x), spikes_of(rate_deterministic(x, T)), strict=True):
        potential = Fraction(0)
        for spike in train:
            potential += Fraction(value)
            fired = potential >= 1
            assert spike == fired
            potential -= fired
        assert sum(train) == math.floor(T * Fraction(value))


@given(pixels, steps)
def test_linear_latency_is_one_spike_per_value(values, T):
    x = torch.tensor([values])
    for value, train in zip(values_of(x), spikes_of(latency(x, T)), strict=True):
        step = round((T - 1) * (1 - Fraction(value)))
        assert train == [float(value > 0 and t == step) for t in range(T)]


@given(pixels, st.integers(1, 2000))
def test_logarithmic_latency_is_one_spike_per_value(values, T):
    x = torch.tensor([values])
    for value, train in zip(values_of(x), spikes_of(latency_log(x, T)), strict=True):
        assert sum(train) == (value > 0)
        if value > 0 and T <= 500:  # beyond, the formula itself overflows
            step = (T - 1) - math.log((math.exp(T - 1) - 1) * value + 1)
            assert abs(train.index(1) - step) < 0.5 + 1e-6


def philox(key: tuple[int, int], count: int) -> list[int]:
    """Philox 4x64 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, table 2)."""
    mask, out, block = (1 << 64) - 1, [], 0
    while len(out) < count:
        block += 1
        (c0, c1, c2, c3), (k0, k1) = (block, 0, 0, 0), key
        for _ in range(10):
            one, other = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
            c0, c1, c2, c3 = other >> 64 ^ c1 ^ k0, other & mask, one >> 64 ^ c3 ^ k1, one & mask
            k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
        out += [c0, c1, c2, c3]
    return out[:count]


@given(pixels, st.integers(1, 6), st.integers(0, 2**40), st.integers(0, 2**40))
def test_rate_compares_each_value_with_the_samples_own_random_numbers(values, T, seed, first):
    x = torch.tensor([values, values])
    out = rate(x, T, seed=seed, first=first)
    for sample in range(2):
        numbers = iter(philox((seed, first + sample), T * len(values)))
        expected = [
            [float(Fraction(next(numbers) >> 32, 1 << 32) < Fraction(value)) for value in values_of(x)]
            for _ in range(T)
        ]
        assert out[:, sample].tolist() == expected


def test_rate_is_the_probability_of_a_spike():
    x = torch.tensor([[0.0, 0.3, 1.0]])
    zero, some, one = rate(x, 20_000, seed=1)[:, 0].sum(0).tolist()
    assert (zero, one) == (0, 20_000)
    assert abs(some - 6000) < 4 * math.sqrt(20_000 * 0.3 * 0.7)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_batch_does_not_matter(name):
    encoder, x = ENCODERS[name], torch.rand(5, 2, 3)
    chance = {"seed": 3} if encoder.seeded else {}
    whole = encoder.encode(x, 7, **chance)
    assert whole.shape == (7, 5, 2, 3)
    assert whole.dtype == torch.float32
    parts = [encoder.encode(x[i : i + 1], 7, **chance, **({"first": i} if encoder.seeded else {})) for i in range(5)]
    assert torch.equal(whole, torch.cat(parts, 1))


def test_seeds_and_places_differ():
    x = torch.full((2, 100), 0.5)
    trains = [rate(x, 5, seed=seed) for seed in (0, 1, 2**32)]
    assert torch.equal(trains[0], rate(x, 5))
    assert not torch.equal(trains[0], trains[1])
    assert not torch.equal(trains[0], trains[2])
    assert not torch.equal(trains[0][:, 0], trains[0][:, 1])


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=20), st.integers(1, 12))
def test_delta_follows_the_signal(values, threshold):
    signal = [Fraction(value, 8) for value in values]
    step = Fraction(threshold, 8)
    reference, expected = signal[0], []
    for now in signal:
        spike = (now - reference >= step) - (reference - now >= step)
        reference += spike * step
        expected.append(float(spike))
    x = torch.tensor([float(value) for value in signal]).view(-1, 1, 1)
    assert delta(x, float(step)).flatten().tolist() == expected


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "direct"])
@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_values_outside_the_unit_interval_are_refused(name, bad):
    with pytest.raises(DataError, match=rf"^{name} coding: expected values from 0 to 1 \(got .*\); scale the data"):
        ENCODERS[name].encode(torch.tensor([[0.5, bad]]), 3)


def test_refusals():
    x = torch.rand(1, 2)
    with pytest.raises(UsageError, match="at least 1 time step"):
        direct(x, 0)
    with pytest.raises(UsageError, match="seed must be from 0"):
        rate(x, 1, seed=-1)
    with pytest.raises(UsageError, match="threshold must be > 0"):
        delta(x, 0)
    with pytest.raises(DataError, match="put time first"):
        delta(torch.rand(3), 1)
