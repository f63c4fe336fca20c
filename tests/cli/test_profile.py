"""`snn-energy profile` and `snn-energy report`: what is printed, written and refused."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.models import SpikingCNN, save_checkpoint
from snn_energy.models.inputs import unit_pixels

ROOT = Path(__file__).resolve().parents[2]
NETWORK = """
import torch
from torch import nn
from snn_energy.models import LIF

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.fc, self.neuron, self.out = nn.Linear(64, width), LIF(), nn.Linear(width, 3)
        self.time_steps = 2

    def forward(self, x):
        current = self.fc(x.flatten(1))
        return self.out(self.neuron(current.expand(self.time_steps, *current.shape))).mean(0)

class Frames(Net):
    def forward(self, x):
        return self.out(self.neuron(self.fc(x.flatten(2))))

class Odd(Net):
    def forward(self, x):
        return super().forward(torch.fft.fft(x).real)

class Normed(Net):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
    def forward(self, x):
        return self.out(self.neuron(self.norm(self.fc(x.flatten(1)))[None])[0])

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.neuron, self.out = nn.Embedding(9, 4), LIF(), nn.Linear(4, 3)
    def forward(self, ids):
        return self.out(self.neuron(self.table(ids).movedim(1, 0))).mean(0)

class Unfinished(Net):
    def forward(self, x):
        return missing_too

class Unmet(Net):
    def forward(self, x):
        import no_such_package

def Broken():
    return missing

