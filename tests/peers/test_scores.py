"""benchmarks/peers.py: how other counters are scored, and that what the rows say of them is what they say today."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from snn_energy.selftest import ROWS

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


peers = loaded("peers")


def verdict(row: str, claims: str, facts: Mapping[str, float] | None, problem: str = "") -> Any:
    score = peers.judge(ROWS[row], claims.split(), facts, problem)
    return None if score is None else (score.verdict, score.said)


def test_every_claimed_fact_that_is_asked_must_be_right() -> None:
    assert verdict("T4", "acs macs", {"acs": 64, "macs": 0}) == ("right", "64 acs, 0 macs")
    assert verdict("T4", "acs macs", {"acs": 64, "macs": 1}) == ("wrong", "64 acs, 1 macs (0)")
    assert verdict("T4", "acs", {}) == ("wrong", "no acs (64)")
    assert verdict("T4", "acs", {"acs": float("inf")})[0] == "wrong"


def test_the_rounding_of_rates_is_forgiven_and_nothing_else() -> None:
    assert verdict("T4", "acs", {"acs": 64.0000001})[0] == "right"
    assert verdict("T4", "acs", {"acs": 64.4})[0] == "wrong"
    assert verdict("T9b-past-2^31", "acs", {"acs": 3190538496})[0] == "wrong"


def test_only_what_is_claimed_is_asked() -> None:
    assert verdict("T4", "updates", {"updates": 5}) is None
    assert verdict("N130", "acs", {"acs": 5}) is None  # the answer is a refusal
    assert verdict("N123", "work", {"work": 5}) is None  # a lower limit is no answer


def test_errors_are_told_apart() -> None:
    assert verdict("T4", "acs", None, "refuses: ValueError: no")[0] == "refuses"
    assert verdict("T4", "acs", None, "ValueError: no")[0] == "cannot run"


ADAPTERS = """
import os
from counters import COUNTERS, counter
COUNTERS.clear()

@counter("fine", "json", "acs", "torch")
def fine(model, x):
    return {"acs": 16}

@counter("absent", "no_such_module", "acs", "torch")
def absent(model, x):
    return {}

@counter("fragile", "json", "acs", "torch")
def fragile(model, x):
    print("noise on standard output")
    if x.shape[-1] == 8 and x[0, 0, 0, 0]:
        os._exit(3)
    if x.ndim == 2:
        raise ValueError("only images\\nsecond line")
    return {"acs": 16}
"""


def test_a_crash_or_an_error_is_one_outcome_and_not_the_end(tmp_path: Path) -> None:
    adapters = tmp_path / "adapters.py"
    adapters.write_text(ADAPTERS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent)])}
    rows = ["T4", "T4b", "T6"]
    code = (
        "import sys, json, pathlib, peers; from dataclasses import asdict\n"
        f"rows = [peers.ROWS[i] for i in {rows!r}]\n"
        f"run = lambda name: peers.scores_of(name, rows, pathlib.Path({str(adapters)!r}))\n"
        "found = {name: run(name) for name in ('fine', 'absent', 'fragile')}\n"
        "print(json.dumps({name: (title, [asdict(s) for s in scores]) for name, (title, scores) in found.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["absent"] == ["no_such_module is not installed", []]
    verdicts = {name: [(s["verdict"], s["said"]) for s in told[name][1]] for name in ("fine", "fragile")}
    assert verdicts["fine"] == [
        ("wrong", "16 acs (64)"),
        ("right", "16 acs"),
        ("wrong", "16 acs (10)"),
    ]
    assert verdicts["fragile"] == [
        ("cannot run", "left with status 3"),
        ("right", "16 acs"),
        ("cannot run", "ValueError: only images"),
    ]


# ---------------------------------------------------------------- the real ones


def recorded() -> list[Any]:
    """(Counter, row) of every recorded answer that an adapter can repeat."""
    counters = peers.adapters_in(BENCHMARKS / "counters.py")
    found: dict[tuple[str, str], None] = {}
    for row in ROWS.values():
        for said in row.said:
            name = said.tool.rpartition(" ")[0]
            if name in counters and not isinstance(said.answer, str):
                found[name, row.id] = None
    return [pytest.param(*pair, id=" ".join(pair)) for pair in found]


BESIDE = {"syops": ("spikingjelly", "0.0.0.0.14")}
"""What a counter's recorded answers were given beside; with a newer one it does not run."""


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "row_id"), recorded())
def test_what_a_row_says_of_a_tool_is_what_the_tool_says(name: str, row_id: str) -> None:
    counter = peers.adapters_in(BENCHMARKS / "counters.py")[name]
    reason = counter.available()
    if reason is not None:
        pytest.skip(reason)
    if name in BESIDE and metadata.version(BESIDE[name][0]) != BESIDE[name][1]:
        pytest.skip(f"{name} needs {' '.join(BESIDE[name])} beside it")
    row = ROWS[row_id]
    (said,) = (said for said in row.said if said.tool.rpartition(" ")[0] == name)
    if not counter.version().startswith(said.tool.rpartition(" ")[2]):
        pytest.skip(f"{counter} is here, the answer is that of {said.tool}")
    facts = peers.counted(counter, row)
    assert isinstance(said.answer, Mapping)
    assert {fact: round(facts[fact], 3) for fact in said.answer} == said.answer
    assert peers.judge(row, counter.claims, facts).verdict == "wrong"
