"""`snn-energy calibrate`: from measured energies to a profile that the other commands take."""

from __future__ import annotations

import hashlib
import json
import random

import pytest
from measured_machine import COUNTS, NAMES, energy, network, write
from typer.testing import CliRunner

import snn_energy as se
from snn_energy.cli import app

PRICES = {"mac": 4.25, "ac": 0.75, "neuron_update": 12.5, "time_step": 310.0}
EXACT = [energy(counts, PRICES) for counts in COUNTS]


def noisy():
    drawn = random.Random(7)
    return [pj * drawn.gauss(1, 0.03) for pj in EXACT]


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return lambda *words, command="calibrate": CliRunner().invoke(app, [command, *map(str, words)])


def test_measured_energies_become_a_profile(run, tmp_path):
    path = write(tmp_path, EXACT)
    result = run(path, "--output", "my-chip.toml")
    assert (result.exit_code, result.stderr) == (0, "wrote my-chip.toml\n")
    assert max(map(len, result.stdout.splitlines())) <= 80
    for name in NAMES:
        (row,) = [line.split() for line in result.stdout.splitlines() if line.startswith(f"{name} ")]
        assert row[1:] == [f"{PRICES[name]:.4g}"] * 3
    said = " ".join(result.stdout.split())
    assert "contained in neuron_update: add, mul, compare, special; in ac: memory, routing, control" in said
    profile = se.load_hardware("my-chip.toml")
    assert profile.sources["measurement"].note == f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert run("check", "my-chip.toml", command="hardware").exit_code == 0
    assert run("show", "my-chip.toml", command="hardware").exit_code == 0


def test_a_report_on_it_names_what_was_measured(run, tmp_path):
    run(write(tmp_path, noisy()), "--output", "my-chip.toml")
    text = run("0.json", "--hardware", "my-chip.toml", command="price").stdout
    assert "calibrated on 8 measurements of measured.csv" in " ".join(text.split())
    assert "measured: mac, ac, neuron_update, time_step" in " ".join(text.split())
    document = json.loads(run("0.json", "--hardware", "my-chip.toml", "--json", command="price").stdout)
    assert {price["evidence"] for price in document["hardware"]["energy_pj"].values()} == {"measured"}
    spread = json.loads(run("0.json", "--hardware", "my-chip.toml", "--json", "--uncertainty", command="price").stdout)
    assert spread["uncertainty"]["low_pj"] < spread["uncertainty"]["energy_pj"] < spread["uncertainty"]["high_pj"]


def test_json_says_the_same(run, tmp_path):
    found = json.loads(run(write(tmp_path, noisy()), "--json", "--seed", 3).stdout)
    assert [one["term"] for one in found["coefficients"]] == list(NAMES)
    assert all(one["low_pj"] < one["value_pj"] < one["high_pj"] for one in found["coefficients"])
    errors = sorted(abs(point["held_out_error"]) for point in found["points"])
    assert found["held_out"]["median_error"] == pytest.approx((errors[3] + errors[4]) / 2)
    assert found["held_out"]["largest_error"] == errors[-1]
    assert found["measurements"]["file"] == "measured.csv"
    assert (found["bootstrap"]["seed"], found["method"], found["hardware"]) == (3, "arithmetic", None)
    again = json.loads(run("measured.csv", "--json", "--seed", 3).stdout)
    assert again == found


def test_traces_are_found_in_a_folder_or_by_name(run, tmp_path):
    (tmp_path / "traces").mkdir()
    path = write(tmp_path / "traces", EXACT)
    moved = path.rename(tmp_path / "measured.csv")
    assert f"0.json: no such trace or report (looked in {moved.parent})" in run(moved).stderr
    by_folder = run(moved, "--traces", "traces", "--json")
    by_name = run(moved, *(word for i in range(8) for word in ("--traces", f"traces/{i}.json")), "--json")
    assert by_folder.exit_code == 0
    assert by_folder.stdout == by_name.stdout


def test_reports_take_the_place_of_traces(run, tmp_path):
    path = write(tmp_path, EXACT)
    from_traces = json.loads(run(path, "--json").stdout)
    for i, counts in enumerate(COUNTS):
        (tmp_path / f"{i}.json").write_text(se.price(network(*counts)).to_json())
    assert json.loads(run(path, "--json").stdout)["coefficients"] == from_traces["coefficients"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--terms", "mac,acs"), 2, "terms: unknown term 'acs'; did you mean \"ac\"?"),
        (("--output", "my chip.toml"), 2, "my chip.toml: a profile's file must be called NAME.toml"),
        (("--output", "chip.txt"), 2, "chip.txt: a profile's file must be called NAME.toml"),
        (("--output", "nope/chip.toml"), 2, 'cannot write "nope/chip.toml"'),
        (("--weights", "most"), 2, "weights must be one of sd, relative, absolute (got 'most')"),
        (("--weights", "sd"), 2, "weights: sd needs a column of standard deviations"),
        (("--folds", "1"), 2, "folds must be from 2 to 8"),
        (("--hardware", "scaled-7nm-fp32"), 2, "calibrate: profiles/scaled-7nm-fp32.toml is scaled"),
        (("--terms", "time_step,inference,special"), 1, "calibrate: special never happens in any measurement"),
    ],
)
def test_what_is_refused_is_one_line_and_writes_nothing(run, tmp_path, words, code, message):
    result = run(write(tmp_path, EXACT), *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("*.toml"))


def test_terms_that_cannot_be_told_apart(run, tmp_path):
    """T = 4 in all of them: a time step and an inference always come together."""
    from snn_energy.counting.tracefile import save_trace

    lines = ["trace,energy_uj"]
    for i, (mac, ac, updates, _) in enumerate(COUNTS):
        save_trace(network(mac, ac, updates, 4), tmp_path / f"{i}.json")
        lines.append(f"{i}.json,{i + 1}")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    result = run("m.csv", "--terms", "ac,time_step,inference")
    assert result.exit_code == 1
    assert "time_step and inference cannot be told apart: in all 8 measurements" in result.stderr
    assert run("m.csv", "--terms", "ac,time_step=inference").exit_code == 0
