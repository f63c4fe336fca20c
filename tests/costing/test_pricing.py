"""Pricing is a pure function: linear in the profile, additive in traces, never silent about what has no price."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import snn_energy as se
from snn_energy.costing.report import COMPONENTS
from snn_energy.errors import PriceError, TraceError, UsageError
from snn_energy.hardware import Hardware, load_hardware
from snn_energy.models.neurons import IF, LIF

FP32 = load_hardware("horowitz-45nm-fp32")


class Steps(nn.Module):
    """Linear - neuron - Linear over T = 3 steps of the same input; one addition of a bias in each."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.first, self.neuron, self.second = nn.Linear(6, 5), neuron, nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.neuron(self.first(x).expand(3, -1, -1)))


def traced(neuron: nn.Module, n: int = 2, seed: int = 0) -> se.Trace:
    torch.manual_seed(seed)
    return se.trace(Steps(neuron).eval(), torch.rand(n, 6) * 4)


def scaled(hardware: Hardware, factor: float) -> Hardware:
    prices = {name: replace(p, value_pj=p.value_pj * factor, range_pj=None) for name, p in hardware.energy_pj.items()}
    return replace(hardware, energy_pj=prices)


def test_every_component_by_hand() -> None:
    """Prices of Horowitz 2014 typed here: MAC 4.6, AC 0.9, add 0.9, mul 3.7 pJ, comparison as an addition."""
    trace = traced(LIF())
    report = se.price(trace, hardware="horowitz-45nm-fp32")
    spikes = trace.neurons[0].spikes
    assert 0 < spikes < 30
    updates = 2 * 3 * 5
    assert report.components_pj == pytest.approx(
        {
            "mac": 2 * 6 * 5 * 4.6,
            "ac": spikes * 4 * 0.9,
            "neuron": updates * (0.9 + 3.7 + 0.9),
            "other": (2 * 5 + 2 * 3 * 4) * 0.9,
        }
    )
    assert report.energy_pj == pytest.approx(sum(report.components_pj.values()))
    assert report.energy_per_inference_pj == pytest.approx(report.energy_pj / 2)
    assert report.complete
    assert report.latency_cycles is None


@pytest.mark.parametrize(
    ("neuron", "adds", "muls", "per_spike"),
    [(LIF(), 1, 1, 0), (IF(), 1, 0, 0), (LIF(reset="soft"), 1, 1, 1), (IF(reset="soft"), 1, 0, 1)],
    ids=["lif", "if", "soft lif", "soft if"],
)
def test_a_neuron_costs_its_equation(neuron: nn.Module, adds: int, muls: int, per_spike: int) -> None:
    counts = traced(neuron).neurons[0]
    assert (counts.updates, counts.state_elements, counts.time_steps) == (30, 5, 3)
    assert (counts.adds, counts.muls, counts.compares) == (30 * adds + per_spike * counts.spikes, 30 * muls, 30)


@given(factor=st.floats(0.01, 100), seed=st.integers(0, 5))
def test_linear_in_the_profile(factor: float, seed: int) -> None:
    trace = traced(LIF(), seed=seed)
    assert se.price(trace, scaled(FP32, factor)).energy_pj == pytest.approx(factor * se.price(trace, FP32).energy_pj)


@given(n=st.integers(1, 4), m=st.integers(1, 4))
def test_additive_in_traces(n: int, m: int) -> None:
    a, b = traced(LIF(), n), traced(LIF(), m)
    both = se.price(a + b, FP32)
    assert both.energy_pj == pytest.approx(se.price(a, FP32).energy_pj + se.price(b, FP32).energy_pj)
    assert both.trace.samples == n + m


def test_rows_add_up_to_the_total() -> None:
    report = se.price(traced(LIF()), FP32)
    frame = report.to_frame()
    assert frame["energy_pj"].sum() == pytest.approx(report.energy_pj)
    for name in COMPONENTS:
        assert frame[f"{name}_pj"].sum() == pytest.approx(report.components_pj[name])


@pytest.mark.parametrize("policy", ["accumulate-per-unit", "graded-mac"])
def test_integer_spikes_follow_the_hardware(policy: str) -> None:
    """Two inputs, 2 and 3, into ten outputs: 50 accumulates, or 20 MACs."""
    layer = nn.Linear(2, 10, bias=False)
    report = se.price(se.trace(layer, torch.tensor([[2.0, 3.0]])), replace(FP32, integer_spikes=policy))
    row = report.rows[0]
    assert (row.operand, row.acs, row.macs) == ("integer", *((50, 0) if policy == "accumulate-per-unit" else (0, 20)))
    assert report.energy_pj == pytest.approx(50 * 0.9 if policy == "accumulate-per-unit" else 20 * 4.6)


def test_zero_skipping_charges_events_of_real_layers() -> None:
    x = torch.tensor([[0.0, 2.0**0.5, 3.0**0.5, 0.0]])
    trace = se.trace(nn.Linear(4, 3, bias=False), x)
    assert se.price(trace, FP32).energy_pj == pytest.approx(12 * 4.6)
    assert se.price(trace, FP32, method="arithmetic-zero-skipping").energy_pj == pytest.approx(6 * 4.6)


def test_what_has_no_price_is_named() -> None:
    trace = se.trace(nn.Sigmoid(), torch.rand(2, 3))
    report = se.price(trace, FP32)
    assert [(u.action, u.count) for u in report.unpriced] == [("special", 6)]
    assert "Horowitz" in report.unpriced[0].reason or "horowitz" in report.unpriced[0].reason
    assert not report.complete


def test_a_missing_price_is_an_error() -> None:
    bare = replace(FP32, energy_pj={"mac": FP32.energy_pj["mac"]}, unpriced={})
    with pytest.raises(PriceError, match='no price for "ac"'):
        se.price(se.trace(nn.Linear(3, 2, bias=False), torch.ones(1, 3)), bare)
    # ... but only for actions that happened
    assert se.price(se.trace(nn.Linear(3, 2, bias=False), torch.rand(1, 3)), bare).energy_pj == pytest.approx(6 * 4.6)


def test_uncounted_work_makes_an_interval() -> None:
    class Unknown(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft(x).real

    trace = se.trace(Unknown(), torch.rand(1, 4))
    assert not trace.coverage.complete
    low, high = se.price(trace, FP32).energy_interval_pj
    assert low == se.price(trace, FP32).energy_pj
    assert high - low == pytest.approx(trace.coverage.bound * 4.6)
    assert trace.coverage.bound >= 4 * 4


def test_json_is_deterministic_and_plain() -> None:
    report = se.price(traced(LIF()), FP32)
    document = json.loads(report.to_json())
    assert report.to_json() == se.price(traced(LIF()), FP32).to_json()
    assert document["totals"]["energy_pj"] == report.energy_pj
    assert document["hardware"]["name"] == "horowitz-45nm-fp32"


def test_wrong_names_are_refused() -> None:
    trace = traced(LIF())
    with pytest.raises(UsageError, match="did you mean 'arithmetic'"):
        se.price(trace, FP32, method="aritmetic")
    with pytest.raises(UsageError, match="horowitz-45nm-fp32"):
        se.price(trace, "horowitz-45nm-fp33")
    with pytest.raises(TraceError, match="no sample"):
        se.price(se.Trace(), FP32)
