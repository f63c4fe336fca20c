"""The HTML report: nothing from outside, nothing unescaped, numbers that add up, and readable by anybody."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from html_tree import Node, cells, parsed

from snn_energy.errors import DataError
from snn_energy.reporting.explained import explanation_key, load_explanation
from snn_energy.reporting.facts import COMPONENTS
from snn_energy.reporting.html.curves import curves_figure
from snn_energy.reporting.html.elements import tag, to_html
from snn_energy.reporting.html.entries import _meet
from snn_energy.reporting.html.page import SECTIONS, html_page
from snn_energy.reporting.html.rates import MOST_CELLS, heat_rows, rates_section
from snn_energy.reporting.numbers import ratio
from snn_energy.reporting.spread import uncertainty_key
from snn_energy.reporting.style import BLUE, COMPONENT_COLOURS, GREEN, ORANGE, PALE, PURPLE, SKY, VERMILION

CSS = (Path(__file__).parents[2] / "snn_energy/reporting/html/report.css").read_text(encoding="utf-8")
EVIL = "</script><script>alert('x')</script>\"'><img src=x onerror=alert(1)> & \x00 \ud800 ]]>"
SHOWN = EVIL.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")


@pytest.fixture(scope="module")
def full(assessment):
    """Everything that `snn-energy profile --format html` puts into a document."""
    return {
        **assessment.to_dict(),
        **uncertainty_key(assessment.report, against=assessment.against),
        **explanation_key(assessment.report.trace),
    }


@pytest.fixture(scope="module")
def saved(full):
    """The document as a JSON file gives it back."""
    return json.loads(json.dumps(full))


@pytest.fixture(scope="module")
def page(full):
    return parsed(html_page(full))


def test_every_section_is_there_and_linked(page, full):
    made = {name for name, make in SECTIONS.items() if make(full) is not None}
    assert made >= {
        "Energy",
        "Layers",
        "Spikes",
        "Baselines",
        "Crossover",
        "Methods",
        "Coverage",
        "Hardware",
        "In words",
    }
    links = {link.text: link.attrs["href"] for link in page.one("nav").all("a")}
    assert set(links) == made
    sections = {section.attrs["id"] for section in page.one("main").all("section")}
    assert {href.removeprefix("#") for href in links.values()} == sections


def test_nothing_is_fetched(page):
    """Only the packaged script may run: the policy holds the digests of exactly what stands in the page."""
    policy = page.one("meta", http_equiv="Content-Security-Policy").attrs["content"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.one(name).text.encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"
    assert [node.tag for node in page.all() if "src" in node.attrs or "style" in node.attrs] == []
    assert [node.attrs["href"] for node in page.all("link")] == ["data:,"]
    assert all(re.match(r"#|https?://", node.attrs["href"]) for node in page.all("a"))
    assert [key for node in page.all() for key in node.attrs if key.startswith("on")] == []
    assert "url(" not in page.one("style").text
    assert "@import" not in page.one("style").text


def poisoned(value, key=None):
    """A copy in which every text that a stranger could have written is hostile."""
    kept = ("part", "state", "outcome", "cause", "method", "operand", "baseline", "from", "to", "source")
    if isinstance(value, dict):
        return {name: poisoned(inner, name) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [poisoned(inner, key) for inner in value]
    return EVIL + value if isinstance(value, str) and key not in kept else value


def test_hostile_names_stay_text(full, page):
    hostile = parsed(html_page(poisoned(full)))
    shape, expected = ([(node.tag, sorted(node.attrs)) for node in tree.all()] for tree in (hostile, page))
    # Addresses that are none are no links, and long names may be broken; else nothing more, not an attribute.
    beside = ("a", "wbr")
    assert [each for each in shape if each[0] not in beside] == [each for each in expected if each[0] not in beside]
    assert len(list(hostile.all("script"))) == 1
    assert hostile.one("script").text == page.one("script").text
    names = [row[0] for row in cells(hostile.one("table", id_="layer-table"), "tbody")]
    assert names == [SHOWN + row[0] for row in cells(page.one("table", id_="layer-table"), "tbody")]
    assert not [link for link in hostile.all("a") if not re.match(r"#", link.attrs["href"])]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", " https://x"])
def test_only_web_addresses_become_links(document, url):
    bad = copy.deepcopy(document)
    for source in bad["hardware"]["sources"].values():
        source["url"] = url
    sources = parsed(html_page(bad)).one("ul", class_="sources")
    assert list(sources.all("a")) == []
    assert url in sources.text


def test_the_printed_columns_add_up(page, full):
    table = page.one("table", id_="layer-table")
    ((*headings,),) = cells(table, "thead")
    rows, (total,) = cells(table, "tbody"), cells(table, "tfoot")
    for column, heading in enumerate(headings):
        if heading in ("layer", "part", "kind", "operand", "rate"):
            continue
        digits = [re.sub(r"[,.]", "", row[column]) for row in rows if row[column]]
        assert sum(map(int, digits)) == int(re.sub(r"[,.]", "", total[column])), heading
    samples = full["samples"]
    for name, key in (("connections", "connections"), ("MACs", "macs"), ("updates", "updates")):
        whole = int(total[headings.index(name)].replace(",", ""))
        assert whole == sum(row[key] for row in full["rows"]) // samples
    unit = {"pJ": 1, "nJ": 1e3, "µJ": 1e6}[headings[-2]]
    assert float(total[-2]) == pytest.approx(sum(row["energy_pj"] for row in full["rows"]) / samples / unit, rel=1e-3)


def test_components_add_up(page):
    energy = page.one("section", id_="energy")
    parts = [float(key.one("b").text) for key in energy.one("ul", class_="keys").all("li")]
    total = energy.one("ol", class_="whole").one("span", class_="value").text
    assert sum(parts) == pytest.approx(float(total), abs=1e-9)
    assert f"{float(total):.3f}" == page.one("table", id_="layer-table").one("tfoot").one("tr").children[-2].text


def test_every_layer_by_component_and_beside_its_twin(page, full):
    """Columns add up to their last line, lines to the SNN, and a line's twin is the row of the same name."""
    table = page.one("section", id_="energy").one("table")
    ((*headings,),) = cells(table, "thead")
    assert headings[-3:] == ["SNN", "ANN twin, dense", "ANN/SNN"]
    components = [label for key, label in COMPONENTS if full["totals"]["components_pj"].get(key)]
    assert headings[1:-3] == components
    own = 1 + len(components)
    *rows, total = cells(table, "tbody")
    numbers = {row[0]: [int(cell.replace(".", "")) if cell else 0 for cell in row[1:-1]] for row in (*rows, total)}
    assert len(numbers) == len(rows) + 1
    for parts in numbers.values():
        assert sum(parts[: own - 1]) == parts[own - 1]
    for column in zip(*numbers.values(), strict=True):
        assert sum(column[:-1]) == column[-1]
    size = {"pJ": 1, "nJ": 1e3, "µJ": 1e6}[page.one("table", id_="layer-table").attrs["data-unit"]] / 1000
    for side, place in ((full, own - 1), (full["baseline"], own)):
        whole = side["totals"]["energy_per_inference_pj"]
        assert numbers["total"][place] == pytest.approx(whole / size, abs=0.5)
        for row in side["rows"]:
            if row["part"] == "synapses":
                assert numbers[row["name"]][place] == pytest.approx(row["energy_pj"] / side["samples"] / size, abs=1)
    energies = [side["totals"]["energy_per_inference_pj"] for side in (full["baseline"], full)]
    assert total[-1] == ratio(energies[0] / energies[1])
    keys = page.one("section", id_="energy").one("ul", class_="keys").all("li")
    assert [key.one("b").text for key in keys] == total[1:own]  # the sentence and the table print the same sums


