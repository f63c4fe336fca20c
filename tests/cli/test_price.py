"""`snn-energy price`, and the traces that `snn-energy profile --trace` writes for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from snn_energy import Trace, load_trace, price, save_trace, trace
from snn_energy.cli import app
from snn_energy.models import SpikingCNN, save_checkpoint
from snn_energy.models.inputs import unit_pixels

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ("profile", "small.pt", "--samples", 6)
FROM_THE_TRACE = ("rows", "totals", "neurons", "coverage", "unpriced", "hardware", "method", "samples", "time_steps")


def cnn(widths=(4,), time_steps=2):
    torch.manual_seed(0)
    return SpikingCNN(1, 10, 8, widths=widths, time_steps=time_steps, folded=True).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, the trace of 6 samples that the command line wrote, and two parts of other data."""
    folder = tmp_path_factory.mktemp("price")
    save_checkpoint(
        folder / "small.pt",
        cnn(),
        input=unit_pixels(1, 8, 8),
        classes=tuple("0123456789"),
        dataset="digits",
        training={"seed": 0},
    )
    done = CliRunner().invoke(
        app, ["profile", str(folder / "small.pt"), "--samples", "6", "--no-baseline", "--trace", str(folder / "t.json")]
    )
    assert done.exit_code == 0, done.output
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    for name, part in (("first.json", images[:2]), ("second.json.gz", images[2:])):
        save_trace(trace(cnn(), part), folder / name)
    save_trace(trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), folder / "foreign.json")
    save_trace(trace(cnn(widths=(6,)), images), folder / "wider.json")
    (folder / "cut.json.gz").write_bytes((folder / "second.json.gz").read_bytes()[:-20])
    (folder / "report.json").write_text(price(trace(cnn(), images)).to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def run(monkeypatch, folder):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(folder)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


# ---------------------------------------------------------------- profile --trace


def test_profile_saves_the_trace_beside_the_report(run, tmp_path):
    plain, packed, report = tmp_path / "t.json", tmp_path / "t.json.gz", tmp_path / "r.json"
    result = run(*PROFILE, "--trace", plain, "--output", report)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"wrote {plain}\nwrote {report}\n")
    assert run(*PROFILE, "--no-baseline", "--trace", packed).exit_code == 0
    assert load_trace(plain) == load_trace(packed)
    assert load_trace(plain).samples == 6


def test_the_report_is_the_same_with_and_without_a_trace(run, tmp_path):
    words = (*PROFILE, "--json")
    assert run(*words, "--trace", tmp_path / "t.json").stdout == run(*words).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trace", "nope/t.json"], 'cannot write "nope/t.json": no folder "nope"'),
        (["--trace", "."], 'cannot write ".": it is a folder'),
        (["--trace", "x.json", "--output", "./x.json"], "x.json: --trace and another option write this file"),
        (["--trace", "x.svg", "--plot", "x.svg"], "x.svg: --trace and another option write this file"),
    ],
)
def test_a_trace_that_cannot_be_written_is_refused_before_the_network_runs(run, folder, words, message):
    before = sorted(folder.iterdir())
    result = run(*PROFILE, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert sorted(folder.iterdir()) == before


# ---------------------------------------------------------------- price


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--hardware", "horowitz-45nm-int8"),
        ("--hardware", ROOT / "profiles" / "horowitz-45nm-int8.toml", "--method", "arithmetic-zero-skipping"),
    ],
)
def test_a_priced_trace_agrees_with_the_profile_that_wrote_it(run, options):
    priced = json.loads(run("price", "t.json", "--json", *options).stdout)
    profiled = json.loads(run(*PROFILE, "--json", "--no-baseline", *options).stdout)
    assert list(priced) == list(profiled)
    for key in FROM_THE_TRACE:
        assert priced[key] == profiled[key]
    assert priced["baseline"] is None
    assert priced["accuracy"] is None


def test_the_table_is_that_of_the_profile_and_says_what_a_trace_lacks(run):
    result = run("price", "t.json")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "SpikingCNN on 6 samples, T = 2"
    assert max(map(len, lines)) <= 80
    profiled = run(*PROFILE, "--no-baseline").stdout.splitlines()
    table, profiled_table = (
        part[part.index("") : next(i for i, line in enumerate(part) if line.startswith("accuracy "))]
        for part in (lines, profiled)
    )
    assert len(table) > 10
    assert table == profiled_table
    for start in ("total ", "energy ", "certificate ", "hardware "):
        (line,) = [line for line in lines if line.startswith(start)]
        assert line in profiled
    text = " ".join(result.stdout.split())
    assert "accuracy none: a trace holds counts, not predictions" in text
    assert "ANN none: a trace holds one network" in text


def test_every_form_of_a_report_can_be_made(run, tmp_path):
    report = tmp_path / "r.json"
    assert run("price", "t.json", "-o", report).stderr == f"wrote {report}\n"
    assert run("report", report).stdout == run("price", "t.json").stdout
    assert run("price", "t.json", "--format", "md").stdout.startswith("# SpikingCNN on 6 samples")
    assert (
        run("price", "t.json", "--format", "csv").stdout.count("\n") == len(json.loads(report.read_text())["rows"]) + 1
    )
    assert run("plot", report, "-o", tmp_path / "f.svg").exit_code == 0


