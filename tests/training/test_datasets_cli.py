"""A data set in a folder of the user reaches `profile`, and `train`, by its name."""

import json

import pytest
import torch
from cifar_files import Sample, trust
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.models import SpikingCNN, load_checkpoint, save_checkpoint
from snn_energy.models.inputs import unit_pixels
from snn_energy.training import Recipe, train
from snn_energy.training.datasets.cifar import CIFAR10_NAMES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("SNN_ENERGY_DATA", raising=False)
    trust(monkeypatch, Sample("cifar10").write(tmp_path / "data", "python archive"))
    return tmp_path / "data"


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_profile(folder, tmp_path):
    torch.manual_seed(0)
    model = SpikingCNN(3, 10, 32, widths=(4,), time_steps=1)
    path = tmp_path / "net.pt"
    save_checkpoint(path, model, input=unit_pixels(3, 32, 32), classes=CIFAR10_NAMES, dataset="cifar10", training={})
    code, out, err = run("profile", path, "--data", "cifar10", "--data-dir", folder, "--no-baseline", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["samples"], document["dataset"]) == (7, "cifar10, test split, all 7 samples")
    # The checkpoint's own data set needs no --data.
    assert run("profile", path, "--data-dir", folder, "--no-baseline", "--json")[1] == out
    code, _, err = run("profile", path, "--data", "cifar10", "--data-dir", tmp_path / "nowhere")
    assert code == 1
    assert "cifar10: expected the official files of the test split" in err


def test_train(folder, tmp_path):
    recipe = Recipe(
        dataset="cifar10", model_args={"widths": [4]}, time_steps=1, epochs=1, batch_size=10, snap_bits=None
    )
    result = train(recipe, out=tmp_path / "net.pt", data_dir=folder)
    assert result.evaluation.total == 7
    assert load_checkpoint(result.path).classes == CIFAR10_NAMES
