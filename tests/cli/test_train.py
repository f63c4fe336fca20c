"""`snn-energy train`: from a command line to a checkpoint, and back after an interruption."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.models import load_checkpoint
from snn_energy.training import recipe_names, state_path

ROOT = Path(__file__).resolve().parents[2]

QUICK = ["--data", "digits", "--epochs", "2", "--time-steps", "2", "--widths", "4", "--batch-size", "256"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["train", *words])


def test_one_plain_line_for_each_epoch(run, tmp_path):
    result = run(*QUICK)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"1,437 images, [\d,]+ parameters, epochs 1 to 3", lines[0])
    for number, phase in ((1, "train"), (2, "train"), (3, "snap ")):
        left = r"  \d+ s left" if number < 3 else ""
        assert re.fullmatch(
            rf"epoch {number}/3  {phase}  loss \d\.\d{{4}}  train accuracy [\d.]+%  lr 0\.\d{{4}}  [\d.]+ s{left}",
            lines[number],
        )
    assert re.fullmatch(r"test accuracy [\d.]+% \(\d+ of 360\)", lines[4])
    assert re.fullmatch(r"with 8-bit weights, as saved, [\d.]+% \(\d+ of 360\)", lines[5])
    assert lines[6] == "wrote digits.pt; see its energy with: snn-energy profile digits.pt"
    checkpoint = load_checkpoint(tmp_path / "digits.pt")
    assert checkpoint.time_steps == 2
    assert list(checkpoint.model_args["widths"]) == [4]
    assert checkpoint.training["command"] == f"snn-energy train {' '.join(QUICK)}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.pt", "digits.pt.csv"]


def test_json_tells_what_the_checkpoint_holds(run, tmp_path):
    result = run(*QUICK, "--json")
    assert result.exit_code == 0
    record, training = json.loads(result.stdout), load_checkpoint(tmp_path / "digits.pt").training
    assert record["checkpoint"] == "digits.pt"
    saved = {"correct": training["test_correct"], "total": 360, "accuracy": training["test_correct"] / 360}
    assert record["test"]["saved"] == saved
    assert record["test"]["unsaved"]["accuracy"] == pytest.approx(training["test_accuracy_before_snapping"], abs=1e-4)
    assert result.stderr.count("train accuracy") == 3


def test_a_recipe_can_be_changed(run, tmp_path):
    result = run(
        "--recipe", "digits-cnn", "--epochs", "1", "--widths", "4", "--lr", "0.05", "--seed", "3", "--out", "x.pt"
    )
    assert result.exit_code == 0
    recipe = load_checkpoint(tmp_path / "x.pt").training["recipe"]
    assert (recipe["epochs"], recipe["learning_rate"], recipe["seed"], recipe["batch_size"]) == (1, 0.05, 3, 64)


def test_a_file_of_the_users_own_and_any_value(run, tmp_path):
    (tmp_path / "mine.toml").write_text('dataset = "digits"\nepochs = 3\nsnap_bits = 0\n[model_args]\nwidths = [4]\n')
    changes = ["--set", "augmentation={}", "--set", "optimizer=adamw", "--set", "validation=100"]
    result = run("--config", "mine.toml", "--epochs", "1", "--lr", "0.01", "--batch-size", "256", *changes)
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.search(r"train accuracy [\d.]+%  validation [\d.]+%  lr 0", result.stdout)
    record = load_checkpoint(tmp_path / "mine.pt").training
    recipe = record["recipe"]
    assert (recipe["epochs"], recipe["optimizer"], recipe["augmentation"]) == (1, "adamw", {})
    assert record["command"] == (
        "snn-energy train --config mine.toml --epochs 1 --lr 0.01 --batch-size 256"
        " --set 'augmentation={}' --set optimizer=adamw --set validation=100"
    )
    assert (tmp_path / "mine.pt.csv").read_text().startswith("epoch,phase,loss,train_accuracy,validation_accuracy,")


def test_recipes_are_listed(run):
    result = run("--list-recipes")
    assert result.exit_code == 0
    assert re.search(r"^digits-cnn +spiking-cnn +digits +T = 4, 17 epochs$", result.stdout, re.MULTILINE)
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(recipe_names())


def started(tmp_path, words, size):
    """Run the command in `size` processes, as a launcher would start them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "snn_energy", "train", *words],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    return [(*process.communicate(timeout=200), process.returncode) for process in processes]


