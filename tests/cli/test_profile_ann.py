"""`snn-energy profile --ann --crossover`: an ANN of the user's own, and the table of crossovers."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from snn_energy.cli import app

NETWORKS = """
import torch
from torch import nn
from snn_energy.models import LIF

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.neuron, self.out = nn.Linear(64, 8), LIF(threshold=0.1), nn.Linear(8, 3)
        self.time_steps = 2

    def forward(self, x):
        current = self.fc(x.flatten(1))
        return self.out(self.neuron(current.expand(self.time_steps, *current.shape))).mean(0)

def ann():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 3))

def broken():
    raise ValueError("no")
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ann")
    (folder / "two_nets.py").write_text(NETWORKS, encoding="utf-8")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    np.savez(folder / "pixels.npz", images=pixels, labels=np.array([0, 1, 2, 0, 1]))
    torch.manual_seed(5)
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 3)).state_dict(), folder / "a.pt")
    return folder


@pytest.fixture
def run(monkeypatch, files):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(files)
    monkeypatch.setattr(sys, "path", list(sys.path))
    own = ("profile", "--model", "two_nets:Net", "--data", "pixels.npz")
    return lambda *words, command=own: CliRunner().invoke(app, [*command, *map(str, words)])


def test_a_named_ann_is_in_the_report(run, files):
    result = run("--ann", "two_nets:ann", "--ann-weights", "a.pt", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    value = json.loads(result.stdout)
    assert value["ann"]["name"] == "two_nets:ann"
    rows = {row["name"]: row for row in value["ann"]["baseline"]["rows"]}
    assert rows["1"]["connections"] == 5 * 64 * 4
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 3))
    model.load_state_dict(torch.load(files / "a.pt"))
    with np.load(files / "pixels.npz") as data:
        x, labels = torch.from_numpy(data["images"]).float() / 255, torch.from_numpy(data["labels"])
    assert value["ann"]["accuracy"] == {"correct": int((model(x).argmax(1) == labels).sum()), "total": 5}
    assert value["ann"]["second_opinion"]["ours"] == 64 * 4 + 4 * 3


def test_the_tables_are_printed_and_shown_again(run, files):
    result = run("--crossover", "--output", "r.json", "--format", "table")
    assert result.exit_code == 0
    result = run("--crossover")
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    twin = "2-bit quantised twin"
    for title in ("dense ANN", "zero-skipping ANN", f"{twin}, dense", f"{twin}, zero-skipping"):
        assert f"\nagainst the {title}\n" in result.stdout
    plain = run()
    assert result.stdout.startswith(plain.stdout)
    assert plain.stdout.count("\nverdict ") == 1
    run("--json", "--output", "report.json")
    again = run(command=("report", "report.json", "--crossover"))
    assert again.stdout == result.stdout
    written = run(command=("report", "report.json", "--crossover", "--output", "r.md"))
    assert written.exit_code == 0
    assert "## Crossover against the dense ANN" in (files / "r.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--ann", "two_nets:an"), 2, "--ann two_nets:an: unknown factory 'an': did you mean 'ann'?"),
        (("--ann", "two_nets"), 2, "--ann must be package.module:factory (got 'two_nets')"),
        (("--ann", "two_nets:broken"), 2, "--ann two_nets:broken failed (ValueError: no); it is called without"),
        (("--ann", "two_nets:Net"), 2, "expected a network without spiking neurons (got neuron)"),
        (("--ann-weights", "a.pt"), 2, "--ann-weights a.pt are of no network: give --ann MODULE:FACTORY"),
        (("--ann", "two_nets:ann", "--ann-weights", "none.pt"), 1, "none.pt"),
        (("--crossover", "--json"), 2, "--crossover adds tables for people, not to json"),
        (("--crossover", "--format", "csv"), 2, "--crossover adds tables for people, not to csv"),
        (("--crossover", "--no-baseline"), 2, "--crossover needs an ANN to compare with"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(run, words, code, message):
    result = run(*words)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_the_quantised_twin_can_be_left_out(run):
    value = json.loads(run("--no-quantised", "--json").stdout)
    assert (value["quantised"], value["quantised_missing"]) == (None, "not asked for")


def test_uncertainty_covers_every_baseline(run):
    value = json.loads(run("--uncertainty", "--ann", "two_nets:ann", "--json").stdout)
    assert [item["baseline"] for item in value["uncertainty"]["against"]] == [
        "dense", "zero-skipping", "quantised-dense", "quantised-zero-skipping", "ann-dense", "ann-zero-skipping",
    ]  # fmt: skip
