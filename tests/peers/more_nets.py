"""Networks of neurons beyond LIF and IF, built with each simulator that has them; kinds of one row do the same.

- "cuba": convolution - neuron - linear - neuron. I <- I/2 + X; V <- V/2 + I; S = 1 where V reaches 1, V <- 0 there.
- "recurrent": V <- V/2 + W X + R S, the spikes S of the last time step; S = 1 where V reaches 1, V <- 0 there.
- "readout": linear - neuron (LIF as in `nets`) - linear - integrator, V <- V/2 + X or (V + X)/2, which never fires.

Every network takes spikes `t n 1 h w`, as those of `nets`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nets import CLASSES, HIDDEN, SIZE, STEPS, Loop, Multistep, Squeezed, TimeSecond, TupleLoop, _weigh
from torch import Tensor, nn

from snn_energy.models.neurons import LIF

INPUTS = SIZE * SIZE


def _weights(seed: int, *shape: int, shift: float = 0.2) -> nn.Parameter:
    return nn.Parameter(torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - shift)


# -- two first-order filters ------------------------------------------------------------------------------------------


class SynapticLoop(nn.Module):
    """snnTorch's Synaptic takes and returns two states."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.conv, self.n1, self.fc, self.n2 = net.conv, net.n1, net.fc, net.n2

    def forward(self, x: Tensor) -> Tensor:
        first, second, out = (), (), []
        for now in x:
            hidden, *first = self.n1(self.conv(now), *first)
            spikes, *second = self.n2(self.fc(hidden.flatten(1)), *second)
            out.append(spikes)
        return torch.stack(out)


def _synaptic(hidden: bool) -> nn.Module:
    snn = pytest.importorskip("snntorch")
    net = Loop(lambda: snn.Synaptic(alpha=0.5, beta=0.5, reset_mechanism="zero", reset_delay=False, init_hidden=hidden))
    return net if hidden else SynapticLoop(net)


def _cuba_spikingjelly(step_mode: str) -> nn.Module:
    sj = pytest.importorskip("spikingjelly.activation_based.neuron")
    layer = pytest.importorskip("spikingjelly.activation_based.layer")

    def neuron() -> nn.Module:
        made = sj.CUBALIFNode(c_decay=0.5, v_decay=0.5, v_threshold=1.0)
        made.step_mode = step_mode
        return made

    if step_mode == "s":
        return Loop(neuron, layer.Conv2d, layer.Linear)
    net = Multistep(neuron, layer.Conv2d, layer.Linear)
    net.conv.step_mode = net.fc.step_mode = "m"
    return net


def _cuba_norse() -> nn.Module:
    norse = pytest.importorskip("norse.torch")
    # dt/tau = 1/2 halves what goes into the membrane, so the threshold is halved too.
    half = torch.tensor(500.0)
    p = norse.LIFParameters(tau_mem_inv=half, tau_syn_inv=half, v_th=torch.tensor(0.5))
    return TupleLoop(lambda: norse.LIFCell(p))


def _cuba_sinabs(squeezed: bool) -> nn.Module:
    layers = pytest.importorskip("sinabs.layers")
    activation = pytest.importorskip("sinabs.activation")
    # The synapse halves its input as well, so the threshold is halved too.
    rule: dict[str, Any] = {
        "spike_fn": activation.SingleSpike,
        "reset_fn": activation.MembraneReset(),
        "spike_threshold": torch.tensor(0.5),
        "tau_mem": 1 / math.log(2),
        "tau_syn": 1 / math.log(2),
        "norm_input": False,
    }
    if squeezed:
        return Squeezed(lambda: layers.LIFSqueeze(num_timesteps=STEPS, **rule))
    return TimeSecond(lambda: layers.LIF(**rule))


# -- recurrence -------------------------------------------------------------------------------------------------------


class ByHand(nn.Module):
    """Input and recurrent weights as linear layers, the neuron as plain arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(INPUTS, CLASSES, bias=False)
        self.back = nn.Linear(CLASSES, CLASSES, bias=False)
        self.fc.weight, self.back.weight = _input_weights(), _recurrent_weights()

    def forward(self, x: Tensor) -> Tensor:
        spikes = membrane = torch.zeros(x.shape[1], CLASSES)
        out = []
        for now in x.flatten(2):
            membrane = 0.5 * membrane + self.fc(now) + self.back(spikes)
            spikes = (membrane >= 1).float()
            membrane = membrane * (1 - spikes)
            out.append(spikes)
        return torch.stack(out)


class RecurrentLoop(nn.Module):
    """A linear layer and a recurrent neuron that keeps its state inside, step by step."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.fc, self.neuron = nn.Linear(INPUTS, CLASSES, bias=False), neuron
        self.fc.weight = _input_weights()

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.neuron(self.fc(now)) for now in x.flatten(2)])


class RecurrentWhole(RecurrentLoop):
    """The same with a neuron that takes all time steps, on axis 1."""

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.fc(x.flatten(2)).transpose(0, 1)).transpose(0, 1)


