"""`snn-energy profile`: the energy of each sample, early stop, resuming, and several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from snn_energy import load_trace
from snn_energy.cli import app
from snn_energy.cli.profile import parsed_share
from snn_energy.errors import UsageError
from snn_energy.models import SpikingCNN, save_checkpoint
from snn_energy.models.inputs import unit_pixels

ROOT = Path(__file__).resolve().parents[2]
NETWORK = """
import os, signal
from torch import nn
from snn_energy.models import LIF

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.neuron, self.out = nn.Linear(64, 6), LIF(threshold=0.2), nn.Linear(6, 10)
        self.time_steps = 2

    def forward(self, x):
        calls.append(len(x))
        if len(calls) == int(os.environ.get("INTERRUPT_IN_CALL", "0")):
            os.kill(os.getpid(), signal.SIGINT)
        current = self.fc(x.flatten(1))
        return self.out(self.neuron(current.expand(self.time_steps, *current.shape))).mean(0)

calls = []

def Fails():
    if os.environ.get("RANK") == "1":
        raise ValueError("no such thing here")
    return Net()
"""
SMALL = ("profile", "small.pt", "--samples", 45, "--batch-size", 10)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
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
    (folder / "sampled_net.py").write_text(NETWORK, encoding="utf-8")
    return folder


@pytest.fixture
def run(monkeypatch, files):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(files)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


# ---------------------------------------------------------------- the distribution


def test_per_sample_adds_the_distribution_and_changes_nothing_else(run, tmp_path):
    plain = json.loads(run(*SMALL, "--json").stdout)
    value = json.loads(run(*SMALL, "--json", "--per-sample", "--trace", tmp_path / "t.json.gz").stdout)
    assert plain["distribution"] is None
    assert value["distribution"]["samples"] == 45
    assert value["distribution"]["mean_pj"] == pytest.approx(plain["totals"]["energy_per_inference_pj"], rel=1e-12)

    def without_calls(document):
        text = json.dumps({**document, "distribution": None})
        return json.loads(text, object_hook=lambda d: {key: item for key, item in d.items() if key != "calls"})

    assert without_calls(value) == without_calls(plain)
    assert load_trace(tmp_path / "t.json.gz").per_sample.count == 45
    priced = json.loads(run("price", tmp_path / "t.json.gz", "--json").stdout)
    assert priced["distribution"] == value["distribution"]


def test_prices_of_parts_that_differ_in_records(run, tmp_path):
    run(*SMALL, "--no-baseline", "--per-sample", "--trace", tmp_path / "a.json")
    run(*SMALL, "--no-baseline", "--trace", tmp_path / "b.json")
    for first, second in (("a.json", "b.json"), ("b.json", "a.json")):
        result = run("price", tmp_path / first, tmp_path / second, "--json")
        assert result.stderr == f"no distribution: {tmp_path / 'b.json'} has no per-sample records\n"
        assert json.loads(result.stdout)["samples"] == 90


def test_the_table_fits_the_terminal(run):
    result = run(*SMALL, "--until", "0.1%")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "spiking-cnn (small.pt) on digits, test split, first 45 of 360 samples, T = 2"
    for start in ("distribution  ", "stopping ", "ANN, dense "):
        assert any(line.startswith(start) for line in lines), start


# ---------------------------------------------------------------- early stop


def test_it_stops_and_says_how_many_samples_ran(run, tmp_path):
    words = ("profile", "small.pt", "--batch-size", 10, "--json")
    value = json.loads(run(*words, "--until", "2%").stdout)
    used = value["samples"]
    assert 30 <= used < 360
    assert value["dataset"] == f"digits, test split, first {used} of 360 samples"
    assert (value["stopping"]["target"], value["stopping"]["reached"]) == (0.02, True)
    assert value["distribution"]["precision"] == value["stopping"]["precision"] <= 0.02
    strict = run(*words, "--until", "2%", "--strict")
    assert (strict.exit_code, json.loads(strict.stdout)) == (0, value)


def test_data_that_end_first_fail_under_strict_alone(run):
    relaxed = run(*SMALL, "--until", "0.01%", "--json")
    assert relaxed.exit_code == 0
    assert json.loads(relaxed.stdout)["stopping"]["reached"] is False
    strict = run(*SMALL, "--until", "0.01%", "--json", "--strict")
    assert (strict.exit_code, strict.stdout) == (1, relaxed.stdout)
    assert strict.stderr.startswith("error: strict: --until 0.01% was not reached by 45 samples; give more")


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.5 %", 0.005), ("99%", 0.99)])
def test_percentages(text, share):
    assert parsed_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0.01", "1", "0%", "100%", "-1%", "%", "one%", "nan%", "inf%", ""])
def test_what_is_no_percentage(text):
    with pytest.raises(UsageError, match=r"--until must be a percentage above 0% and below 100%, like 1% \(got '"):
        parsed_share(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--resume",), "--resume goes on from FILE.partial beside the trace file: give --trace FILE as well"),
        (("--device", "tpu"), "--device must be one of cpu, cuda (got 'tpu')"),
        (("--until", "1"), "--until must be a percentage"),
        (("--resume", "--trace", "/dev/null"), "/dev/null: --resume needs a file"),
    ],
)
def test_wrong_usage_is_one_line(run, words, message):
    result = run(*SMALL, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(run):
    result = run(*SMALL, "--device", "cuda")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: --device cuda: torch finds no GPU here (got 0, expected 1); use --device cpu\n"


# ---------------------------------------------------------------- resuming, in real processes


def shell(files, *words, launcher=(), **environment):
    """The program as a user starts it: another process, ended if it does not end by itself."""
    process = subprocess.Popen(
        [sys.executable, *launcher, "-m", "snn_energy", *map(str, words)],
        cwd=files,
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts its background jobs deaf to Ctrl-C, and they would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.terminate()  # a launcher then ends its processes
            process.wait(60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


OWN = ("profile", "--model", "sampled_net:Net", "--data", "digits", "--samples", 45, "--batch-size", 10, "--json")


def test_ctrl_c_and_resume(run, files, tmp_path):
    """Interrupted inside the fourth call, by a real signal in a real process."""
    trace = tmp_path / "counts.json.gz"
    partial = tmp_path / "counts.json.gz.partial"
    stopped = shell(files, *OWN, "--trace", trace, INTERRUPT_IN_CALL="4")
    assert (stopped.returncode, stopped.stdout) == (130, "")
    assert stopped.stderr == f"interrupted; {partial} holds what is done: go on with the same command and --resume\n"
    assert (partial.exists(), trace.exists()) == (True, False)

    other = run(*OWN, "--trace", trace, "--resume", "--seed", 1)
    assert (other.exit_code, other.stdout) == (2, "")
    assert other.stderr.startswith(f"error: {partial}: cannot resume, it was made with another network (got ")
    assert len(other.stderr.splitlines()) == 1

    resumed = run(*OWN, "--trace", trace, "--resume")
    assert (resumed.exit_code, resumed.stderr) == (0, f"wrote {trace}\n")
    assert not partial.exists()
    whole = run(*OWN, "--trace", tmp_path / "whole.json.gz")
    assert resumed.stdout == whole.stdout == run(*OWN).stdout
    assert trace.read_bytes() == (tmp_path / "whole.json.gz").read_bytes()


def test_a_trace_written_through_a_link_or_into_a_device(run, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "t.json").symlink_to(tmp_path / "folder" / "real.json")
    for path in (tmp_path / "t.json", "/dev/null"):
        result = run(*SMALL, "--no-baseline", "--trace", path, "--output", tmp_path / "r.json")
        assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "r.json", "real.json", "t.json"]
    assert load_trace(tmp_path / "folder" / "real.json").samples == 45


def test_an_old_partial_trace_is_named(run, tmp_path):
    trace, partial = tmp_path / "t.json", tmp_path / "t.json.partial"
    result = run(*SMALL, "--no-baseline", "--trace", trace, "--resume", "--output", tmp_path / "r.json")
    assert result.stderr.splitlines()[0] == f"nothing to resume, there is no {partial}; beginning anew"
    partial.write_bytes(b"old")
    result = run(*SMALL, "--no-baseline", "--trace", trace, "--output", tmp_path / "r.json")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == (
        f"{partial} is of an interrupted run, which --resume would go on with; beginning anew"
    )
    assert not partial.exists()


# ---------------------------------------------------------------- several processes


def torchrun(size):
    return ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size))


@pytest.mark.slow
def test_two_processes_print_what_one_prints(run, files, tmp_path):
    words = (*OWN, "--per-sample", "--trace")
    result = shell(files, *words, tmp_path / "two.json", launcher=torchrun(2))
    assert (result.returncode, result.stderr) == (0, f"wrote {tmp_path / 'two.json'}\n")
    assert result.stdout == run(*words, tmp_path / "one.json").stdout
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()
    assert not (tmp_path / "two.json.partial").exists()


@pytest.mark.slow
def test_several_processes_stop_where_one_stops_and_resume_what_one_began(run, files, tmp_path):
    words = ("profile", "small.pt", "--batch-size", 10, "--json", "--until", "2%")
    result = shell(files, *words, launcher=torchrun(3))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == run(*words).stdout
    trace = ("--trace", tmp_path / "t.json", "--resume")
    assert shell(files, *OWN, *trace, INTERRUPT_IN_CALL="3").returncode == 130
    result = shell(files, *OWN, *trace, launcher=torchrun(2))
    assert (result.returncode, result.stderr) == (0, f"wrote {tmp_path / 't.json'}\n")
    assert result.stdout == run(*OWN).stdout


@pytest.mark.slow
def test_more_processes_than_batches(run, files):
    words = ("profile", "small.pt", "--samples", 2, "--batch-size", 1, "--json")
    result = shell(files, *words, launcher=torchrun(3))
    assert result.returncode == 0
    assert result.stderr == (
        "1 of 3 processes have no work: 2 samples make 2 batches of 1; choose a smaller --batch-size\n"
    )
    assert result.stdout == run(*words).stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("profile", "small.pt", "--data", "nope.npy"), "error: nope.npy: no such file or folder"),
        (
            ("profile", "--model", "sampled_net:Fails", "--data", "digits"),
            "error: rank 1 of 2: --model sampled_net:Fails failed (ValueError: no such thing here); check",
        ),
        pytest.param(
            ("profile", "small.pt", "--device", "cuda"),
            "error: rank 0 of 2: --device cuda: process 0 of this machine needs a GPU of its own (got 0 GPUs); start",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        (("profile", "small.pt", "--output", "/dev/full"), 'error: rank 0 of 2: cannot write "/dev/full"'),
    ],
)
def test_a_failure_anywhere_is_one_message_and_ends_all(files, words, message):
    result = shell(files, *words, launcher=torchrun(2))
    assert result.returncode != 0
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(message)
