"""`snn-energy compare`: energies by hand, what is marked best, what is named and what is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PRICES, document, neurons, synapses
from lamps import CLASSES, NEURONS, POOLED, energy, lamp, pixel_units, right
from typer.testing import CliRunner

from snn_energy.cli import app

GOLDEN = Path(__file__).parents[1] / "golden" / "compare.txt"
SAMPLES = 40
FP32_ADD = 0.9
INT8_ADD, INT8_MUL, INT8_COMPARE = 0.03, 0.2, 0.03
"""Horowitz 2014, 45 nm, 32-bit floating point and 8-bit integers; the profile takes a comparison for an addition."""


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    lamp(tmp_path / "half.pt", 0.75, 1)  # all neurons fire at the second of two time steps
    lamp(tmp_path / "full.pt", 1.5, 3)  # at both
    return lambda *words: CliRunner().invoke(app, ["compare", *map(str, words)])


def save(name, value):
    Path(name).write_text(json.dumps(value), encoding="utf-8")
    return name


def lines(result):
    assert result.exit_code == 0, result.output
    return [line for table in json.loads(result.stdout)["tables"] for line in table["lines"]]


def test_checkpoints_by_hand(run):
    found = lines(run("half.pt", "full.pt", "--samples", SAMPLES, "--time-steps", "1,2", "--no-baseline", "--json"))
    # At T = 1 a current of 0.75 fires nobody, one of 1.5 everybody.
    expected = {("half.pt", 1): 0, ("half.pt", 2): 1, ("full.pt", 1): 1, ("full.pt", 2): 2}
    assert {(line["name"], line["time_steps"]) for line in found} == set(expected)
    for line in found:
        fired, steps = expected[line["name"], line["time_steps"]], line["time_steps"]
        assert line["energy_per_inference_pj"] == pytest.approx(energy(SAMPLES, fired, steps))
        assert line["spike_rate"] == fired / steps
        assert (line["correct"], line["total"]) == (right(SAMPLES, 1 if line["name"] == "half.pt" else 3), SAMPLES)
        assert line["ratio"] is None


def test_bits_are_priced_on_the_profile_of_their_data_type(run):
    own, eight = lines(run("full.pt", "--samples", SAMPLES, "--bits", "own,8", "--no-baseline", "--json"))
    assert (own["hardware"], eight["hardware"]) == ("horowitz-45nm-fp32", "horowitz-45nm-int8")
    assert (own["weights"], eight["weights"]) == ("own", "int8")
    assert own["energy_per_inference_pj"] == pytest.approx(energy(SAMPLES, 2))
    # The weights of a lamp are zero: rounding changes prices alone, of all additions, products and comparisons.
    add, mul, compare = INT8_ADD, INT8_MUL, INT8_COMPARE
    stem = pixel_units(SAMPLES) / SAMPLES * add + NEURONS * add
    updates = NEURONS * 2 * (add + mul + compare)
    pool, head = POOLED * 2 * 3 * compare, 2 * POOLED * CLASSES * add + CLASSES * 2 * add
    mean = CLASSES * add + CLASSES * mul
    assert eight["energy_per_inference_pj"] == pytest.approx(stem + updates + pool + head + mean)


def test_one_trace_on_several_profiles_is_priced_without_running(run, monkeypatch):
    made = CliRunner().invoke(
        app, ["profile", "half.pt", "--samples", "40", "--no-baseline", "--trace", "t.json.gz", "--output", "r.json"]
    )
    assert made.exit_code == 0, made.output
    result = run("t.json.gz", "--hardware", "horowitz-45nm-fp32", "--hardware", "loihi", "--json")
    tables = json.loads(result.stdout)["tables"]
    assert [table["hardware"] for table in tables] == ["horowitz-45nm-fp32", "loihi"]
    assert tables[0]["lines"][0]["energy_per_inference_pj"] == pytest.approx(energy(40, 1))
    assert tables[0]["lines"][0]["latency_s"] is None
    assert tables[1]["lines"][0]["latency_s"] > 0
    # The report of the same run is the same line, but for what a trace does not hold.
    report, trace = lines(run("r.json", "t.json.gz", "--json"))
    different = {key for key in report if report[key] != trace[key]}
    assert different == {"name", "network", "dataset", "correct", "total"}


@pytest.mark.slow
def test_an_exported_graph_gives_the_line_of_its_network(run):
    pytest.importorskip("onnxruntime")
    exported = CliRunner().invoke(app, ["export", "onnx", "half.pt", "--output", "half.onnx"])
    assert exported.exit_code == 0, exported.output
    network, graph = lines(run("half.pt", "half.onnx", "--samples", SAMPLES, "--no-baseline", "--json"))
    assert {key for key in graph if graph[key] != network[key]} <= {"name", "network", "best"}
    assert graph["energy_per_inference_pj"] == pytest.approx(energy(SAMPLES, 1))


def test_the_table_at_80_columns(run):
    result = run("half.pt", "full.pt", "--samples", SAMPLES, "--time-steps", "1,2", "--bits", "own,8,4")
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout == GOLDEN.read_text(encoding="utf-8")


OWN_NETWORK = """
from torch import nn
from snn_energy.models import LIF


