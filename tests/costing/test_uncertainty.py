"""Intervals against all corners of the prices, draws against closed forms, chances against a line."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.costing.uncertainty import chance, uncertainty
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware, load_hardware
from snn_energy.models.neurons import LIF
from snn_energy.reporting.spread import uncertainty_key
from snn_energy.reporting.spread_facts import deserved, uncertainty_facts

FP32 = load_hardware("horowitz-45nm-fp32")


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.neuron, self.second = nn.Linear(6, 5), LIF(), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.neuron(self.first(x).expand(3, -1, -1)))


torch.manual_seed(0)
TRACE = se.trace(Steps().eval(), torch.rand(2, 6) * 4)
RANGES = {"mac": (3.0, 7.0), "ac": (0.5, 1.0), "add": (0.9, 1.8)}


def ranged(ranges: dict[str, tuple[float, float]]) -> Hardware:
    prices = {name: replace(p, range_pj=ranges.get(name)) for name, p in FP32.energy_pj.items()}
    return replace(FP32, energy_pj=prices)


def at(values: dict[str, float]) -> float:
    prices = {
        name: replace(p, value_pj=values.get(name, p.value_pj), range_pj=None) for name, p in FP32.energy_pj.items()
    }
    return se.price(TRACE, replace(FP32, energy_pj=prices)).energy_per_inference_pj


def test_the_interval_is_that_of_all_corners() -> None:
    found = uncertainty(se.price(TRACE, ranged(RANGES)), draws=2)
    corners = [at(dict(zip(RANGES, ends, strict=True))) for ends in product(*RANGES.values())]
    assert (found.low_pj, found.high_pj) == pytest.approx((min(corners), max(corners)))
    assert found.energy_pj == pytest.approx(at({}))
    # mul and compare are paid for by the neurons; nothing here pays for what horowitz-2014 does not price.
    assert set(found.without_range) == {"energy_pj.mul", "energy_pj.compare"}


def test_the_tornado_moves_one_price_at_a_time() -> None:
    found = uncertainty(se.price(TRACE, ranged(RANGES)), draws=2).tornado
    expected = {f"energy_pj.{name}": tuple(at({name: end}) for end in ends) for name, ends in RANGES.items()}
    assert {bar.price: (bar.energy_low_pj, bar.energy_high_pj) for bar in found} == {
        name: pytest.approx(ends) for name, ends in expected.items()
    }
    widths = [bar.energy_high_pj - bar.energy_low_pj for bar in found]
    assert widths == sorted(widths, reverse=True)
    assert found[0].price == "energy_pj.mac"  # 30 MACs of an inference, 4 pJ wide


def test_draws_have_the_mean_and_spread_of_uniform_prices() -> None:
    """Independent uniform prices: mean = energy at all centres, variance = sum of (count x width)^2 / 12."""
    draws = 4000
    found = uncertainty(se.price(TRACE, ranged(RANGES)), draws=draws, seed=7)
    centre = at({name: (low + high) / 2 for name, (low, high) in RANGES.items()})
    variance = sum((at({name: high}) - at({name: low})) ** 2 / 12 for name, (low, high) in RANGES.items())
    sd = math.sqrt(variance)
    assert abs(found.mean_pj - centre) < 4 * sd / math.sqrt(draws)
    assert found.sd_pj == pytest.approx(sd, rel=0.05)
    assert found.low_pj <= found.p05_pj < found.mean_pj < found.p95_pj <= found.high_pj
    assert found == uncertainty(se.price(TRACE, ranged(RANGES)), draws=draws, seed=7)
    assert found.mean_pj != uncertainty(se.price(TRACE, ranged(RANGES)), draws=draws, seed=8).mean_pj


def test_one_ranged_price_is_uniform() -> None:
    found = uncertainty(se.price(TRACE, ranged({"mac": (3.0, 7.0)})), draws=4000)
    low, high = at({"mac": 3.0}), at({"mac": 7.0})
    assert (found.p05_pj, found.p95_pj) == pytest.approx(
        (low + 0.05 * (high - low), low + 0.95 * (high - low)), rel=0.02
    )


def test_memory_prices_have_ranges_too() -> None:
    """32-bit values of a layer whose weights lie in DRAM: 1300 to 2600 pJ for 64 bits."""
    layer = nn.Linear(600, 500, bias=False).eval()  # 1.2 MB
    trace = se.trace(layer, torch.rand(1, 600) + 0.5)
    found = uncertainty(se.price(trace, FP32, "arithmetic+memory"), draws=2)
    (bar,) = found.tornado
    assert bar.price == "memory_pj.dram"
    assert bar.energy_high_pj - bar.energy_low_pj == pytest.approx(300_000 * 32 / 64 * 1300)
    assert found.low_pj == pytest.approx(found.energy_pj)  # the value is the low end of its range


def test_without_ranges_there_is_no_interval() -> None:
    report = se.price(TRACE, ranged({}))
    found = uncertainty(report, draws=2)
    assert found.low_pj == found.high_pj == pytest.approx(report.energy_per_inference_pj)
    assert found.tornado == ()
    document = report.to_dict() | uncertainty_key(report)
    assert deserved(document) is None
    assert uncertainty_facts(document)[0] == (
        "uncertainty",
        "no price used here has a published range: no interval",
    )


class Line(nn.Module):
    """A spiking or a real-valued product: its energy is its number of operations times one price."""

    def __init__(self, outs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(10, outs, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_a_chance_is_the_share_of_the_draws_on_one_side_of_a_line() -> None:
    """100 accumulates against 20 multiply-accumulates: less if mac / ac > 5, a triangle of the drawn square."""
    spiking = se.trace(Line(10).eval(), torch.ones(1, 10))
    real = se.trace(Line(2).eval(), torch.arange(1.0, 11.0)[None] ** 0.5)
    assert (spiking.acs, real.macs) == (100, 20)
    hardware = ranged({"ac": (0.6, 1.0), "mac": (3.0, 5.0)})
    found = chance(se.price(spiking, hardware), se.price(real, hardware), draws=4000)
    # mac > 5 ac over [0.6, 1] x [3, 5]: the diagonal of the square cuts it in half.
    assert abs(found.probability - 0.5) < 4 * 0.5 / math.sqrt(4000)
    assert found.ratio_low is not None
    assert found.ratio_high is not None
    assert 20 * 3 / 100 < found.ratio_low < 1 < found.ratio_high < 20 * 5 / 60


def test_both_sides_share_their_draws() -> None:
    """The same network twice is never cheaper than itself, and 3 accumulates are always dearer than 2."""
    hardware = ranged({"ac": (0.1, 1.0)})
    report, more, less = (se.price(se.trace(Line(outs).eval(), torch.ones(1, 10)), hardware) for outs in (3, 3, 2))
    assert chance(report, more, draws=100).probability == 0
    assert chance(less, report, draws=100).probability == 1
    assert chance(less, report, draws=100).ratio_low == pytest.approx(1.5)


def test_refusals() -> None:
    report = se.price(TRACE, FP32)
    with pytest.raises(UsageError, match="draws must be a whole number >= 2"):
        uncertainty(report, draws=1)
    with pytest.raises(UsageError, match="must be priced alike"):
        chance(report, se.price(TRACE, FP32, "arithmetic-zero-skipping"))


@pytest.mark.parametrize(
    ("low", "value", "high", "text"),
    [
        (1300.0, 1400.0, 1800.0, "1.40 nJ per inference, 1.30 to 1.80 nJ"),  # half the interval: 0.25 nJ
        (10_000.0, 12_345.0, 60_000.0, "12 nJ per inference, 10 to 60 nJ"),
        (100.0, 123.4, 500.0, "120 pJ per inference, 100 to 500 pJ"),
    ],
)
def test_totals_have_two_digits_of_their_uncertainty(low: float, value: float, high: float, text: str) -> None:
    shown = deserved({"uncertainty": {"energy_pj": value, "low_pj": low, "high_pj": high}})
    assert shown == f"{text} by the published ranges of the prices"
