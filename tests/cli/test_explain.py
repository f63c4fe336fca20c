"""`snn-energy explain`: the golden text, JSON that says the same, traces as input, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app

GOLDEN = Path(__file__).parents[1] / "golden" / "explain.txt"
SAMPLES = ("--samples", "16")
"""Few enough to be quick; the shipped network's sums are exact in float32, so that every machine prints the same."""


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "counts.json.gz"
    arguments = ["profile", "fashion-cnn", *SAMPLES, "--no-baseline", "--trace", str(path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return path


def test_golden():
    """To renew it after a deliberate change: `COLUMNS=80 snn-energy explain fashion-cnn --samples 16`."""
    text = run("fashion-cnn", *SAMPLES).stdout
    assert text == GOLDEN.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_printed_adds_up():
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("part "))
    rows = lines[start + 1 : lines.index("", start)]
    first, *changes, last = [round(1000 * float(row.split()[-2].replace(",", ""))) for row in rows]
    assert first + sum(changes) == last
    assert all(row.endswith("µJ") for row in rows)


def test_a_trace_file_gives_the_same_methods(trace_file):
    from_trace = json.loads(run(trace_file, "--json").stdout)
    from_checkpoint = json.loads(run("fashion-cnn", *SAMPLES, "--json").stdout)
    for key in ("methods", "waterfall", "samples", "time_steps"):
        assert from_trace[key] == from_checkpoint[key]
    energies = {one["method"]: one["energy_per_inference_pj"] for one in from_trace["methods"]}
    assert energies["bit-budget"] is None
    assert energies["dampfhoffer-2022"] is None
    fall = from_trace["waterfall"]
    steps = sum(step["energy_pj"] for step in fall["steps"])
    assert energies[fall["from"]] + steps == pytest.approx(energies[fall["to"]], rel=1e-12)
    for one in from_trace["methods"]:
        if one["energy_per_inference_pj"] is not None:
            assert sum(one["parts_pj"].values()) == pytest.approx(one["energy_per_inference_pj"], rel=1e-12)


def test_other_hardware_changes_the_arithmetic(trace_file):
    def methods(*arguments):
        return {one["method"]: one for one in json.loads(run(trace_file, "--json", *arguments).stdout)["methods"]}

    own, int8 = methods(), methods("--hardware", "horowitz-45nm-int8")
    ratio = own["neurobench"]["parts_pj"]["synapses"] / int8["neurobench"]["parts_pj"]["synapses"]
    assert ratio == pytest.approx(0.9 / 0.03)
    assert own["lemaire-2022"]["parts_pj"]["weights"] == int8["lemaire-2022"]["parts_pj"]["weights"]
    assert (own["sata-sim"]["hardware"], int8["neurobench"]["hardware"]) == ("sata-sim-int8", "horowitz-45nm-int8")
    # Nothing of it is priced on the hardware asked for, and it does not say so.
    assert int8["sata-sim"] | {"ratio_to_lowest": None} == own["sata-sim"] | {"ratio_to_lowest": None}
    chip = methods("--hardware", "truenorth-total")
    assert "contain memory already" in chip["lemaire-2022"]["refused"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_all_methods_refused_is_no_crash(trace_file, form):
    text = run(trace_file, "--hardware", "akida-1000", *(["--json"] if form == "json" else [])).stdout
    assert "prices no action" in text


def test_the_way_between_two_methods(trace_file):
    text = run(trace_file, "--between", "syops,arithmetic").stdout
    assert "From syops to arithmetic" in text
    assert "bias" in text


def test_the_table_says_on_what_it_is_priced(trace_file):
    text = " ".join(run(trace_file, "--hardware", "loihi").stdout.split())
    assert "by each method, arithmetic at the prices of loihi" in text
    assert "sata-sim: at prices of its own, whatever the hardware." in text


def test_refusals(trace_file):
    mistyped = run(trace_file, "--between", "syop,arithmetic", exit_code=2).output
    assert "error: explain: unknown method 'syop'; did you mean 'syops'? known: " in mistyped
    assert "two methods" in run(trace_file, "--between", "syops", exit_code=2).output
    assert "holds counts already" in run(trace_file, "--samples", "3", exit_code=2).output
    assert "unknown hardware" in run(trace_file, "--hardware", "abacus", exit_code=2).output
