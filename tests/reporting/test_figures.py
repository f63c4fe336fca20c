"""Figures of every kind: what is drawn is what the report says, nothing overlaps, files repeat."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg

from snn_energy.errors import DataError, UsageError
from snn_energy.reporting.document import load_document
from snn_energy.reporting.figures.breakdown import breakdown_figure
from snn_energy.reporting.figures.comparison import comparison_figure
from snn_energy.reporting.figures.crossover import crossover_figure, network_energy
from snn_energy.reporting.figures.layers import layers_figure
from snn_energy.reporting.figures.pareto import load_front, pareto_figure
from snn_energy.reporting.figures.rates import rates_figure, spike_rates
from snn_energy.reporting.plots import KINDS, draw
from snn_energy.reporting.style import DOUBLE, SCREEN, SINGLE, STYLES, settings, short_names

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "fashion-cnn.json"
BIG = Path(__file__).resolve().parents[2] / "reports" / "cifar10-pure-cnn.json"
STYLE = pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
ON_BIG = pytest.mark.parametrize(
    "style",
    [SINGLE, *(pytest.param(style, marks=pytest.mark.slow) for style in (SCREEN, DOUBLE))],
    ids=lambda s: s.name,
)


def with_the_twin_alone(path):
    """A report without the baselines beside the plain twin: tests that draw those add them."""
    return {key: value for key, value in load_document(path).items() if key not in ("quantised", "ann", "crossover")}


@pytest.fixture(scope="module")
def report():
    return with_the_twin_alone(GOLDEN)


@pytest.fixture(scope="module")
def big():
    return with_the_twin_alone(BIG)


def front(count):
    """A front file's content; `count` points, of which some share a place."""
    points = [
        {
            "checkpoint": f"runs/a-long-name-of-a-checkpoint-{i}.pt",
            "energy_per_inference_pj": 1000.0 * (1 + i // 2 * 2),
            "correct": i * i % 17,
            "total": 17,
            "on_front": i % 3 == 0,
        }
        for i in range(count)
    ]
    return {"format": 1, "hardware": "h", "dataset": "d", "points": points}


def crossover(layers):
    """A report's crossover by hand: E(r) = 10 + 100 r for each layer at r = 0.2, so 30 pJ; an ANN layer needs 60 pJ."""
    common = {"operand": "binary", "rate": 0.2, "snn_energy_pj": 30.0, "curve_pj": [10.0, 100.0, 0.0], "note": None}
    return {
        "baselines": [
            {
                "baseline": name, "method": "arithmetic", "snn_energy_pj": 5.0 + 30.0 * layers,
                "ann_energy_pj": 5.0 + each * layers, "outcome": "below", "scale": (each - 10) / 20,
            }
            for name, each in (("dense", 60.0), ("zero-skipping", 40.0))
        ],
        "layers": [
            {
                "baseline": name, "layer": f"stage.{i}.conv", **common, "ann_energy_pj": each, "outcome": "below",
                "crossover_rate": (each - 10) / 100,
            }
            for name, each in (("dense", 60.0), ("zero-skipping", 40.0))
            for i in range(layers)
        ],
    }  # fmt: skip


def drawn(make, style):
    """The figure as it is laid out in a file of this style."""
    with rc_context(settings(style)):
        figure = make(style)
        FigureCanvasAgg(figure).draw()
    return figure


def check_clear(figure):
    """Ticks, texts, legends and titles neither overlap nor leave the figure."""
    renderer = figure.canvas.get_renderer()
    texts = [figure._suptitle] if figure._suptitle else []
    texts += figure.legends
    for axes in figure.axes:
        texts += [axes.get_legend()] if axes.get_legend() else []
        texts += [text for text in axes.texts if text.get_text()]
        texts += [axes.xaxis.label, axes.yaxis.label]
        for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(ends)
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)  # shared axes hide theirs
            texts += [label for tick, label in ticks if axes.axison and label.get_text() and low <= tick <= high]
    boxes = [(text, text.get_window_extent(renderer)) for text in texts]
    boxes = [(text, box) for text, box in boxes if box.width and box.height]
    for i, (text, box) in enumerate(boxes):
        what = getattr(text, "get_text", lambda: "legend")()
        assert box.x0 >= figure.bbox.x0 - 1, what
        assert box.x1 <= figure.bbox.x1 + 1, what
        assert box.y0 >= figure.bbox.y0 - 1, what
        assert box.y1 <= figure.bbox.y1 + 1, what
        for other, there in boxes[:i]:
            # A line of text has some room above and below its letters: rows may share a fifth of it.
            common = min(box.y1, there.y1) - max(box.y0, there.y0)
            close = common <= 0.2 * min(box.height, there.height)
            beside = min(box.x1, there.x1) <= max(box.x0, there.x0)
            assert close or beside, (what, getattr(other, "get_text", lambda: "legend")())


