"""The convention of published claims, on records that add up to the network of Yao et al. (arXiv:2401.10843)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import snn_energy as se
from snn_energy.costing.published import both_countings, mean_rate
from snn_energy.counting.counts import LayerCounts, NeuronCounts
from snn_energy.counting.values import REAL, ValueSet
from snn_energy.errors import PriceError
from snn_energy.hardware import load_hardware
from snn_energy.models import LIF

FP32 = load_hardware("horowitz-45nm-fp32")
BINARY = ValueSet((1.0,), positive=True)
DENSE = 246_992_640
# Stem 2x2x3 -> 48 on 16x16; 12 blocks with an MLP of ratio 3; three mergings 4C -> 2C; head 384 -> 10.
MLPS = 2 * sum(blocks * side**2 * c * 3 * c for blocks, side, c in ((2, 16, 48), (2, 8, 96), (6, 4, 192), (2, 2, 384)))
MERGINGS = sum((side // 2) ** 2 * 4 * c * 2 * c for side, c in ((16, 48), (8, 96), (4, 192)))
REAL_MACS = 16 * 16 * 12 * 48 + MLPS + MERGINGS + 384 * 10


def layer(name, dense, rate=None, elements=10_000):
    spiking = rate is not None
    return LayerCounts(
        name=name,
        kind="linear",
        values=BINARY if spiking else REAL,
        elements=elements,
        spikes=round(elements * rate) if spiking else elements,
        dense_macs=dense,
        connections=dense,
        events=round(dense * rate) if spiking else dense,
    )


def paper(rate):
    spiking = DENSE - REAL_MACS
    layers = (layer("real", REAL_MACS), layer("convs", spiking // 2, rate), layer("fcs", spiking - spiking // 2, rate))
    neurons = (NeuronCounts(name="n", kind="lif", updates=1000, update_adds=1),)
    return se.Trace(layers=layers, neurons=neurons, samples=1, time_steps=1)


@pytest.mark.parametrize(
    ("rate", "strict", "strict_ratio", "published", "published_ratio"),
    [(0.05, 221, 5.13, 11.1, 102), (0.25, 258, 4.41, 55.6, 20.4), (0.50, 303, 3.75, 111, 10.2)],
)
def test_the_published_table(rate, strict, strict_ratio, published, published_ratio):
    both = both_countings(paper(rate), FP32)
    assert both.strict_pj / 1e6 == pytest.approx(strict, abs=0.5)
    assert both.published_pj / 1e6 == pytest.approx(published, rel=5e-3)
    assert both.dense_ann_pj / 1e6 == pytest.approx(1136, abs=0.5)
    assert both.strict_ratio == pytest.approx(strict_ratio, abs=0.012)
    assert both.published_ratio == pytest.approx(published_ratio, rel=5e-3)


def test_the_strict_ratio_has_a_ceiling_and_the_published_one_has_none():
    silent = both_countings(paper(0.0), FP32)
    assert silent.strict_ratio == pytest.approx(5.35, abs=0.005)
    assert (silent.published_pj, silent.published_ratio) == (0.0, None)


@settings(max_examples=30)
@given(
    rates=st.lists(st.integers(0, 100), min_size=1, max_size=5),
    dense=st.lists(st.integers(1, 10**6), min_size=5, max_size=5),
    real=st.integers(0, 10**6),
    factor=st.floats(0.1, 10),
)
def test_rate_times_dense_macs(rates, dense, real, factor):
    """Spiking layers at their own rates; real-valued ones at the mean of those, weighted with dense MACs."""
    layers = [layer(f"l{i}", d, r / 100, elements=100) for i, (r, d) in enumerate(zip(rates, dense))]
    trace = se.Trace(layers=(*layers, layer("real", real)), samples=1)
    spiking = sum(Fraction(r * d, 100) for r, d in zip(rates, dense))
    mean = spiking / sum(dense[: len(rates)])
    assert mean_rate(trace) == mean
    expected = float(spiking + mean * real) * 0.9
    report = se.price(trace, FP32, "every-operation-ac")
    assert report.energy_pj == pytest.approx(expected)
    assert report.components_pj["mac"] == report.components_pj["neuron"] == report.components_pj["other"] == 0
    scaled = {a: replace(p, value_pj=factor * p.value_pj, range_pj=None) for a, p in FP32.energy_pj.items()}
    assert se.price(trace, replace(FP32, energy_pj=scaled), "every-operation-ac").energy_pj == pytest.approx(
        factor * expected
    )


def test_a_network_without_spikes_is_the_dense_ann():
    report = se.profile(nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), torch.rand(2, 4), method="every-operation-ac")
    assert report.energy_pj == pytest.approx(2 * 12 * 4.6)


def test_padding_and_time_are_in_the_dense_count():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.conv = LIF(threshold=0.5), nn.Conv2d(1, 2, 3, padding=1, bias=False)

        def forward(self, x):
            return self.conv(self.neuron(x.expand(2, *x.shape)).flatten(0, 1))

    x = torch.zeros(1, 1, 4, 4)
    x[..., 0, 0] = 1.0  # fires at both steps: 2 of 32 operands, 16 places x 9 taps x 2 channels x 2 steps
    report = se.profile(Net(), x, method="every-operation-ac")
    assert report.energy_pj == pytest.approx(2 / 32 * 16 * 9 * 2 * 2 * 0.9)
    both = both_countings(report.trace, FP32)
    assert both.strict_pj == pytest.approx(2 * 4 * 2 * 0.9)  # a corner reaches four places
    assert both.dense_ann_pj == pytest.approx(16 * 9 * 2 * 4.6)


def test_a_profile_without_an_accumulate_is_refused():
    bare = replace(FP32, energy_pj={"mac": FP32.energy_pj["mac"]}, unpriced={})
    with pytest.raises(PriceError, match='no price for "ac"'):
        se.price(paper(0.1), bare, "every-operation-ac")
    named = se.price(paper(0.1), replace(bare, unpriced={"ac": "unknown"}), "every-operation-ac")
    assert [item.action for item in named.unpriced] == ["ac"]


def test_it_is_never_the_default():
    assert se.price(paper(0.5)).method == "arithmetic"