def number():
    return 3
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
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
    (folder / "user_net.py").write_text(NETWORK, encoding="utf-8")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    np.savez(folder / "pixels.npz", images=pixels, labels=np.array([0, 1, 2, 0, 1]))
    np.save(folder / "frames.npy", (random.random((3, 5, 1, 8, 8)) < 0.3).astype(np.float32))
    np.save(folder / "ids.npy", random.integers(0, 9, (5, 7)))
    np.save(folder / "wrong.npy", np.zeros((5, 3, 5, 5), np.float32))
    np.save(folder / "nan.npy", np.full((2, 1, 8, 8), np.nan, np.float32))
    (folder / "photos").mkdir()
    Image.fromarray(random.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / "photos" / "a.png")
    (folder / "empty").mkdir()
    (folder / "foreign.pt").write_bytes(b"hello")
    torch.save({"weight": torch.zeros(2)}, folder / "state.pt")
    (folder / "negative.toml").write_text(
        (ROOT / "profiles" / "horowitz-45nm-fp32.toml")
        .read_text(encoding="utf-8")
        .replace("value = 4.6", "value = -1")
        .replace('name = "horowitz-45nm-fp32"', 'name = "negative"'),
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def run(monkeypatch, files):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(files)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_the_table_of_a_checkpoint(run):
    result = run("profile", "small.pt", "--samples", 50)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "spiking-cnn (small.pt) on digits, test split, first 50 of 360 samples, T = 2"
    assert max(map(len, lines)) <= 80
    for start in ("blocks.0.conv ", "blocks.0.neuron ", "head ", "total ", "accuracy ", "ANN, dense ", "certificate "):
        assert any(line.startswith(start) for line in lines)


def test_json_csv_and_markdown_agree(run):
    value = json.loads(run("profile", "small.pt", "--samples", 20, "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(run("profile", "small.pt", "--samples", 20, "--format", "csv").stdout)))
    assert [row["name"] for row in rows] == [row["name"] for row in value["rows"]]
    assert [float(row["energy_pj"]) for row in rows] == [row["energy_pj"] for row in value["rows"]]
    assert run("profile", "small.pt", "--samples", 20, "--format", "md").stdout.startswith("# spiking-cnn")
    assert value["accuracy"]["total"] == value["samples"] == 20
    assert value["checkpoint"] == "small.pt"
    assert value["time_steps"] == 2


def test_no_fold_counts_the_norm(run):
    """Five samples, four channels; the bias of the layer before it is counted there either way."""

    def norms(*options):
        words = ("profile", "--model", "user_net:Normed", "--data", "pixels.npz", "--json", *options)
        rows = json.loads(run(*words).stdout)["rows"]
        return [(row["adds"], row["muls"]) for row in rows if "batch_norm" in row["kind"]]

    assert (norms(), norms("--no-fold")) == ([(0, 0)], [(20, 20)])


def test_files_are_written_and_named(run, tmp_path):
    report, figure = tmp_path / "r.json", tmp_path / "f.svg"
    result = run("profile", "small.pt", "--samples", 5, "--output", report, "--plot", figure)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {figure}\nwrote {report}\n"
    assert json.loads(report.read_text(encoding="utf-8"))["samples"] == 5
    assert figure.read_text(encoding="utf-8").startswith("<?xml")
    shown = run("report", report)
    assert shown.stdout == run("profile", "small.pt", "--samples", 5).stdout
    assert run("report", report, "--json").stdout == report.read_text(encoding="utf-8")


def test_time_steps_hardware_and_method_can_be_chosen(run):
    words = ("profile", "small.pt", "--samples", 5, "--json")
    value = json.loads(
        run(
            *words, "--time-steps", 3, "--hardware", "horowitz-45nm-int8", "--method", "arithmetic-zero-skipping"
        ).stdout
    )
    assert value["time_steps"] == 3
    assert value["hardware"]["name"] == "horowitz-45nm-int8"
    assert value["method"] == value["baseline"]["method"] == "arithmetic-zero-skipping"
    assert [item["method"] for item in value["comparison"]] == ["arithmetic", "arithmetic-zero-skipping"]


def test_without_baseline(run):
    value = json.loads(run("profile", "small.pt", "--samples", 5, "--json", "--no-baseline").stdout)
    assert value["baseline"] is None
    assert value["comparison"] == []


def test_images_of_ones_own_are_resized_only_on_request(run):
    refused = run("profile", "small.pt", "--data", "photos")
    assert refused.exit_code == 1
    assert "expected 8 x 8 pixels (got 16 x 16)" in refused.stderr
    result = run("profile", "small.pt", "--data", "photos", "--resize")
    assert result.stdout.splitlines()[0] == "spiking-cnn (small.pt) on photos, 1 sample, T = 2"


def test_a_network_of_ones_own(run):
    words = ("--model", "user_net:Net", "--data", "pixels.npz", "--json")
    value = json.loads(run("profile", *words, "--model-args", '{"width": 6}').stdout)
    assert value["network"] == "user_net:Net"
    assert value["dataset"] == "pixels.npz, all 5 samples"
    assert value["neurons"][0]["state_elements"] == 6
    assert value["accuracy"]["total"] == 5
    assert run("profile", *words).stdout == run("profile", *words, "--seed", 0).stdout
    assert json.loads(run("profile", *words, "--time-steps", 5).stdout)["time_steps"] == 5


def test_weights_of_ones_own(run, files):
    sys.path.insert(0, str(files))
    import user_net

    torch.manual_seed(5)
    model = user_net.Net()
    torch.save({"state_dict": model.state_dict()}, files / "weights.pt")
    words = ("--model", "user_net:Net", "--data", "pixels.npz", "--json")
    loaded = json.loads(run("profile", "weights.pt", *words).stdout)
    drawn = json.loads(run("profile", *words, "--seed", 5).stdout)
    assert loaded["checkpoint"] == "weights.pt"
    assert loaded["rows"] == drawn["rows"]


def test_time_axes(run):
    words = ("--model", "user_net:Frames", "--json")
    value = json.loads(run("profile", *words, "--data", "frames.npy", "--layout", "TN").stdout)
    assert (value["samples"], value["time_steps"]) == (5, 3)


def test_token_ids(run):
    """7 tokens are 7 time steps of a 4 x 3 layer; a table lookup is no arithmetic."""
    value = json.loads(run("profile", "--model", "user_net:Words", "--data", "ids.npy", "--json").stdout)
    layers = [(row["name"], row["connections"]) for row in value["rows"] if row["part"] == "synapses"]
    assert layers == [("out", 5 * 7 * 4 * 3)]
    assert value["coverage"]["uncounted"] == []


def test_image_size_resizes_for_a_network_of_ones_own(run):
    words = ("profile", "--model", "user_net:Net", "--data", "photos", "--json")
    assert "failed on an input of shape [1, 1, 16, 16]" in run(*words).stderr
    assert run(*words, "--image-size", "1x8x8").exit_code == 0


def test_strict_names_what_is_missing(run):
    uncounted = run("profile", "--model", "user_net:Odd", "--data", "pixels.npz", "--strict")
    assert (uncounted.exit_code, uncounted.stdout) == (1, "")
    assert uncounted.stderr.startswith("error: strict: ")
    assert "fft" in uncounted.stderr
    assert "INCOMPLETE" in run("profile", "--model", "user_net:Odd", "--data", "pixels.npz").stdout


REFUSALS = [
    (2, "profile", "nothing to profile: name a checkpoint, like fashion-cnn, or give --model MODULE:FACTORY"),
    (2, "profile fashion-cn", "fashion-cn: no such file, and unknown pretrained model 'fashion-cn': did you mean"),
    (1, "profile nope.pt", "nope.pt: no such checkpoint"),
    (1, "profile foreign.pt", "foreign.pt: damaged or foreign checkpoint"),
    (1, "profile state.pt", "state.pt: not a checkpoint of this package"),
    (1, "profile photos", "photos: expected a checkpoint (got a directory)"),
    (1, "profile small.pt --data wrong.npy", "wrong.npy: expected images [N, 1, 8, 8] (got [5, 3, 5, 5])"),
    (1, "profile small.pt --data nan.npy", "nan.npy: images hold NaN or infinity in 128 of 128 values"),
    (1, "profile small.pt --data empty", "empty: no images here"),
    (2, "profile small.pt --data nope.npy", "nope.npy: no such file or folder"),
    (1, "profile small.pt --data fashion-mnist", "input: expected images of shape [1, 8, 8] (got [1, 28, 28])"),
    (2, "profile small.pt --split third", "unknown split 'third'"),
    (2, "profile small.pt --hardware horowitz-45nm-fp23", 'unknown hardware "horowitz-45nm-fp23"'),
    (1, "profile small.pt --hardware negative.toml", "energy_pj.mac"),
    (2, "profile small.pt --method arithmetics", "unknown method 'arithmetics'; did you mean 'arithmetic'?"),
    (2, "profile small.pt --format jsn", "unknown format 'jsn': did you mean 'json'?"),
    (2, "profile small.pt --json --format md", "--json and --format md exclude each other"),
    (2, "profile small.pt --output nope/r.json", 'cannot write "nope/r.json": no folder "nope"'),
    (2, "profile small.pt --output photos", 'cannot write "photos": it is a folder'),
    (2, "profile small.pt --plot x.gif", "x.gif: a figure's name must end in .png, .svg, .pdf"),
    (2, "profile small.pt --samples 0", "expected between 1 and 360 samples (got 0)"),
    (2, "profile small.pt --batch-size 0", "batch size must be >= 1 (got 0)"),
    (2, "profile small.pt --time-steps 0", "--time-steps must be >= 1 (got 0)"),
    (2, "profile small.pt --image-size 1x8x8", "--image-size is for a network of your own"),
    (2, "profile --model user_net:Net", "--model user_net:Net needs --data"),
    (2, "profile --model user_net --data pixels.npz", "--model must be package.module:factory (got 'user_net')"),
    (2, "profile --model user_net:Nets --data pixels.npz", "unknown factory 'Nets': did you mean 'Net'?"),
    (2, "profile --model no_such:Net --data pixels.npz", "cannot import no_such (ModuleNotFoundError"),
    (2, "profile --model user_net:Broken --data pixels.npz", "user_net:Broken failed (NameError: name 'missing'"),
    (2, "profile --model user_net:number --data pixels.npz", "must make a torch.nn.Module (got int)"),
    (2, "profile --model user_net:Net --data pixels.npz --model-args [1]", "--model-args must be a JSON object"),
    (
        2,
        'profile --model user_net:Net --data pixels.npz --model-args {"a":1}',
        "--model user_net:Net failed (TypeError: ",
    ),
    (2, "profile --model user_net:Net --data pixels.npz --seed -1", "--seed must be from 0 to 2^63 - 1 (got -1)"),
    (2, f"profile --model user_net:Net --data pixels.npz --seed {2**63}", "--seed must be from 0 to 2^63 - 1 (got 9"),
    (2, "profile --model user_net:Net --data pixels.npz --image-size 8x8", "--image-size must be CxHxW"),
    (1, "profile --model user_net:Net --data wrong.npy", "failed on an input of shape [5, 3, 5, 5] (RuntimeError: "),
    (1, "profile --model user_net:Unfinished --data pixels.npz", "(NameError: name 'missing_too' is not defined)"),
    (1, "profile --model user_net:Unmet --data pixels.npz", "(ModuleNotFoundError: No module named 'no_such_package')"),
    (1, "profile state.pt --model user_net:Net --data pixels.npz", "state.pt: missing weights for user_net:Net"),
    (1, "report nope.json", "nope.json: no such report"),
    (1, "report foreign.pt", "foreign.pt: expected a JSON report (got text that is no JSON"),
]


@pytest.mark.parametrize(("code", "words", "message"), REFUSALS, ids=[words for _, words, _ in REFUSALS])
def test_bad_input_is_one_line_and_leaves_nothing_behind(run, files, code, words, message):
    before = sorted(files.rglob("*.*"))
    result = run(*words.split())
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert [path for path in sorted(files.rglob("*.*")) if "__pycache__" not in str(path)] == [
        path for path in before if "__pycache__" not in str(path)
    ]


def shell(files, *words):
    """The program as a user starts it: another process, output into pipes."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *words],
        cwd=files,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_in_a_real_process(files):
    result = shell(files, "profile", "--model", "user_net:Net", "--data", "pixels.npz")
    assert (result.returncode, result.stderr) == (0, "")
    assert "agree with fvcore" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [(["profile", "foreign.pt"], 1), (["profile", "small.pt", "--data", "wrong.npy"], 1), (["profile", "nope"], 2)],
)
def test_refusals_in_a_real_process(files, words, code):
    result = shell(files, *words)
    assert (result.returncode, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
