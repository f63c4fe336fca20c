"""`snn-energy sensitivity`: every change worked out by hand, what is printed and refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from lamps import AC, ADD, CLASSES, NEURONS, POOLED, energy, lamp, pixel_units, right

from snn_energy.cli import app

GOLDEN = Path(__file__).parents[1] / "golden" / "sensitivity.txt"
SAMPLES = 40


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    # 0.92 and then 0.92 + 0.46: all fire at the second step. Threshold 0.9: at both; 1.1: at the second still.
    lamp(tmp_path / "lamp.pt", 0.92, 4)
    return lambda *words: CliRunner().invoke(app, ["sensitivity", *map(str, words)])


def test_every_change_by_hand(run):
    result = run("lamp.pt", "--samples", SAMPLES, "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert value["base"]["energy_per_inference_pj"] == pytest.approx(energy(SAMPLES, 1))
    assert (value["base"]["correct"], value["base"]["samples"]) == (right(SAMPLES, 4), SAMPLES)

    thresholds = {v["setting"]: v["energy_per_inference_pj"] for v in value["thresholds"]}
    assert thresholds == {0.9: pytest.approx(energy(SAMPLES, 2)), 1.1: pytest.approx(energy(SAMPLES, 1))}

    # After its spike a neuron starts anew: it fires at every other step.
    steps = {v["setting"]: v["energy_per_inference_pj"] for v in value["time_steps_varied"]}
    assert steps == {t: pytest.approx(energy(SAMPLES, t // 2, t)) for t in (1, 2, 3, 4)}

    stem, head = value["rates"]
    assert stem["energy_pj"] == pytest.approx(pixel_units(SAMPLES) / SAMPLES * AC)
    assert (head["operand"], head["rate"]) == ("binary", 0.5)
    assert head["energy_pj"] == pytest.approx(POOLED * CLASSES * AC)
    assert head["slope_pj"] == pytest.approx(2 * POOLED * CLASSES * AC)

    def found(layer, datatype):
        (one,) = (v for v in value["precisions"] if (v["layer"], v["setting"]) == (layer, datatype))
        return one["energy_per_inference_pj"]

    # Horowitz: an 8-bit addition is 0.03 pJ, a 16-bit floating one 0.4 pJ.
    for datatype, add in (("int8", 0.03), ("fp16", 0.4)):
        assert found("blocks.0.conv", datatype) == pytest.approx(energy(SAMPLES, 1, ac=add, add=add))
        lighter = (POOLED * CLASSES + 2 * CLASSES) * (AC - add)
        assert found("head", datatype) == pytest.approx(energy(SAMPLES, 1) - lighter)
    assert found("head", "int4") is None
    assert found("blocks.0.conv", "int8") > energy(SAMPLES, 1) - pixel_units(SAMPLES) * AC - NEURONS * ADD
    assert value["left_out"] == []


def test_the_tables_at_80_columns(run):
    result = run("lamp.pt", "--samples", SAMPLES)
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout == GOLDEN.read_text(encoding="utf-8")


def test_the_shipped_network_fits_80_columns(run):
    words = ("--samples", 10, "--max-time-steps", 1)
    result = run("fashion-cnn", *words)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "blocks.3.neuron" in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing.pt"], 1, "missing.pt: no such checkpoint"),
        (["lamp.pt", "--step", "1.5"], 2, "step must be a share above 0 and below 1, like 0.1 (got 1.5)"),
        (
            ["lamp.pt", "--datatypes", "int8,int3"],
            2,
            "unknown data type 'int3'; expected one of fp16, int8, int4, int2",
        ),
        (["lamp.pt", "--max-time-steps", "-1"], 2, "max_time_steps must be >= 0"),
        (["lamp.pt", "--batch-size", "0"], 2, "--batch-size must be >= 1"),
        (["lamp.pt", "--samples", "100000"], 2, "expected between 1 and 360 samples"),
    ],
)
def test_mistakes_are_one_line(run, words, code, message):
    result = run(*words)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_torch_is_left_as_it_was(run):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert run("lamp.pt", "--samples", 5, "--max-time-steps", 0).exit_code == 0
    assert torch.equal(state, torch.get_rng_state())
