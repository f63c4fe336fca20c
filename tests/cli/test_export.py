"""`snn-energy export list | onnx`."""

from __future__ import annotations

import json

import onnx
import pytest
import torch
from typer.testing import CliRunner

import snn_energy as se
from snn_energy.cli import app
from snn_energy.models import SpikingCNN, fold, load_checkpoint, save_checkpoint, snap
from snn_energy.models.inputs import unit_pixels
from snn_energy.training import load_images


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return lambda *words: CliRunner().invoke(app, ["export", *map(str, words)])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    net = SpikingCNN(1, 10, 8, widths=(4, 6), time_steps=3).eval()
    with torch.no_grad():
        for value in net.parameters():
            value.mul_(3)
    return save_checkpoint(
        tmp_path_factory.mktemp("checkpoint") / "net.pt",
        snap(fold(net)),
        input=unit_pixels(1, 8, 8),
        classes=tuple("0123456789"),
        dataset="digits",
        training={},
    )


def refused(run, tmp_path, code, *words):
    """The one line on standard error; nothing may have been written."""
    before = set(tmp_path.iterdir())
    result = run(*words)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert set(tmp_path.iterdir()) == before
    (line,) = result.stderr.splitlines()
    return line


def test_list_names_the_formats(run):
    result = run("list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "onnx (unrolled)"
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert {"onnx", "onnx --form step", "onnx --form sequence", "nir"} <= {
        row["command"] for row in json.loads(run("list", "--json").stdout)
    }


def test_export_checks_on_real_images_before_it_writes(run, checkpoint, tmp_path):
    path = tmp_path / "net.onnx"
    result = run("onnx", checkpoint, "--output", path, "--samples", 50)
    assert (result.exit_code, result.stderr) == (0, "")
    wrote, shapes, agreement = result.stdout.splitlines()
    assert wrote.startswith(f"wrote {path}: ")
    assert shapes == "images [batch, 1, 8, 8] -> logits [batch, 10]"
    # 50 images, 3 steps, 4 x 8 x 8 and 6 x 4 x 4 neurons
    spikes = f"{50 * 3 * (4 * 8 * 8 + 6 * 4 * 4):,}"
    assert (
        agreement
        == f"onnxruntime agrees on 50 images of digits (test split): bit-equal logits, {spikes} spikes identical"
    )
    found = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(found["snn_energy.input"])["scale"] == 1 / 256
    assert found["snn_energy.model"] == "spiking-cnn"
    assert json.loads(found["snn_energy.classes"]) == list("0123456789")
    assert str(tmp_path) not in json.dumps(found)


def test_json_with_report_and_opset(run, checkpoint, tmp_path):
    report = tmp_path / "report.json"
    row = {"name": "head", "part": "synapses", "operand": "binary", "spike_rate": 0.25, "acs": 7, "macs": 0}
    report.write_text(json.dumps({"samples": 2, "rows": [row]}))
    path = tmp_path / "net.onnx"
    words = ("--no-verify", "--json", "--opset", 20, "--report", report)
    result = run("onnx", checkpoint, "-o", path, *words)
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert (told["path"], told["opset"], told["agreement"]) == (str(path), 20, None)
    assert told["nodes"] == len(onnx.load(path).graph.node)
    assert json.loads(told["metadata"]["snn_energy.report"])["layers"][0]["acs"] == 7


def test_bad_requests_are_one_line_and_write_nothing(run, checkpoint, tmp_path):
    out = ("-o", tmp_path / "net.onnx")
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "text.json").write_text("no json")
    for code, words, said in (
        (2, ("onnx", "fashion-cn", *out), "did you mean 'fashion-cnn'?"),
        (1, ("onnx", tmp_path / "none.pt", *out), "no such checkpoint"),
        (1, ("onnx", tmp_path / "text.json", *out), "text.json"),
        (2, ("onnx", checkpoint, *out, "--opset", 9), "opset must be an integer from 18 to"),
        (2, ("onnx", checkpoint, *out, "--data", "nonesuch"), "nonesuch: no such file or folder"),
        (1, ("onnx", checkpoint, *out, "--data", "fashion-mnist"), "expected images of shape [1, 8, 8]"),
        (1, ("onnx", checkpoint, *out, "--report", tmp_path / "report.json"), "expected a report"),
        (1, ("onnx", checkpoint, *out, "--report", tmp_path / "text.json"), "not a JSON report"),
        (1, ("onnx", checkpoint, *out, "--report", tmp_path / "none.json"), "cannot read this report"),
    ):
        assert said in refused(run, tmp_path, code, *words)


