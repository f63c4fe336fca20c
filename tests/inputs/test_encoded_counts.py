"""What encoders make of counts: closed forms from the pixels, worked out without the encoders."""

from __future__ import annotations

import json
import math
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import snn_energy as se
from snn_energy.cli import app
from snn_energy.errors import UsageError
from snn_energy.inputs import Encoding, load_inputs
from snn_energy.models import SpikingCNN, save_checkpoint
from snn_energy.models.inputs import unit_pixels

T, SAMPLES, PIXELS, OUT = 6, 5, 12, 3
NETWORK = """
from torch import nn, stack, zeros

class Steps(nn.Module):
    def __init__(self, inputs=12):
        super().__init__()
        self.fc = nn.Linear(inputs, 3)

    def forward(self, x):
        return self.fc(x.flatten(2)).mean(0)

class Recurrent(nn.Module):
    def __init__(self, inputs=20, hidden=7):
        super().__init__()
        self.fc, self.back, self.out = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 2)

    def forward(self, x):
        spikes = v = zeros(x.shape[1], self.fc.out_features)
        outs = []
        for step in x:
            v = 0.5 * v + self.fc(step) + self.back(spikes)
            spikes = (v > 0.1).float()
            outs.append(self.out(spikes))
        return stack(outs).mean(0)
"""


@pytest.fixture(scope="module")
def pixels():
    """8-bit pixels with zeros and full ones among them."""
    values = np.random.default_rng(0).integers(0, 256, (SAMPLES, 1, 3, 4), dtype=np.uint8)
    values[0, 0, 0] = 0
    values[1, 0, 1] = 255
    return values


