"""`snn-energy plot`: figures of saved reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.cli.plot import WIDTHS
from snn_energy.reporting.plots import KINDS
from snn_energy.reporting.style import STYLES

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "fashion-cnn.json"


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    document.pop("crossover", None)
    (tmp_path / "r.json").write_text(json.dumps(document), encoding="utf-8")
    return lambda *words: CliRunner().invoke(app, ["plot", *words])


@pytest.mark.parametrize("words", [["r.json"], ["layers", "r.json"]])
def test_the_kind_may_be_left_out(run, tmp_path, words):
    result = run(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "wrote r.layers.png\n")
    assert (tmp_path / "r.layers.png").read_bytes().startswith(b"\x89PNG")


def test_json_names_the_file_and_lists_the_kinds(run):
    drawn = run("rates", "r.json", "--width", "single", "-o", "x.svg", "--json")
    assert json.loads(drawn.stdout) == {"path": "x.svg", "kind": "rates", "width": "single"}
    assert [row["kind"] for row in json.loads(run("--list", "--json").stdout)] == list(KINDS)


def test_nothing_to_draw_is_one_line(run):
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: nothing to draw: name a report")


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
        (["layers", "r.json", "r.json"], 2, "layers: draws one report (got 2)"),
        (["r.json", "r.json"], 2, "layers: draws one report (got 2)"),
        (["r.json", "--width", "singel"], 2, "unknown width 'singel': did you mean 'single'?"),
        (["pareto", "r.json"], 1, "r.json: not a front of checkpoints (no points in it)"),
        (["crossover", "r.json"], 2, "crossover: the report holds no crossover, which needs an ANN baseline"),
        (["tornado", "r.json"], 2, "tornado: the report holds no uncertainty; make it again with --uncertainty"),
    ],
)
def test_bad_requests_are_one_line_and_leave_nothing_behind(run, tmp_path, words, code, message):
    result = run(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_every_kind_is_listed_with_what_it_reads(run):
    result = run("--list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for name in KINDS:
        assert any(line.startswith(f"{name} ") for line in lines)
        assert any(line.startswith(f"snn-energy plot {name} ") and ".json" in line for line in lines)


def test_several_reports_in_one_figure(run, tmp_path):
    assert run("comparison", "r.json", "r.json", "--width", "double", "-o", "x.svg").exit_code == 0
    assert 'width="515.52pt"' in (tmp_path / "x.svg").read_text(encoding="utf-8")[:1000]  # 7.16 inches


def test_the_widths_are_those_of_the_styles():
    assert tuple(STYLES) == WIDTHS
