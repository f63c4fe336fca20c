"""Direct coding as each simulator's users write it: the first layer is seen to repeat itself, the second is not."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor, nn

import snn_energy as se

pytestmark = pytest.mark.peer

T, N, IN, HIDDEN, OUT = 5, 3, 12, 6, 4


class Stepped(nn.Module):
    """snnTorch: the layers are called in a loop, with the same image each time."""

    def __init__(self) -> None:
        super().__init__()
        snntorch = pytest.importorskip("snntorch")
        self.fc1, self.n1 = nn.Linear(IN, HIDDEN), snntorch.Leaky(beta=0.9)
        self.fc2, self.n2 = nn.Linear(HIDDEN, OUT), snntorch.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        m1, m2, out = self.n1.init_leaky(), self.n2.init_leaky(), []
        for _ in range(T):
            spikes, m1 = self.n1(self.fc1(x.flatten(1)), m1)
            spikes, m2 = self.n2(self.fc2(spikes), m2)
            out.append(spikes)
        return torch.stack(out)


class Folded(nn.Module):
    """SpikingJelly: the image is repeated over a time axis, and layers take all steps at once."""

    def __init__(self) -> None:
        super().__init__()
        pytest.importorskip("spikingjelly")
        layer = importlib.import_module("spikingjelly.activation_based.layer")
        neuron = importlib.import_module("spikingjelly.activation_based.neuron")
        self.fc1, self.n1 = layer.Linear(IN, HIDDEN, step_mode="m"), neuron.LIFNode(step_mode="m")
        self.fc2, self.n2 = layer.Linear(HIDDEN, OUT, step_mode="m"), neuron.LIFNode(step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        sequence = x.flatten(1).unsqueeze(0).repeat(T, 1, 1)
        return self.n2(self.fc2(self.n1(self.fc1(sequence))))


@pytest.mark.parametrize("network", [Stepped, Folded])
def test_the_first_layer_repeats(network):
    layers = {layer.name: layer for layer in se.trace(network(), torch.rand(N, 1, 3, 4)).layers}
    assert layers["fc1"].connections == T * N * IN * HIDDEN
    assert layers["fc1"].repeated_connections == (T - 1) * N * IN * HIDDEN
    assert (layers["fc2"].connections, layers["fc2"].repeated_connections) == (T * N * HIDDEN * OUT, 0)
