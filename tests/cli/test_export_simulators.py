"""`snn-energy export scalesim | ... ` and `snn-energy simulate`: their words, their refusals, their tables."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import snn_energy as se
from snn_energy.cli import app
from snn_energy.cli.export_simulators import COMMANDS
from snn_energy.cli.simulate import simulated_lines
from snn_energy.models import SpikingCNN, fold, save_checkpoint, snap
from snn_energy.models.inputs import unit_pixels
from snn_energy.simulating import Simulated, SimulatedLayer


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.Flatten())
    path = tmp_path_factory.mktemp("trace") / "counts.json.gz"
    se.save_trace(se.trace(net, torch.rand(2, 1, 8, 8)), path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    net = SpikingCNN(1, 10, 8, widths=(4, 6), time_steps=3).eval()
    with torch.no_grad():
        for value in net.parameters():
            value.mul_(3)
    return save_checkpoint(
        tmp_path_factory.mktemp("checkpoint") / "net.pt",
        snap(fold(net)),
        input=unit_pixels(1, 8, 8),
        classes=tuple("0123456789"),
        dataset="digits",
        training={},
    )


def test_list_says_of_every_simulator_what_it_needs_and_leaves_out(run):
    rows = json.loads(run("export", "list", "--json").stdout)
    assert {row["command"] for row in rows} >= set(COMMANDS)
    assert all(row["needs"] and row["leaves_out"] for row in rows)
    assert max(map(len, run("export", "list").stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    "words", [("export",), ("simulate",), *(("export", name) for name in COMMANDS), ("simulate", "zigzag")]
)
def test_help_fits_and_shows_examples(run, words):
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("simulator", ["timeloop", "zigzag"])
def test_a_trace_is_written_without_the_network(run, counts, tmp_path, simulator):
    result = run("export", simulator, counts, "-o", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"wrote {tmp_path / 'out'}: " in result.stdout
    car = json.loads((tmp_path / "out" / "snn_energy.json").read_text())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*car["files"], "snn_energy.json"])


def test_a_refusal_is_one_line_and_force_lists_what_is_lost(run, counts, tmp_path):
    result = run("export", "scalesim", counts, "-o", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert "it cannot hold 2 groups (2): the topology has no groups" in line
    assert "--force" in line
    assert not (tmp_path / "out").exists()
    result = run("export", "scalesim", counts, "-o", tmp_path / "out", "--force", "--array", "8x16")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "not in them:" in result.stdout
    assert "2 groups (2)" in result.stdout
    told = json.loads(run("export", "scalesim", counts, "-o", tmp_path / "out", "--force", "--json").stdout)
    assert [loss["what"] for loss in told["losses"]] == ["2 groups"]


@pytest.mark.parametrize("simulator", ["sanafe", "loas", "prosperity"])
def test_spikes_of_a_checkpoint_on_its_own_data(run, checkpoint, tmp_path, simulator):
    result = run("export", simulator, checkpoint, "-o", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a layer without spikes (blocks.0.conv): its operand is " in result.stderr
    result = run("export", simulator, checkpoint, "-o", tmp_path / "out", "--force")
    assert (result.exit_code, result.stderr) == (0, "")
    layers = json.loads((tmp_path / "out" / "snn_energy.json").read_text())["layers"]
    assert [layer["name"] for layer in layers] == ["blocks.1.conv", "head"]


def test_a_network_of_the_users_own_with_its_time_axis(run, tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, wide):\n"
        "        super().__init__()\n"
        "        self.head = torch.nn.Linear(6, wide)\n"
        "    def forward(self, x):\n"
        "        return torch.stack([self.head(step) for step in x]).sum(0)\n"
        "build = Net\n"
    )
    frames = (np.random.default_rng(0).random((4, 3, 6)) < 0.4).astype(np.float32)
    np.save(tmp_path / "x.npy", frames)
    monkeypatch.chdir(tmp_path)
    own = ("--model", "own_net:build", "--model-args", '{"wide": 5}', "--data", "x.npy", "--layout", "TN")
    result = run("export", "loas", "-o", "out", "--sample", "1", *own)
    assert (result.exit_code, result.stderr) == (0, "")
    matrix = np.load(tmp_path / "out" / "Layer_0_x.npy")
    np.testing.assert_array_equal(matrix, frames[:, 1, None] != 0)
    result = run("export", "sanafe", "-o", "replay", "--samples", "3", *own)
    assert (result.exit_code, result.stderr) == (0, "")
    car = json.loads((tmp_path / "replay" / "snn_energy.json").read_text())
    assert (car["time_steps_in_all"], car["layers"][0]["events"]) == (12, 5 * int(frames.sum()))
    result = run("export", "loas", "-o", "none")
    assert (result.exit_code, "nothing to run: name a checkpoint" in result.stderr) == (2, True)


def test_wrong_words_are_one_line_and_write_nothing(run, counts, checkpoint, tmp_path):
    out = ("-o", tmp_path / "out")
    for code, words, said in (
        (2, ("export", "scalesim", counts, *out, "--array", "8"), "--array must be rows x columns"),
        (2, ("export", "scalesim", counts, *out, "--sparsity", "2/4"), "--sparsity must be N:M"),
        (2, ("export", "scalesim", counts, *out, "--form", "matrix"), "form must be one of conv, gemm"),
        (2, ("export", "scalesim", counts, *out, "--samples", "3"), "holds counts"),
        (2, ("export", "loas", counts, *out), "a trace holds sums"),
        (2, ("export", "loas", checkpoint, *out, "--sample", "9999"), "expected samples below"),
        (2, ("export", "zigzag", counts, *out, "--machine", "loih"), "loihi"),
        (1, ("export", "zigzag", counts, *out, "--machine", "loihi"), "choose one that does, like han-45nm-int32"),
        (2, ("export", "timeloop", "fashion-cn", *out), "did you mean 'fashion-cnn'?"),
    ):
        result = run(*words)
        assert (result.exit_code, result.stdout) == (code, ""), words
        (line,) = result.stderr.splitlines()
        assert said in line
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("simulator", "command"),
    [("scalesim", "pip install 'scalesim==3.0.0'"), ("zigzag", "pip install 'zigzag-dse==3.9.1'")],
)
def test_a_missing_simulator_names_the_pip_command(run, counts, monkeypatch, simulator, command):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == simulator else found(name, *more)
    )
    result = run("simulate", simulator, counts)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert command in line


def test_the_table_adds_up_and_fits():
    layer = {"stall_cycles": 5, "our_energy_pj": 1500.0}
    layers = (
        SimulatedLayer(
            name="a.very.long.path.of.modules.conv", runs=4, cycles=1_234_567, energy_pj=None, our_cycles=7, **layer
        ),
        SimulatedLayer(name="b", runs=1, cycles=3, energy_pj=None, our_cycles=None, **layer),
    )
    found = Simulated(simulator="x", version="1", machine="m", hardware="h", layers=layers, remarks=("nothing else",))
    lines = [text for text, _ in simulated_lines(found, 80)]
    assert max(map(len, lines)) <= 80
    assert next(line for line in lines if line.startswith("sum")).split() == [
        "sum",
        "1,234,570",
        "10",
        "-",
        "-",
        "3",
        "nJ",
    ]
    plain = found.to_dict()
    assert (plain["cycles"], plain["our_cycles"], plain["energy_pj"], plain["our_energy_pj"]) == (
        1_234_570,
        None,
        None,
        3000.0,
    )