@pytest.mark.slow
def test_several_processes_speak_once(tmp_path):
    (out, err, code), second = started(tmp_path, [*QUICK, "--out", "x.pt"], 2)
    assert (err, code, second) == ("", 0, ("", "", 0))
    assert out.splitlines()[-1] == "wrote x.pt; see its energy with: snn-energy profile x.pt"
    assert load_checkpoint(tmp_path / "x.pt").training["processes"] == 2
    (out, err, code), second = started(tmp_path, [*QUICK, "--resume"], 2)
    assert (out, code, second) == ("", 2, ("", "", 2))
    assert err == "error: digits.pt.resume: no unfinished training to resume; start it without resume\n"


def test_ctrl_c_says_how_to_go_on_and_going_on_works(run, tmp_path, monkeypatch):
    import snn_energy.cli.train as command

    assert run(*QUICK, "--out", "whole.pt").exit_code == 0

    class Impatient(command._Listener):
        def __call__(self, event):
            super().__call__(event)
            if getattr(event, "phase", None) == "train" and event.epoch == 1:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command, "_Listener", Impatient)
        result = run(*QUICK, "--out", "x.pt")
    assert result.exit_code == 130
    resume = f"snn-energy train {' '.join(QUICK)} --out x.pt --resume"
    assert result.stderr == f"interrupted after epoch 1 of 3; go on with: {resume}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("whole.pt", "whole.pt.csv"),
        *("x.pt.csv", state_path(tmp_path / "x.pt").name),
    ]
    refused = run(*QUICK, "--out", "x.pt")
    assert refused.exit_code == 2
    assert "unfinished training" in refused.stderr
    resumed = run(*resume.split()[2:])
    assert resumed.exit_code == 0
    assert resumed.stdout.startswith("1,437 images")
    assert "epochs 2 to 3" in resumed.stdout
    whole, again = (load_checkpoint(tmp_path / name).model.state_dict() for name in ("whole.pt", "x.pt"))
    assert all(bool((whole[name] == again[name]).all()) for name in whole)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("", 2, "nothing to train: give --recipe (cifar10-cpu, "),
        ("--recipe digit-cnn", 2, "unknown recipe 'digit-cnn': did you mean 'digits-cnn'?"),
        ("--data digit", 2, "unknown data set 'digit': did you mean 'digits'?"),
        ("--recipe digits-cnn --config x.toml", 2, "expected --recipe or --config (got both: digits-cnn and x.toml)"),
        ("--config x.toml", 2, "x.toml: no such recipe file; shipped recipes: cifar10-cpu"),
        ("--data digits --set epochs=x", 2, "--set: epochs must be an integer from 1 (got 'x')"),
        ("--data digits --save-every 0", 2, "save_every must be a number of batches >= 1 (got 0)"),
        ("--data digits --device tpu", 2, "unknown device 'tpu'"),
        ("--data digits --epochs 0", 2, "recipe: epochs must be an integer from 1 (got 0)"),
        ("--data digits --lr -1", 2, "recipe: learning_rate must be a number from 0 (got -1.0)"),
        ("--data digits --widths 4,x", 2, "--widths must be integers >= 1 with commas between them"),
        ("--data digits --widths 0", 2, "--widths must be integers >= 1"),
        ("--data digits --threads 0", 2, "--threads must be >= 1 (got 0)"),
        ("--data digits --out x.bin", 2, "x.bin: a checkpoint's name must end in .pt or .safetensors"),
        ("--data digits --resume", 2, "digits.pt.resume: no unfinished training to resume"),
        ("--data fashion-mnist --data-dir .", 1, "fashion-mnist: expected train-images-idx3-ubyte.gz"),
    ],
)
def test_bad_requests_are_one_line_and_leave_nothing_behind(run, tmp_path, words, code, message):
    result = run(*words.split())
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []
