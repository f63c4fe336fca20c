"""`snn-energy check`: each condition on reports written by hand, exit codes, annotations, and reports of networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from documents import PRICES, document, synapses
from lamps import energy, lamp, right
from typer.testing import CliRunner

from snn_energy.cli import app

GOLDEN = Path(__file__).parents[1] / "golden"
REPORT = Path(__file__).parents[2] / "reports" / "fashion-cnn.json"

# 2,000,000 accumulates at 0.9 pJ: 1.8 µJ.
PLAIN = document(
    synapses("fc", 10_000_000, acs=2_000_000),
    accuracy={"correct": 91, "total": 100},
    accuracy_missing=None,
)
TIMED = {
    "latency": {
        **dict.fromkeys(("cycles", "cycles_low", "cycles_high"), 3000),
        **dict.fromkeys(("seconds", "seconds_low", "seconds_high"), 0.0025),
        "bottleneck": "compute", "model": "array", "formula": "sum", "cycles_missing": None, "seconds_missing": None,
        "static_missing": None, "static_pj": 0.0, "energy_delay_pj_s": 0.0, "assumptions": [], "rows": [],
    }
}  # fmt: skip


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["check", *map(str, words)])


def save(name, value):
    Path(name).write_text(json.dumps(value), encoding="utf-8")
    return name


@pytest.mark.parametrize(
    ("report", "words", "failed"),
    [
        (PLAIN, ["--max-uj", "1.8"], ""),
        (PLAIN, ["--max-uj", "1.79"], "max-uj: energy is 1.8 µJ, at most 1.79 µJ asked"),
        (PLAIN, ["--min-accuracy", "91%"], ""),
        (PLAIN, ["--min-accuracy", "91.01%"], "min-accuracy: accuracy is 91 % (91 of 100), at least 91.01 % asked"),
        ({**PLAIN, **TIMED}, ["--max-latency-ms", "2.5"], ""),
        ({**PLAIN, **TIMED}, ["--max-latency-ms", "2.4"], "max-latency-ms: latency is 2.5 ms, at most 2.4 ms asked"),
        (PLAIN, ["--max-latency-ms", "9"], "max-latency-ms: latency is unknown (hand states no timing)"),
        (PLAIN, ["--require-complete"], ""),
        (
            {**PLAIN, "unpriced": [{"action": "special", "count": 3, "reason": "none"}], "complete": False},
            ["--require-complete"],
            "require-complete: incomplete: special unpriced",
        ),
        (
            {**PLAIN, "accuracy": None, "accuracy_missing": "no labels"},
            ["--min-accuracy", "1%"],
            "min-accuracy: accuracy is unknown (no labels), at least 1 % asked",
        ),
        # 1.8 µJ counted, and up to 0.4 µJ uncounted: 2.2 µJ.
        (
            document(synapses("fc", 10_000_000, acs=2_000_000), uncounted_pj=400_000.0),
            ["--max-uj", "2"],
            "max-uj: energy is 2.2 µJ (with the bound on uncounted work), at most 2 µJ asked",
        ),
    ],
)
def test_conditions(run, report, words, failed):
    result = run(save("report.json", report), *words)
    assert result.exit_code == (1 if failed else 0), result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"FAILED  {failed}" if failed else "ok    ")


@pytest.mark.parametrize(
    ("acs", "tolerance", "code"),
    [(2_000_000, "0%", 0), (2_000_001, "0%", 1), (2_020_000, "1%", 0), (2_020_001, "1%", 1), (1_000_000, "0%", 0)],
)
def test_a_baseline_may_be_exceeded_by_the_tolerance(run, acs, tolerance, code):
    save("main.json", PLAIN)
    save("new.json", document(synapses("fc", 10_000_000, acs=acs)))
    result = run("new.json", "--baseline", "main.json", "--tolerance", tolerance)
    assert result.exit_code == code, result.output


def test_a_failed_baseline_names_the_layer_and_the_cause(run):
    save("main.json", document(synapses("a", 1000, acs=100), synapses("b", 1000, acs=100)))
    save("new.json", document(synapses("a", 1000, acs=110), synapses("b", 1000, acs=200)))
    result = run("new.json", "--baseline", "main.json")
    # 180 pJ, then 279 pJ; b grew by 100 accumulates of 0.9 pJ.
    assert result.stdout.strip() == (
        "FAILED  baseline: energy is 279 pJ, +55.00 % against the baseline's 180 pJ, at most +0 % asked; most in b "
        "(+90 pJ, rate)"
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"hardware": "chip"}, "of other hardware (got chip, expected hand)"),
        ({"prices": {**PRICES, "ac": 0.8}}, "of other prices: make both reports alike"),
        ({"method": "syops"}, "of other method (got syops, expected arithmetic)"),
        ({"samples": 2}, "of other samples (got 2, expected 1)"),
        ({"dataset": "mnist"}, "of other data (got mnist, expected digits)"),
    ],
)
def test_a_baseline_of_another_kind_fails(run, other, message):
    save("main.json", PLAIN)
    save("new.json", document(synapses("fc", 100, acs=1), **other))
    result = run("new.json", "--baseline", "main.json", "--tolerance", "100%")
    assert result.exit_code == 1
    assert message in result.stdout
    assert len(result.stdout.splitlines()) == 1


def test_every_failed_condition_is_a_line_and_an_annotation(run):
    result = run(save("r.json", PLAIN), "--max-uj", 1, "--min-accuracy", "99%", "--require-complete", "--github")
    assert result.exit_code == 1
    assert [line[:6] for line in result.stdout.splitlines()] == ["FAILED", "FAILED", "ok    ", "::erro", "::erro"]
    assert (
        "::error title=snn-energy check min-accuracy::accuracy is 91 %25 (91 of 100), at least 99 %25 asked"
        in result.stdout.splitlines()
    )


def test_the_shipped_report(run):
    words = ("--max-uj", 2, "--min-accuracy", "91%", "--max-latency-ms", 1, "--require-complete", "--github")
    result = run(REPORT, *words, "--baseline", GOLDEN / "fashion-cnn.json")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout == (GOLDEN / "check.txt").read_text(encoding="utf-8")


def test_json(run):
    result = run(save("r.json", PLAIN), "--max-uj", 1, "--require-complete", "--json")
    value = json.loads(result.stdout)
    assert (result.exit_code, value["passed"]) == (1, False)
    assert [(c["condition"], c["passed"]) for c in value["conditions"]] == [
        ("max-uj", False), ("require-complete", True),
    ]  # fmt: skip
    assert (value["conditions"][0]["got"], value["conditions"][0]["limit"]) == (1.8, 1.0)


def test_a_checkpoint_and_a_trace_are_judged_as_well(run, tmp_path):
    lamp(tmp_path / "half.pt", 0.75, 1)
    uj = energy(40, 1) / 10**6  # by hand, see lamps
    assert run("half.pt", "--samples", 40, "--max-uj", f"{uj * 1.0001:.9f}").exit_code == 0
    failed = run("half.pt", "--samples", 40, "--max-uj", f"{uj * 0.9999:.9f}", "--min-accuracy", "90%")
    assert failed.exit_code == 1
    assert f"({right(40, 1)} of 40)" in failed.stdout
    made = CliRunner().invoke(
        app, ["profile", "half.pt", "--samples", "40", "--no-baseline", "--trace", "t.json.gz", "--output", "r.json"]
    )
    assert made.exit_code == 0, made.output
    assert run("t.json.gz", "--max-uj", f"{uj * 1.0001:.9f}").exit_code == 0
    assert run("t.json.gz", "--max-uj", f"{uj * 0.9999:.9f}").exit_code == 1
    assert run("half.pt", "--samples", 40, "--baseline", "r.json").exit_code == 0


OWN_NETWORK = """
from torch import nn


