"""Exports of a network of the user's own, by the name of its factory: `--model MODULE:FACTORY --data …`."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from typer.testing import CliRunner

from snn_energy.cli import app

SOURCE = """
import torch
from torch import nn
from snn_energy.models.neurons import LIF


class Frames(nn.Module):  # one call takes all time steps [T, N, 6]
    def __init__(self, wide=5):
        super().__init__()
        self.fc = nn.Linear(6, wide)
        self.lif = LIF()

    def forward(self, x):
        return self.lif(self.fc(x)).mean(0)


class Swapped(Frames):  # [N, T, 6]
    def forward(self, x):
        return super().forward(x.transpose(0, 1))


class Step(nn.Module):  # one call is one time step [N, 6]
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 5)
        self.membrane = None

    def forward(self, x):
        current = 3 * self.fc(x)
        value = current if self.membrane is None else self.membrane / 2 + current
        spikes = (value >= 1).to(value.dtype)
        self.membrane = value - spikes
        return spikes


class Returned(nn.Module):  # the same, its state handed back and given again
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 5)

    def forward(self, x, membrane=None):
        current = 3 * self.fc(x)
        value = current if membrane is None else membrane / 2 + current
        spikes = (value >= 1).to(value.dtype)
        return spikes, value - spikes


class Looping(nn.Module):
    def forward(self, x):
        while x.sum() > 1:
            x = x / 2
        return x
