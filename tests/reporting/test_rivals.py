"""Reports with a quantised twin, a named ANN, crossovers and a verdict: made, read back, told."""

from __future__ import annotations

import copy
import json
import re
from contextlib import suppress

import pytest
import torch
from reporting_helpers import Frames, digits, lively_cnn
from torch import nn

import snn_energy as se
from snn_energy.baselines.quantised import multibit, quantised_twin
from snn_energy.errors import DataError, TraceError, UsageError
from snn_energy.hardware import load_hardware
from snn_energy.models import LIF
from snn_energy.reporting.assessment import assess
from snn_energy.reporting.crossover_view import crossover_lines, crossover_markdown
from snn_energy.reporting.document import checked
from snn_energy.reporting.facts import facts
from snn_energy.reporting.markdown import markdown
from snn_energy.reporting.spread import uncertainty_key
from snn_energy.reporting.terminal import terminal_text

NAMES = ["dense", "zero-skipping", "quantised-dense", "quantised-zero-skipping"]


def rival() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))


@pytest.fixture(scope="module")
def named():
    return assess(lively_cnn(), digits(), ann=("nets:rival", rival()))


def plain(value):
    return json.loads(json.dumps(value))


def test_the_quantised_twin_is_counted_on_the_same_data(assessment):
    model, inputs = lively_cnn(), [x for x, _ in digits()()]
    twin = quantised_twin(model, inputs, 3)
    found = assessment.quantised
    assert found.twin.steps == twin.steps
    facts_ = multibit(se.trace(twin.model, inputs), se.trace(se.ann_twin(model), inputs))
    assert found.baseline == se.price(facts_)
    assert [c.baseline.method for c in found.comparisons] == ["arithmetic", "arithmetic-zero-skipping"]
    assert found.comparisons[1].baseline == se.price(facts_, method="arithmetic-zero-skipping")
    assert found.comparisons[0].report == assessment.comparisons[0].report
    value = assessment.to_dict()["quantised"]
    assert (value["bits"], value["levels"]) == (2, 4)
    assert "2 bits" in value["note"]
    assert "fp32 (32 bits)" in value["note"]
    assert value["baseline"]["totals"]["energy_pj"] == found.baseline.energy_pj


def test_the_note_says_what_was_priced():
    notes = {
        options: assess(lively_cnn(), digits(samples=3), method=f"arithmetic{options}").quantised.note
        for options in ("+memory", "+memory:trace-bits")
    }
    assert "each multiply-accumulate and each move is priced as fp32 (32 bits)" in notes["+memory"]
    assert "each multiply-accumulate is priced as fp32 (32 bits)" in notes["+memory:trace-bits"]


def test_narrow_operands_move_fewer_bits_where_values_are_as_wide_as_they_ran():
    found = assess(lively_cnn(), digits(samples=3), method="arithmetic+memory:trace-bits")
    rows = {(row.name, row.tensor): row for row in found.quantised.comparisons[0].baseline.memory.rows}
    head = {layer.name: layer for layer in found.quantised.baseline.trace.layers}["head"]
    assert rows["head", "inputs"].read_bits == head.elements * 2
    plain = {(row.name, row.tensor): row for row in found.comparisons[0].baseline.memory.rows}
    assert plain["head", "inputs"].read_bits == head.elements * 32


def test_a_document_holds_every_crossover(document):
    crossover = document["crossover"]
    assert [item["baseline"] for item in crossover["baselines"]] == NAMES
    layers = ["blocks.0.conv", "blocks.1.conv", "head"]
    assert [(item["baseline"], item["layer"]) for item in crossover["layers"]] == [
        (n, la) for n in NAMES for la in layers
    ]
    for item in crossover["layers"]:
        c0, c1, c2 = item["curve_pj"]
        assert item["snn_energy_pj"] == pytest.approx(c0 + c1 * item["rate"] + c2 * item["rate"] ** 2)
        r = item["crossover_rate"]
        assert item["ann_energy_pj"] == pytest.approx(c0 + c1 * r + c2 * r * r)
    for item, comparison in zip(crossover["baselines"], document["comparison"], strict=False):
        assert item["ratio"] == pytest.approx(comparison["ratio"])
    value = plain(document)
    assert checked(value, "x") == value