@pytest.fixture
def folder(tmp_path, pixels, monkeypatch):
    (tmp_path / "coded_net.py").write_text(NETWORK, encoding="utf-8")
    np.savez(tmp_path / "pixels.npz", images=pixels, labels=np.array([0, 1, 2, 0, 1]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def checkpoint(folder):
    torch.manual_seed(0)
    model = SpikingCNN(1, 10, 8, widths=(4,), time_steps=2, folded=True).eval()
    save_checkpoint(
        folder / "small.pt",
        model,
        input=unit_pixels(1, 8, 8),
        classes=tuple("0123456789"),
        dataset="digits",
        training={"seed": 0},
    )


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def profiled(*words):
    result = run("profile", *words, "--no-baseline", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def value_of(pixel: int) -> Fraction:
    """What the pixel becomes without a checkpoint's normalisation: p / 255 in single precision."""
    return Fraction(float(np.float32(pixel) / np.float32(255)))


EVENTS = {
    "rate-deterministic": lambda p: math.floor(T * value_of(p)),
    "latency": lambda p: int(p > 0),
    "latency-log": lambda p: int(p > 0),
    "direct": lambda p: T * (p > 0),
}


@pytest.mark.parametrize("layout", ["TN", "NT"])
@pytest.mark.parametrize("name", EVENTS)
def test_events_of_each_encoder(folder, pixels, name, layout):
    images = load_inputs("pixels.npz", layout=layout, encoding=Encoding(name=name, steps=T))
    model = nn.Sequential(nn.Flatten(2), nn.Linear(PIXELS, OUT))
    axis = layout.index("N")
    for size in (1, 2, SAMPLES):
        trace = se.trace(model, (x for x, _ in images.batches(size)), batch_axis=axis)
        layer = trace.layers[0]
        assert trace.samples == SAMPLES
        assert layer.connections == SAMPLES * T * PIXELS * OUT
        assert layer.events == OUT * sum(EVENTS[name](int(p)) for p in pixels.flat)
        assert layer.operand.kind == ("real" if name == "direct" else "binary")
        repeats = name == "direct"
        assert layer.repeated_connections * T == (layer.connections * (T - 1) if repeats else 0)


def test_rate_coding_is_the_same_whatever_the_batches(folder):
    def trace(size, seed=1):
        images = load_inputs("pixels.npz", layout="TN", encoding=Encoding(name="rate", steps=T, seed=seed))
        model = nn.Sequential(nn.Flatten(2), nn.Linear(PIXELS, OUT))
        return se.trace(model, (x for x, _ in images.batches(size)), batch_axis=1).layers[0]

    one, many = trace(1), trace(SAMPLES)
    assert (one.events, one.connections, one.operand) == (many.events, many.connections, many.operand)
    assert trace(2, seed=2).events != one.events


def test_a_part_has_the_spikes_of_the_whole(folder):
    images = load_inputs("pixels.npz", layout="NT", encoding=Encoding(name="rate", steps=T))
    whole = torch.cat([x for x, _ in images.batches(2)])
    part = images.part(1, 4)
    assert torch.equal(torch.cat([x for x, _ in part.batches(2)]), whole[1:4])
    assert part.labels.tolist() == [1, 2, 0]
    assert torch.equal(next(iter(part.part(1, 3).batches(5)))[0], whole[2:4])
    with pytest.raises(UsageError, match="expected samples within 0 to 3"):
        part.part(2, 4)


def test_the_command_line_and_its_report(folder, pixels):
    words = ("--model", "coded_net:Steps", "--data", "pixels.npz", "--layout", "TN", "--encode-steps", T)
    value = profiled(*words, "--encode", "rate-deterministic")
    assert value["dataset"] == "pixels.npz, all 5 samples, rate-deterministic coding over 6 steps"
    (row,) = (row for row in value["rows"] if row["part"] == "synapses")
    assert row["acs"] == OUT * sum(math.floor(T * value_of(int(p))) for p in pixels.flat)
    assert profiled(*words, "--encode", "rate", "--seed", 4)["dataset"].endswith("rate coding over 6 steps, seed 4")
    text = " ".join(run("profile", *words, "--encode", "direct").stdout.split())
    each = T * PIXELS * OUT
    saved = (T - 1) * PIXELS * OUT * 4.6  # pJ of a 32-bit floating-point MAC: 0.9 + 3.7, Horowitz 2014
    assert f"direct coding {each - PIXELS * OUT} of {each} MACs of fc repeat unchanged input" in text
    assert f"(computed once: {saved / 1000:.3f} nJ less)" in text


def test_a_checkpoint_takes_coded_images(folder, checkpoint):
    words = ("small.pt", "--samples", 20, "--encode", "direct", "--encode-steps", 2, "--layout", "TN")
    coded, still = profiled(*words), profiled("small.pt", "--samples", 20)
    stem, own = coded["rows"][0], still["rows"][0]
    # Coded outside, the first layer runs at both steps; the network itself runs it once for both.
    assert (stem["connections"], stem["repeated_connections"]) == (2 * own["connections"], own["connections"])
    assert [row["events"] for row in coded["rows"][1:]] == [row["events"] for row in still["rows"][1:]]
    assert own["repeated_connections"] == 0
    assert coded["accuracy"] == still["accuracy"]


@pytest.mark.parametrize("name", ["latency", "rate", "direct"])
def test_the_ann_twin_is_fed_the_images_themselves(folder, checkpoint, name):
    """Fed the mean of the spikes, {0, 1/T}, the ANN's first layer would be taken for a spiking one."""
    words = ("profile", "small.pt", "--samples", 20, "--json")
    coded = json.loads(run(*words, "--encode", name, "--encode-steps", 3, "--layout", "TN").stdout)["baseline"]
    plain = json.loads(run(*words).stdout)["baseline"]
    facts = ("name", "operand", "macs", "acs", "events", "connections", "spike_rate")
    assert [[row[fact] for fact in facts] for row in coded["rows"]] == [
        [row[fact] for fact in facts] for row in plain["rows"]
    ]
    assert plain["rows"][0]["operand"].startswith("integer")  # 17 grey levels, not spikes


@pytest.mark.parametrize("layout", ["TN", "NT"])
def test_the_images_themselves_are_one_step(folder, pixels, layout):
    images = load_inputs("pixels.npz", layout=layout, encoding=Encoding(name="latency", steps=T))
    still = torch.cat([x for x, _ in images.still(2)], layout.index("N"))
    assert torch.equal(still.squeeze(layout.index("T")), torch.from_numpy(pixels) / 255)


def test_spikes_of_a_recurrent_network(folder):
    """[T, N, F], as spiking audio comes: binary input, and one input product for each step."""
    frames = (np.random.default_rng(1).random((9, 4, 20)) < 0.2).astype(np.float32)
    np.save(folder / "audio.npy", frames)
    value = profiled("--model", "coded_net:Recurrent", "--data", "audio.npy", "--layout", "TN")
    rows = {row["name"]: row for row in value["rows"]}
    assert value["samples"] == 4
    assert (rows["fc"]["operand"], rows["fc"]["acs"]) == ("binary", 7 * int(frames.sum()))
    assert (rows["fc"]["connections"], rows["back"]["connections"]) == (9 * 4 * 20 * 7, 9 * 4 * 7 * 7)
    assert all(row["repeated_connections"] == 0 for row in value["rows"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--encode", "rate"], "--encode rate needs --encode-steps T"),
        (["--encode-steps", 3], "--encode-steps needs --encode"),
        (["--encode", "rate", "--encode-steps", 3, "--layout", "N"], "--encode makes time steps: expected --layout TN"),
        (["--encode", "rat", "--encode-steps", 3], "unknown encoder 'rat': did you mean 'rate'?"),
        (["--encode", "rate", "--encode-steps", 0], "--encode-steps must be >= 1 (got 0)"),
        (["--encode", "rate", "--encode-steps", 2, "--seed", -1], "--seed must be from 0 to 2^63 - 1 (got -1)"),
        (["--frames", 3], "pixels.npz: --frames and --bin-ms are for event data"),
        (["--bin-ms", 3], "--bin-ms needs --frames T"),
        (["--encode", "rate", "--encode-steps", 2, "--samples", 9], "expected between 1 and 5 samples (got 9)"),
    ],
)
def test_options_that_do_not_fit(folder, words, message):
    layout = [] if "--layout" in words else ["--layout", "TN"]
    result = run("profile", "--model", "coded_net:Steps", "--data", "pixels.npz", *layout, *words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
