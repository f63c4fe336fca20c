"""The waterfall figure: bars hang where the sums are, the ends are the methods' totals, wrong files are one line."""

from __future__ import annotations

import copy
import json

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.errors import DataError, UsageError
from snn_energy.reporting.figures.waterfall import checked_explanation, load_explanation, waterfall_figure
from snn_energy.reporting.plots import draw
from snn_energy.reporting.style import SINGLE

STEPS = [
    ("synapses", "count", -500.0),
    ("synapses", "price", 2250.0),
    ("weights", "charged", 40000.0),
    ("neurons", "left out", -250.0),
]
EXPLANATION = {
    "format": 1,
    "source": "a network",
    "methods": [
        {"method": "low", "energy_per_inference_pj": 1500.0},
        {"method": "high", "energy_per_inference_pj": 43000.0},
        {"method": "none", "energy_per_inference_pj": None},
    ],
    "waterfall": {
        "from": "low",
        "to": "high",
        "steps": [{"part": part, "cause": cause, "energy_pj": pj} for part, cause, pj in STEPS],
    },
}


def spans(figure):
    (axes,) = figure.axes
    bars = [bar for container in axes.containers for bar in container]
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]


def test_each_bar_hangs_between_the_sums_around_it():
    """In nJ: 1.5, down to 1.0, up to 3.25, up to 43.25, down to 43."""
    figure = waterfall_figure(EXPLANATION)
    expected = [(0, 1.5), (1.0, 1.5), (1.0, 3.25), (3.25, 43.25), (43.0, 43.25), (0, 43.0)]
    assert spans(figure) == [pytest.approx(one) for one in expected]
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "low", "synapses, count", "synapses, price", "weights, charged", "neurons, left out", "high",
    ]  # fmt: skip
    assert [text.get_text() for text in axes.texts] == ["1.5", "-0.5", "+2.25", "+40", "-0.25", "43"]
    assert axes.get_xlabel() == "energy per inference (nJ)"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files_are_the_same_every_time(suffix):
    assert draw(EXPLANATION, "waterfall", suffix) == draw(EXPLANATION, "waterfall", suffix)


@pytest.mark.parametrize("style", [None, SINGLE])
def test_nothing_overlaps_or_leaves_the_figure(style):
    figure = waterfall_figure(EXPLANATION) if style is None else waterfall_figure(EXPLANATION, style)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in (*axes.texts, *axes.get_yticklabels())]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[:i])


def changed(**changes):
    return {**copy.deepcopy(EXPLANATION), **changes}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"x: expected what explain --json prints, with a waterfall \(got other JSON\)"),
        ({"rows": []}, r"\(got a report\)"),
        (changed(format=2), r"x: format must be 1 \(got 2\)"),
        (changed(waterfall={"from": "low", "to": "high", "steps": [{"part": "a"}]}), "x: waterfall.steps must be"),
        (changed(waterfall={**EXPLANATION["waterfall"], "to": "none"}), "must be methods with an energy"),
        (changed(methods=[{"method": 3}]), "x: methods must be"),
    ],
)
def test_wrong_files(value, message):
    with pytest.raises(DataError, match=message):
        checked_explanation(value, "x")


def test_files_that_are_no_explanation(tmp_path):
    (tmp_path / "cut.json").write_text("{")
    for name, message in (("none.json", "no such explanation"), ("cut.json", "expected an explanation as JSON")):
        with pytest.raises(DataError, match=message):
            load_explanation(tmp_path / name)
    with pytest.raises(UsageError, match="fewer than two methods give an energy"):
        waterfall_figure(changed(waterfall={"from": None, "to": None, "steps": []}))


def test_from_explain_to_the_figure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["explain", "fashion-cnn", "--samples", "2", "--json"])
    (tmp_path / "explain.json").write_text(result.stdout)
    found = json.loads(result.stdout)
    done = CliRunner().invoke(app, ["plot", "waterfall", "explain.json", "--output", "fall.svg"])
    assert (done.exit_code, done.stderr) == (0, "wrote fall.svg\n")
    text = (tmp_path / "fall.svg").read_text()
    for step in found["waterfall"]["steps"]:
        assert f">{step['part']}, {step['cause']}<" in text
    assert found["source"] in text
