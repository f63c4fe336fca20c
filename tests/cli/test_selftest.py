"""`snn-energy selftest`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.selftest import ROWS


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return lambda *words: CliRunner().invoke(app, ["selftest", *words])


@pytest.fixture
def one_wrong(monkeypatch):
    """T4 with an answer that is off by one."""
    row = ROWS["T4"]
    monkeypatch.setitem(ROWS, "T4", replace(row, expect={**row.expect, "acs": 65}))


def test_every_row_is_run_and_holds(run):
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["id", "what", "expected", "got", "ok"]
    assert lines[-1].startswith(f"{len(ROWS)} of {len(ROWS)} rows hold on torch ")
    assert [line.split()[0] for line in lines[1:-1] if not line.startswith(" ")] == list(ROWS)


def test_a_row_shows_what_was_asked_and_what_came(run):
    result = run("--filter", "T4b")
    assert result.stdout.splitlines()[:2] == [
        "id   what                         expected  got  ok",
        "T4b  one spike, stride 2: events        16   16  ok",
    ]


def test_a_wrong_row_is_exit_code_1_with_its_derivation(run, one_wrong):
    result = run("--filter", "T4")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["T4", "one", "spike", "in", "the", "corner:", "acs", "65", "64", "WRONG"]
    assert lines[-2].startswith("T4: acs: expected 65, got 64. Derivation: a corner pixel lies in 2 x 2 windows")
    assert lines[-1].startswith("1 of 2 rows hold on torch ")


def test_json_holds_everything(run, one_wrong):
    result = run("--filter", "T4", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["format"], document["passed"], document["failed"]) == ("snn-energy-selftest", 1, 1)
    assert [row["id"] for row in document["rows"] if not row["ok"]] == ["T4"]


def test_list_runs_nothing_and_derives_every_answer(run, one_wrong):
    result = run("--list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    words = " ".join(result.stdout.split())
    assert "one +1 and one -1" in words
    listed = json.loads(run("--list", "--json").stdout)
    assert [row["id"] for row in listed["rows"]] == list(ROWS)
    assert {row["ok"] for row in listed["rows"]} == {None}


def test_a_filter_that_finds_nothing_is_wrong_usage(run):
    result = run("--filter", "no such row")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == 'error: no row holds "no such row"; all rows: snn-energy selftest --list\n'


def test_an_unknown_device_is_wrong_usage(run):
    result = run("--filter", "T4b", "--device", "abacus")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith('error: device "abacus" cannot be used: ')


def test_help_has_examples_and_fits_80_columns(run):
    result = run("--help")
    assert result.exit_code == 0
    assert "  Examples:\n    snn-energy selftest\n" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
