"""Names that outside code relies on, each used once on a network small enough to count by hand.

Four inputs reach three LIF neurons, these two outputs; T = 2 and 5 samples.
"""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.models import LIF, pretrained

TIME_STEPS, SAMPLES, INPUTS, HIDDEN, OUTPUTS = 2, 5, 4, 3, 2
HARDWARE = "horowitz-45nm-fp32"


class Tiny(nn.Module):
    """Images `n i` to logits `n o`, the same image at each time step."""

    def __init__(self) -> None:
        super().__init__()
        self.time_steps = TIME_STEPS
        self.first = nn.Linear(INPUTS, HIDDEN)
        self.neuron = LIF(decay=0.5)
        self.last = nn.Linear(HIDDEN, OUTPUTS)
        with torch.no_grad():
            self.first.weight.fill_(1.0)
            self.first.bias.zero_()
            self.last.weight.fill_(0.5)
            self.last.weight[0, 0] = 0.0

    def forward(self, images):
        spikes = self.neuron(self.first(images.expand(self.time_steps, *images.shape)))
        return self.last(spikes).mean(0)


@pytest.fixture
def model():
    return Tiny()


@pytest.fixture
def images():
    """Every sample drives all hidden neurons over the threshold at each step, but for the last, which is dark."""
    images = torch.arange(1.0, SAMPLES * INPUTS + 1).sqrt().unflatten(0, (SAMPLES, INPUTS))  # no common unit: real
    images[-1] = 0.0
    return images


@pytest.fixture
def trace(model, images):
    return se.trace(model, images, samples=None, time_steps=None, strict=False)


SPIKES = (SAMPLES - 1) * HIDDEN * TIME_STEPS


def test_the_interface_is_complete():
    promised = {
        "trace", "price", "profile", "compare", "ann_twin", "load_checkpoint", "list_hardware", "load_hardware",
        "Trace", "Report", "SnnEnergyError", "merge_across_ranks",
    }  # fmt: skip
    assert promised <= set(se.__all__)
    assert set(dir(se)) >= set(se.__all__)
    for name in se.__all__:
        assert getattr(se, name).__name__ == name
    with pytest.raises(AttributeError, match=r"no attribute 'tracer'; public names: .*trace"):
        _ = se.tracer


def test_trace_is_a_frozen_record(trace):
    assert isinstance(trace, se.Trace)
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.samples = 1


def test_layers(trace):
    first, last = trace.layers
    assert (first.name, first.kind, first.calls) == ("first", "linear", 1)
    assert first.operand.kind == "real"
    assert (last.name, last.kind, last.calls) == ("last", "linear", 1)
    assert last.operand.kind == "binary"
    assert (last.spikes, last.elements) == (SPIKES, SAMPLES * HIDDEN * TIME_STEPS)
    assert last.spike_rate == SPIKES / (SAMPLES * HIDDEN * TIME_STEPS)
    assert last.dense_macs == last.connections == SAMPLES * TIME_STEPS * HIDDEN * OUTPUTS
    assert (last.events, last.acs, last.macs) == (SPIKES * OUTPUTS, SPIKES * OUTPUTS, 0)
    assert last.effective_events == SPIKES * OUTPUTS - SPIKES // HIDDEN  # one of the six weights is zero
    assert (first.macs, first.acs) == (first.connections, 0)


def test_totals(trace):
    for name in ("dense_macs", "connections", "events", "effective_events", "acs", "macs"):
        total = getattr(trace, name)
        assert type(total) is int
        assert total == sum(getattr(layer, name) for layer in trace.layers)
    assert trace.samples == SAMPLES


def test_neurons(trace):
    (neuron,) = trace.neurons
    assert (neuron.updates, neuron.state_elements, neuron.spikes) == (SAMPLES * HIDDEN * TIME_STEPS, HIDDEN, SPIKES)


def test_coverage(trace):
    coverage = trace.coverage
    assert coverage.complete is True
    assert coverage.counted
    assert coverage.uncounted == ()
    for record in (*coverage.counted, *coverage.free):
        assert isinstance(record.name, str)


def test_traces_add_up(model, images, trace):
    parts = [se.trace(model, images[:2]), se.trace(model, images[2:])]
    merged = parts[0] + parts[1]
    for name in ("dense_macs", "connections", "events", "effective_events", "acs", "macs", "samples"):
        assert getattr(merged, name) == getattr(trace, name)
    assert se.trace(model, [images[:2], images[2:]]) == merged
    assert se.trace(model, images, samples=2).samples == 2


def test_price(trace):
    report = se.price(trace, hardware=HARDWARE, method="arithmetic")
    assert isinstance(report, se.Report)
    prices = se.load_hardware(HARDWARE).energy_pj
    spent = trace.macs * prices["mac"].value_pj + trace.acs * prices["ac"].value_pj
    assert report.components_pj["mac"] + report.components_pj["ac"] == pytest.approx(spent, rel=1e-12)
    assert report.energy_pj == pytest.approx(sum(report.components_pj.values()), rel=1e-12)
    assert report.latency_cycles is None  # an arithmetic profile states no timing


def test_a_report_becomes_a_frame(trace):
    report = se.price(trace)
    frame = report.to_frame()
    expected = {
        "name", "part", "kind", "operand", "spike_rate", "calls", "spikes", "dense_macs", "connections", "events",
        "effective_events", "macs", "acs", "updates", "mac_pj", "ac_pj", "neuron_pj", "other_pj", "energy_pj",
    }  # fmt: skip
    assert expected <= set(frame.columns)
    assert frame["connections"].sum() == trace.connections
    assert frame["energy_pj"].sum() == pytest.approx(report.energy_pj, rel=1e-12)


def test_a_report_becomes_json(trace):
    report = se.price(trace)
    value = json.loads(report.to_json())
    assert value["totals"]["energy_pj"] == report.energy_pj
    assert value["totals"]["acs"] == trace.acs
    assert value["samples"] == SAMPLES
    assert report.to_json() == se.price(trace).to_json()


def test_profile_is_price_of_trace(model, images, trace):
    assert se.profile(model, images, hardware=HARDWARE) == se.price(trace, hardware=HARDWARE)


def test_ann_twin_and_compare(model, images):
    report = se.profile(model, images)
    baseline = se.profile(se.ann_twin(model), images)
    comparison = se.compare(report, baseline)
    assert isinstance(comparison, se.Comparison)
    assert baseline.trace.neurons == ()
    assert baseline.trace.connections * TIME_STEPS == report.trace.connections
    assert comparison.ratio == baseline.energy_per_inference_pj / report.energy_per_inference_pj
    assert model.time_steps == TIME_STEPS  # the twin is a copy


def test_load_checkpoint():
    checkpoint = se.load_checkpoint(pretrained("fashion-cnn"))
    assert isinstance(checkpoint.model, nn.Module)
    assert not checkpoint.model.training
    with pytest.raises(se.SnnEnergyError, match="missing"):
        se.load_checkpoint("missing.pt")


def test_hardware(tmp_path):
    names = se.list_hardware()
    assert HARDWARE in names
    for name in names:
        assert se.load_hardware(name).name == name
    profile = se.load_hardware(HARDWARE)
    assert Fraction(str(profile.energy_pj["mac"].value_pj)) == Fraction("4.6")
    assert Fraction(str(profile.energy_pj["ac"].value_pj)) == Fraction("0.9")
    with pytest.raises(se.SnnEnergyError, match="unknown hardware"):
        se.load_hardware("horowitz-46nm")
    with pytest.raises(se.SnnEnergyError, match="does not exist"):
        se.load_hardware(tmp_path / "mine.toml")