def test_several_traces_are_merged_exactly(run, folder):
    whole = load_trace(folder / "first.json") + load_trace(folder / "second.json.gz")
    assert whole.samples == 5
    value = json.loads(run("price", "first.json", "second.json.gz", "--json").stdout)
    expected = json.loads(price(whole).to_json())
    assert {key: value[key] for key in expected} == expected
    turned = json.loads(run("price", "second.json.gz", "first.json", "--json").stdout)
    assert turned["totals"] == value["totals"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.json"], 1, "none.json: no such trace file; write it again with: snn-energy profile"),
        (["."], 1, ".: expected a trace file (got a directory)"),
        (["cut.json.gz"], 1, "cut.json.gz: expected a whole gzip file"),
        (["report.json"], 1, 'report.json: expected a trace file, with "format": "snn-energy-trace" (got a report)'),
        (["small.pt"], 1, "small.pt: expected a trace file"),
        (["t.json", "foreign.json"], 1, "foreign.json: cannot merge traces: model of 'trace' differs"),
        (["first.json", "wider.json"], 1, "wider.json: cannot merge traces: weights of 'blocks.0.conv' differs"),
        (["t.json", "./t.json"], 2, "t.json: named twice, so its samples would count twice"),
        (["t.json", "--output", "./t.json"], 2, "t.json: --output would overwrite this trace file"),
        (["t.json", "--output", "nope/r.json"], 2, 'cannot write "nope/r.json": no folder "nope"'),
        (["t.json", "--hardware", "horowitz-45nm-fp23"], 2, "unknown hardware"),
        (["t.json", "--method", "arithmetics"], 2, "price: unknown method 'arithmetics'; did you mean 'arithmetic'?"),
        (["t.json", "--format", "jsn"], 2, "unknown format 'jsn': did you mean 'json'?"),
        (["t.json", "--json", "--format", "csv"], 2, "--json and --format csv exclude each other"),
    ],
)
def test_bad_requests_are_one_line_and_leave_everything_as_it_was(run, folder, words, code, message):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = run("price", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_trace_without_samples_is_refused(run, tmp_path):
    save_trace(Trace(), tmp_path / "zero.json")
    result = run("price", tmp_path / "zero.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: price: the trace holds no sample")


def test_no_trace_at_all_is_wrong_usage(run):
    result = run("price")
    assert result.exit_code == 2
    assert "TRACE" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--json"],
        ["--format", "md"],
        ["first.json", "--hardware", "horowitz-45nm-int8"],
        ["--method", "arithmetic+memory", "--uncertainty"],
    ],
)
def test_pricing_needs_no_torch(folder, options):
    code = (
        "import sys\n"
        "from snn_energy.cli import app\n"
        f"try:\n    app({['price', 't.json', *options]!r})\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'onnx'} & set(sys.modules)\n"
        "print(code, sorted(heavy), file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=folder)
    assert done.stderr == "0 []\n"
    assert "SpikingCNN" in done.stdout


def test_memory_and_uncertainty_by_name(run, folder):
    done = run("price", "t.json", "--method", "arithmetic+memory:outputs,aer", "--uncertainty", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    expected = price(load_trace(folder / "t.json"), "horowitz-45nm-fp32", "arithmetic+memory:outputs,aer")
    assert report["totals"]["energy_pj"] == expected.energy_pj
    assert report["method"] == "arithmetic+memory:outputs,aer"
    assert report["memory"]["policy"]["encoding"] == "aer"
    # Nothing of so small a network lies in DRAM, the one price of this profile with a range.
    assert report["uncertainty"]["low_pj"] == report["uncertainty"]["high_pj"]
    assert "memory_pj.sram-8kb" in report["uncertainty"]["without_range"]


def test_memory_is_refused_in_one_line(run):
    done = run("price", "t.json", "--method", "arithmetic+memory", "--hardware", "truenorth-total")
    assert done.exit_code != 0
    assert "contains memory already" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_profile_compares_with_memory_and_says_how_sure(run):
    done = run(*PROFILE, "--method", "arithmetic+memory", "--uncertainty", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [item["method"] for item in report["comparison"]] == [
        "arithmetic+memory",
        "arithmetic-zero-skipping+memory",
    ]
    assert [item["method"] for item in report["uncertainty"]["cheaper"]] == [
        item["method"] for item in report["comparison"]
    ]
    assert (
        report["comparison"][0]["ann_energy_per_inference_pj"]
        == report["baseline"]["totals"]["energy_per_inference_pj"]
    )


def test_a_batch_on_hardware_that_states_timing(run):
    alone = run("price", "t.json", "--hardware", "sata-sim-int8", "--json")
    result = run("price", "t.json", "--hardware", "sata-sim-int8", "--json", "--batch", 16)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    together = found.pop("throughput")
    assert found == json.loads(alone.stdout)
    cycles = found["latency"]["cycles"]
    assert cycles < together["cycles"] < 16 * cycles
    assert together["gain"] == pytest.approx(16 * cycles / together["cycles"])
    assert "16 inferences together" in run("price", "t.json", "--hardware", "sata-sim-int8", "--batch", 16).stdout
    refused = run("price", "t.json", "--batch", 16)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith('error: throughput: hardware "horowitz-45nm-fp32" states no timing')