def test_without_a_twin_the_layers_stand_alone(document):
    alone = {**document, "baseline": None}
    table = parsed(html_page(alone)).one("section", id_="energy").one("table")
    assert cells(table, "thead")[0][-1] == "SNN"


def test_what_only_the_twin_has_is_a_line_of_its_own(document):
    extra = copy.deepcopy(document)
    extra["baseline"]["rows"].append({**extra["baseline"]["rows"][0], "name": "nowhere"})
    table = parsed(html_page(extra)).one("section", id_="energy").one("table")
    lines = {row[0]: row for row in cells(table, "tbody")}
    first = extra["baseline"]["rows"][0]["name"]
    assert float(lines["(twin alone)"][-2]) == pytest.approx(float(lines[first][-2]), abs=0.0011)
    assert (lines["(twin alone)"][-1], lines["(twin alone)"][-3]) == ("", "")


def test_bars_are_as_long_as_the_energies(full, page):
    """Widths of the layers' pieces are their energies over the largest layer's, in percent."""
    rows = [row for row in full["rows"] if row["part"] != "other"]
    largest = max(row["energy_pj"] for row in full["rows"])
    _, layers = page.one("section", id_="energy").all("ol")
    drawn_by_name = {bar.one("span", class_="name").children[0]: list(bar.all("rect")) for bar in layers.all("li")}
    for row in rows:
        drawn = sum(float(rect.attrs["width"].rstrip("%")) for rect in drawn_by_name[row["name"]])
        assert drawn == pytest.approx(100 * row["energy_pj"] / largest, abs=0.02)


