"""What loads with what, and how fast the command line answers; each question asked of a fresh interpreter."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from snn_energy.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
HELP_CPU_SECONDS = 0.5
HEAVY = {"pandas", "matplotlib", "onnx", "onnxruntime", "onnxscript", "fvcore", "scipy", "sklearn"}
TERMINAL = {"typer", "click", "rich"}
NUMBERS = {"torch", "numpy"}


def loaded_by(code):
    """Top-level names of the modules that a fresh interpreter has loaded after running `code`."""
    tail = "\nimport json, sys\nprint('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}


def test_importing_the_package_loads_nothing_of_weight():
    assert not loaded_by("import snn_energy") & (HEAVY | TERMINAL | NUMBERS)


def test_the_whole_interface_costs_torch_alone():
    loaded = loaded_by("import snn_energy as se\nfor name in se.__all__: getattr(se, name)")
    assert "torch" in loaded
    assert not loaded & (HEAVY | TERMINAL)


@pytest.mark.parametrize(
    "module",
    [
        "counting.counts",
        "hardware",
        "costing.pricing",
        "costing.report",
        "baselines.comparison",
        "reporting.document",
        "reporting.formats",
        "reporting.plots",
    ],
)
def test_what_works_on_records_needs_no_torch(module):
    assert not loaded_by(f"import snn_energy.{module}") & (HEAVY | TERMINAL | NUMBERS)


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=lambda words: " ".join(words) or "root")
def test_help_loads_no_torch(words):
    code = f"from snn_energy.cli import app\ntry: app({[*words, '--help']!r})\nexcept SystemExit: pass"
    assert not loaded_by(code) & (HEAVY | NUMBERS | {"rich"})


def test_help_answers_at_once():
    def cpu_seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, str(ROOT / "cli.py"), "--help"]
        subprocess.run(words, capture_output=True, check=True, env=environment())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The best of three: the first may compile byte code, any may share its core with others.
    assert min(cpu_seconds() for _ in range(3)) < HELP_CPU_SECONDS