"""
T, N = 4, 3


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(SOURCE)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "frames.npy", (rng.random((T, N, 6)) < 0.5).astype(np.float32) * 4)
    np.save(tmp_path / "swapped.npy", np.load(tmp_path / "frames.npy").swapaxes(0, 1))
    np.save(tmp_path / "x.npy", rng.random((N, 6), dtype=np.float32))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delitem(__import__("sys").modules, "own_nets", raising=False)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)))


def done(result):
    assert (result.exit_code, result.stderr) == (0, ""), result.stderr
    return json.loads(result.stdout)


def refused(result):
    assert (result.exit_code in (1, 2), result.stdout) == (True, "")
    (line,) = result.stderr.splitlines()
    return line


def spikes_by_hand(x, weight, bias):
    """Of `Step` in T calls on one input, in nested loops."""
    total = np.zeros((N, len(weight)), np.float32)
    for sample in range(N):
        for row in range(len(weight)):
            value = np.float32(0)
            for _ in range(T):
                value = value / 2 + 3 * (weight[row] @ x[sample] + bias[row])
                total[sample, row] += value >= 1
                value -= value >= 1
    return total


@pytest.mark.parametrize("form", ["unrolled", "step", "sequence"])
def test_frames_in_every_form(run, tmp_path, form):
    own = ("--model", "own_nets:Frames", "--model-args", '{"wide": 7}', "--data", "frames.npy", "--layout", "TN")
    told = done(run("export", "onnx", "-o", "net.onnx", "--form", form, "--json", *own))
    assert told["output_shape"] == ["batch", 7]
    assert (told["agreement"]["spikes"], told["agreement"]["spikes_apart"]) == (T * N * 7, 0)
    beside = json.loads((tmp_path / "net.onnx.json").read_text())
    nonzero = int((np.load("frames.npy") != 0).sum())
    assert [(row["name"], row["events"]) for row in beside["layers"]] == [("fc", 7 * nonzero)]
    assert (beside["time_steps"], beside["samples"]) == (T, N)
    before = (tmp_path / "net.onnx").read_bytes()
    done(run("export", "onnx", "-o", "net.onnx", "--form", form, "--json", *own))
    assert (tmp_path / "net.onnx").read_bytes() == before


def test_samples_first_then_time(run, tmp_path):
    own = ("--model", "own_nets:Swapped", "--data", "swapped.npy", "--layout", "NT")
    told = done(run("export", "onnx", "-o", "net.onnx", "--json", *own))
    assert told["input_shape"] == ["batch", T, 6]
    assert json.loads((tmp_path / "net.onnx.json").read_text())["time_steps"] == T
    assert "--layout NT: the step form" in refused(run("export", "onnx", "-o", "b.onnx", "--form", "step", *own))
    assert not (tmp_path / "b.onnx").exists()


@pytest.mark.parametrize("factory", ["Step", "Returned"])
@pytest.mark.parametrize("form", ["unrolled", "sequence"])
def test_a_network_that_is_called_once_for_each_time_step(run, tmp_path, factory, form):
    own = ("--model", f"own_nets:{factory}", "--data", "x.npy", "--time-steps", T, "--readout", "sum")
    done(run("export", "onnx", "-o", "net.onnx", "--form", form, "--json", *own))
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load("net.onnx").graph.initializer}
    weights |= {
        one.name: onnx.numpy_helper.to_array(one)
        for node in onnx.load("net.onnx").graph.node
        for attribute in node.attribute
        for one in attribute.g.initializer
    }
    x = np.load("x.npy")
    expected = spikes_by_hand(x, weights["fc.weight"], weights["fc.bias"])
    assert 0 < expected.sum() < expected.size * T
    session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    given = {"images": x} if form == "unrolled" else {"frames": np.stack([x] * T)}
    np.testing.assert_array_equal(session.run(None, given)[0], expected)
    (layer,) = json.loads((tmp_path / "net.onnx.json").read_text())["layers"]
    assert (layer["operand"], layer["macs"]) == ("real", T * N * 6 * 5), "the network runs it in every call"


@pytest.mark.parametrize("simulator", ["scalesim", "zigzag", "timeloop", "sata"])
def test_sizes_of_an_own_network_and_of_its_graph(run, tmp_path, simulator):
    own = ("--model", "own_nets:Frames", "--data", "frames.npy", "--layout", "TN")
    told = done(run("export", simulator, "-o", "own", "--json", *own))
    assert told["losses"] == []
    (layer,) = json.loads((tmp_path / "own" / "snn_energy.json").read_text())["layers"]
    assert layer["name"] == "fc"
    done(run("export", "onnx", "-o", "net.onnx", "--json", *own))
    done(run("export", simulator, "net.onnx", "-o", "graph", "--json", *own[2:]))
    for name in told["files"]:
        assert (tmp_path / "own" / name).read_bytes() == (tmp_path / "graph" / name).read_bytes()


def test_refusals_are_one_line_and_write_nothing(run, tmp_path):
    out = ("-o", "out")
    own = ("--model", "own_nets:Step", "--data", "x.npy")
    before = set(tmp_path.iterdir())
    for words, said in (
        (("onnx", *out), "nothing to export: name a checkpoint"),
        (("onnx", *out, *own), "it keeps state between calls (membrane)"),
        (("onnx", *out, *own, "--readout", "sum"), "give --time-steps T as well"),
        (("onnx", *out, *own, "--time-steps", 2, "--readout", "summ"), "readout must be one of"),
        (("onnx", *out, "--model", "own_nets:Step"), "needs --data"),
        (("onnx", *out, "--model", "own_nets:Looping", "--data", "x.npy"), "control flow or a size depends on values"),
        (("onnx", *out, "--model", "own_nets:Stap", "--data", "x.npy"), "did you mean 'Step'?"),
        (("onnx", *out, "--model-args", "{}"), "give --model MODULE:FACTORY as well"),
        (("onnx", "net.onnx", *out), "needs a network, not its exported graph"),
        (("onnx", "net.nir", *out), "needs a network, not its exported graph"),
        (("loas", "net.onnx", *out), "needs a network, not its exported graph"),
        (("onnx", "fashion-cnn", *out, "--time-steps", 2, "--no-verify"), "a checkpoint has its own"),
        (("scalesim", *out), "nothing to count: name a checkpoint"),
        (("nir", "fashion-cnn", *out, "--from", "norse"), "leave them out"),
    ):
        assert said in refused(run("export", *words)), words
        assert {path for path in tmp_path.iterdir() if path.name != "__pycache__"} == before
    assert "have the time steps inside" in refused(
        run("export", "onnx", *out, *own[:2], "--data", "frames.npy", "--layout", "TN", "--time-steps", 2)
    )
