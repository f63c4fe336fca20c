"""Energy over samples: published quantiles, hand-made figures, and prices that agree with those of single samples."""

from __future__ import annotations

import json
import math
import statistics
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import snn_energy as se
from snn_energy.costing.distribution import distribution, quantile
from snn_energy.costing.stopping import MIN_SAMPLES, Stopper
from snn_energy.costing.student import t_quantile, t_within
from snn_energy.errors import DataError, UsageError
from snn_energy.hardware import load_hardware

FP32 = load_hardware("horowitz-45nm-fp32")

# Two-sided critical values of Student's t, NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2.
PUBLISHED = {
    0.90: {1: 6.314, 2: 2.920, 5: 2.015, 10: 1.812, 30: 1.697, 60: 1.671, 100: 1.660},
    0.95: {
        1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228,
        15: 2.131, 20: 2.086, 25: 2.060, 29: 2.045, 30: 2.042, 40: 2.021, 60: 2.000, 100: 1.984,
    },
    0.99: {1: 63.657, 2: 9.925, 5: 4.032, 10: 3.169, 30: 2.750, 60: 2.660, 100: 2.626},
}  # fmt: skip


@pytest.mark.parametrize(("within", "freedom"), [(p, f) for p, row in PUBLISHED.items() for f in row])
def test_quantiles_are_those_of_the_published_table(within, freedom):
    assert round(t_quantile(within, freedom), 3) == PUBLISHED[within][freedom]


@pytest.mark.parametrize("within", [0.5, 0.9, 0.95, 0.999])
def test_quantiles_with_a_closed_form(within):
    """One degree of freedom is the Cauchy distribution; two have an algebraic quantile; infinitely many are normal."""
    assert t_quantile(within, 1) == pytest.approx(math.tan(math.pi * within / 2), rel=1e-11)
    assert t_quantile(within, 2) == pytest.approx(math.sqrt(2 * within**2 / (1 - within**2)), rel=1e-11)
    assert t_quantile(within, 10**9) == pytest.approx(statistics.NormalDist().inv_cdf((1 + within) / 2), rel=1e-8)


def test_the_two_algorithms_meet():
    """The expansion, used beyond 200, gives back the probability that the exact series is asked for."""
    for freedom in (201, 202, 1000, 1001):
        assert t_within(t_quantile(0.95, freedom), freedom) == pytest.approx(0.95, abs=1e-11)


def test_the_figures_by_hand():
    """Mean 5, squares of deviations 9 + 1 + 1 + 1 + 16 + 4 = 32 over 5; t(0.95, 5) = 2.571."""
    found = distribution([4.0, 2.0, 6.0, 4.0, 9.0, 3.0 + 2.0])
    mean = 30 / 6
    squares = sum((value - mean) ** 2 for value in (4, 2, 6, 4, 9, 5))
    half = 2.5706 * math.sqrt(squares / 5) / math.sqrt(6)
    assert (found.samples, found.mean_pj, found.min_pj, found.max_pj) == (6, 5.0, 2.0, 9.0)
    assert found.sd_pj == pytest.approx(math.sqrt(squares / 5), rel=1e-15)
    assert found.ci95_low_pj == pytest.approx(5 - half, rel=1e-4)
    assert found.ci95_high_pj == pytest.approx(5 + half, rel=1e-4)
    assert found.precision == pytest.approx(half / 5, rel=1e-4)
    assert found.median_pj == 4.5  # between 4 and 5
    assert found.p95_pj == pytest.approx(6 + 0.75 * (9 - 6))  # position 0.95 * 5 = 4.75


def test_a_single_sample_has_no_interval():
    found = distribution([3.0])
    assert (found.sd_pj, found.ci95_low_pj, found.ci95_high_pj, found.precision) == (None, None, None, None)
    assert found.mean_pj == found.median_pj == found.p95_pj == found.min_pj == found.max_pj == 3.0


def test_equal_samples_have_an_interval_of_no_width():
    assert distribution([2.5] * 4).precision == 0.0
    assert distribution([0.0, 0.0]).precision == 0.0


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values, share):
    """NumPy's default is the same definition 7."""
    import numpy as np

    assert quantile(sorted(values), share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9, abs=1e-9)


# ---------------------------------------------------------------- prices of samples


