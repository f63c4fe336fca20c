"""`snn-energy sweep`: energies by hand, every axis, and the same bytes whatever stopped or shared the run."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from lamps import energy, lamp
from torch import nn
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.errors import UsageError
from snn_energy.hardware import load_hardware
from snn_energy.reporting.subject import DataRequest
from snn_energy.tuning.changes import pruned
from snn_energy.tuning.variants import Variant, applied
from snn_energy.workflow import sweeping

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "sweep.txt"
SAMPLES = 40
NETWORK = """
import torch
from torch import nn
from snn_energy.models import LIF

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.neuron, self.out = nn.Linear(16, 4, bias=False), LIF(), nn.Linear(4, 3, bias=False)
        self.time_steps = 2
        with torch.no_grad():
            self.fc.weight.copy_(torch.arange(1.0, 65.0).view(16, 4).T)
            self.out.weight.copy_(torch.arange(1.0, 13.0).view(4, 3).T)

    def forward(self, x):
        current = self.fc(x.flatten(1))
        return self.out(self.neuron(current.expand(self.time_steps, *current.shape))).mean(0)
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    # 0.92 and then 0.92 + 0.46: all fire at the second step. Threshold 0.9: at both; 1.1: at the second still.
    lamp(tmp_path / "lamp.pt", 0.92, 4)
    return lambda *words: CliRunner().invoke(app, ["sweep", *map(str, words)])


def cells(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["cells"]


def test_time_steps_and_thresholds_by_hand(run):
    found = cells(
        run("lamp.pt", "--samples", SAMPLES, "--time-steps", "1,2,4", "--threshold", "0.9,1", "--jobs", 1, "--json")
    )
    # After its spike a neuron starts anew: at threshold 1 it fires at every other step, at 0.9 at every step.
    expected = [(t, f, t if f == 0.9 else t // 2) for t in (1, 2, 4) for f in (0.9, 1.0)]
    assert [(c["asked"]["time_steps"], c["asked"]["threshold"]) for c in found] == [(t, f) for t, f, _ in expected]
    for cell, (steps, factor, fired) in zip(found, expected, strict=True):
        (line,) = cell["lines"]
        assert line["energy_per_inference_pj"] == pytest.approx(energy(SAMPLES, fired, steps))
        assert (line["time_steps"], line["threshold"], line["spike_rate"]) == (steps, factor, fired / steps)


def test_sparsity_leaves_events_and_takes_effective_ones(run, tmp_path, monkeypatch):
    (tmp_path / "sweep_net.py").write_text(NETWORK, encoding="utf-8")
    np.save(tmp_path / "x.npy", np.full((5, 1, 4, 4), 255, dtype=np.uint8))  # every pixel 1.0: every neuron fires
    monkeypatch.syspath_prepend(str(tmp_path))
    found = cells(run("--model", "sweep_net:Net", "--data", "x.npy", "--sparsity", "0,0.25,0.5", "--jobs", 1, "--json"))
    # 64 connections from pixels, once, and 12 from spikes at both steps. Weights rise from one input to the next, so
    # the share that becomes zero is that of the first inputs, and every neuron still fires.
    for cell, share in zip(found, (0, 0.25, 0.5), strict=True):
        line = cell["lines"][0]
        assert line["effective_events"] == 64 * (1 - share) + 2 * 12 * (1 - share)
        assert line["sparsity"] == share
    assert len({cell["lines"][0]["energy_per_inference_pj"] for cell in found}) == 1  # arithmetic charges zero weights
    words = ("--model", "sweep_net:Net", "--data", "x.npy", "--sparsity", "0,0.5", "--jobs", 1, "--json")
    skipping = cells(run(*words, "--method", "neurobench"))
    full, half = (cell["lines"][0]["energy_per_inference_pj"] for cell in skipping)
    assert half == pytest.approx(full / 2)


def test_pruning_sets_the_smallest_to_zero_and_gives_them_back():
    layer = nn.Linear(5, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, -1.0, 2.0, 1.0, 5.0], [0.5, 4.0, -6.0, 1.0, 9.0]]))
    before = layer.weight.detach().clone()
    with pruned([layer], 0.3):  # 3 of 10: 0.5, then the first two of the three ones
        assert layer.weight.tolist() == [[3.0, 0.0, 2.0, 0.0, 5.0], [0.0, 4.0, -6.0, 1.0, 9.0]]
    assert torch.equal(layer.weight, before)
    with pruned([layer], 0.29):
        assert int((layer.weight == 0).sum()) == 2