def neuron(name, spikes, each, **more):
    return {"name": name, "kind": "lif", "updates": each * len(spikes), "spikes_per_step": spikes, **more}


def test_heat_map_by_hand(document):
    """Two neurons, five samples: 3 spikes of 10 possible are a rate of 0.3; shades are ninths of the highest rate."""
    bare = {**document, "neurons": [neuron("a", [3, 0, 6], 10), neuron("b", [1, 1, 1], 10, spiking=False)]}
    table = parsed("<!doctype html>\n" + to_html(rates_section(bare))).one("table", class_="heat")
    assert cells(table, "thead") == [["neuron layer", "t = 1", "t = 2", "t = 3", "all"]]
    assert cells(table, "tbody") == [
        ["a lif", "0.3000", "0.0000", "0.6000", "0.3000"],
        ["b lif", "–", "–", "–", "no spikes"],
    ]
    first = list(table.one("tbody").all("td"))[:3]
    assert [cell.attrs["class"] for cell in first] == ["h5", "h0", "h9"]


def test_samples_of_several_lengths_leave_no_step_a_rate(document):
    bare = {**document, "time_steps": None, "neurons": [neuron("a", [3, 0, 6], 10)]}
    part = parsed("<!doctype html>\n" + to_html(rates_section(bare)))
    assert list(part.all("table", class_="heat")) == []
    assert cells(part.one("table"), "tbody") == [["a", "0.3000"]]


def test_many_cells_share_time_steps():
    """100 layers of 100 steps are 10,000 cells: three steps share one, and the last one holds what is left."""
    assert 100 * 100 / 3 <= MOST_CELLS < 100 * 100 / 2
    width, rows = heat_rows([neuron(f"n{i}", [1, 2, 3] * 33 + [4], 10) for i in range(100)])
    assert (width, len(rows[0].rates)) == (3, 34)
    assert {float(rate) for rate in rows[0].rates[:-1]} == {0.2}
    assert float(rows[0].rates[-1]) == 0.4


def test_waterfall_adds_up(page):
    figure = list(page.one("section", id_="methods").all("figure"))[1]
    first, *changes, last = [
        row.one("span", class_="value").text.replace("\u2212", "-").split(" ") for row in figure.one("ol").all("li")
    ]
    steps = [int(text.replace(".", "").replace(",", "")) for text, _ in (first, *changes)]
    assert sum(steps) == int(last[0].replace(".", "").replace(",", ""))
    assert {unit for _, unit in (first, *changes, last)} == {last[1]}


def test_crossover_plot_by_hand():
    """10 + 90 r meets 55 at r = 0.5. The axis ends at 1.25 of that, its top at 1.1 of the SNN there: 1.1 * 66.25."""
    side = {
        "baseline": "dense", "layer": "conv", "operand": "binary", "rate": 0.25, "snn_energy_pj": 32.5,
        "ann_energy_pj": 55.0, "curve_pj": [10.0, 90.0, 0.0], "outcome": "below", "crossover_rate": 0.5, "margin": 2.0,
    }  # fmt: skip
    plot = parsed("<!doctype html>\n" + to_html(curves_figure({"conv": {"dense": side}}, {"dense": "dense ANN"})))
    svg = plot.one("svg", class_="plot")
    top = 1.1 * 66.25

    def at(node, *names):
        return [float(node.attrs[name].rstrip("%")) for name in names]

    assert at(svg.one("line", class_="crossing"), "x1", "x2") == [80, 80]
    assert at(svg.one("line", class_="ann"), "y1", "y2") == pytest.approx([100 * (1 - 55 / top)] * 2, abs=0.01)
    assert at(svg.one("line", class_="snn"), "x1", "x2") == [0, 100]
    assert at(svg.one("line", class_="snn"), "y1", "y2") == pytest.approx(
        [100 * (1 - 10 / top), 100 * (1 - 66.25 / top)], abs=0.01
    )
    assert at(svg.one("circle"), "cx", "cy") == pytest.approx([40, 100 * (1 - 32.5 / top)], abs=0.01)
    assert "crossover 0.5000" in svg.attrs["aria-label"]


