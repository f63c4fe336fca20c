"""Every neuron class of each installed simulator either has a row or stands on the list of those left out, with why."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from torch import nn

from snn_energy.counting.neurons import NEURONS
from snn_energy.counting.simulators import LEFT_OUT

pytestmark = pytest.mark.peer

PACKAGES = {
    "snntorch": "snntorch._neurons",
    "spikingjelly": "spikingjelly.activation_based.neuron",
    "norse": "norse.torch.module",
    "sinabs": "sinabs.layers",
    "rockpool": "rockpool.nn.modules.torch",
}


def classes(package: str) -> set[str]:
    """Qualified names of all modules that are defined anywhere in a package."""
    found = set()
    home = importlib.import_module(package)
    for info in pkgutil.walk_packages(home.__path__, f"{package}."):
        if ".test" in info.name:
            continue
        module = importlib.import_module(info.name)
        found |= {
            f"{kind.__module__}.{kind.__qualname__}"
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__.startswith(f"{package}.")
        }
    return found


@pytest.mark.filterwarnings("ignore")  # of the simulators, on import
@pytest.mark.parametrize("simulator", PACKAGES)
def test_every_class_is_a_row_or_left_out(simulator: str) -> None:
    pytest.importorskip(simulator)
    package = PACKAGES[simulator]
    there = classes(package)
    rows = {name for name in NEURONS if name.startswith(f"{package}.")}
    left_out = {name for name in LEFT_OUT if name.startswith(f"{package}.")}
    assert there - rows - left_out == set()
    assert rows & left_out == set()
    assert rows - there == set()
    assert left_out - there == set()


def test_each_has_a_reason() -> None:
    assert all(reason.strip() for reason in LEFT_OUT.values())