def test_whoever_wants_no_quantised_twin_gets_none():
    value = assess(lively_cnn(), digits(), quantised=False).to_dict()
    assert (value["quantised"], value["quantised_missing"]) == (None, "not asked for")
    assert [item["baseline"] for item in value["crossover"]["baselines"]] == NAMES[:2]
    value = assess(lively_cnn(), digits(), baseline=False).to_dict()
    assert (value["quantised"], value["quantised_missing"]) == (None, "not asked for")
    assert "crossover" not in value
    assert "verdict" not in dict(facts(value))


class NoTime(nn.Module):
    """Two neuron layers that run different numbers of steps: nobody knows its T."""

    def __init__(self):
        super().__init__()
        self.fc, self.one, self.out, self.two = nn.Linear(64, 5), LIF(threshold=0.1), nn.Linear(5, 4), LIF()
        self.time_steps = 2

    def forward(self, x):
        current = self.fc(x.flatten(1))
        spikes = self.one(current.expand(self.time_steps, *current.shape))
        return self.two(self.out(spikes.sum(0, keepdim=True)))[0]


def test_without_a_number_of_time_steps_there_is_no_quantised_twin():
    value = assess(NoTime(), digits()).to_dict()
    assert value["quantised"] is None
    assert value["quantised_missing"] == "the number of time steps is not known (layers differ in it)"
    assert value["baseline"] is not None


def test_a_named_ann_is_counted_priced_and_checked(named):
    inputs = [x for x, _ in digits()()]
    found = named.ann
    assert found.baseline == se.profile(rival(), inputs)
    assert found.comparisons[1].baseline == se.profile(rival(), inputs, method="arithmetic-zero-skipping")
    # 64 x 20 + 20 x 10, by fvcore too
    assert found.second_opinion.agrees
    assert found.second_opinion.ours == 1480
    labels = torch.cat([labels for _, labels in digits()()])
    right = int((rival()(torch.cat(inputs)).argmax(1) == labels).sum())
    assert (found.score.correct, found.score.total) == (right, 24)
    told = [text for _, text in facts(named.to_dict())]
    assert any(text.startswith("nets:rival, dense: ") for text in told)
    assert "its dense MACs agree with fvcore: 1,480" in told
    assert any(text.startswith(f"its accuracy: {100 * right / 24:.2f} %") for text in told)
    value = plain(named.to_dict())
    assert checked(value, "x") == value


def test_a_named_ann_without_a_twin():
    value = assess(lively_cnn(), digits(), baseline=False, ann=("nets:rival", rival())).to_dict()
    assert [item["baseline"] for item in value["crossover"]["baselines"]] == ["ann-dense", "ann-zero-skipping"]
    assert all(item["outcome"] == "unknown" for item in value["crossover"]["layers"])
    assert "ANN nets:rival, dense" in dict(facts(value))["verdict"]


def test_a_named_ann_sees_the_batches_as_they_are():
    frames, seen = (torch.rand(4, 6, 8, 8) < 0.3).float(), []

    class Mean(nn.Linear):
        def forward(self, x):
            seen.append(list(x.shape))
            return super().forward(x.mean(0).flatten(1))

    found = assess(Frames(), lambda: [(frames, None)], layout="TN", ann=("mean", Mean(64, 5)), baseline=False).ann
    assert seen[0] == [4, 6, 8, 8]
    assert found.baseline.trace.samples == 6
    assert found.baseline.trace.connections == 6 * 64 * 5
    assert found.second_opinion.ours == 64 * 5
    seen.clear()
    still = torch.rand(1, 6, 8, 8)
    assess(
        Frames(), lambda: [(frames, None)], layout="TN", still=lambda: [(still, None)], baseline=False,
        ann=("flat", nn.Sequential(nn.Flatten(), nn.Linear(64, 5))),
    )  # fmt: skip


def test_what_is_no_ann_is_refused():
    with pytest.raises(
        UsageError, match=r"--ann cnn: expected a network without spiking neurons \(got blocks\.0\.neuron"
    ):
        assess(lively_cnn(), digits(), ann=("cnn", lively_cnn()), baseline=False)
    with pytest.raises(
        TraceError, match=r"^the ANN wrong failed on an input of shape \[10, 1, 8, 8\] \(RuntimeError: "
    ):
        assess(lively_cnn(), digits(), ann=("wrong", nn.Linear(3, 4)), baseline=False)


def test_the_ann_is_left_as_it_was():
    model = rival().train()
    assess(lively_cnn(), digits(), ann=("x", model), baseline=False)
    assert all(module.training for module in model.modules())


