"""One assessment for all tests of the renderers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reporting_helpers import digits, lively_cnn

from snn_energy.reporting.assessment import assess


@pytest.fixture(scope="session")
def assessment():
    return assess(lively_cnn(), digits(), dataset="digits, test split", model_name="cnn", checkpoint="cnn.pt")


@pytest.fixture(scope="session")
def document(assessment):
    return assessment.to_dict()