def test_the_verdict_says_what_the_comparison_says(document):
    """Ratios of 4 and of 1/2 in words; an interval where work is uncounted."""
    said = copy.deepcopy(document)
    for key in ("crossover", "quantised"):
        del said[key]
    dense, skipping = said["comparison"]
    dense |= {"ratio": 4.0, "ratio_low": 4.0, "ratio_high": 4.0}
    skipping |= {"ratio": 0.5, "ratio_low": 0.5, "ratio_high": 0.5}
    verdict = parsed(html_page(said)).one("header").one("p", class_="verdict").text
    assert verdict == "The SNN needs 4.00 times less than the dense ANN and 2.00 times more than the zero-skipping ANN."
    skipping |= {"ratio_high": 2.0}
    verdict = parsed(html_page(said)).one("header").one("p", class_="verdict").text
    assert verdict.endswith("between 0.5 and 2.00 times less than the zero-skipping ANN.")


def test_uncounted_work_is_an_interval_and_an_alarm(document):
    torn = copy.deepcopy(document)
    torn["complete"] = torn["coverage"]["complete"] = False
    torn["coverage"]["uncounted"] = [{"name": "fft", "calls": 3, "modules": ["a", "b", "c", "d"], "bound": 1234}]
    torn["totals"]["energy_upper_pj"] = 2 * torn["totals"]["energy_pj"]
    page = parsed(html_page(torn))
    head = page.one("header")
    assert head.one("p", class_="headline").text.startswith("\u2265 ")
    low, high = re.findall(r"[\d.]+(?= nJ| µJ)", head.one("p", class_="interval").text)
    assert float(high) == pytest.approx(2 * float(low), rel=1e-3)
    coverage = page.one("section", id_="coverage")
    assert coverage.one("strong", class_="alarm").text.startswith("Incomplete")
    assert cells(coverage.one("table"), "tbody")[0] == [
        "fft", "uncounted", "3", "a, b, c and 1 more", "at most 1,234 MACs in all samples",
    ]  # fmt: skip


def test_intervals_of_prices_and_samples(document):
    spread = {
        "energy_pj": 100.0, "low_pj": 80.0, "high_pj": 130.0, "mean_pj": 102.0, "sd_pj": 5.0, "p05_pj": 90.0,
        "p95_pj": 120.0, "draws": 1000, "seed": 0, "without_range": ["energy_pj.ac"], "cheaper": [],
        "tornado": [{"price": "energy_pj.mac", "price_pj": 2.0, "price_low_pj": 1.0, "price_high_pj": 4.0,
                     "energy_low_pj": 80.0, "energy_high_pj": 130.0}],
    }  # fmt: skip
    samples = {
        "samples": 50, "mean_pj": 100.0, "sd_pj": 10.0, "ci95_low_pj": 97.0, "ci95_high_pj": 103.0, "precision": 0.03,
        "median_pj": 99.0, "p95_pj": 118.0, "min_pj": 75.0, "max_pj": 125.0,
    }  # fmt: skip
    page = parsed(html_page({**document, "uncertainty": spread, "distribution": samples}))
    told = [line.text for line in page.one("header").all("p", class_="interval")]
    assert told == [
        "80 to 130 pJ by the published ranges of the prices",
        "97.0 pJ to 103.0 pJ: 95 % interval of the mean over 50 samples",
    ]
    prices, over = page.one("section", id_="spread").all("svg")
    # From 80 to 130 the value of 100 lies at 40 %; from 75 to 125 the interval from 97 to 103 at 44 to 56 %.
    widths = [(rect.attrs["x"], rect.attrs["width"]) for rect in prices.all("rect")]
    assert widths == [("0%", "40%"), ("40%", "60%")]
    (interval,) = over.all("rect", class_="mark")
    assert (interval.attrs["x"], interval.attrs["width"]) == ("44%", "12%")