@pytest.mark.parametrize(
    "changes", [{"time_steps": 0}, {"weights": "int3"}, {"sparsity": 1.0}, {"sparsity": -0.1}, {"threshold": 0.0}]
)
def test_changes_out_of_range_are_refused(changes):
    with pytest.raises(UsageError):
        Variant(**changes)


def test_a_change_of_everything_is_taken_back(tmp_path):
    from snn_energy.models import load_checkpoint

    model = load_checkpoint(lamp(tmp_path / "l.pt", 0.92, 4)).model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    neuron = model.blocks[0].neuron
    with applied(model, Variant(time_steps=7, weights="int4", sparsity=0.5, threshold=3.0), [neuron]):
        assert (model.time_steps, float(neuron.threshold)) == (7, 3.0)
    assert (model.time_steps, float(neuron.threshold)) == (2, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_tables_at_80_columns(run):
    result = run(
        "lamp.pt", "--samples", SAMPLES, "--time-steps", "1,2", "--bits", "own,8", "--sparsity", "0,0.5",
        "--threshold", "0.9,1", "--hardware", "horowitz-45nm-fp32", "--hardware", "loihi", "--jobs", 1,
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout == GOLDEN.read_text(encoding="utf-8")


WORDS = ("lamp.pt", "--samples", SAMPLES, "--time-steps", "1,2,3", "--threshold", "0.9,1")


def test_a_sweep_that_was_interrupted_goes_on_to_the_same_bytes(run, monkeypatch):
    assert run(*WORDS, "--jobs", 1, "--output", "whole.json", "--csv", "whole.csv").exit_code == 0
    real, ran = sweeping.run_cell, []

    def interrupted(job, variant):
        if len(ran) == 4:
            raise KeyboardInterrupt
        ran.append(variant)
        return real(job, variant)

    monkeypatch.setattr(sweeping, "run_cell", interrupted)
    stopped = run(*WORDS, "--jobs", 1, "--output", "s.json")
    assert stopped.exit_code == 130
    assert "s.json.partial holds 4 of 6 cells: go on with the same command and --resume" in stopped.stderr
    assert not Path("s.json").exists()
    ran.clear()
    done = run(*WORDS, "--jobs", 1, "--output", "s.json", "--csv", "s.csv", "--resume")
    assert done.exit_code == 0, done.output
    assert len(ran) == 2
    assert Path("s.json").read_bytes() == Path("whole.json").read_bytes()
    assert Path("s.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert not Path("s.json.partial").exists()


def test_a_partial_file_of_another_sweep_is_refused(run, monkeypatch):
    def interrupted(job, variant):
        raise KeyboardInterrupt

    partial = sweeping.Partial(Path("s.json"), {"network": "another"})
    partial.write({})
    for words, message in (
        ((), "s.json.partial: cannot resume, it was made with another network"),
        (None, "s.json.partial: expected a partial sweep of version 1"),
    ):
        if words is None:
            Path("s.json.partial").write_text("[]", encoding="utf-8")
        result = run(*WORDS, "--jobs", 1, "--output", "s.json", "--resume")
        assert result.exit_code in (1, 2)
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_another_grid_or_other_data_change_the_identity(tmp_path):
    path = str(lamp(tmp_path / "lamp.pt", 0.92, 4))

    def identity(samples=3, hardware="horowitz-45nm-fp32", time_steps=(1, 2), **changes):
        job = sweeping.Job(
            checkpoint=path,
            data=DataRequest(source="digits", samples=samples),
            hardware=(load_hardware(hardware),),
            axes=sweeping.Axes(time_steps=time_steps),
            **changes,
        )
        return sweeping.identity_of(job, job.subject())

    base = identity()
    for changes, key in (
        ({"samples": 2}, "data"),
        ({"time_steps": (1, 3)}, "grid"),
        ({"hardware": "horowitz-45nm-int8"}, "prices"),
        ({"method": "neurobench"}, "method"),
        ({"batch_size": 7}, "batch size"),
    ):
        assert identity(**changes)[key] != base[key]
    assert identity() == base
    lamp(tmp_path / "lamp.pt", 0.93, 4)
    assert identity()["network"] != base["network"]


@pytest.mark.slow
def test_several_processes_give_the_same_bytes(run):
    assert run(*WORDS, "--jobs", 1, "--output", "one.json").exit_code == 0
    assert run(*WORDS, "--jobs", 3, "--output", "three.json").exit_code == 0
    assert Path("one.json").read_bytes() == Path("three.json").read_bytes()


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_to_the_same_bytes(run, tmp_path):
    words = ["lamp.pt", "--time-steps", ",".join(map(str, range(1, 25))), "--jobs", "2"]
    assert run(*words, "--output", "whole.json").exit_code == 0
    command = [sys.executable, "-m", "snn_energy", "sweep", *words, "--output", "s.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        for _ in range(1200):
            if Path("s.json.partial").exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for _ in range(600):  # its processes end with it: nobody would take their results
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.05)
        else:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail("processes of the sweep outlived it")
    assert not Path("s.json").exists()
    done = len(json.loads(Path("s.json.partial").read_text(encoding="utf-8"))["cells"])
    assert 0 < done < 24
    assert run(*words, "--output", "s.json", "--resume").exit_code == 0
    assert Path("s.json").read_bytes() == Path("whole.json").read_bytes()


def test_csv_has_a_row_for_each_cell_and_profile(run):
    result = run("lamp.pt", "--samples", 5, "--time-steps", "1,2", "--hardware", "horowitz-45nm-fp32",
                 "--hardware", "horowitz-45nm-int8", "--jobs", 1, "--output", "s.csv")  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "wrote s.csv\n")
    rows = list(csv.DictReader(io.StringIO(Path("s.csv").read_text(encoding="utf-8"))))
    assert [(row["asked_hardware"], row["time_steps"]) for row in rows] == [
        ("horowitz-45nm-fp32", "1"), ("horowitz-45nm-fp32", "2"), ("horowitz-45nm-int8", "1"),
        ("horowitz-45nm-int8", "2"),
    ]  # fmt: skip
    assert float(rows[1]["energy_per_inference_pj"]) == pytest.approx(energy(5, 1))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["lamp.pt"], 2, "nothing to change: give --time-steps, --bits, --sparsity or --threshold"),
        ([], 2, "nothing to sweep: name a checkpoint"),
        (["lamp.pt", "--bits", "8", "--resume"], 2, "--resume goes on from FILE.partial"),
        (["lamp.pt", "--bits", "8", "--jobs", "0"], 2, "--jobs must be >= 1 (got 0)"),
        (["lamp.pt", "--sparsity", "1"], 2, "--sparsity must be shares from 0 to below 1, like 0.5"),
        (["lamp.pt", "--threshold", "nan"], 2, "--threshold must be factors above 0, like 0.9"),
        (["lamp.pt", "--bits", "8", "--method", "arithmetics"], 2, "unknown method 'arithmetics'"),
        (["missing.pt", "--bits", "8"], 1, "missing.pt: no such checkpoint"),
    ],
)
def test_mistakes_are_one_line(run, words, code, message):
    result = run(*words)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
