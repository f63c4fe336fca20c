"""Energy logged during training, on a network small enough to count by hand."""

from __future__ import annotations

import csv

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.errors import UsageError
from snn_energy.models import LIF

SAMPLES, INPUTS, OUTPUTS, STEPS = 6, 4, 3, 2
MAC_PJ, AC_PJ = 4.6, 0.9  # Horowitz 2014, 45 nm fp32


class Tiny(nn.Module):
    """Four inputs, all neurons fire or none, three outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.time_steps = STEPS
        self.first = nn.Linear(INPUTS, INPUTS, bias=False)
        self.neuron = LIF(decay=0.5)
        self.last = nn.Linear(INPUTS, OUTPUTS, bias=False)

    def drive(self, current: float) -> None:
        with torch.no_grad():
            self.first.weight.copy_(current * torch.eye(INPUTS))

    def forward(self, x):
        return self.last(self.neuron(self.first(x.expand(STEPS, *x.shape)))).mean(0)


@pytest.fixture
def images():
    return torch.rand(SAMPLES, INPUTS, generator=torch.Generator().manual_seed(0)) + 1.0


def test_what_a_measurement_says(images):
    """Both layers at each of two steps: 4 x 4 MACs, and 4 x 3 accumulates if all fire."""
    model, log = Tiny().train(), se.EnergyLog(images)
    model.drive(0.0)
    silent = log.measure(model, 0)
    model.drive(9.0)
    firing = log.measure(model, 1)
    assert model.training
    for values, spikes in ((silent, 0), (firing, STEPS * INPUTS)):
        assert values["spikes"] == spikes
        assert values["spike_rate"] == spikes / (STEPS * INPUTS)
        assert values["macs"] == STEPS * INPUTS * INPUTS
        assert values["acs"] == spikes * OUTPUTS
        assert values["mac_pj"] == pytest.approx(STEPS * INPUTS * INPUTS * MAC_PJ, rel=1e-12)
        assert values["ac_pj"] == pytest.approx(spikes * OUTPUTS * AC_PJ, rel=1e-12)
        parts = ("mac_pj", "ac_pj", "neuron_pj", "other_pj")
        assert values["energy_per_inference_pj"] == pytest.approx(sum(values[part] for part in parts), rel=1e-12)
        assert values["complete"] == 1
    assert [record["epoch"] for record in log.records] == [0, 1]
    assert log.report is not None
    assert log.report.energy_per_inference_pj == firing["energy_per_inference_pj"]


def test_every_second_epoch_and_a_table(images, tmp_path):
    model, log = Tiny(), se.EnergyLog(images, "horowitz-45nm-int8", every=2)
    measured = [bool(log.measure(model, epoch)) for epoch in range(5)]
    assert measured == [True, False, True, False, True]
    assert list(log.to_frame()["epoch"]) == [0, 2, 4]
    log.save(tmp_path / "energy.csv")
    with (tmp_path / "energy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["spikes"]) for row in rows] == [record["spikes"] for record in log.records]


def test_a_network_without_neurons_has_no_spike_rate(images):
    assert "spike_rate" not in se.EnergyLog(images).measure(nn.Linear(INPUTS, 2), 0)


def test_mistakes_are_told_before_the_first_epoch(images):
    with pytest.raises(UsageError, match=r"EnergyLog: every must be an integer >= 1 \(got 0\)"):
        se.EnergyLog(images, every=0)
    with pytest.raises(UsageError, match="an iterator can be read only once"):
        se.EnergyLog(iter([images]))
    with pytest.raises(UsageError, match="horowitz-45nm-fp32"):
        se.EnergyLog(images, "horowitz-45nm-fp3")