def test_the_verdict_tells_ratio_and_bound(document):
    (verdict,) = (text for label, text in facts(document) if label == "verdict")
    by = {item["baseline"]: item for item in document["crossover"]["baselines"]}
    comparison = {item["method"]: item for item in document["comparison"]}
    dense = (
        comparison["arithmetic"]["ann_energy_per_inference_pj"]
        / comparison["arithmetic"]["snn_energy_per_inference_pj"]
    )
    assert dense > 1
    assert f"less than the dense ANN ({dense:.2f} times; would lose above " in verdict
    assert f"would lose above {by['dense']['crossover_mean_rate']:.3f})" in verdict
    skipping = comparison["arithmetic-zero-skipping"]
    more = skipping["snn_energy_per_inference_pj"] / skipping["ann_energy_per_inference_pj"]
    assert more > 1
    assert f"more than the zero-skipping ANN ({more:.2f} times; would win below " in verdict
    assert "than the 2-bit quantised twin, zero-skipping (" in verdict
    rows = [row for row in document["rows"] if row["part"] == "synapses"]
    rate = sum(row["spikes"] for row in rows) / sum(row["spikes"] / row["spike_rate"] for row in rows)
    assert verdict.startswith(f"at a mean spike rate of {rate:.3f} the SNN needs ")


def test_the_verdict_is_as_sure_as_the_prices():
    found = assess(lively_cnn(), digits(), "horowitz-45nm-fp32")
    document = {**found.to_dict(), **uncertainty_key(found.report, against=found.against)}
    chances = document["uncertainty"]["against"]
    assert [item["baseline"] for item in chances] == NAMES
    text = dict(facts(document))["verdict"]
    if document["uncertainty"]["tornado"]:
        assert f"less in {100 * chances[0]['probability']:.3g} % of the draws" in text
    else:
        assert "draws" not in text


def test_ranges_are_told_in_the_verdict():
    from dataclasses import replace

    base = load_hardware("horowitz-45nm-fp32")
    prices = {**base.energy_pj, "ac": replace(base.energy_pj["ac"], range_pj=(0.1, 3.0))}
    found = assess(lively_cnn(), digits(), replace(base, energy_pj=prices))
    document = {**found.to_dict(), **uncertainty_key(found.report, against=found.against)}
    assert checked(plain(document), "x")
    text = dict(facts(document))["verdict"]
    assert text.count("% of the draws") == 3


@pytest.mark.parametrize("width", [80, 100])
def test_the_tables_fit(document, width):
    lines = [text for text, _ in crossover_lines(document, width)]
    assert max(map(len, lines)) <= width
    titles = [line for line in lines if line.startswith("against the ")]
    assert titles == [
        "against the dense ANN", "against the zero-skipping ANN", "against the 2-bit quantised twin, dense",
        "against the 2-bit quantised twin, zero-skipping",
    ]  # fmt: skip
    for item in document["crossover"]["layers"]:
        shown = f"{item['crossover_rate']:.4f}" if item["outcome"] == "below" else {"always": "any"}[item["outcome"]]
        pattern = rf"^{re.escape(item['layer'])} +\w+ +{item['rate']:.4f} +{re.escape(shown)} "
        assert any(re.match(pattern, line) for line in lines), (item["layer"], shown)


def test_the_quantised_twin_is_explained_below(document):
    told = " ".join(text for text, _ in crossover_lines(document, 80))
    assert "2-bit quantised twin: 4 levels in place of every neuron" in told
    assert document["quantised"]["note"] in told
    alone = {**document, "quantised": None}
    assert "in place of every neuron" not in " ".join(text for text, _ in crossover_lines(alone, 80))


def test_layers_that_an_ann_lacks_are_explained_below(document):
    def told(value):
        return " ".join(text for text, _ in crossover_lines(value, 80))

    other = plain(document)
    assert "of another shape" not in told(other)
    other["crossover"]["layers"][0] |= {"ann_energy_pj": None, "crossover_rate": None, "margin": None}
    assert "An ANN of another shape has none of these layers: only the network is compared with it." in told(other)
    assert "of another shape" in crossover_markdown(other)


def test_long_names_lose_their_front(document):
    value = copy.deepcopy(plain(document))
    for item in value["crossover"]["layers"]:
        item["layer"] = "encoder." * 12 + item["layer"]
    assert all(len(text) <= 80 for text, _ in crossover_lines(value, 80))


