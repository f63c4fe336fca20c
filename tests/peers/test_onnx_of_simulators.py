"""Networks of other simulators as ONNX: in every form onnxruntime gives their spikes, and the counts are theirs."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.exporting import ExportError, export_onnx

pytestmark = pytest.mark.peer
onnxruntime = pytest.importorskip("onnxruntime")

FORMS = ("unrolled", "step", "sequence")
CARRIED = [peer for peer in nets.BUILDERS if peer != "sinabs squeezed"]


def answers(peer, kind):
    """What the simulator itself gives for the frames, from rest."""
    with torch.no_grad():
        return nets.build(peer, kind)(nets.spikes_in())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["lif", "if"])
@pytest.mark.parametrize("peer", CARRIED)
def test_spikes_and_counts_are_the_simulators(peer, kind, form, tmp_path):
    x = nets.spikes_in()
    done = export_onnx(nets.build(peer, kind), x, tmp_path / "net.onnx", form=form, frames=True, verify=x)
    expected = answers(peer, kind)
    assert 0 < expected.mean() < 1
    assert done.agreement.bit_equal, "outputs are spikes"
    assert done.agreement.spikes_apart == 0
    if form != "step":
        session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
        np.testing.assert_array_equal(session.run(None, {"frames": x.numpy()})[0], expected.numpy())
    else:  # one membrane for each neuron layer, whatever else the simulator keeps
        assert len(done.states) == 2
    eager, found = se.trace(nets.build(peer, kind), x, batch_axis=1), se.trace(str(done.path), x, batch_axis=1)
    fields = ("name", "dense_macs", "connections", "events", "effective_events", "spikes", "elements")
    assert [[getattr(layer, field) for field in fields] for layer in found.layers] == [
        [getattr(layer, field) for field in fields] for layer in eager.layers
    ]
    fields = ("name", "updates", "spikes_per_step", "state_elements", "muls")
    assert [[getattr(neuron, field) for field in fields] for neuron in found.neurons] == [
        [getattr(neuron, field) for field in fields] for neuron in eager.neurons
    ]


def test_frames_folded_with_the_samples_have_no_single_step(tmp_path):
    """Sinabs' squeezed neurons cut the first axis into a fixed number of time steps."""
    net = nets.build("sinabs squeezed", "lif")
    with pytest.raises(ExportError, match="cannot run one time step"):
        export_onnx(net, nets.spikes_in(), tmp_path / "net.onnx", form="step", frames=True)
    assert not list(tmp_path.iterdir())


class OneStep(nn.Module):
    """One call is one time step, as snnTorch's tutorials and SpikingJelly's single-step mode have it."""

    def __init__(self, neuron):
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(6, 5)
        self.neuron = neuron

    def forward(self, x):
        return self.neuron(self.fc(2 * x))


def one_step(peer):
    if peer == "snntorch":
        return OneStep(pytest.importorskip("snntorch").Leaky(beta=0.75, init_hidden=True))
    return OneStep(pytest.importorskip("spikingjelly.activation_based.neuron").LIFNode())


def norse_sequential():
    norse = pytest.importorskip("norse.torch")
    torch.manual_seed(0)
    net = norse.SequentialState(nn.Linear(6, 5), norse.LIFBoxCell(), nn.Linear(5, 4), norse.LIFBoxCell())
    with torch.no_grad():
        for value in net.parameters():
            value.abs_().mul_(10)  # a tenth of each current is added at a time step; the threshold is 1
    return net


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("peer", ["snntorch", "spikingjelly"])
def test_networks_called_once_for_each_step(peer, form, tmp_path):
    x = torch.rand(7, 6, generator=torch.Generator().manual_seed(1)) * 2
    done = export_onnx(one_step(peer), x, tmp_path / "net.onnx", form=form, time_steps=5, readout="sum", verify=x)
    net, total = one_step(peer), 0
    with torch.no_grad():
        for _ in range(5):
            total = total + net(x)
    assert 0 < total.mean() < 5
    assert done.agreement.bit_equal
    assert done.agreement.spikes == 5 * 7 * 5
    assert done.agreement.largest == float(total.max())


@pytest.mark.parametrize("form", FORMS)
def test_a_norse_network_that_returns_its_state(form, tmp_path):
    x = torch.rand(7, 6, generator=torch.Generator().manual_seed(1))
    done = export_onnx(norse_sequential(), x, tmp_path / "net.onnx", form=form, time_steps=6, readout="sum", verify=x)
    assert done.agreement.bit_equal
    assert done.agreement.largest > 0


class Kernel(torch.autograd.Function):
    """One function of Python code, as custom CUDA neurons are."""

    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy((x.detach().numpy() > 0.5).astype("float32"))


class Custom(nn.Module):
    def forward(self, x):
        return Kernel.apply(x)


def test_a_custom_kernel_is_refused_by_name(tmp_path):
    with pytest.raises(ExportError, match=r"^1 \(Custom, line \d+ of test_onnx_of_simulators"):
        export_onnx(nn.Sequential(nn.Linear(4, 4), Custom()), torch.rand(2, 4), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
