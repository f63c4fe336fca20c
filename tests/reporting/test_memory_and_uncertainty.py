"""Reports with memory and uncertainty: read back, told in words, drawn."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware, load_hardware
from snn_energy.models.neurons import LIF
from snn_energy.reporting.assessment import Assessment, assess
from snn_energy.reporting.document import checked
from snn_energy.reporting.facts import facts
from snn_energy.reporting.plots import draw
from snn_energy.reporting.spread import uncertainty_key
from snn_energy.reporting.terminal import terminal_text

INT8 = load_hardware("horowitz-45nm-int8")


class Steps(nn.Module):
    time_steps = 3

    def __init__(self) -> None:
        super().__init__()
        self.first, self.neuron, self.second = nn.Linear(6, 5), LIF(), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.neuron(self.first(x).expand(self.time_steps, -1, -1)))


def assessed(method: str, hardware: Hardware) -> Assessment:
    torch.manual_seed(0)
    x = torch.rand(2, 6) * 4
    return assess(Steps().eval(), lambda: iter([(x, None)]), hardware, method, time_steps=3)


def ranged() -> Hardware:
    prices = dict(INT8.energy_pj)
    prices["mac"] = replace(prices["mac"], range_pj=(0.2, 0.4))
    return replace(INT8, energy_pj=prices)


def test_both_sides_are_compared_with_their_memory() -> None:
    found = assessed("arithmetic+memory:outputs", INT8)
    methods = [comparison.report.method for comparison in found.comparisons]
    assert methods == ["arithmetic+memory:outputs", "arithmetic-zero-skipping+memory:outputs"]
    assert found.comparisons[0].report.energy_pj == found.report.energy_pj
    assert found.baseline is not None
    assert found.comparisons[0].baseline.energy_pj == found.baseline.energy_pj
    assert found.baseline.components_pj["memory"] > 0
    assert found.report_zero_skipping is found.comparisons[1].report
    labels = [label for label, _ in facts(found.to_dict())]
    assert {"memory", "assumed", "ANN, dense", "ANN, zero-skipping"} <= set(labels)


def test_rows_add_up_with_memory() -> None:
    document = checked(json.loads(assessed("arithmetic+memory", INT8).to_json()), "test")
    for row in document["rows"]:
        parts = (row[f"{part}_pj"] for part in ("mac", "ac", "neuron", "other", "memory"))
        assert row["energy_pj"] == pytest.approx(sum(parts))
    assert sum(row["energy_pj"] for row in document["rows"]) == pytest.approx(document["totals"]["energy_pj"])
    moved = sum(row["energy_pj"] for row in document["memory"]["rows"])
    assert moved == pytest.approx(document["totals"]["components_pj"]["memory"])
    text = terminal_text(document)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "not charged" in text


def test_uncertainty_is_told_and_drawn() -> None:
    found = assessed("arithmetic", ranged())
    document = checked(
        json.loads(json.dumps({**found.to_dict(), **uncertainty_key(found.report, found.comparisons)})), "test"
    )
    spread = document["uncertainty"]
    # 30 multiply-accumulates of one inference at 0.2 to 0.4 pJ, all else as it is.
    assert spread["high_pj"] - spread["low_pj"] == pytest.approx(30 * 0.2)
    assert [item["method"] for item in spread["cheaper"]] == ["arithmetic", "arithmetic-zero-skipping"]
    # Half the interval is 3 pJ: one decimal, in the table as in the sentences.
    (total,) = (line.split()[1] for line in terminal_text(document).splitlines() if line.startswith("total"))
    assert total == f"{spread['energy_pj']:.1f}"
    assert dict(facts(document))["energy"].startswith(f"{total} pJ per inference, {spread['low_pj']:.1f} to ")
    told = " ".join(text for _, text in facts(document))
    assert "by the published ranges of the prices" in told
    assert "energy_pj.mac (0.2 to 0.4 pJ)" in told
    assert "the SNN needs less than the dense ANN in" in told
    assert b"energy_pj.mac" in draw(document, "tornado", "svg")


def test_a_tornado_needs_ranges() -> None:
    found = assessed("arithmetic", INT8)
    with pytest.raises(UsageError, match="make it again with --uncertainty"):
        draw(found.to_dict(), "tornado", "svg")
    with pytest.raises(UsageError, match="no price used on horowitz-45nm-int8 has a published range"):
        draw({**found.to_dict(), **uncertainty_key(found.report)}, "tornado", "svg")
