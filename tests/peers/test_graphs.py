"""Networks of snnTorch as exported graphs: with the network beside them, its layers, neurons and element-wise work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import snn_energy as se

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
snntorch = pytest.importorskip("snntorch")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.fire = nn.Linear(4, 6), snntorch.Leaky(beta=0.5, threshold=0.2)
        self.out, self.last = nn.Linear(6, 3), snntorch.Leaky(beta=0.5, threshold=0.2, reset_mechanism="zero")

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden, membrane = torch.zeros(x.shape[1], 6), torch.zeros(x.shape[1], 3)
        spikes = []
        for now in x.unbind(0):
            fired, hidden = self.fire(self.fc(now), hidden)
            fired, membrane = self.last(self.out(fired), membrane)
            spikes.append(fired)
        return torch.stack(spikes).sum(0), membrane


def as_program(net: nn.Module, x: torch.Tensor) -> Any:
    return torch.export.export(net, (x,))


def as_onnx(net: nn.Module, x: torch.Tensor) -> Any:
    pytest.importorskip("onnxruntime")
    program = torch.onnx.export(net, (x,), dynamo=True, verbose=False)
    assert program is not None
    return program.model_proto


@pytest.mark.parametrize("exported", [as_program, as_onnx])
def test_exported_networks_of_snntorch(exported: Any) -> None:
    torch.manual_seed(0)
    net, x = Net().eval(), torch.rand(3, 2, 4)
    for layer in (net.fc, net.out):
        layer.weight.data.abs_()
        layer.bias.data.fill_(1 / 32)  # an exporter drops zeros
    eager, graph = se.trace(net, x, samples=2), se.trace(exported(net, x), (x,), samples=2, like=net)
    assert all(neuron.spikes for neuron in eager.neurons)
    assert graph.layers == eager.layers
    assert graph.neurons == eager.neurons
    assert graph.elementwise == eager.elementwise
    assert graph.coverage.complete
