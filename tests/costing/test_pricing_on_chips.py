"""Pricing on profiles of chips: what one price contains is not priced again, what has none is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.errors import PriceError
from snn_energy.models.neurons import LIF


@pytest.fixture(scope="module")
def trace() -> se.Trace:
    """Two samples of 6 binary inputs, T = 3: Linear(6, 5) without bias, 5 neurons, Linear(5, 4) without bias."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.neuron = nn.Linear(6, 5, bias=False), LIF()
            self.second = nn.Linear(5, 4, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.neuron(self.first(x.expand(3, -1, -1))))

    torch.manual_seed(3)
    net = Steps().eval()
    with torch.no_grad():
        net.first.weight.abs_()
    found = se.trace(net, torch.tensor([[1.0, 1, 1, 1, 0, 0], [1.0, 0, 0, 0, 1, 1]]))
    assert found.neurons[0].spikes > 0
    return found


def synops(trace: se.Trace) -> int:
    """7 spikes on 5 neurons, in each of 3 time steps, and the hidden spikes on 4: counted by hand."""
    return 7 * 5 * 3 + trace.neurons[0].spikes * 4


def test_an_all_in_price_is_all_there_is(trace) -> None:
    report = se.price(trace, "truenorth-total")
    assert report.energy_pj == pytest.approx(26 * synops(trace))
    assert report.components_pj["neuron"] == 0
    assert report.complete  # the updates are in the price of an accumulate: nothing is missing
    assert report.to_dict()["hardware"]["included"]["neuron_update"] == "ac"


def test_a_chip_that_prices_neuron_updates(trace) -> None:
    updates = 2 * 3 * 5
    report = se.price(trace, "loihi")
    assert report.components_pj == pytest.approx(
        {"mac": 0, "ac": 23.6 * synops(trace), "neuron": 81 * updates, "other": 0}
    )
    assert se.price(trace, "spinnaker-1-hoppner").energy_pj == pytest.approx(13_300 * synops(trace) + 26_000 * updates)


def test_updates_without_a_price_are_named_and_counted(trace) -> None:
    report = se.price(trace, "reckon")
    assert report.energy_pj == pytest.approx(5.3 * synops(trace))
    assert [(item.action, item.count) for item in report.unpriced] == [("neuron_update", 2 * 3 * 5)]
    assert not report.complete


def test_real_values_on_a_chip_of_spikes_are_named() -> None:
    report = se.price(se.trace(nn.Linear(4, 2, bias=False), torch.rand(1, 4) + 0.01), "loihi")
    assert [(item.action, item.count) for item in report.unpriced] == [("mac", 8)]
    assert report.energy_pj == 0
    assert not report.complete


@pytest.mark.parametrize("name", ["loihi-2", "akida-1000", "speck", "blouw-2018-kws", "step-memory"])
def test_a_profile_without_prices_prices_nothing(trace, name) -> None:
    with pytest.raises(PriceError, match=rf'^hardware "{name}" prices no action'):
        se.price(trace, name)


def test_the_report_leaves_out_what_pricing_does_not_read(trace) -> None:
    hardware = se.price(trace, "loihi").to_dict()["hardware"]
    assert {"energy_pj", "unpriced", "sources", "scope"} <= set(hardware)
    assert not {"limits", "timing_ns", "system", "event_pj", "memory_pj"} & set(hardware)


def test_no_ratio_where_a_side_has_no_price(trace) -> None:
    """The ANN is all multiply-accumulates: without their price its energy is no 0, it is unknown."""
    ann = se.trace(nn.Linear(4, 2, bias=False), torch.rand(1, 4) + 0.01)
    chips = se.compare(se.price(trace, "loihi"), se.price(ann, "loihi"))
    assert (chips.ratio, chips.without_price) == (None, ("mac",))
    assert chips.to_dict()["ratio"] is None
    horowitz = se.compare(se.price(trace, "horowitz-45nm-fp32"), se.price(ann, "horowitz-45nm-fp32"))
    own = se.price(trace, "horowitz-45nm-fp32").energy_per_inference_pj
    assert horowitz.ratio == pytest.approx(8 * 4.6 / own)


def test_a_report_on_a_chip_gives_no_ratio_to_an_ann_without_prices() -> None:
    from typer.testing import CliRunner

    from snn_energy.cli import app

    done = CliRunner().invoke(app, ["profile", "fashion-cnn", "--samples", "2", "--hardware", "loihi"])
    assert done.exit_code == 0
    words = " ".join(done.stdout.split())
    assert "ANN, dense no ratio: this hardware has no price for mac ANN, zero-skipping" in words
    assert "times the SNN's" not in words
