"""The HTML report by `snn-energy profile`, `price` and `report`."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reporting"))

from html_tree import parsed

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    shutil.copy(TESTS / "golden" / "fashion-cnn.json", tmp_path / "r.json")
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_a_run_writes_all_that_html_has_room_for(run, tmp_path):
    words = ("profile", "fashion-cnn", "--samples", 20, "--trace", "t.json.gz", "--output", "r.html")
    result = run(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "wrote t.json.gz\nwrote r.html\n")
    written = (tmp_path / "r.html").read_bytes()
    page = parsed(written.decode())
    links = [link.text for link in page.one("nav").all("a")]
    assert {"Baselines", "Crossover", "Spread", "Methods"} <= set(links)
    assert "first 20 of 10,000 samples" in page.one("header").text
    assert (run(*words).exit_code, (tmp_path / "r.html").read_bytes()) == (0, written)
    # The same counts, priced without the network: all but what needs an ANN or labels.
    assert run("price", "t.json.gz", "--output", "p.html").exit_code == 0
    priced = parsed((tmp_path / "p.html").read_text(encoding="utf-8"))
    assert set(links) - {link.text for link in priced.one("nav").all("a")} == {"Crossover"}
    number = [tree.one("header").one("p", class_="headline").text for tree in (page, priced)]
    assert number[0] == number[1]


def test_a_saved_report_and_its_explanation(run, tmp_path):
    printed = run("report", "r.json", "--format", "html").stdout
    assert "Methods" not in [link.text for link in parsed(printed).one("nav").all("a")]
    done = run("explain", "fashion-cnn", "--samples", 5, "--json")
    (tmp_path / "e.json").write_text(done.stdout, encoding="utf-8")
    result = run("report", "r.json", "--explain", "e.json", "--output", "x.html")
    assert (result.exit_code, result.stderr) == (0, "wrote x.html\n")
    page = parsed((tmp_path / "x.html").read_text(encoding="utf-8"))
    (table,) = page.one("section", id_="methods").all("table")
    methods = [row.children[0].text for row in table.one("tbody").all("tr")]
    assert methods == [one["method"] for one in json.loads(done.stdout)["methods"]]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--explain", "r.json"], 2, "--explain is drawn in HTML alone"),
        (["--format", "html", "--explain", "nope.json"], 1, "nope.json: no such explanation"),
        (["--format", "html", "--explain", "r.json"], 1, "r.json: not an explanation"),
        (["--format", "htm"], 2, "unknown format 'htm': did you mean 'html'?"),
    ],
)
def test_bad_requests_are_one_line(run, words, code, message):
    result = run("report", "r.json", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1


def test_the_help_names_it(run):
    for command in ("profile", "report", "price"):
        assert re.search(r"\bhtml\b", run(command, "--help").stdout)
