"""Memory that a layer takes on Speck, beside Sinabs' own account of it."""

from __future__ import annotations

import random
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.costing.placing import neurons_stored, weights_stored
from snn_energy.costing.populations import population
from snn_energy.hardware import load_hardware

pytestmark = pytest.mark.peer

# The chip's driver is not needed to do the sums, but Sinabs imports it.
DRIVER = ("samna", "samnagui", *(f"samna.{chip}{part}" for chip in ("dynapcnn", "speck2e", "speck2f")
                                 for part in ("", ".configuration")))  # fmt: skip


@pytest.fixture
def dynapcnn(monkeypatch):
    pytest.importorskip("sinabs")
    for name in DRIVER:
        monkeypatch.setitem(sys.modules, name, MagicMock())
    before = set(sys.modules)
    yield pytest.importorskip("sinabs.backend.dynapcnn")
    for name in {name for name in set(sys.modules) - before if name.startswith("sinabs")}:
        del sys.modules[name]


def test_a_layer_takes_what_sinabs_says(dynapcnn):
    from sinabs.backend.dynapcnn.dynapcnn_layer import DynapcnnLayer

    draw = random.Random(0).randint
    for _ in range(60):
        c_in, c_out, stride, kernel = draw(1, 20), draw(1, 40), draw(1, 2), (draw(1, 5), draw(1, 5))
        conv = nn.Conv2d(c_in, c_out, kernel, stride=stride, bias=False)
        trace = se.trace(nn.Sequential(conv), torch.ones(1, c_in, kernel[0] + draw(1, 20), kernel[1] + draw(1, 20)))
        ours = population(trace.layers[0], trace)
        asked = SimpleNamespace(
            conv_layer=conv,
            summary=lambda kernel=(c_out, c_in, *kernel): {"kernel": kernel},
            _get_conv_output_shape=lambda size=ours.size, f=c_out: (f, *size),
        )
        theirs = DynapcnnLayer.memory_summary(asked)
        assert theirs["kernel"] == weights_stored(ours, powers_of_two=True)
        assert theirs["neuron"] == neurons_stored(ours, powers_of_two=True)


def test_the_cores_are_as_large_as_sinabs_says(dynapcnn):
    from sinabs.backend.dynapcnn.chips.dynapcnn import DynapcnnConfigBuilder

    cores = DynapcnnConfigBuilder.get_constraints()
    limits = load_hardware("speck").limits
    assert limits["neurons_per_core"].value == tuple(core.neuron_memory for core in cores)
    assert limits["weight_memory_bits_per_core"].value == tuple(8 * core.kernel_memory for core in cores)
    assert limits["cores"].value == len(cores)