class Net(nn.Module):
    def __init__(self, wide=4):
        super().__init__()
        self.fc = nn.Linear(3, wide, bias=False)

    def forward(self, x):
        return self.fc(x)
"""


def test_a_network_of_ones_own(run):
    """3 x 4 products of real values at 4.6 pJ, Horowitz's 3.7 and 0.9 at 45 nm: 55.2 pJ; 3 x 8 need twice that."""
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    Path("own_checked.py").write_text(OWN_NETWORK, encoding="utf-8")
    numpy.save("x.npy", numpy.array([[0.1234, 0.2718, 0.3142]] * 4, numpy.float32))
    torch.save({"fc.weight": torch.ones(4, 3)}, "w.pt")
    words = ("--data", "x.npy", "--json")
    for source in (("w.pt", "--model", "own_checked:Net"), ("own_checked:Net",)):
        assert run(*source, *words, "--max-uj", "0.0000553").exit_code == 0
        assert run(*source, *words, "--max-uj", "0.0000551").exit_code == 1
    wide = run("own_checked:Net", "--model-args", '{"wide": 8}', *words, "--max-uj", "1")
    assert json.loads(wide.stdout)["conditions"][0]["got"] == pytest.approx(2 * 55.2e-6)
    idle = run(save("report.json", PLAIN), "--model", "own_checked:Net", "--max-uj", "2")
    assert (idle.exit_code, "none is named (got report)" in idle.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to check"),
        (["--max-uj", "much"], "--max-uj must be a number above 0 in µJ, like 2.5 (got 'much')"),
        (["--max-uj", "0"], "--max-uj must be a number above 0"),
        (["--min-accuracy", "0.9"], "--min-accuracy must be a percentage from 0% to 100%, like 1% (got '0.9')"),
        (["--max-uj", "1", "--tolerance", "1%"], "--tolerance says how far --baseline may be exceeded"),
        (["--max-uj", "1", "--hardware", "loihi"], "a report keeps its hardware and its method"),
    ],
)
def test_wrong_usage(run, words, message):
    result = run(save("report.json", PLAIN), *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
