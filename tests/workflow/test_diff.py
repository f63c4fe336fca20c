"""`snn-energy diff`: the tables, and that what is printed adds up."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from documents import document, neurons, synapses
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.workflow.differing import shared

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "diff.txt"
OLD, NEW = ROOT / "tests" / "golden" / "fashion-cnn.json", ROOT / "reports" / "fashion-cnn.json"


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["diff", *map(str, words)])


def written(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_the_tables_at_80_columns(run):
    result = run(OLD, NEW)
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout == GOLDEN.read_text(encoding="utf-8")


def test_printed_columns_add_up(run):
    def column(title, place):
        rows = result.stdout.split(f"{title}\n")[1].split("\n\n")[0].splitlines()[1:]
        numbers = [Decimal(re.split(r"  +", row.strip())[place].replace("+", "")) for row in rows]
        return numbers[:-1], numbers[-1]

    result = run(OLD, NEW)
    for title, place in (("By layer", 1), ("By layer", 2), ("By layer", 3), ("By cause", 1), ("Largest terms", -1)):
        parts, total = column(title, place)
        assert sum(parts) == total, (title, place)


def test_the_shipped_reports_by_their_counts(run):
    # Between 256 samples and 10,000 nothing changed but rates, so each change is ACs x 0.9 pJ.
    value = json.loads(run(OLD, NEW, "--json").stdout)
    rows = [{r["name"]: r for r in json.loads(p.read_text(encoding="utf-8"))["rows"]} for p in (OLD, NEW)]
    for row in value["rows"]:
        old, new = (side[row["name"]] for side in rows)
        acs = Fraction(new["acs"], 10_000) - Fraction(old["acs"], 256)
        if row["part"] == "synapses":
            assert row["change_pj"] == pytest.approx(float(acs * Fraction("0.9")), abs=1e-9)
        else:
            assert row["change_pj"] == 0
    assert value["residue_pj"] == 0
    assert {cause for cause, energy in value["causes_pj"].items() if energy} == {"rate"}
    assert value["settings"]["samples"] == [256, 10_000]


def test_json_of_every_kind_of_change(run, tmp_path):
    old = document(synapses("a", 100, acs=20), neurons("n", 10, adds=10))
    new = document(synapses("b", 100, acs=30), synapses("c", 10, macs=10, operand="real"), hardware="other")
    result = run(written(tmp_path / "old.json", old), written(tmp_path / "new.json", new), "--json")
    value = json.loads(result.stdout)
    assert (result.exit_code, value["format"]) == (0, 1)
    assert value["settings"] == {"hardware": ["hand", "other"]}
    assert [(r["name"], r["old_name"], r["change_pj"]) for r in value["rows"]] == [
        ("b", "a", pytest.approx(9)),
        ("c", None, pytest.approx(46)),
        ("n", "n", pytest.approx(-9)),
    ]
    assert value["causes_pj"] == {
        "size": 0, "rate": pytest.approx(9), "operand": 0, "price": 0, "memory": 0, "method": 0,
        "layers": pytest.approx(37),
    }  # fmt: skip
    text = run(tmp_path / "old.json", tmp_path / "new.json").stdout
    assert "a is b now" in text
    assert "+ c" in text
    assert "- n" in text


def test_equal_reports(run):
    result = run(OLD, OLD)
    assert result.exit_code == 0
    assert "no layer's energy changed" in result.stdout


@pytest.mark.parametrize(
    ("values", "total", "expected"),
    [
        ([Fraction(3, 2), Fraction(-1, 2)], 1, [1, 0]),
        ([Fraction(7, 10), Fraction(7, 10), Fraction(-4, 10)], 1, [0, 1, 0]),
        ([], 0, []),
    ],
)
def test_terms_are_rounded_to_their_printed_sum(values, total, expected):
    found = shared(values, total)
    assert sum(found) == total
    assert all(abs(a - b) <= 1 for a, b in zip(found, values, strict=True))
    assert found == expected


def test_files_that_are_no_reports_are_one_line(run, tmp_path):
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    for words, message in (
        (("missing.json", NEW), "missing.json: no such report"),
        ((NEW, "x.json"), "x.json: not a report of this package"),
    ):
        result = run(*words)
        assert result.exit_code == 1
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
