"""A small network that really fires, and real images for it."""

from __future__ import annotations

import pytest
from lively_network import lively

from snn_energy.models import fold, snap
from snn_energy.training import load_images


@pytest.fixture(scope="session")
def digits():
    """`n 1 8 8` pixels of the digits test split as multiples of 1/256."""
    return load_images("digits").images.float() / 256


@pytest.fixture(scope="session")
def snapped():
    return snap(fold(lively()))
