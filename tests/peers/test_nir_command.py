"""`snn-energy export nir` and `snn-energy profile FILE.nir`: a file has the report of the checkpoint it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.models import LIF, SpikingCNN, save_checkpoint
from snn_energy.models.inputs import unit_pixels

pytestmark = pytest.mark.peer
pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that really fires, a network with soft resets, and frames for it."""
    folder = tmp_path_factory.mktemp("nir")
    torch.manual_seed(0)
    net = SpikingCNN(1, 10, 8, widths=(4,), time_steps=2, folded=True).eval()
    with torch.no_grad():
        for value in net.parameters():
            value.mul_(4)
    save_checkpoint(
        folder / "small.pt", net, input=unit_pixels(1, 8, 8), classes=tuple("0123456789"), dataset="digits",
        training={"seed": 0},
    )  # fmt: skip
    np.save(folder / "x.npy", np.random.default_rng(0).random((5, 3, 4), dtype=np.float32) * 3)
    return folder


def soft(reset: str = "soft") -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), LIF(reset=reset), nn.Linear(6, 2))


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def report(run: Any, *words: str) -> dict[str, Any]:
    result = run("profile", *words, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_checkpoint_written_and_profiled(run: Any, folder: Path) -> None:
    result = run("export", "nir", "small.pt", "-o", "small.nir", "--samples", "20", "--json")
    assert result.exit_code == 0, result.stderr
    written = json.loads(result.stdout)
    assert written["agreement"]["differing"] == 0
    assert written["agreement"]["spikes"] > 20
    assert written["losses"] == []
    assert written["size_bytes"] == (folder / "small.nir").stat().st_size
    graph, eager = report(run, "small.nir", "--samples", "40"), report(run, "small.pt", "--samples", "40")
    for key in ("rows", "accuracy", "time_steps", "totals", "comparison"):
        assert graph[key] == eager[key], key
    assert graph["baseline"]["rows"] == eager["baseline"]["rows"]
    assert graph["coverage"]["uncounted"] == []
    more = report(run, "small.nir", "--samples", "8", "--time-steps", "4", "--no-baseline")
    assert more["time_steps"] == 4


def test_a_network_of_the_users_own(run: Any) -> None:
    words = ("export", "nir", "--model", "test_nir_command:soft", "--data", "x.npy", "--layout", "TN", "-o", "soft.nir")
    result = run(*words)
    assert result.exit_code == 2
    assert "a reset that subtracts the threshold (1)" in " ".join(result.stderr.split())
    assert not Path("soft.nir").exists()
    result = run(*words, "--force")
    assert result.exit_code == 0, result.stderr
    assert "lost: a reset that subtracts the threshold (1)" in " ".join(result.stdout.split())
    rows = report(run, "soft.nir", "--data", "x.npy", "--layout", "TN")["rows"]
    model = ("--model", "test_nir_command:soft", "--data", "x.npy", "--layout", "TN")
    assert rows == report(run, *model)["rows"]
    result = run(*words[:-1], "hard.nir", "--model-args", '{"reset": "hard"}')
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "2 Affine, 1 Input, 1 LIF, 1 Output; 4 edges" in text
    assert "the graph fires as the network does" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("profile", "small.pt", "--dt", "0.001"), "--convention and --dt say how a .nir file is run"),
        (("profile", "missing.nir", "--data", "x.npy"), "missing.nir: no such file"),
        (("export", "nir", "-o", "a.nir"), "nothing to export"),
        (("export", "nir", "small.pt", "-o", "a.nir", "--convention", "nors"), "did you mean 'norse'"),
        (("export", "nir", "small.pt", "-o", "a.nir", "--dt", "0"), "dt must be above 0"),
    ],
)
def test_what_is_refused(run: Any, words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert result.exit_code != 0
    assert message in " ".join(result.stderr.split())
    assert len(result.stderr.splitlines()) == 1
