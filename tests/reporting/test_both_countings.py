"""Reports of the networks of a published claim show what was counted and what the claim counts."""

from __future__ import annotations

import json

import pytest
import torch

from snn_energy.errors import DataError
from snn_energy.models import build
from snn_energy.reporting.assessment import assess
from snn_energy.reporting.document import checked
from snn_energy.reporting.facts import facts

AC, MAC = 0.9, 4.6


def assessed(name, x, **options):
    torch.manual_seed(0)
    arguments = {"in_channels": x.shape[1], "classes": 10, "image_size": x.shape[2], **options.pop("arguments", {})}
    model = build(name, **arguments).eval()
    return assess(model, lambda: [(x, None)], model_name=name, baseline=False, **options).to_dict()


def test_both_countings_of_the_papers_network():
    document = assessed("windowed-cnn", torch.rand(1, 3, 32, 32))
    both, rows = document["both_countings"], [row for row in document["rows"] if row["part"] == "synapses"]
    assert both["dense_ann_pj"] == pytest.approx(246_992_640 * MAC)
    assert both["strict_pj"] == pytest.approx(sum(MAC * row["macs"] + AC * row["acs"] for row in rows))
    spiking = [row for row in rows if row["operand"] != "real"]
    published = sum(row["spike_rate"] * row["dense_macs"] for row in spiking)
    dense = sum(row["dense_macs"] for row in spiking)
    assert both["published_pj"] == pytest.approx(AC * published / dense * 246_992_640)
    assert both["published_ratio"] == pytest.approx(both["dense_ann_pj"] / both["published_pj"])
    # However few spikes there are, the real-valued layers alone cost 212 uJ of 1,136.
    assert both["strict_ratio"] < 5.35 < both["published_ratio"]
    (text,) = (text for label, text in facts(document) if label == "both countings")
    assert text.startswith("synapses alone, against 1.136 mJ of a dense ANN of the same shape: ")
    assert f"({both['strict_ratio']:.2f} times less than the ANN) as counted" in text
    assert "as the published claim counts (every operation an accumulate" in text


def test_a_damaged_one_is_refused():
    document = assessed("windowed-cnn", torch.rand(1, 1, 8, 8), arguments={"widths": [4, 8], "depths": [1, 1]})
    document = json.loads(json.dumps(document))
    assert checked(document, "x.json") is document
    document["both_countings"]["strict_pj"] = "much"
    with pytest.raises(DataError, match=r"x\.json: both_countings\.strict_pj must be a number >= 0 in pJ"):
        checked(document, "x.json")


def test_other_networks_have_one_counting():
    document = assessed("spiking-cnn", torch.rand(1, 1, 8, 8), arguments={"widths": (2,), "time_steps": 2})
    assert "both_countings" not in document
    assert not {"both countings", "convention"} & {label for label, _ in facts(document)}


def test_a_convention_is_called_one():
    x, arguments = torch.rand(1, 1, 8, 8), {"widths": (2,), "time_steps": 2}
    document = assessed("spiking-cnn", x, arguments=arguments, method="every-operation-ac")
    found = dict(facts(document))
    assert found["convention"].startswith("published claims count like this: each dense operation an accumulate")
    assert "method every-operation-ac" in found["hardware"]
