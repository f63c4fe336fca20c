"""Figures: the bars are the numbers, labels keep apart, files are the same every time."""

from __future__ import annotations

import copy

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from snn_energy.errors import UsageError
from snn_energy.reporting.plots import draw, figure_suffix, layers_figure

MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def deep(document, layers):
    """The document with `layers` more layers of long names."""
    value = copy.deepcopy(document)
    for report in (value, value["baseline"]):
        row = report["rows"][1]
        report["rows"] += [{**row, "name": f"a_long_module_path.stage{i // 4}.{i}.conv"} for i in range(layers)]
    return value


@pytest.mark.parametrize("suffix", MAGIC)
def test_files_are_the_same_every_time(document, suffix):
    content = draw(document, "layers", suffix)
    assert content.startswith(MAGIC[suffix])
    assert content == draw(document, "layers", suffix)
    assert b"Matplotlib v" not in content


def test_bars_add_up_to_the_totals(document):
    left, _ = layers_figure(document).axes
    snn, ann = (sum(bar.get_width() for bar in container) for container in left.containers)
    scale = 1e3
    assert snn * scale == pytest.approx(document["totals"]["energy_per_inference_pj"])
    assert ann * scale == pytest.approx(document["baseline"]["totals"]["energy_per_inference_pj"])
    assert left.get_xlabel() == "energy per inference (nJ)"


def test_rates_are_those_of_the_report(document):
    _, right = layers_figure(document).axes
    drawn = sorted(float(x) for line in right.lines for x in line.get_xdata())
    assert drawn == sorted(row["spike_rate"] for row in document["rows"] if row["spike_rate"] is not None)


@pytest.mark.parametrize("layers", [0, 12, 40])
def test_labels_neither_overlap_nor_leave_the_figure(document, layers):
    figure = layers_figure(deep(document, layers))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    left, right = figure.axes
    boxes = [label.get_window_extent(renderer) for label in left.get_yticklabels()]
    boxes += [text.get_window_extent(renderer) for text in right.texts]
    boxes += [axes.get_legend().get_window_extent(renderer) for axes in figure.axes]
    boxes += [figure._suptitle.get_window_extent(renderer)]
    assert len(boxes) > 10
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_a_report_without_baseline_is_drawn(document):
    left, _ = layers_figure({**document, "baseline": None, "comparison": []}).axes
    assert len(left.containers) == 1


def test_nothing_global_is_changed(document):
    before = dict(mpl.rcParams)
    draw(document, "layers", "svg")
    assert dict(mpl.rcParams) == before


def test_bad_requests(document):
    with pytest.raises(UsageError, match=r"unknown kind of figure 'layer': did you mean 'layers'\?"):
        draw(document, "layer", "png")
    with pytest.raises(UsageError, match="cannot draw 'gif' files: expected one of png, svg, pdf"):
        draw(document, "layers", "gif")
    assert figure_suffix("a/b.SVG") == "svg"
    with pytest.raises(UsageError, match=r"a figure's name must end in .png, .svg, .pdf \(got ''\)"):
        figure_suffix("a/b")
