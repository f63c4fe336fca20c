"""`snn-energy plot`: figures of saved reports."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "fashion-cnn.json"


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    shutil.copy(GOLDEN, tmp_path / "r.json")
    return lambda *words: CliRunner().invoke(app, ["plot", *words])


@pytest.mark.parametrize("words", [["r.json"], ["layers", "r.json"]])
def test_the_kind_may_be_left_out(run, tmp_path, words):
    result = run(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "wrote r.layers.png\n")
    assert (tmp_path / "r.layers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "magic"), [("x.svg", b"<?xml"), ("x.pdf", b"%PDF")])
def test_the_suffix_decides_the_format(run, tmp_path, name, magic):
    assert run("r.json", "--output", name).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(magic)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nope.json"], 1, "nope.json: no such report"),
        (["layer", "r.json"], 2, "unknown kind of figure 'layer': did you mean 'layers'?"),
        (["r.json", "-o", "x.gif"], 2, "x.gif: a figure's name must end in .png, .svg, .pdf"),
        (["r.json", "-o", "nope/x.png"], 2, 'cannot write "nope/x.png": no folder "nope"'),
        (["a", "b", "c"], 2, "plot takes a kind and one report (got 3 words: a b c)"),
    ],
)
def test_bad_requests_are_one_line_and_leave_nothing_behind(run, tmp_path, words, code, message):
    result = run(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
