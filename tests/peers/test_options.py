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
    "Alpha, subtracting": (SNN, lambda p: p.Alpha(alpha=0.9, beta=0.8, reset_mechanism="subtract")),
    "SLSTM": (SNN, lambda p: p.SLSTM(4, 4)),
    "LeakyParallel": (SNN, lambda p: p.LeakyParallel(input_size=4, hidden_size=4)),
    "IFNode, graded": (SJ, lambda p: p.IFNode(surrogate_function=_graded_surrogate())),
    "MaskedPSN, step by step": (SJ, lambda p: p.MaskedPSN(k=2, T=4, lambda_init=1.0)),
    "SlidingPSN": (SJ, lambda p: p.SlidingPSN(k=2)),
    "NonSpikingLIFNode, averaged": (SJ, lambda p: p.NonSpikingLIFNode(decode="mean-mem")),
    "LIAFNode": (SJ, lambda p: p.LIAFNode(torch.relu, threshold_related=True)),
    "norse CobaLIFCell": (NORSE, lambda p: p.CobaLIFCell(4, 4)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_not_recognised(name: str) -> None:
    simulator, make = OTHERS[name]
    assert neuron_row(make(pytest.importorskip(simulator))) is None


def test_unrecognised_is_counted_operator_by_operator() -> None:
    neuron = pytest.importorskip(SJ)
    counts = se.trace(nn.Sequential(neuron.NonSpikingLIFNode(decode="mean-mem")), torch.rand(3, 1, 4), strict=True)
    assert not counts.neurons
    # Three steps of V + (X - V) / tau on four neurons, and the mean of the three: 2 and 1 additions, 1 multiplication.
    assert sum(item.adds for item in counts.elementwise) == 3 * 4 * 2 + 4 * 2
    assert sum(item.muls for item in counts.elementwise) == 3 * 4 + 4


DETECTED: dict[str, tuple[str, Callable[[Any], nn.Module]]] = {
    "Leaky, quantised": (
        SNN,
        lambda p: p.Leaky(beta=0.9, state_quant=lambda x: 0.5 * (2 * x).round(), init_hidden=True),
    ),
    "SLSTM": (SNN, lambda p: p.SLSTM(4, 4, threshold=0.1, init_hidden=True)),
    "ComplementaryLIFNode": (SJ, lambda p: p.ComplementaryLIFNode()),
}


@pytest.mark.parametrize("name", DETECTED)
def test_left_out_but_detected(name: str) -> None:
    simulator, make = DETECTED[name]
    torch.manual_seed(0)

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = make(pytest.importorskip(simulator))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([self.neuron(now) for now in x])

    out: list[torch.Tensor] = []
    counts = se.trace(Steps(), 2 * torch.rand(6, 2, 4), samples=2, strict=True, on_output=out.append)
    (neuron,) = counts.neurons
    assert (neuron.name, neuron.kind, neuron.time_steps) == ("neuron", "detected", 6)
    assert neuron.spikes == int(out[0].count_nonzero()) > 0
    assert counts.elementwise


@pytest.mark.parametrize("masked", [False, True])
def test_a_parallel_neuron_is_a_product_over_time_and_a_threshold(masked: bool) -> None:
    neuron = pytest.importorskip(SJ)
    layer = neuron.MaskedPSN(k=2, T=4, lambda_init=1.0, step_mode="m") if masked else neuron.PSN(T=4)
    out: list[torch.Tensor] = []
    x = 3 * torch.rand(4, 2, 5, generator=torch.Generator().manual_seed(0)) + 0.1
    counts = se.trace(nn.Sequential(layer), x, samples=2, strict=True, on_output=out.append)
    (product,) = counts.layers
    assert (product.operand.kind, product.connections, product.macs) == ("real", 4 * 4 * 10, 4 * 4 * 10)
    assert product.effective_events == (4 + 3 if masked else 16) * 10  # the mask leaves this step and the last
    (record,) = counts.neurons
    assert (record.updates, record.adds, record.muls, record.compares) == (40, 0, 0, 40)
    assert (record.time_steps, record.spikes, record.state_reads) == (4, int(out[0].sum()), 0)
    assert not counts.elementwise


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