def test_a_missing_folder_is_refused(run, checkpoint, tmp_path):
    line = refused(run, tmp_path, 2, "onnx", checkpoint, "-o", tmp_path / "sub" / "net.onnx", "--no-verify")
    assert "no folder" in line


def test_an_unknown_data_set_in_the_checkpoint_points_at_the_options(run, checkpoint, tmp_path):
    loaded = load_checkpoint(checkpoint)
    path = save_checkpoint(
        tmp_path / "own.pt",
        loaded.model,
        input=loaded.input,
        classes=loaded.classes,
        dataset="my own",
        training={},
    )
    line = refused(run, tmp_path, 2, "onnx", path, "-o", tmp_path / "net.onnx")
    assert "--data" in line
    assert "--no-verify" in line


@pytest.mark.parametrize(("form", "given"), [("step", "frame"), ("sequence", "frames")])
def test_forms_with_measured_counts_a_sidecar_and_int8(run, checkpoint, tmp_path, form, given):
    path = tmp_path / "net.onnx"
    result = run("onnx", checkpoint, "--form", form, "--int8", "-o", path, "--samples", 20, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert (told["form"], told["sidecar"], told["losses"]) == (form, f"{path}.json", [])
    # 20 images, 3 time steps, 4 x 8 x 8 and 6 x 4 x 4 neurons
    agreement = {key: told["agreement"][key] for key in ("samples", "spikes", "spikes_apart")}
    assert agreement == {"samples": 20, "spikes": 20 * 3 * (256 + 96), "spikes_apart": 0}
    beside = json.loads((tmp_path / "net.onnx.json").read_text())
    assert beside["inputs"][0]["name"] == given
    assert beside["samples"] == 20
    # The counts that the file carries are those that it profiles to.
    loaded = load_checkpoint(checkpoint)
    images, _ = next(load_images("digits", limit=20).batches(20, loaded.input))
    found = {layer.name: (layer.events, layer.acs, layer.macs) for layer in se.trace(str(path), images).layers}
    assert {layer["name"]: (layer["events"], layer["acs"], layer["macs"]) for layer in beside["layers"]} == found
    assert found["head"][1] > 0
    names = {entry.name for entry in onnx.load(path).graph.input}
    assert given in names


def test_what_int8_would_round_needs_force(run, tmp_path):
    torch.manual_seed(0)
    net = fold(SpikingCNN(1, 10, 8, widths=(4,), time_steps=2).eval())
    facts = {"input": unit_pixels(1, 8, 8), "classes": tuple("0123456789"), "dataset": "digits", "training": {}}
    plain = save_checkpoint(tmp_path / "plain.pt", net, **facts)
    words = ("onnx", plain, "--int8", "-o", tmp_path / "net.onnx", "--samples", 4)
    line = refused(run, tmp_path, 2, *words)
    assert "cannot hold the exact weights (blocks.0.conv.weight, head.weight)" in line
    assert "--force" in line
    result = run(*words, "--force")
    assert result.exit_code == 0, result.stderr
    assert "lost: the exact weights (head.weight)" in result.stdout


def test_an_unknown_form_is_one_line(run, checkpoint, tmp_path):
    line = refused(run, tmp_path, 2, "onnx", checkpoint, "--form", "sequenze", "-o", tmp_path / "net.onnx")
    assert "did you mean sequence?" in line


def test_help_fits_and_names_the_forms(run):
    shown = run("onnx", "--help").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert all(form in shown for form in ("unrolled", "step", "sequence", "--int8", "--force"))