def test_tables_in_markdown(document):
    text = crossover_markdown(document)
    assert text.count("## Crossover against the ") == 4
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {8}


def test_all_renderers_take_it(named):
    value = named.to_dict()
    assert all(len(line) <= 80 for line in terminal_text(value).splitlines())
    assert "verdict" in markdown(value)


def test_without_crossovers_there_is_no_table():
    value = assess(lively_cnn(), digits(), baseline=False).to_dict()
    with pytest.raises(DataError, match="no crossover in this report"):
        crossover_lines(value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("crossover", "layers", 0, "curve_pj"), [1, 2], r"crossover\.layers\[0\]\.curve_pj must be three numbers"),
        (
            ("crossover", "layers", 0, "outcome"),
            "soon",
            r"crossover\.layers\[0\]\.outcome must be one of below, always",
        ),
        (("crossover", "baselines", 1, "scale"), -1, r"crossover\.baselines\[1\]\.scale must be a number >= 0 or null"),
        (("quantised", "bits"), 0, r"quantised\.bits must be an integer >= 1"),
        (("quantised", "baseline", "samples"), 0, r"quantised: samples must be an integer >= 1"),
    ],
)
def test_damaged_ones_are_refused(document, path, value, message):
    damaged = plain(document)
    inner = damaged
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(DataError, match=message):
        checked(damaged, "x.json")


def test_whatever_is_damaged_there_is_a_line_or_a_report(named):
    """One value of each part beside the rows is replaced: never a traceback."""
    found = {**named.to_dict(), **uncertainty_key(named.report, against=named.against)}
    text = json.dumps({**found, "rows": found["rows"][:1], "crossover": _short(found["crossover"])})
    places = [("ann",), ("quantised",), ("crossover",), ("uncertainty",)]
    while places:
        *_, last = path = places.pop()
        for wrong in ("gone", None, "x", -1, [3], {"x": 3}):
            damaged = json.loads(text)
            inner = damaged
            for key in path[:-1]:
                inner = inner[key]
            if wrong == "gone":
                del inner[last]
            else:
                inner[last] = wrong
            with suppress(DataError):
                checked(damaged, "x")
                terminal_text(damaged)
                crossover_lines(damaged)
        inner = json.loads(text)
        for key in path:
            inner = inner[key]
        if "baseline" not in path[:2]:
            keys = inner if isinstance(inner, dict) else range(len(inner[:2])) if isinstance(inner, list) else ()
            places += [(*path, key) for key in keys]


def _short(crossover):
    return {"baselines": crossover["baselines"], "layers": crossover["layers"][:2]}


def test_old_reports_are_read_without_them(document):
    old = {
        key: value
        for key, value in plain(document).items()
        if key not in ("quantised", "quantised_missing", "crossover")
    }
    assert checked(old, "x") == old
    assert "verdict" not in dict(facts(old))


# -- the same from Python ----------------------------------------------------------------------------------------------


def test_profile_with_an_ann():
    model, x = lively_cnn(), [x for x, _ in digits()()]
    report = se.profile(model, x, ann=rival())
    assert report.ann == se.profile(rival(), x)
    comparison = se.compare(report)
    assert comparison.baseline is report.ann
    assert comparison.ratio == pytest.approx(report.ann.energy_pj / report.energy_pj)
    assert comparison.crossover.ratio == pytest.approx(comparison.ratio)
    value = json.loads(report.to_json())
    assert value["ann"]["name"] == "Sequential"
    assert value["ann"]["baseline"]["totals"]["energy_pj"] == report.ann.energy_pj
    assert checked(value, "x") == value
    assert "ann" not in json.loads(se.profile(model, x).to_json())


def test_profile_until_runs_the_ann_on_the_same_samples():
    x = torch.cat([x for x, _ in digits(samples=80)()])
    batches = list(x.split(10))
    report = se.profile(lively_cnn(), batches, until=0.5, ann=rival())
    assert 30 <= report.trace.samples < 80
    assert report.ann.trace.samples == report.trace.samples


def test_an_ann_needs_data_twice():
    with pytest.raises(UsageError, match="data must be there twice"):
        se.profile(lively_cnn(), iter([torch.rand(1, 1, 8, 8)]), ann=rival())
    with pytest.raises(UsageError, match="nothing to compare with"):
        se.compare(se.profile(lively_cnn(), torch.rand(1, 1, 8, 8)))