class Net(nn.Module):
    def __init__(self, time_steps=2, wide=4):
        super().__init__()
        self.time_steps = time_steps
        self.fc, self.lif, self.head = nn.Linear(3, wide, bias=False), LIF(), nn.Linear(wide, 2, bias=False)
        nn.init.constant_(self.fc.weight, 1.0)

    def forward(self, x):
        return self.head(self.lif(self.fc(x).expand(self.time_steps, -1, -1))).mean(0)


def wide():
    return Net(wide=8)
"""


def own_network():
    """The network above beside a state dict of silent weights and one of weights that make every neuron fire."""
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    Path("compared_net.py").write_text(OWN_NETWORK, encoding="utf-8")
    numpy.save("x.npy", numpy.full((5, 3), 0.7, numpy.float32) + numpy.arange(3, dtype=numpy.float32) / 100)
    for name, weight in {"silent": -1.0, "loud": 9.0}.items():
        torch.save({"fc.weight": torch.full((4, 3), weight), "head.weight": torch.zeros(2, 4)}, f"{name}.pt")


def test_state_dicts_of_a_network_of_ones_own(run):
    own_network()
    words = ("--model", "compared_net:Net", "--data", "x.npy", "--no-baseline", "--time-steps", "1,2", "--json")
    found = lines(run("silent.pt", "loud.pt", *words))
    # Every neuron that fires, 4 at each time step, reaches 2 outputs; nothing else differs between the two.
    acs = {(line["name"], line["time_steps"]): line["acs"] for line in found}
    assert acs == {("silent.pt", 1): 0, ("silent.pt", 2): 0, ("loud.pt", 1): 4 * 2, ("loud.pt", 2): 2 * 4 * 2}
    pj = {(line["name"], line["time_steps"]): line["energy_per_inference_pj"] for line in found}
    for steps in (1, 2):
        assert pj["loud.pt", steps] - pj["silent.pt", steps] == pytest.approx(steps * 8 * FP32_ADD)


def test_networks_named_by_their_functions(run):
    own_network()
    small, wide = lines(run("compared_net:Net", "compared_net:wide", "--data", "x.npy", "--no-baseline", "--json"))
    assert (small["name"], wide["name"]) == ("compared_net:Net", "compared_net:wide")
    assert (small["macs"], wide["macs"]) == (3 * 4, 3 * 8)  # all weights are 1: every neuron fires at every step
    assert (small["acs"], wide["acs"]) == (2 * 4 * 2, 2 * 8 * 2)
    mixed = lines(
        run("compared_net:wide", "loud.pt", "--model", "compared_net:Net", "--data", "x.npy", "--no-baseline", "--json")
    )
    assert [line["macs"] for line in mixed] == [24, 12]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compared_net:Nte", "--data", "x.npy"], "did you mean 'Net'"),
        (["compared_net:Net"], "needs --data"),
        (["r.json", "--model", "compared_net:Net"], "makes the network of state dicts, and none is named (got report)"),
        (["loud.pt", "--model-args", "{}"], "--model-args are arguments of a function"),
        (["loud.pt", "--model", "compared_net:wide", "--data", "x.npy"], "compared_net:wide"),
    ],
)
def test_a_function_that_does_not_fit_is_one_line(run, words, said):
    own_network()
    save("r.json", accurate(10, 90))
    result = run(*words)
    assert (result.exit_code in (1, 2), result.stdout) == (True, "")
    assert said in result.stderr
    assert re.fullmatch(r"error: .*\n", result.stderr)


def accurate(acs, correct, **keys):
    return document(
        synapses("fc", 100, acs=acs), neurons("n", 10, spikes=5, adds=10), accuracy={"correct": correct, "total": 100},
        hardware="horowitz-45nm-fp32", **keys,
    )  # fmt: skip


def test_the_best_of_each_column_is_marked(run):
    save("a.json", accurate(10, 90))
    save("b.json", accurate(20, 95))
    a, b = lines(run("a.json", "b.json", "--json"))
    assert (a["best"], b["best"]) == (["energy"], ["accuracy"])
    assert (a["spike_rate"], a["acs"], a["energy_per_inference_pj"]) == (0.5, 10, pytest.approx(10 * 0.9 + 10 * 0.9))
    text = run("a.json", "b.json").stdout
    assert "95.00*" in text
    assert "18.000*" in text


def test_small_energies_beside_large_ones_keep_three_digits(run):
    save("a.json", accurate(10, 90))  # 18 pJ
    save("b.json", accurate(2_000_000, 95))  # 1,800,009 pJ
    rows = run("a.json", "b.json").stdout.splitlines()
    assert rows[1].split()[-1] == "µJ"
    assert [row.split()[6] for row in rows[2:4]] == ["0.000018*", "1.800009"]
    save("c.json", accurate(61_000, 90))  # 54,909 pJ
    assert "0.0549*" in run("b.json", "c.json").stdout


def test_unlike_data_are_named_and_nothing_is_best(run):
    save("a.json", accurate(10, 90))
    save("b.json", accurate(20, 95, dataset="mnist", samples=3))
    result = run("a.json", "b.json", "--json")
    assert json.loads(result.stdout)["tables"][0]["differences"] == [
        "data: digits (a.json); mnist (b.json)",
        "samples: 1 (a.json); 3 (b.json)",
    ]
    assert [line["best"] for line in lines(result)] == [[], []]
    assert "Nothing is called best, because these differ in data: digits (a.json);" in run("a.json", "b.json").stdout


def test_norms_that_fold_and_norms_that_are_counted_differ(run):
    def normed(kind):
        one = accurate(10, 90)
        row = {**one["rows"][0], "name": "bn", "part": "other", "kind": kind, "operand": None, "connections": 0}
        return {**one, "rows": [*one["rows"], {**row, "acs": 0, "ac_pj": 0.0, "energy_pj": 0.0}]}

    save("a.json", normed("batch_norm"))
    save("b.json", normed("batch_norm (folded)"))
    save("c.json", accurate(10, 90))
    table = json.loads(run("a.json", "b.json", "c.json", "--json").stdout)["tables"][0]
    assert table["differences"] == ["batch norms: counted (a.json); folded (b.json)"]
    assert json.loads(run("a.json", "c.json", "--json").stdout)["tables"][0]["differences"] == []


def test_defaults_of_a_project_leave_reports_as_they_are(run):
    save("a.json", accurate(10, 90))
    Path("snn-energy.toml").write_text('hardware = "horowitz-45nm-int8"\nmethod = "syops"\n', encoding="utf-8")
    assert [line["hardware"] for line in lines(run("a.json", "--json"))] == ["horowitz-45nm-fp32"]
    assert CliRunner().invoke(app, ["check", "a.json", "--max-uj", "1"]).exit_code == 0
    (line,) = lines(run("half.pt", "--samples", 5, "--no-baseline", "--json"))
    assert (line["hardware"], line["method"]) == ("horowitz-45nm-int8", "syops")


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "a.json"],
        ["diff", "a.json", "a.json"],
        ["check", "a.json", "--max-uj", "1"],
        ["lint", str(Path(__file__).parent / "tables" / "spikformer.md")],
    ],
    ids=lambda words: words[0],
)
def test_saved_reports_and_tables_need_no_torch(run, words):
    save("a.json", accurate(10, 90))
    code = (
        "import sys\nfrom snn_energy.cli import app\n"
        f"try:\n    app({words!r})\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules, file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout
    assert done.stderr == "False\n"


def test_reports_on_a_profile_that_is_gone_still_compare(run):
    save("a.json", {**accurate(10, 90), "hardware": {**accurate(10, 90)["hardware"], "name": "my-lost-chip"}})
    save("b.json", {**accurate(20, 90), "hardware": {**accurate(20, 90)["hardware"], "name": "my-lost-chip"}})
    a, b = lines(run("a.json", "b.json", "--json"))
    assert (a["hardware"], a["best"], b["best"]) == ("my-lost-chip", ["energy"], [])


def test_a_profile_whose_prices_changed_between_reports_is_named(run):
    save("a.json", accurate(10, 90))
    save("b.json", accurate(20, 90, prices={**PRICES, "ac": 0.8}))
    table = json.loads(run("a.json", "b.json", "--json").stdout)["tables"][0]
    assert table["differences"] == ["prices of horowitz-45nm-fp32, which changed between reports (a.json; b.json)"]


def test_an_incomplete_energy_is_never_best(run):
    save("a.json", {**accurate(10, 90), "unpriced": [{"action": "special", "count": 1, "reason": "none"}]})
    save("b.json", accurate(20, 90))
    save("c.json", accurate(30, 90))
    assert [line["best"] for line in lines(run("a.json", "b.json", "c.json", "--json"))] == [[], ["energy"], []]


def test_every_format(run):
    save("a_1.json", accurate(10, 90))
    save("b.json", accurate(20, 95))
    words = ("a_1.json", "b.json", "--format")
    markdown = run(*words, "md").stdout
    assert "| a\\_1.json | 4 | 90.00 | 0.5000 | 10 | 0 | **18.000** |\n" in markdown
    latex = run(*words, "latex").stdout
    assert r"a\_1.json & 4 & 90.00 & 0.5000 & 10 & 0 & \textbf{18.000} \\" in latex
    assert latex.index(r"\begin{tabular}{lrrrrrr}") < latex.index(r"\bottomrule")
    rows = list(csv.DictReader(io.StringIO(run(*words, "csv").stdout)))
    assert [(row["name"], row["acs"], row["ratio"]) for row in rows] == [
        ("a_1.json", "10.0", ""),
        ("b.json", "20.0", ""),
    ]
    result = run("a_1.json", "b.json", "--output", "t.tex")
    assert (result.exit_code, result.stderr) == (0, "wrote t.tex\n")
    assert Path("t.tex").read_text(encoding="utf-8") == latex


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["half.pt", "half.pt"], 2, "half.pt: named twice"),
        (["missing.pt"], 1, "missing.pt: no such checkpoint"),
        (["missing.json"], 1, "missing.json: no such report"),
        (["missing.json.gz"], 1, "missing.json.gz: no such trace file"),
        (["a.json", "--hardware", "loihi"], 2, "a report keeps the hardware it was priced on (got horowitz-45nm-fp32"),
        (
            ["a.json", "syops.json"],
            2,
            "syops.json: its energies are by another method (got syops, expected",
        ),
        (["a.json", "--time-steps", "1,2"], 2, "--time-steps is for checkpoints"),
        (["half.pt", "--time-steps", "1,0"], 2, "--time-steps must be integers >= 1"),
        (["half.pt", "--bits", "3"], 2, "--bits must be some of own, 16, 8, 4, 2"),
        (["half.pt", "--bits", "8,8"], 2, "--bits: 8 is given twice"),
        (["half.pt", "--hardware", "loihi", "--hardware", "loihi"], 2, "--hardware loihi is given twice"),
        (["half.pt", "--format", "markdown"], 2, "unknown format 'markdown'"),
        (["half.pt", "--format", "md", "--json"], 2, "--json and --format md exclude each other"),
    ],
)
def test_mistakes_are_one_line(run, words, code, message):
    save("a.json", accurate(10, 90))
    save("syops.json", accurate(10, 90, method="syops"))
    result = run(*words)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
