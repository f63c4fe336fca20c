"""`snn-energy profile` of exported graphs: the counts of the checkpoint that they came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.exporting import checkpoint_metadata, export_onnx
from snn_energy.models import SpikingCNN, load_checkpoint, save_checkpoint
from snn_energy.models.inputs import unit_pixels

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One checkpoint, the ONNX file of it, and programs of torch.export with a free and a fixed batch size."""
    folder = tmp_path_factory.mktemp("graphs")
    torch.manual_seed(0)
    save_checkpoint(
        folder / "small.pt",
        SpikingCNN(1, 10, 8, widths=(4,), time_steps=2, folded=True).eval(),
        input=unit_pixels(1, 8, 8),
        classes=tuple("0123456789"),
        dataset="digits",
        training={"seed": 0},
    )
    loaded = load_checkpoint(folder / "small.pt")
    x = torch.randint(0, 256, (6, 1, 8, 8)).float() / 256
    export_onnx(loaded.model, x[:2], folder / "small.onnx", metadata=checkpoint_metadata(loaded))
    for form in ("step", "sequence"):
        metadata = checkpoint_metadata(loaded)
        export_onnx(loaded.model, x[:2], folder / f"{form}.onnx", form=form, metadata=metadata)
    free = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(loaded.model, (x,), dynamic_shapes=free), folder / "small.pt2")
    torch.export.save(torch.export.export(loaded.model, (x[:2],)), folder / "two.pt2")
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "odd.npy", x[:5].numpy())
    (folder / "broken.pt2").write_bytes(b"hello")
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def report(run: Any, *words: str) -> dict[str, Any]:
    result = run("profile", *words, "--no-baseline", "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def counts(found: dict[str, Any]) -> list[Any]:
    return [found["rows"], found["accuracy"], found["time_steps"]]


def test_our_onnx_file_gives_the_report_of_its_checkpoint(run: Any) -> None:
    """Images, their scale and the class names are in the file: the two reports count and price alike."""
    graph, eager = report(run, "small.onnx", "--samples", "40"), report(run, "small.pt", "--samples", "40")
    assert counts(graph) == counts(eager)
    assert graph["coverage"]["uncounted"] == []
    assert graph["checkpoint"] == "small.onnx"


@pytest.mark.parametrize("form", ["step", "sequence"])
def test_a_file_of_one_time_step_is_run_for_all_of_them(run: Any, form: str) -> None:
    """Both time steps, the read-out and the labels; the first layer runs at each step, where the network shares it."""
    graph, eager = report(run, f"{form}.onnx", "--samples", "40"), report(run, "small.pt", "--samples", "40")
    assert (graph["accuracy"], graph["time_steps"]) == (eager["accuracy"], 2)
    first, expected = ({row["name"]: row for row in found["rows"]} for found in (graph, eager))
    assert first.keys() == expected.keys()
    for name, row in expected.items():
        steps = 2 if name == "blocks.0.conv" else 1
        assert (first[name].get("macs"), first[name].get("acs")) == (steps * row["macs"], steps * row["acs"])
        if row["part"] == "neurons":
            assert first[name]["spike_rate"] == row["spike_rate"]


def test_arrays_work_for_every_kind_of_graph(run: Any) -> None:
    eager = counts(report(run, "small.pt", "--data", "x.npy"))
    assert counts(report(run, "small.onnx", "--data", "x.npy")) == eager
    assert counts(report(run, "small.pt2", "--data", "x.npy", "--trust")) == eager


def test_a_graph_of_a_fixed_batch_is_fed_as_it_wants(run: Any) -> None:
    whole, parts = (
        report(run, "small.pt2", "--data", "x.npy", "--trust"),
        report(run, "two.pt2", "--data", "x.npy", "--trust"),
    )
    energies = [[row["energy_pj"] for row in found["rows"]] for found in (whole, parts)]
    assert energies[0] == energies[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("small.pt2", "--data", "x.npy"), "can run code of its own"),
        (("two.pt2", "--data", "odd.npy", "--trust"), "takes 2 samples at a time"),
        (("broken.pt2", "--data", "x.npy", "--trust"), "cannot read it"),
        (("missing.pt2", "--data", "x.npy", "--trust"), "no such file"),
        (("missing.onnx", "--data", "x.npy"), "cannot read this ONNX file"),
        (("small.onnx", "--time-steps", "3"), "are fixed"),
        pytest.param(
            ("small.onnx", "--device", "cuda"),
            "an exported graph runs on the CPU",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="without a GPU it is refused before"),
        ),
    ],
)
def test_what_is_refused(run: Any, words: tuple[str, ...], message: str) -> None:
    result = run("profile", *words)
    assert result.exit_code != 0
    assert message in " ".join(result.stderr.split())
    assert len(result.stderr.splitlines()) == 1  # torch.export.load, left to itself, logs a traceback


def test_a_graph_has_no_twin(run: Any) -> None:
    result = run("profile", "small.onnx", "--samples", "8")
    assert result.exit_code == 0, result.stderr
    assert "exported graph" in " ".join(result.stdout.split())
