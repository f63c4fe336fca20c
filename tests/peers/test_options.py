"""Options and relatives of the recognised classes that mean something else: counted operator by operator instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.counting.neurons import neuron_row

pytestmark = pytest.mark.peer

SNN, SJ, NORSE, SINABS = "snntorch", "spikingjelly.activation_based.neuron", "norse.torch", "sinabs.layers"


def _graded_surrogate() -> Any:
    return pytest.importorskip("spikingjelly.activation_based.surrogate").ATan(spiking=False)


OTHERS: dict[str, tuple[str, Callable[[Any], nn.Module]]] = {
    "Leaky, quantised": (SNN, lambda p: p.Leaky(beta=0.9, state_quant=torch.round)),
    "Leaky, one decay for each neuron": (SNN, lambda p: p.Leaky(beta=torch.rand(3, 4, 4), learn_beta=True)),
    "Alpha, subtracting": (SNN, lambda p: p.Alpha(alpha=0.9, beta=0.8, reset_mechanism="subtract")),
    "RLeaky": (SNN, lambda p: p.RLeaky(beta=0.9, linear_features=4)),
    "RSynaptic": (SNN, lambda p: p.RSynaptic(alpha=0.9, beta=0.8, linear_features=4)),
    "SLSTM": (SNN, lambda p: p.SLSTM(4, 4)),
    "LeakyParallel": (SNN, lambda p: p.LeakyParallel(input_size=4, hidden_size=4)),
    "IFNode, graded": (SJ, lambda p: p.IFNode(surrogate_function=_graded_surrogate())),
    "EIFNode": (SJ, lambda p: p.EIFNode()),
    "ILIFNode": (SJ, lambda p: p.ILIFNode()),
    "OTTTLIFNode": (SJ, lambda p: p.OTTTLIFNode()),
    "PSN": (SJ, lambda p: p.PSN(T=4)),
    "NonSpikingLIFNode": (SJ, lambda p: p.NonSpikingLIFNode()),
    "norse LI": (NORSE, lambda p: p.LI()),
    "norse LICell": (NORSE, lambda p: p.LICell()),
    "norse LILinearCell": (NORSE, lambda p: p.LILinearCell(4, 4)),
    "norse LIFAdEx": (NORSE, lambda p: p.LIFAdEx()),
    "norse LIFRecurrent": (NORSE, lambda p: p.LIFRecurrent(4, 4)),
    "norse LSNNRecurrentCell": (NORSE, lambda p: p.LSNNRecurrentCell(4, 4)),
    "sinabs ExpLeak": (SINABS, lambda p: p.ExpLeak(tau_mem=5.0)),
    "sinabs ExpLeakSqueeze": (SINABS, lambda p: p.ExpLeakSqueeze(tau_mem=5.0, batch_size=1)),
    "sinabs IAFRecurrent": (SINABS, lambda p: p.IAFRecurrent(rec_connect=nn.Linear(4, 4))),
    "sinabs ALIFRecurrent": (SINABS, lambda p: p.ALIFRecurrent(5.0, 5.0, rec_connect=nn.Linear(4, 4))),
}


@pytest.mark.parametrize("name", OTHERS)
def test_not_recognised(name: str) -> None:
    simulator, make = OTHERS[name]
    assert neuron_row(make(pytest.importorskip(simulator))) is None


def test_unrecognised_is_counted_operator_by_operator() -> None:
    layers = pytest.importorskip("sinabs.layers")
    counts = se.trace(nn.Sequential(layers.ExpLeak(tau_mem=5.0)), torch.rand(1, 3, 4), strict=True)
    assert not counts.neurons
    assert sum(item.adds + item.muls for item in counts.elementwise) > 0


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
def test_inhibition_compares_once_more() -> None:
    snn = pytest.importorskip("snntorch")
    net = nn.Sequential(snn.Leaky(beta=0.9, inhibition=True, init_hidden=True))
    (neuron,) = se.trace(net, 2 + torch.rand(2, 5), strict=True).neurons
    assert neuron.update_compares == 2
    assert neuron.spikes == 2  # one winner for each sample


@pytest.mark.parametrize(
    ("options", "states"),
    [({}, 1), ({"init_hidden": True}, 0), ({"init_hidden": True, "output": True}, 1), ({"output": True}, 1)],
)
def test_returned_states(options: dict[str, bool], states: int) -> None:
    snn = pytest.importorskip("snntorch")
    neuron = snn.Leaky(beta=0.9, **options)
    out = neuron(torch.rand(1, 3))
    row = neuron_row(neuron)
    assert row is not None
    assert row.returned_states == states == (len(out) - 1 if isinstance(out, tuple) else 0)
