"""The assessment: the same facts as the functions it is made of, from one pass over each network."""

from __future__ import annotations

import json

import pytest
import torch
from reporting_helpers import SPEC, Frames, digits, lively_cnn
from torch import nn

import snn_energy as se
from snn_energy.costing.profiling import profile
from snn_energy.errors import DataError, TraceError, UncountedError, UsageError
from snn_energy.models import LIF
from snn_energy.reporting.assessment import assess
from snn_energy.reporting.document import checked
from snn_energy.reporting.facts import facts
from snn_energy.training import evaluate, load_images


def test_profile_is_price_of_trace():
    x = torch.cat([x for x, _ in digits()()])
    assert profile(lively_cnn(), x) == se.price(se.trace(lively_cnn(), x))
    assert se.profile(lively_cnn(), x, method="arithmetic-zero-skipping", time_steps=3).trace.time_steps == 3


def test_it_holds_what_the_single_functions_give(assessment):
    model, batches = lively_cnn(), digits()
    inputs = [x for x, _ in batches()]
    report = se.profile(model, inputs)
    twin = se.profile(se.ann_twin(model), inputs)
    assert assessment.report == report
    assert assessment.baseline == twin
    dense, zero_skipping = assessment.comparisons
    assert dense == se.compare(report, twin)
    assert zero_skipping.report == se.profile(model, inputs, method="arithmetic-zero-skipping")
    assert assessment.report_zero_skipping is zero_skipping.report
    assert assessment.baseline_zero_skipping is zero_skipping.baseline
    assert assessment.second_opinion.agrees
    assert assessment.second_opinion.ours == twin.trace.dense_macs // 24
    right = evaluate(model, load_images("digits", limit=24), SPEC)
    assert (assessment.accuracy.correct, assessment.accuracy.total) == (right.correct, right.total)


def test_every_layer_is_at_work(assessment):
    assert all(0 < neuron.spike_rate < 1 for neuron in assessment.report.trace.neurons)


def test_json_is_stable_and_checked(assessment):
    text = assessment.to_json()
    again = assess(
        lively_cnn(), digits(), dataset="digits, test split", model_name="cnn", checkpoint="cnn.pt"
    ).to_json()
    assert text == again
    value = json.loads(text)
    assert checked(value, "x") == value
    assert value == json.loads(json.dumps(assessment.to_dict()))
    assert (value["network"], value["checkpoint"], value["dataset"]) == ("cnn", "cnn.pt", "digits, test split")


def test_batch_size_changes_the_number_of_calls_only():
    def plain(batch_size):
        value = assess(lively_cnn(), digits(batch_size=batch_size)).to_dict()
        return json.loads(json.dumps(value), object_hook=lambda d: {k: v for k, v in d.items() if k != "calls"})

    assert plain(24) == plain(5)


def test_time_axes_agree():
    torch.manual_seed(2)
    frames = (torch.rand(4, 6, 8, 8) < 0.3).float()
    labels = torch.arange(6) % 5
    first = assess(Frames(), lambda: [(frames, labels)], layout="TN")
    swapped = assess(Frames(batch_first=True), lambda: [(frames.transpose(0, 1).contiguous(), labels)], layout="NT")
    assert first.report.trace.samples == swapped.report.trace.samples == 6
    assert first.report.energy_pj == swapped.report.energy_pj
    assert first.accuracy == swapped.accuracy
    assert first.accuracy.total == 6
    assert first.baseline.trace.layers[0].connections * 4 == first.report.trace.layers[0].connections
    assert first.baseline.energy_pj == swapped.baseline.energy_pj
    assert first.second_opinion.ours == first.baseline.trace.dense_macs // 6


def test_without_labels_there_is_no_accuracy():
    images = load_images("digits", limit=4)
    result = assess(lively_cnn(), lambda: [(x, None) for x, _ in images.batches(4, SPEC)])
    assert result.accuracy is None
    assert ("accuracy", "none: the data have no labels") in facts(result.to_dict())


def test_outputs_that_are_no_scores_are_named():
    frames = torch.ones(4, 6, 8, 8)
    result = assess(Frames(), lambda: [(frames, torch.zeros(6, dtype=torch.int64))], layout="TN")
    assert result.accuracy is not None
    maps = nn.Sequential(nn.Conv2d(1, 2, 3), LIF())
    result = assess(maps, lambda: [(torch.ones(3, 1, 8, 8), torch.zeros(3, dtype=torch.int64))])
    assert result.accuracy_missing == "the outputs are no class scores [N, classes] (got [3, 2, 6, 6])"