def test_everybody_can_read_it(page):
    html = page.one("html")
    assert html.attrs["lang"] == "en"
    assert page.one("head").one("title").text
    assert [
        node for node in page.all("svg") if node.attrs.get("role") != "img" or not node.attrs.get("aria-label")
    ] == []
    assert [node for node in page.all("th") if node.attrs.get("scope") not in ("row", "col")] == []
    ids = [node.attrs["id"] for node in page.all() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    named = [node.attrs[key] for node in page.all() for key in ("aria-labelledby",) if key in node.attrs]
    assert set(named) <= set(ids)
    levels = [int(node.tag[1]) for node in page.all() if node.tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    controls = [node for label in page.all("label") for node in label.all() if node.tag in ("input", "select")]
    assert len(controls) == len(list(page.all("input"))) + len(list(page.all("select")))
    sortable = page.one("table", id_="layer-table").one("thead")
    assert {node.attrs["aria-sort"] for node in sortable.all("th")} == {"none"}
    assert len(list(sortable.all("button"))) == len(list(sortable.all("th")))
    scrolling = list(page.all("div", class_="scroll"))
    assert all(node.attrs["tabindex"] == "0" and node.attrs["role"] == "region" for node in scrolling)


def themes():
    """Colours of the light theme, then of the dark one as the system asks for it, and as the reader does."""
    blocks = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r"{\s*(--paper[^}]*)}", CSS)
    ]
    light, by_system, by_reader = blocks
    assert by_system == by_reader
    return light, {**light, **by_system}


def luminance(colour):
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme):
    """WCAG 2.2: 4.5 for text; 3 for bars, all but the orange and pale ones, whose numbers stand beside them."""
    colours = themes()[theme]
    for text in ("ink", "soft", "accent", "good", "alarm"):
        assert contrast(colours[text], colours["paper"]) >= 4.5, text
    assert contrast(colours["soft"], colours["ground"]) >= 4.5
    for bar in ("blue", "green", "vermilion"):
        assert contrast(colours[bar], colours["paper"]) >= 3, bar

    shares = re.findall(r"\.h\d { background: color-mix\(in srgb, var\(--heat\) (\d+)%, var\(--paper\)\); }", CSS)
    assert [round(100 * i / 9) for i in range(1, 9)] == [int(share) for share in shares]
    # Between the paper and the darkest shade contrast only falls: the ends decide.
    assert contrast(colours["ink"], colours["heat"]) >= 4.5


def test_colours_are_those_of_the_figures():
    light, _ = themes()
    names = {
        "blue": BLUE,
        "orange": ORANGE,
        "green": GREEN,
        "sky": SKY,
        "vermilion": VERMILION,
        "purple": PURPLE,
        "pale": PALE,
    }
    assert {name: light[name] for name in names} == {name: colour.lower() for name, colour in names.items()}
    for component, colour in COMPONENT_COLOURS.items():
        (fill,) = re.findall(rf"(?:^|, )\.{component}(?:, [^{{]*)? {{ --fill: var\(--(\w+)\); }}", CSS, re.MULTILINE)
        assert names[fill] == colour, component


def test_a_plain_report_and_one_without_energy(assessment, document):
    plain = parsed(html_page(assessment.report.to_dict()))
    assert plain.one("header").one("p", class_="verdict").text == "A report of one network, without a baseline."
    assert "Baselines" not in plain.one("nav").text
    free = copy.deepcopy(document)
    for row in free["rows"]:
        row |= {key: 0.0 for key in row if key.endswith("_pj")}
    free["totals"] |= {"energy_pj": 0.0, "energy_upper_pj": 0.0, "energy_per_inference_pj": 0.0}
    assert "Energy" not in [link.text for link in parsed(html_page(free)).one("nav").all("a")]
    empty = parsed(html_page({**document, "rows": [], "neurons": []}))
    assert {"Layers", "Spikes"} & {link.text for link in empty.one("nav").all("a")} == set()


