"""`snn-energy train --energy-weight`, `--energy-target-uj`: what is recorded, what it does, what is refused."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.models import load_checkpoint

QUICK = ["--data", "digits", "--epochs", "3", "--time-steps", "2", "--widths", "4", "--batch-size", "64"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["train", *QUICK, *words])


def test_energy_is_measured_recorded_and_pulled_below_a_target(run, tmp_path):
    assert run("--out", "plain.pt").exit_code == 0
    measured = run("--energy-weight", "0", "--out", "measured.pt")
    assert measured.exit_code == 0, measured.output
    assert re.search(r"train accuracy [\d.]+%  energy [\d.e-]+ uJ  ", measured.stdout.splitlines()[1])
    plain, free = (load_checkpoint(tmp_path / f"{name}.pt") for name in ("plain", "measured"))
    theirs = free.model.state_dict()
    assert all(value.equal(theirs[name]) for name, value in plain.model.state_dict().items())
    record = free.training["penalty"]
    assert (record["hardware"], record["weight"], record["target_uj"]) == ("horowitz-45nm-fp32", 0.0, None)
    assert len(record["epochs"]) == 4
    assert "--energy-weight 0" in free.training["command"]

    target = 0.85 * record["epochs"][2]["energy_uj"]
    pulled = run("--energy-target-uj", f"{target:.6f}", "--energy-weight", "10", "--out", "held.pt")
    assert pulled.exit_code == 0, pulled.output
    held = load_checkpoint(tmp_path / "held.pt").training["penalty"]
    # Most of so small a network is neuron updates, which no spike decides.
    assert held["epochs"][2]["energy_uj"] < 0.98 * record["epochs"][2]["energy_uj"]


def test_prices_are_those_of_the_hardware(run, tmp_path):
    one = run("--epochs", "1", "--energy-weight", "0", "--hardware", "horowitz-45nm-int8", "--out", "int8.pt")
    two = run("--epochs", "1", "--energy-weight", "0", "--out", "fp32.pt")
    assert (one.exit_code, two.exit_code) == (0, 0), one.output
    light, heavy = (load_checkpoint(tmp_path / f"{name}.pt").training["penalty"] for name in ("int8", "fp32"))
    assert light["hardware"] == "horowitz-45nm-int8"
    # Additions are 30 times cheaper there, multiplications and comparisons too by 18 and more.
    assert light["epochs"][0]["energy_uj"] < heavy["epochs"][0]["energy_uj"] / 18


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hardware", "horowitz-45nm-int8"], "--hardware prices an energy: give --energy-weight"),
        (["--energy-weight", "-1"], "weight must be a finite number >= 0 (got -1.0)"),
        (["--energy-weight", "1", "--hardware", "nothing"], 'unknown hardware "nothing"'),
        (["--energy-target-uj", "0.000001"], "the target of 1e-06 uJ cannot be reached on horowitz-45nm-fp32"),
    ],
)
def test_energies_that_cannot_be_meant(run, words, message):
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