def test_progress_counts_the_samples_of_every_pass():
    """The network, its twin, and the quantised twin twice: calibrated, then counted."""
    for options, passes in (({}, 4), ({"quantised": False}, 2), ({"baseline": False}, 1)):
        steps = []
        assess(lively_cnn(), digits(), progress=steps.append, **options)
        assert sum(steps) == 24 * passes


def test_a_network_without_neurons_says_why_it_has_no_baseline():
    result = assess(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), digits())
    assert result.baseline is None
    assert result.comparisons == ()
    (text,) = [text for label, text in facts(result.to_dict()) if label == "ANN"]
    assert text.startswith("none: ann_twin: no spiking neuron recognised in Sequential")


class Stepping(nn.Module):
    """Makes its time steps by itself; `T` tells their number, if it is there."""

    def __init__(self, **told):
        super().__init__()
        self.fc, self.neuron, self.head = nn.Linear(64, 5), LIF(threshold=0.1), nn.Linear(5, 10)
        vars(self).update(told)

    def forward(self, x):
        current = self.fc(x.flatten(1))
        return self.head(self.neuron(current.expand(getattr(self, "T", 3), *current.shape))).mean(0)


def test_a_twin_that_would_run_all_time_steps_is_no_baseline():
    """Its head would cost three times an ANN's."""
    result = assess(Stepping(), digits())
    assert result.baseline is None
    assert result.baseline_missing.startswith(
        "the network makes 3 time steps by itself, and so would its twin; give it"
    )
    told = assess(Stepping(T=3), digits()).baseline
    assert told.trace.connections == 24 * (64 * 5 + 5 * 10)


def test_baseline_can_be_left_out():
    result = assess(lively_cnn(), digits(), baseline=False)
    assert result.baseline_missing == "not asked for"
    assert ("ANN", "none: not asked for") in facts(result.to_dict())


class Uncounted(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.neuron = nn.Linear(8, 8), LIF()

    def forward(self, x):
        x = torch.linalg.matrix_exp(x.flatten(1)[:, :64].reshape(-1, 8, 8) * 0.01)
        return self.neuron(self.fc(x).unsqueeze(0)).squeeze(0).flatten(1)


def test_uncounted_work_is_an_interval_and_strict_refuses_it():
    result = assess(Uncounted(), digits())
    low, high = result.report.energy_interval_pj
    assert low < high
    value = result.to_dict()
    assert not value["complete"]
    (certificate,) = [text for label, text in facts(value) if label == "certificate"]
    assert certificate.startswith("INCOMPLETE: ")
    assert "the energy of one inference lies between" in certificate
    comparison = value["comparison"][0]
    assert comparison["ratio_low"] < comparison["ratio"] < comparison["ratio_high"]
    with pytest.raises(UncountedError, match=r"^strict: .*uncounted"):
        assess(Uncounted(), digits(), strict=True)


class Special(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.neuron = nn.Linear(64, 10), LIF()

    def forward(self, x):
        return torch.sigmoid(self.neuron(self.fc(x.flatten(1)).unsqueeze(0)).squeeze(0))


def test_unpriced_work_is_named_and_strict_refuses_it():
    result = assess(Special(), digits())
    assert [item.action for item in result.report.unpriced] == ["special"]
    assert any(
        label == "unpriced" and text.startswith("special, 10 per inference") for label, text in facts(result.to_dict())
    )
    with pytest.raises(UncountedError, match=r"does not price: special \(240 times\); expected none"):
        assess(Special(), digits(), strict=True)


def test_a_model_that_fails_says_what_it_was_fed():
    with pytest.raises(TraceError, match=r"^Linear failed on an input of shape \[10, 1, 8, 8\] \(RuntimeError: "):
        assess(nn.Linear(3, 4), digits())


def test_bad_requests():
    with pytest.raises(UsageError, match="unknown layout 'T'"):
        assess(lively_cnn(), digits(), layout="T")
    with pytest.raises(UsageError, match="unknown method"):
        assess(lively_cnn(), digits(), method="nope")
    with pytest.raises(UsageError, match="unknown hardware"):
        assess(lively_cnn(), digits(), "nope")
    with pytest.raises(DataError, match="empty"):
        assess(lively_cnn(), list)


def test_the_model_is_left_as_it_was():
    model = lively_cnn().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assess(model, digits())
    assert model.training
    assert model.time_steps == 3
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