class Threshold(nn.Module):
    """Linear 3 -> 2 on spikes: every spike is two accumulates, the bias two additions."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x)


def rows(*spikes):
    return torch.tensor([[1.0] * n + [0.0] * (3 - n) for n in spikes])


def test_energies_of_samples_by_hand():
    """Horowitz 2014, typed here: an accumulate and an addition 0.9 pJ each."""
    report = se.profile(Threshold(), rows(1, 3, 0, 2), per_sample=True)
    assert report.samples_pj == pytest.approx([(2 * n + 2) * 0.9 for n in (1, 3, 0, 2)])
    assert report.distribution.mean_pj == pytest.approx((12 + 8) * 0.9 / 4)
    assert report.distribution.mean_pj == pytest.approx(report.energy_per_inference_pj)
    assert report.distribution.median_pj == pytest.approx((4 + 6) / 2 * 0.9)


def test_the_class_of_all_data_prices_every_sample():
    """One real-valued sample makes the layer real: the spikes of the others cost MACs (4.6 pJ) as well."""
    x = torch.cat([rows(1, 3), torch.tensor([[0.1, 0.73, 0.011]])])
    report = se.profile(Threshold(), x, per_sample=True)
    assert report.samples_pj == pytest.approx([6 * 4.6 + 2 * 0.9] * 3)
    alone = se.profile(Threshold(), x[:1])
    assert alone.energy_pj == pytest.approx(4 * 0.9)
    parts = [se.trace(Threshold(), part, per_sample=True) for part in x.split(1)]
    model_free = sum(parts[1:], parts[0])
    assert se.price(model_free).samples_pj == pytest.approx(report.samples_pj)


@pytest.mark.parametrize("method", ["arithmetic", "arithmetic-zero-skipping"])
def test_samples_are_priced_like_traces_and_add_up(method):
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
    trace = se.trace(net, torch.rand(5, 1, 4, 4), per_sample=True)
    report = se.price(trace, FP32, method)
    assert report.samples_pj == tuple(se.price(trace.sample(i), FP32, method).energy_pj for i in range(5))
    exact = sum(Fraction(value) for value in report.samples_pj)
    assert float(exact) == pytest.approx(report.energy_pj, rel=1e-13)


def test_without_records_there_is_no_distribution():
    report = se.profile(Threshold(), rows(1, 2))
    assert (report.samples_pj, report.distribution) == (None, None)
    assert report.to_dict()["distribution"] is None


def test_the_distribution_in_json():
    value = json.loads(se.profile(Threshold(), rows(1, 3), per_sample=True).to_json())["distribution"]
    assert list(value) == [
        "samples", "mean_pj", "sd_pj", "ci95_low_pj", "ci95_high_pj", "median_pj", "p95_pj", "min_pj", "max_pj",
        "precision",
    ]  # fmt: skip
    assert value["samples"] == 2
    assert value["mean_pj"] == pytest.approx(6 * 0.9)
    single = json.loads(se.profile(Threshold(), rows(1), per_sample=True).to_json())["distribution"]
    assert single["ci95_low_pj"] is None


# ---------------------------------------------------------------- stopping early


def batches_of(*spikes, size=10):
    return list(rows(*spikes).split(size))


def enough_by_hand(energies, target):
    half = t_quantile(0.95, len(energies) - 1) * statistics.stdev(energies) / math.sqrt(len(energies))
    return half <= target * statistics.fmean(energies)


def test_a_run_stops_at_the_first_batch_that_is_precise_enough():
    spikes = [(7 * i * i + i) % 4 for i in range(400)]
    energies = [(2 * n + 2) * 0.9 for n in spikes]
    first = next(n for n in range(30, 401, 10) if enough_by_hand(energies[:n], 0.06))
    assert 30 < first < 400
    report = se.profile(Threshold(), batches_of(*spikes), until=0.06)
    assert report.trace.samples == first
    assert report.distribution.precision <= 0.06
    assert report.samples_pj == pytest.approx(energies[:first])


def test_equal_samples_still_run_thirty_times():
    assert MIN_SAMPLES == 30
    assert se.profile(Threshold(), batches_of(*[2] * 100, size=7), until=0.01).trace.samples == 35


def test_data_that_end_first_are_all_used():
    report = se.profile(Threshold(), batches_of(*[0, 3] * 20), until=0.001)
    assert report.trace.samples == 40
    assert report.distribution.precision > 0.001


def test_a_class_that_changes_on_the_way_prices_all_samples_anew():
    real = torch.rand(10, 3) + 0.01
    stopper = Stopper(0.05, FP32, "arithmetic")
    spikes = se.trace(Threshold(), torch.cat(batches_of(*[0, 3] * 20)), per_sample=True)
    assert not stopper(spikes)
    assert stopper(spikes + se.trace(Threshold(), real, per_sample=True))  # all MACs now: every sample costs the same
    assert stopper.judge(spikes + se.trace(Threshold(), real, per_sample=True)).precision == 0.0


@pytest.mark.parametrize("until", [0, 1, -0.1, 2, float("nan"), True, "1%"])
def test_no_share_no_run(until):
    with pytest.raises(UsageError, match="until must be a share of the mean above 0 and below 1"):
        se.profile(Threshold(), rows(1), until=until)


def test_stopping_refuses_what_makes_no_sense():
    with pytest.raises(UsageError, match="until decides how many samples run"):
        se.profile(Threshold(), rows(1), until=0.1, samples=1)
    with pytest.raises(UsageError, match="unknown method"):
        se.profile(Threshold(), rows(1), until=0.1, method="none")
    with pytest.raises(DataError, match="empty"):
        se.profile(Threshold(), [], until=0.1)