def test_equal_reports_give_equal_text(full):
    assert html_page(full) == html_page(json.loads(json.dumps(full)))


def large(document, layers):
    """The report of a network with this many projections, and a neuron layer behind each."""
    big = copy.deepcopy(document)
    row = {part: next(row for row in big["rows"] if row["part"] == part) for part in ("synapses", "neurons")}
    names = [f"encoder.layers.{i}.attention.projection" for i in range(layers)]
    big["rows"] = [{**row[part], "name": name} for part in ("synapses", "neurons") for name in names]
    big["neurons"] = [{**big["neurons"][0], "name": name} for name in names]
    side = big["crossover"]["layers"][0]
    big["crossover"]["layers"] = [{**side, "layer": name} for name in names]
    return big


def test_a_network_of_500_layers(document):
    text = html_page(large(document, 500))
    assert len(text.encode()) < 1_300_000
    page = parsed(text)
    assert len(cells(page.one("table", id_="layer-table"), "tbody")) == 1000
    assert len(list(page.one("section", id_="energy").all("svg"))) == 41  # the largest 40, and the total
    assert "The 40 largest of 1000 are drawn" in page.one("section", id_="energy").text
    assert len(cells(page.one("table", class_="heat"), "tbody")) == 500


def test_an_ordinary_report_is_small(full):
    assert len(html_page(full).encode()) < 150_000


def test_an_explanation_comes_from_a_file(tmp_path, saved):
    path = tmp_path / "explain.json"
    path.write_text(json.dumps({"source": "anywhere", **saved["explanation"]}), encoding="utf-8")
    found = load_explanation(path, saved)
    assert html_page({**saved, "explanation": found}).count("What other methods say") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format must be 1 .got 2."),
        ({"model": "Other"}, "explains another network, model 'Other' .expected 'SpikingCNN'"),
        ({"time_steps": 9}, "explains another network, time_steps 9"),
        ({"methods": [{}]}, r"explanation.methods\[0\].method must be text .got nothing."),
        ({"waterfall": {}}, "explanation.waterfall must be an object of from, to and steps"),
    ],
)
def test_other_files_are_no_explanation(tmp_path, saved, change, message):
    path = tmp_path / "explain.json"
    path.write_text(json.dumps({**saved["explanation"], **change}), encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        load_explanation(path, saved)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"), [("", "expected an explanation as JSON"), ("[1]", "not an explanation")]
)
def test_text_that_is_no_explanation(tmp_path, saved, content, message):
    path = tmp_path / "explain.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_explanation(path, saved)
    with pytest.raises(DataError, match="no such explanation"):
        load_explanation(tmp_path / "nope.json", saved)


def test_elements_escape_by_themselves():
    node = tag("td", "a < b & c", None, ["d", tag("b", ">")], class_='"x"', hidden=True, title=None, data_part="y")
    assert to_html(node) == '<td class="&quot;x&quot;" hidden data-part="y">a &lt; b &amp; cd<b>&gt;</b></td>'
    assert isinstance(parsed("<!doctype html>\n" + to_html(node)), Node)


def test_steps_move_within_lines_until_the_columns_agree():
    """Three lines of 1.4 + 0.6 + 0.0 print as 1 + 1 + 0; their sums are 4.2 and 1.8, printed as 4 and 2."""
    exact = [[Fraction(14, 10), Fraction(6, 10), Fraction()] for _ in range(3)]
    steps = [[1, 1, 0] for _ in exact]
    _meet(exact, steps, [4, 2, 0])
    assert sorted(steps) == [[1, 1, 0], [1, 1, 0], [2, 0, 0]]
    # No line has both the first and the last component: the step goes over the one between.
    half = Fraction(1, 2)
    exact, steps = [[half, half, Fraction()], [Fraction(), half, half]], [[1, 0, 0], [0, 1, 0]]
    _meet(exact, steps, [0, 1, 1])
    assert steps == [[0, 1, 0], [0, 0, 1]]
    # Where nothing can move, nothing does.
    exact, steps = [[half, Fraction()], [Fraction(), half]], [[1, 0], [0, 0]]
    _meet(exact, steps, [0, 1])
    assert steps == [[1, 0], [0, 0]]
