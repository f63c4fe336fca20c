"""One network, convolution - neuron - linear - neuron, built with the neurons of each simulator.

Every builder returns a module that takes spikes `t n c h w` and returns spikes `t n o`, with submodules `conv`, `n1`,
`fc` and `n2`. All of them obey V <- decay V + I, S = 1 where V reaches 1, V <- 0 there; decay is 1/2 ("lif") or 1
("if"). Simulators are imported by the builders, so that a missing one skips its own tests only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snn_energy.models.neurons import IF, LIF

STEPS, SAMPLES, SIZE, CHANNELS, CLASSES = 4, 3, 5, 2, 3
HIDDEN = CHANNELS * SIZE * SIZE


def spikes_in(seed: int = 0) -> Tensor:
    """Input spikes `t n 1 h w`."""
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(STEPS, SAMPLES, 1, SIZE, SIZE, generator=rng) < 0.4).float()


def _weigh(net: nn.Module) -> nn.Module:
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for layer in (net.conv, net.fc):
            layer.weight.copy_(torch.rand(layer.weight.shape, generator=rng) - 0.3)
    return net.eval()


class Net(nn.Module):
    """The layers; subclasses say how time runs through them."""

    def __init__(
        self, neuron: Callable[[], nn.Module], conv: type[nn.Module] = nn.Conv2d, fc: type[nn.Module] = nn.Linear
    ) -> None:
        super().__init__()
        self.conv = conv(1, CHANNELS, 3, padding=1, bias=False)
        self.n1 = neuron()
        self.fc = fc(HIDDEN, CLASSES, bias=False)
        self.n2 = neuron()


class Loop(Net):
    """Single-step neurons, state inside."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.n2(self.fc(self.n1(self.conv(now)).flatten(1))) for now in x])


class TupleLoop(Net):
    """Single-step neurons that take and return their state."""

    def forward(self, x: Tensor) -> Tensor:
        first = second = None
        out = []
        for now in x:
            hidden, first = self.n1(self.conv(now), first)
            spikes, second = self.n2(self.fc(hidden.flatten(1)), second)
            out.append(spikes)
        return torch.stack(out)


class TimeFirst(Net):
    """Multi-step neurons, time on axis 0."""

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.n1(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        return self.n2(self.fc(hidden.flatten(2)))


class Multistep(Net):
    """Layers and neurons that know about time."""

    def forward(self, x: Tensor) -> Tensor:
        return self.n2(self.fc(self.n1(self.conv(x)).flatten(2)))


class TimeSecond(Net):
    """Multi-step neurons, time on axis 1."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        hidden = self.n1(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        return self.n2(self.fc(hidden.flatten(2))).transpose(0, 1)


class Squeezed(Net):
    """Neurons that take the frames of all samples on one axis, sample by sample."""

    def forward(self, x: Tensor) -> Tensor:
        frames = x.transpose(0, 1).flatten(0, 1)
        out = self.n2(self.fc(self.n1(self.conv(frames)).flatten(1)))
        return out.unflatten(0, (-1, x.shape[0])).transpose(0, 1)


def _ours(kind: str) -> nn.Module:
    return TimeFirst(lambda: LIF(decay=0.5) if kind == "lif" else IF())


def _snntorch(kind: str, hidden: bool) -> nn.Module:
    snn = pytest.importorskip("snntorch")
    beta = 0.5 if kind == "lif" else 1.0
    form = Loop if hidden else TupleLoop
    return form(lambda: snn.Leaky(beta=beta, reset_mechanism="zero", init_hidden=hidden))


def _spikingjelly(kind: str, step_mode: str) -> nn.Module:
    sj = pytest.importorskip("spikingjelly.activation_based.neuron")
    layer = pytest.importorskip("spikingjelly.activation_based.layer")

    def neuron() -> nn.Module:
        if kind == "if":
            return sj.IFNode(step_mode=step_mode)
        return sj.LIFNode(tau=2.0, decay_input=False, step_mode=step_mode)

    if step_mode == "s":
        return Loop(neuron, layer.Conv2d, layer.Linear)
    net = Multistep(neuron, layer.Conv2d, layer.Linear)
    net.conv.step_mode = net.fc.step_mode = "m"
    return net


def _norse(kind: str) -> nn.Module:
    norse = pytest.importorskip("norse.torch")
    if kind == "if":
        return TupleLoop(norse.IAFCell)
    # dt/tau = 1/2 halves the input as well as the membrane, so the threshold is halved too.
    p = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(0.5))
    return TupleLoop(lambda: norse.LIFBoxCell(p))


def _sinabs(kind: str, squeezed: bool) -> nn.Module:
    layers = pytest.importorskip("sinabs.layers")
    activation = pytest.importorskip("sinabs.activation")
    rule: dict[str, Any] = {"spike_fn": activation.SingleSpike, "reset_fn": activation.MembraneReset()}
    if kind == "lif":
        rule |= {"tau_mem": 1 / math.log(2), "norm_input": False}
    if squeezed:
        made = {"lif": layers.LIFSqueeze, "if": layers.IAFSqueeze}[kind]
        return Squeezed(lambda: made(num_timesteps=STEPS, **rule))
    made = {"lif": layers.LIF, "if": layers.IAF}[kind]
    return TimeSecond(lambda: made(**rule))


BUILDERS: dict[str, Callable[[str], nn.Module]] = {
    "ours": _ours,
    "snntorch": lambda kind: _snntorch(kind, hidden=True),
    "snntorch, state outside": lambda kind: _snntorch(kind, hidden=False),
    "spikingjelly s": lambda kind: _spikingjelly(kind, "s"),
    "spikingjelly m": lambda kind: _spikingjelly(kind, "m"),
    "norse": _norse,
    "sinabs": lambda kind: _sinabs(kind, squeezed=False),
    "sinabs squeezed": lambda kind: _sinabs(kind, squeezed=True),
}
"""The first is ours: what the others are held against."""


def build(peer: str, kind: str) -> nn.Module:
    """A fresh network, its neurons at rest; skips the test if the simulator is missing."""
    return _weigh(BUILDERS[peer](kind))