KINDS_OF_ANY_REPORT = pytest.mark.parametrize("kind", ["layers", "breakdown", "rates", "comparison"])


@STYLE
@KINDS_OF_ANY_REPORT
def test_nothing_overlaps_on_a_small_network(report, kind, style):
    check_page(report, kind, style)


@ON_BIG
@KINDS_OF_ANY_REPORT
def test_nothing_overlaps_on_a_big_network(big, kind, style):
    check_page(big, kind, style)


def check_page(document, kind, style):
    documents = [document] if KINDS[kind].several else document
    made = drawn(lambda style: KINDS[kind].figure(documents, style), style)
    check_clear(made)
    assert made.get_figwidth() == pytest.approx(style.width)
    if style.most_rows is not None:
        assert made.get_figheight() <= 9.5  # what a page has room for


def tornado(prices):
    """A report's uncertainty by hand: 10 pJ, moved by 1 pJ either way by each price."""
    common = {"price_pj": 2, "price_low_pj": 1, "price_high_pj": 3, "energy_low_pj": 9.0, "energy_high_pj": 11.0}
    return {"energy_pj": 10.0, "tornado": [{"price": f"energy_pj.a-long-name-{i}", **common} for i in range(prices)]}


@STYLE
@pytest.mark.parametrize("prices", [1, 6])
def test_nothing_overlaps_in_a_tornado(report, prices, style):
    document = {**report, "uncertainty": tornado(prices)}
    made = drawn(lambda style: KINDS["tornado"].figure(document, style), style)
    check_clear(made)
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bars in made.axes[0].containers for bar in bars]
    assert ends == [(9.0, 10.0)] * prices + [(10.0, 11.0)] * prices


@STYLE
@pytest.mark.parametrize("count", [1, 7])
def test_nothing_overlaps_in_a_front(count, style):
    check_clear(drawn(lambda style: pareto_figure(front(count), style), style))


@ON_BIG
@pytest.mark.parametrize("layers", [1, 60])
def test_nothing_overlaps_in_a_crossover(report, layers, style):
    document = {**report, "crossover": crossover(layers)}
    made = drawn(lambda style: crossover_figure(document, style), style)
    check_clear(made)
    if style.most_rows is not None:
        assert made.get_figheight() <= 9.5


def test_stacks_add_up_to_each_row_and_to_the_total(report):
    (axes,) = breakdown_figure(report).axes
    assert axes.get_xlabel() == "energy per inference (nJ)"
    widths = np.array([[bar.get_width() for bar in container] for container in axes.containers])
    by_row = {}
    for row in report["rows"]:
        key = (row["part"], row["name"])
        by_row[key] = by_row.get(key, 0) + row["energy_pj"] / report["samples"] / 1e3
    assert sorted(widths.sum(axis=0)) == pytest.approx(sorted(by_row.values()))
    assert widths.sum() * 1e3 == pytest.approx(report["totals"]["energy_per_inference_pj"])
    shares = [float(text.get_text().removesuffix(" %")) for text in axes.texts]
    assert round(sum(shares), 1) == 100.0
    legend = [text.get_text().rsplit(" ", 2)[1] for text in axes.get_legend().get_texts()]
    assert round(sum(map(float, legend)), 1) == 100.0


@pytest.mark.parametrize("make", [breakdown_figure, layers_figure])
def test_rows_that_a_page_has_no_room_for_share_one(big, make):
    axes = make(big, SINGLE).axes[0]
    whole = make(big, SCREEN).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == SINGLE.most_rows
    left_out = len(whole.get_yticklabels()) - len(names) + 1
    assert names[-1] == f"{left_out} smaller rows"
    for few, all_rows in zip(axes.containers, whole.containers, strict=True):
        assert sum(bar.get_width() for bar in few) == pytest.approx(sum(bar.get_width() for bar in all_rows))


def test_rates_by_nested_loops(report):
    found = spike_rates(report)
    steps, samples = report["time_steps"], report["samples"]
    assert len(found) == len(report["neurons"]) > 0
    for neuron in report["neurons"]:
        for step in range(steps):
            places = neuron["state_elements"] * samples
            assert found[neuron["name"]][step] == pytest.approx(neuron["spikes_per_step"][step] / places)
    mesh = rates_figure(report).axes[0].collections[0]
    assert np.asarray(mesh.get_array()) == pytest.approx(np.array(list(found.values())))


def test_layers_of_fewer_steps_are_left_blank_and_silent_ones_are_not(report):
    document = copy.deepcopy(report)
    document["neurons"][1]["spikes_per_step"] = [0]
    document["neurons"][2]["spiking"] = False
    shown = np.ma.masked_invalid(rates_figure(document).axes[0].collections[0].get_array())
    assert shown.shape == (3, 4)
    assert shown[1].mask.tolist() == [False, True, True, True]
    assert shown[1, 0] == 0