class WithInput(nn.Module):
    """A neuron that holds its input weights as well; `whole` takes all time steps on axis 0."""

    def __init__(self, neuron: nn.Module, whole: bool) -> None:
        super().__init__()
        self.neuron, self.whole = neuron, whole

    def forward(self, x: Tensor) -> Tensor:
        if self.whole:
            return self.neuron(x.flatten(2))[0]
        state, out = None, []
        for now in x.flatten(2):
            spikes, state = self.neuron(now, state)
            out.append(spikes)
        return torch.stack(out)


def _input_weights() -> nn.Parameter:
    return _weights(11, CLASSES, INPUTS)


def _recurrent_weights() -> nn.Parameter:
    return _weights(12, CLASSES, CLASSES, shift=0.5)


def _recurrent_snntorch(**options: Any) -> nn.Module:
    snn = pytest.importorskip("snntorch")
    neuron = snn.RLeaky(
        beta=0.5, linear_features=CLASSES, init_hidden=True, reset_mechanism="zero", reset_delay=False, **options
    )
    neuron.recurrent = nn.Linear(CLASSES, CLASSES, bias=False)
    neuron.recurrent.weight = _recurrent_weights()
    return RecurrentLoop(neuron)


def _recurrent_norse(whole: bool) -> nn.Module:
    norse = pytest.importorskip("norse.torch")
    p = norse.LIFParameters(
        tau_mem_inv=torch.tensor(500.0), tau_syn_inv=torch.tensor(1000.0), v_th=torch.tensor(0.5)
    )  # a current that lasts one time step, halved with the threshold
    made = norse.LIFRecurrent if whole else norse.LIFRecurrentCell
    weights = {"input_weights": _input_weights(), "recurrent_weights": _recurrent_weights()}
    return WithInput(made(INPUTS, CLASSES, p=p, autapses=True, **weights), whole)


def _recurrent_sinabs() -> nn.Module:
    layers = pytest.importorskip("sinabs.layers")
    activation = pytest.importorskip("sinabs.activation")
    back = nn.Linear(CLASSES, CLASSES, bias=False)
    back.weight = _recurrent_weights()
    neuron = layers.LIFRecurrent(
        tau_mem=1 / math.log(2),
        rec_connect=back,
        norm_input=False,
        spike_fn=activation.SingleSpike,
        reset_fn=activation.MembraneReset(),
    )
    return RecurrentWhole(neuron)


# -- a readout that integrates ----------------------------------------------------------------------------------------


class Readout(nn.Module):
    """Time on `axis` for the integrator, or step by step with the state outside (None)."""

    def __init__(self, integrator: nn.Module, axis: int | None) -> None:
        super().__init__()
        self.fc1, self.n1 = nn.Linear(INPUTS, HIDDEN, bias=False), LIF(decay=0.5)
        self.fc2, self.n2 = nn.Linear(HIDDEN, CLASSES, bias=False), integrator
        self.fc1.weight, self.fc2.weight = _weights(13, HIDDEN, INPUTS), _weights(14, CLASSES, HIDDEN)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        current = self.fc2(self.n1(self.fc1(x.flatten(2))))
        if self.axis is None:
            state, out = None, []
            for now in current:
                membrane, state = self.n2(now, state)
                out.append(membrane)
            return torch.stack(out)
        out = self.n2(current.movedim(0, self.axis))
        out = torch.stack(out) if isinstance(out, list) else out
        return (out[0] if isinstance(out, tuple) else out).movedim(self.axis, 0)


def _norse_readout(name: str, axis: int | None) -> nn.Module:
    norse = pytest.importorskip("norse.torch")
    if name == "LIBoxCell":
        from norse.torch.module.leaky_integrator_box import LIBoxCell

        return Readout(LIBoxCell(), axis)
    return Readout(getattr(norse, name)(), axis)


NETS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "cuba": {
        "spikingjelly m": lambda: _cuba_spikingjelly("m"),
        "spikingjelly s": lambda: _cuba_spikingjelly("s"),
        "snntorch": lambda: _synaptic(hidden=True),
        "snntorch, state outside": lambda: _synaptic(hidden=False),
        "norse": _cuba_norse,
        "sinabs": lambda: _cuba_sinabs(squeezed=False),
        "sinabs squeezed": lambda: _cuba_sinabs(squeezed=True),
    },
    "recurrent": {
        "by hand": ByHand,
        "snntorch": _recurrent_snntorch,
        "norse": lambda: _recurrent_norse(whole=True),
        "norse, cell": lambda: _recurrent_norse(whole=False),
        "sinabs": _recurrent_sinabs,
    },
    "readout": {
        "norse LIBoxCell": lambda: _norse_readout("LIBoxCell", None),
        "norse LICell": lambda: _norse_readout("LICell", None),
        "norse LI": lambda: _norse_readout("LI", 0),
        "sinabs": lambda: Readout(pytest.importorskip("sinabs.layers").ExpLeak(tau_mem=5.0), 1),
        "spikingjelly": lambda: Readout(
            pytest.importorskip("spikingjelly.activation_based.neuron").NonSpikingLIFNode(), 0
        ),
    },
}
"""Kind -> builders; the first of a kind is what the others are held against."""


def build_more(kind: str, peer: str) -> nn.Module:
    """A fresh network, its neurons at rest; skips the test if the simulator is missing."""
    net = NETS[kind][peer]()
    return _weigh(net) if kind == "cuba" else net.eval()
