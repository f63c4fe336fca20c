"""Pricing laws on the six networks: linear in the profile, additive in traces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from exact_networks import PLANS, batch_axis, data, exact
from hypothesis import given, settings
from hypothesis import strategies as st

import snn_energy as se
from snn_energy.costing.report import COMPONENTS
from snn_energy.hardware import Hardware, load_hardware

FP32, INT8 = load_hardware("horowitz-45nm-fp32"), load_hardware("horowitz-45nm-int8")
METHODS = ("arithmetic", "arithmetic-zero-skipping")
POLICIES = ("accumulate-per-unit", "graded-mac")

each_network = pytest.mark.parametrize("name", PLANS)
some_examples = settings(max_examples=4)


def mixed(a: float, b: float, policy: Any) -> Hardware:
    """The profile whose every price is a times that of one profile and b times that of another."""
    prices = {
        action: replace(price, value_pj=a * price.value_pj + b * INT8.energy_pj[action].value_pj, range_pj=None)
        for action, price in FP32.energy_pj.items()
    }
    return replace(FP32, energy_pj=prices, integer_spikes=policy)


@each_network
@some_examples
@given(
    a=st.floats(0, 100),
    b=st.floats(0, 100),
    seed=st.integers(0, 2**16),
    method=st.sampled_from(METHODS),
    policy=st.sampled_from(POLICIES),
)
def test_linear_in_the_profile(name: str, a: float, b: float, seed: int, method: str, policy: str) -> None:
    trace = se.trace(exact(name, seed), data(name, 2, "real", seed), batch_axis=batch_axis(name))
    one, other = (se.price(trace, mixed(*factors, policy), method) for factors in ((1.0, 0.0), (0.0, 1.0)))
    both = se.price(trace, mixed(a, b, policy), method)
    assert both.energy_pj == pytest.approx(a * one.energy_pj + b * other.energy_pj, rel=1e-12)
    for part in COMPONENTS:
        want = a * one.components_pj[part] + b * other.components_pj[part]
        assert both.components_pj[part] == pytest.approx(want, rel=1e-12)
    assert one.energy_pj > other.energy_pj > 0


@each_network
@some_examples
@given(seeds=st.tuples(*[st.integers(0, 2**16)] * 3), method=st.sampled_from(METHODS), policy=st.sampled_from(POLICIES))
def test_additive_in_traces(name: str, seeds: tuple[int, int, int], method: str, policy: str) -> None:
    """The price of the sum is that of all data at once; parts of one class cost the sum of their prices."""
    net, hardware = exact(name, seeds[0]), mixed(1, 0, policy)
    shares = [data(name, n, "real", seed) for n, seed in zip((1, 2), seeds[1:], strict=True)]
    a, b = (se.trace(net, share, batch_axis=batch_axis(name)) for share in shares)
    both = se.price(a + b, hardware, method)
    whole = se.price(se.trace(net, shares, batch_axis=batch_axis(name)), hardware, method)
    assert both.energy_pj == whole.energy_pj
    assert both.rows == whole.rows
    parts = [{(row.name, row.part, row.kind): row for row in se.price(t, hardware, method).rows} for t in (a, b)]
    agreeing = 0
    for row in both.rows:
        first, second = (part[row.name, row.part, row.kind] for part in parts)
        if first.operand == second.operand == row.operand:
            agreeing += 1
            assert row.energy_pj == pytest.approx(first.energy_pj + second.energy_pj, rel=1e-12)
    assert agreeing > len(a.neurons)  # all of them, and a layer at least


@each_network
def test_energy_per_inference_is_that_of_the_mean_sample(name: str) -> None:
    net, x = exact(name, 3), data(name, 4, "binary", 4)
    whole = se.profile(net, x, batch_axis=batch_axis(name)) if batch_axis(name) else se.profile(net, x)
    singles = [se.trace(net, one, batch_axis=batch_axis(name)) for one in x.split(1, batch_axis(name))]
    assert whole.trace.samples == 4
    assert whole.energy_per_inference_pj == pytest.approx(se.price(sum(singles, se.Trace()), FP32).energy_pj / 4)