def test_what_has_no_rates_is_refused(report):
    silent = [{**neuron, "spiking": False} for neuron in report["neurons"]]
    with pytest.raises(UsageError, match="rates: no layer of the report spikes"):
        rates_figure({**report, "neurons": silent})
    with pytest.raises(UsageError, match="rates: the samples ran for different numbers of time steps"):
        rates_figure({**report, "time_steps": None})


def test_bars_of_a_comparison_are_the_reports_energies(report, big):
    (axes,) = comparison_figure([report]).axes
    lengths = [bar.get_width() * 1e6 for container in axes.containers for bar in container]
    dense, skipping = report["comparison"]
    assert lengths == pytest.approx([
        report["totals"]["energy_per_inference_pj"], dense["ann_energy_per_inference_pj"],
        skipping["snn_energy_per_inference_pj"], skipping["ann_energy_per_inference_pj"],
    ])  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "SNN", "ANN, dense", "SNN, zero-skipping", "ANN, zero-skipping",
    ]  # fmt: skip
    # 2 to 765 uJ: bars would be too short to see, points on a logarithmic axis are not.
    (both,) = comparison_figure([report, big], DOUBLE).axes
    assert (axes.get_xscale(), both.get_xscale()) == ("linear", "log")
    headings = [text.get_text() for text in both.texts if text.get_weight() == "bold"]
    assert headings == [
        "spiking-cnn (fashion-cnn.pt), T = 4, fashion-mnist", "pure-cnn (cifar10-pure-cnn.pt), T = 1, cifar10",
    ]  # fmt: skip


def test_a_comparison_of_energies_that_are_zero_or_not_known(report):
    totals = {**report["totals"], "energy_per_inference_pj": 0.0}
    free = {**report, "totals": totals, "comparison": []}
    (axes,) = comparison_figure([free]).axes
    assert [text.get_text() for text in axes.texts] == ["0.000 pJ"]
    priceless = {**report, "unpriced": [{"action": "mac", "count": 1, "reason": "no"}]}
    (axes,) = comparison_figure([priceless]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SNN"]


def test_every_baseline_of_a_report_is_compared(report):
    item = {**report["comparison"][1], "ann_energy_per_inference_pj": 3e6, "ratio": 1.5}
    document = {
        **report,
        "quantised": {"bits": 3, "comparison": [item]},
        "ann": {"name": "my_net:build", "comparison": [{**item, "method": "arithmetic"}]},
    }
    (axes,) = comparison_figure([document]).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[-2:] == ["3-bit ANN, zero-skipping", "my_net:build, dense"]
    lengths = [bar.get_width() for container in axes.containers for bar in container]
    assert lengths[-2:] == pytest.approx([3.0, 3.0])


def test_uncounted_work_is_an_interval(report):
    totals = {**report["totals"], "energy_upper_pj": 2 * report["totals"]["energy_pj"]}
    (axes,) = comparison_figure([{**report, "totals": totals}]).axes
    ends = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    own = report["totals"]["energy_per_inference_pj"] / 1e6
    assert ends == [pytest.approx([own, 2 * own])]


def test_the_network_s_curve_meets_the_baselines_where_the_report_says():
    found = crossover(3)
    for baseline in found["baselines"]:
        layers = [layer for layer in found["layers"] if layer["baseline"] == baseline["baseline"]]
        for scale in (0.0, 1.0, baseline["scale"]):
            by_hand = 5 + 3 * (10 + 100 * 0.2 * scale)
            assert network_energy(layers, baseline["snn_energy_pj"], scale) == pytest.approx(by_hand)
        assert network_energy(layers, baseline["snn_energy_pj"], baseline["scale"]) == pytest.approx(
            baseline["ann_energy_pj"]
        )
        # A rate ends at 1, whatever the scale.
        assert network_energy(layers, baseline["snn_energy_pj"], 9) == pytest.approx(5 + 3 * (10 + 100))


def test_layers_are_marked_at_their_rates(report):
    found = crossover(2)
    found["layers"][0] |= {"outcome": "always", "crossover_rate": 1.7}
    found["layers"][1] |= {"outcome": "never", "crossover_rate": None}
    _, below = crossover_figure({**report, "crossover": found}).axes
    marks = sorted(
        (round(float(line.get_xdata()[0]), 2), int(line.get_ydata()[0]))
        for line in below.lines
        if len(line.get_xdata()) == 1
    )
    assert marks == [(0.0, 1), (0.2, 0), (0.2, 1), (0.3, 0), (0.3, 1), (1.03, 0)]
    assert "right of 1: the SNN wins at any rate; hollow, at 0: at none" in below.get_xlabel()


@pytest.mark.parametrize("count", [1, 40])
def test_every_point_of_a_front_is_drawn_where_it_is_and_named(count):
    document = front(count)
    axes = drawn(lambda style: pareto_figure(document, style), SCREEN).axes[0]
    markers = [line for line in axes.lines if line.get_linestyle() == "None"]
    places = sorted((float(x), float(y)) for line in markers for x, y in zip(*line.get_data(), strict=True))
    size = 1e3
    expected = sorted((p["energy_per_inference_pj"] / size, 100 * p["correct"] / 17) for p in document["points"])
    assert places == [pytest.approx(place) for place in expected]
    key = next(text for text in axes.texts if "\n" in text.get_text() or count == 1)
    assert len(key.get_text().splitlines()) == count
    numbers = [n for text in axes.texts if text is not key for n in text.get_text().split(", ")]
    assert sorted(map(int, numbers)) == list(range(1, count + 1))
    assert axes.get_xlabel() == "energy per inference (nJ)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": []}, "not a front of checkpoints"),
        ({"format": 2}, r"format must be 1 \(got 2\)"),
        ({"dataset": None}, r"dataset must be text \(got None\)"),
        ({"points": [{"checkpoint": "a"}]}, r"points\[0\].energy_per_inference_pj does not fit"),
    ],
)
def test_what_is_no_front_is_refused(tmp_path, change, message):
    path = tmp_path / "f.json"
    path.write_text(json.dumps({**front(2), **change}), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_front(path)


@pytest.mark.parametrize(
    ("names", "limit", "expected"),
    [
        (["stem.conv", "stages.0.unit", "stages.0.1.unit.first.conv"], 21,
         ["stem.conv", "s.0.unit", "s.0.1.unit.first.conv"]),
        (["a.b", "c"], 20, ["a.b", "c"]),
        (["x" * 30, "y" + "x" * 29, "x" * 30], 12, ["…" + "x" * 11, "…" + "x" * 7 + " (2)", "…" + "x" * 11]),
    ],
)  # fmt: skip
def test_short_names_still_tell_layers_apart(names, limit, expected):
    assert short_names(names, limit) == expected


@pytest.mark.slow
def test_files_repeat_in_other_processes(tmp_path):
    """Neither the hash seed nor the time of day is in a file."""
    code = (
        "import hashlib, sys\n"
        "from pathlib import Path\n"
        "from snn_energy.reporting.document import load_document\n"
        "from snn_energy.reporting.plots import draw\n"
        "from snn_energy.reporting.style import SINGLE\n"
        f"document = load_document({str(GOLDEN)!r})\n"
        "for suffix in ('pdf', 'svg', 'png'):\n"
        "    print(hashlib.sha256(draw(document, 'breakdown', suffix, SINGLE)).hexdigest())\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": date},
            check=True, capture_output=True, text=True, timeout=120,
        ).stdout
        for seed, date in (("1", "0"), ("2", "1600000000"))
    ]  # fmt: skip
    assert runs[0] == runs[1]
    assert len(set(runs[0].split())) == 3


