"""Killed outright at any moment and resumed, a training ends with the bytes of an unbroken one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from snn_energy.training import BatchDone, Recipe, log_path, state_path, train

ROOT = Path(__file__).resolve().parents[2]

# Everything that has a state of its own: momenta, average, best weights, scale of float16, mixing, random encoders.
SPIKING = Recipe(
    dataset="digits",
    model_args={"widths": [6]},
    epochs=3,
    batch_size=128,
    time_steps=2,
    ema_decay=0.9,
    clip_norm=5.0,
    validation=137,
    keep="best",
    augmentation={"shift_pixels": 1, "mixup": 0.2, "cutout": 2},
)
RECIPES = {
    "sgd, average, best, snapped": SPIKING,
    "adamw, float16, parts": replace(
        SPIKING, optimizer="adamw", learning_rate=0.01, precision="float16", accumulate=2, snap_bits=0, epochs=2
    ),
    "random encoders": Recipe(
        dataset="digits",
        model="windowed-cnn",
        model_args={"widths": [4, 8], "depths": [1, 1]},
        epochs=2,
        batch_size=256,
        time_steps=1,
        snap_bits=None,
    ),
}

CHILD = """
import json, os, signal, sys, torch
from pathlib import Path
from snn_energy.training import BatchDone, Recipe, train
torch.set_num_threads(int(sys.argv[4]))
moments = json.loads(sys.argv[3])
def kill(event):
    if isinstance(event, BatchDone) and [event.epoch, event.batch] in moments:
        os.kill(os.getpid(), signal.SIGKILL)
train(Recipe(**json.loads(sys.argv[1])), out=sys.argv[2], resume=os.path.exists(sys.argv[2] + ".resume"),
      save_every=2, progress=kill)
"""


def child(recipe, out, moments=()):
    plain = json.dumps(recipe.to_plain())
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            CHILD,
            plain,
            str(out),
            json.dumps(moments),
            str(torch.get_num_threads()),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def content(path):
    payload = torch.load(path, weights_only=True)
    del payload["training"]["seconds"]
    state = payload.pop("state")
    return {name: value.numpy().tobytes() for name, value in state.items()}, payload


def written(out):
    """When the state of an unfinished training was last written; None without one."""
    try:
        return state_path(out).stat().st_mtime_ns
    except FileNotFoundError:
        return None


class Interrupt:
    """A listener that stops the training like Ctrl-C, at a batch of an epoch."""

    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def __call__(self, event):
        if isinstance(event, BatchDone) and (event.epoch, event.batch) == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", RECIPES)
def test_stopped_inside_epochs(tmp_path, name):
    recipe, out = RECIPES[name], tmp_path / "a.pt"
    whole = train(recipe, out=tmp_path / "whole.pt")
    last = recipe.total_epochs
    for epoch, batch, saved in ((1, 3, 2), (1, 4, 4), (2, 1, None), (last, 5, 4)):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, out=out, resume=state_path(out).exists(), save_every=2, progress=Interrupt(epoch, batch))
        inside = torch.load(state_path(out), weights_only=True)["inside"]
        assert (None if inside is None else inside["batch"]) == saved
    train(recipe, out=out, resume=True)
    assert content(out) == content(whole.path)
    logs = [log_path(path).read_text().splitlines() for path in (out, whole.path)]
    assert [line.rpartition(",")[0] for line in logs[0]] == [line.rpartition(",")[0] for line in logs[1]]


def test_killed_and_resumed(tmp_path):
    recipe, out = SPIKING, tmp_path / "a.pt"
    whole = train(recipe, out=tmp_path / "whole.pt")
    process = child(recipe, out, [[3, 9]])
    _, err = process.communicate(timeout=200)
    assert process.returncode == -signal.SIGKILL, err
    assert not out.exists()
    train(recipe, out=out, resume=True)
    assert content(out) == content(whole.path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "a.pt.csv", "whole.pt", "whole.pt.csv"]


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    recipe, out = SPIKING, tmp_path / "a.pt"
    whole = train(recipe, out=tmp_path / "whole.pt")
    moments = random.Random(4)
    killed = 0
    while True:
        before = written(out)
        process = child(recipe, out)
        while process.poll() is None and written(out) == before:
            time.sleep(0.002)  # else a slow machine would never get further
        time.sleep(moments.uniform(0.0, 0.4))
        process.kill()
        _, err = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
        killed += 1
        if out.exists() and not state_path(out).exists():
            break  # killed on its way out, all done
        assert killed < 60
    assert killed >= 1
    assert content(out) == content(whole.path)


def test_a_state_that_was_cut_or_is_foreign(tmp_path):
    out = tmp_path / "a.pt"
    with pytest.raises(KeyboardInterrupt):
        train(SPIKING, out=out, progress=Interrupt(1, 1))
    payload = torch.load(state_path(out), weights_only=True)
    from snn_energy.errors import CheckpointError

    for change, message in (
        ({"format_version": 1}, r"format_version must be 2 \(got 1\); delete it and train again"),
        ({"extra": 1}, "damaged training state: expected average, best, epoch"),
    ):
        torch.save(payload | change, state_path(out))
        with pytest.raises(CheckpointError, match=message):
            train(SPIKING, out=out, resume=True)
