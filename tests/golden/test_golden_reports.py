"""The committed reports are what the shipped network gives, byte for byte.

To rebuild them after a deliberate change: `python -m snn_energy.reporting.rebuild tests/golden 256` and
`python -m snn_energy.reporting.rebuild reports`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib as mpl
import pytest

from snn_energy.models import load_checkpoint, pretrained
from snn_energy.reporting.rebuild import REPORTS, reference_document, render

GOLDEN = Path(__file__).parent
ROOT = GOLDEN.parents[1]
QUICK_SAMPLES = 256


def pinned(package):
    """The version of a package in constraints.txt, or None."""
    path = ROOT / "constraints.txt"
    found = re.search(rf"^{package}==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE) if path.exists() else None
    return found and found[1]


def compare(folder, name, samples):
    for file_name, content in render(reference_document(name, samples), name):
        if file_name.endswith(".svg") and mpl.__version__ != pinned("matplotlib"):
            continue  # where matplotlib puts its ticks and text differs between its versions
        assert content == (folder / file_name).read_bytes(), f"{file_name} differs; see this file for how to rebuild it"


@pytest.mark.parametrize("name", REPORTS)
def test_quick_reports(name):
    compare(GOLDEN, name, QUICK_SAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("name", REPORTS)
def test_reference_reports(name):
    compare(ROOT / "reports", name, None)


def test_the_reports_accuracy_is_that_of_the_training_record():
    value = json.loads((ROOT / "reports" / "fashion-cnn.json").read_text(encoding="utf-8"))
    record = load_checkpoint(pretrained("fashion-cnn")).training
    assert value["accuracy"] == {"correct": record["test_correct"], "total": record["test_total"]}
    assert value["accuracy_missing"] is None
    assert value["coverage"]["complete"]
    assert value["second_opinion"]["agrees"]
