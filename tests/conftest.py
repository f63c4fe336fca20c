"""Shared set-up: one thread, deterministic hypothesis, `brute` and `strategies` importable everywhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

torch.set_num_threads(1)

# Speed differs too much between machines for deadlines to mean anything. The default run is derandomised so
# that a red test is red for everybody; HYPOTHESIS_PROFILE=explore searches anew with ten times the examples.
_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "print_blob": True,
}
settings.register_profile("ci", derandomize=True, max_examples=80, database=None, **_COMMON)
settings.register_profile("explore", max_examples=800, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_runtest_setup() -> None:
    """Every test starts from the same random numbers, whichever tests ran before it."""
    torch.manual_seed(0)
