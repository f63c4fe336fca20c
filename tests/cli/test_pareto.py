"""`snn-energy pareto`: energies and accuracies worked out by hand, what is printed, drawn and refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from lamps import energy, lamp, right

from snn_energy.cli import app
from snn_energy.models import build, save_checkpoint
from snn_energy.models.inputs import unit_pixels

GOLDEN = Path(__file__).parents[1] / "golden" / "pareto.txt"
NETWORKS = {"dark.pt": (0.0, 0, 3), "half.pt": (0.75, 1, 1), "full.pt": (1.5, 2, 3)}
"""Name -> current, time steps of two at which all fire, class."""


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    for name, (bias, _, answer) in NETWORKS.items():
        lamp(tmp_path / name, bias, answer)
    return lambda *words: CliRunner().invoke(app, ["pareto", *map(str, words)])


def test_energies_and_accuracies_by_hand(run):
    result = run(*NETWORKS, "--samples", 200, "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert (value["format"], value["hardware"]) == (1, "horowitz-45nm-fp32")
    found = {point["checkpoint"]: point for point in value["points"]}
    for name, (_, fired, answer) in NETWORKS.items():
        point = found[name]
        assert point["energy_per_inference_pj"] == pytest.approx(energy(200, fired))
        assert (point["correct"], point["total"], point["time_steps"]) == (right(200, answer), 200, 2)
    assert [point["checkpoint"] for point in value["points"]] == ["dark.pt", "half.pt", "full.pt"]
    # "full" is as accurate as "dark" and needs more; "half" is on the front if it is more accurate.
    assert (found["dark.pt"]["on_front"], found["full.pt"]["on_front"]) == (True, False)
    assert found["half.pt"]["on_front"] == (right(200, 1) > right(200, 3))


def test_the_table_at_80_columns(run, tmp_path):
    shutil.copy("half.pt", "copy-of-half.pt")
    result = run(".", "--samples", "200")
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout == GOLDEN.read_text(encoding="utf-8")


def test_the_figure_is_written(run, tmp_path):
    result = run(".", "--samples", "50", "--plot", "front.svg")
    assert result.stderr == "wrote front.svg\n"
    drawn = (tmp_path / "front.svg").read_text(encoding="utf-8")
    assert all(name in drawn for name in ("half.pt", "energy per inference (nJ)", "accuracy (%)"))


def test_names_that_clash_keep_their_folders(run, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy("full.pt", "other/half.pt")
    points = json.loads(run("half.pt", "other", "--samples", 20, "--json").stdout)["points"]
    assert {point["checkpoint"] for point in points} == {"half.pt", "other/half.pt"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["half.pt", "./half.pt"], 2, "named twice; name each checkpoint once"),
        (["missing.pt"], 1, "missing.pt: no such checkpoint"),
        (["empty"], 2, "empty: no checkpoint in this folder"),
        (["half.pt", "--plot", "front.jpg"], 2, "a figure's name must end in .png, .svg, .pdf"),
        (["half.pt", "--hardware", "horowitz-45nm-fp33"], 2, 'unknown hardware "horowitz-45nm-fp33"'),
        (["half.pt", "--data", "x.npy"], 1, "half.pt: no accuracy"),
        (["half.pt", "wide.pt"], 2, "wide.pt: it was trained on other data (got fashion-mnist"),
        (["half.pt", "--batch-size", "0"], 2, "batch size must be >= 1"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, words, code, message):
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "x.npy", np.zeros((3, 1, 8, 8), dtype=np.uint8))
    wide = build("spiking-cnn", in_channels=1, classes=10, image_size=28, widths=(2,), time_steps=1)
    names = tuple(map(str, range(10)))
    save_checkpoint("wide.pt", wide, input=unit_pixels(1, 28, 28), classes=names, dataset="fashion-mnist", training={})
    result = run(*words)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_unpriced_work_is_named(run, tmp_path):
    torch.manual_seed(0)
    model = build(
        "windowed-cnn", in_channels=1, classes=10, image_size=8, widths=[4, 8], depths=[1, 1], dilated=[[], []]
    )
    names = tuple(map(str, range(10)))
    save_checkpoint("w.pt", model, input=unit_pixels(1, 8, 8), classes=names, dataset="digits", training={})
    result = run("w.pt", "--samples", "20")
    assert result.exit_code == 0, result.output
    assert "w.pt: special unpriced on this hardware, not in its energy" in result.stdout