def test_files_hold_no_bitmaps(report):
    for kind in ("layers", "breakdown", "rates"):
        assert b"<image" not in draw(report, kind, "svg", SINGLE)


def test_fonts_are_in_the_file(report):
    assert b"/FontFile2" in draw(report, "rates", "pdf", SINGLE)
    outlines = draw(report, "rates", "svg", SINGLE)
    assert b"<text" not in outlines
    assert b"<text" in draw(report, "rates", "svg")


def test_one_layer_and_no_energy(report):
    rows = [row for row in report["rows"] if row["name"] == "head"]
    zero = dict.fromkeys((key for key in rows[0] if key.endswith("_pj")), 0.0)
    document = {
        **report,
        "rows": [{**rows[0], **zero}],
        "baseline": None,
        "comparison": [],
        "neurons": report["neurons"][:1],
    }
    for kind in ("layers", "breakdown", "rates"):
        made = drawn(lambda style, kind=kind: KINDS[kind].figure(document, style), SINGLE)
        check_clear(made)
    with pytest.raises(UsageError, match="breakdown: the report holds no layers"):
        breakdown_figure({**document, "rows": []})


def test_what_the_crossover_figure_says_fits_one_column():
    """No label below the axis, where its numbers stand, and no line of words wider than the figure."""
    document = load_document(Path(__file__).parents[2] / "reports" / "cifar10-pure-cnn.json")
    with rc_context(settings(SINGLE)):
        figure = crossover_figure(document, SINGLE)
        FigureCanvasAgg(figure).draw()
        above, below = figure.axes
        assert [text.get_text() for text in above.texts if text.get_window_extent().y0 < above.bbox.y0] == []
        box = below.xaxis.label.get_window_extent()
        assert (box.x0 >= 0, box.x1 <= figure.bbox.x1) == (True, True)
        assert "hollow, at 0: at none" in below.get_xlabel().splitlines()
