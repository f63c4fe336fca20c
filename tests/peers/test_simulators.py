"""One network built with each simulator's neurons: one count, whichever built it."""

from __future__ import annotations

from typing import Any

import brute
import pytest
import torch
from nets import BUILDERS, CLASSES, HIDDEN, SAMPLES, STEPS, build, spikes_in
from torch import nn

import snn_energy as se
from snn_energy.counting.neurons import neuron_row
from snn_energy.errors import TraceError
from snn_energy.reporting.assessment import assess

pytestmark = pytest.mark.peer

EVERY = pytest.mark.parametrize("peer", BUILDERS)
KINDS = pytest.mark.parametrize("kind", ["lif", "if"])
FACTS = ("dense_macs", "connections", "events", "effective_events", "spikes", "elements")


def traced(net: nn.Module) -> Any:
    return se.trace(net, spikes_in(), samples=SAMPLES, strict=True)


def caught(net: nn.Module) -> dict[str, list[torch.Tensor]]:
    """What each submodule was fed (layers) or returned (neurons), call by call, in a run of its own."""
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in ("conv", "n1", "fc", "n2")}
    for name in ("conv", "fc"):
        getattr(net, name).register_forward_pre_hook(lambda m, a, name=name: seen[name].append(a[0]))
    for name in ("n1", "n2"):
        getattr(net, name).register_forward_hook(
            lambda m, a, out, name=name: seen[name].append(out[0] if isinstance(out, tuple) else out)
        )
    with torch.no_grad():
        net(spikes_in())
    return seen


def oracle(net: nn.Module) -> dict[str, brute.Tally]:
    seen = caught(net)
    geometry = {"stride": (1, 1), "padding": [(1, 1), (1, 1)], "dilation": (1, 1)}
    conv = [
        brute.conv(x.reshape(-1, *x.shape[-3:]).tolist(), net.conv.weight.tolist(), **geometry) for x in seen["conv"]
    ]
    return {
        "conv": brute.total(conv),
        "fc": brute.total(brute.linear(x.tolist(), net.fc.weight.tolist()) for x in seen["fc"]),
    }


@EVERY
@KINDS
def test_layers_agree_with_the_oracle(peer: str, kind: str) -> None:
    want = oracle(build(peer, kind))
    layers = {layer.name: layer for layer in traced(build(peer, kind)).layers}
    assert list(layers) == ["conv", "fc"]
    for name, layer in layers.items():
        assert {fact: getattr(layer, fact) for fact in FACTS} == {fact: getattr(want[name], fact) for fact in FACTS}
        assert layer.operand.kind == "binary"
        assert layer.acs == layer.events
    assert 0 < layers["fc"].spikes < layers["fc"].elements


@EVERY
@KINDS
def test_neurons_agree_with_what_they_returned(peer: str, kind: str) -> None:
    seen = caught(build(peer, kind))
    neurons = {neuron.name: neuron for neuron in traced(build(peer, kind)).neurons}
    assert list(neurons) == ["n1", "n2"]
    for (name, neuron), width in zip(neurons.items(), (HIDDEN, CLASSES), strict=True):
        assert neuron.kind == ("lif" if peer.startswith("snntorch") else kind)  # its Leaky without a leak is one, too
        assert neuron.updates == STEPS * SAMPLES * width
        assert neuron.state_elements == width
        assert neuron.spikes == sum(int(out.count_nonzero()) for out in seen[name])
        assert neuron.time_steps == (1 if peer == "sinabs squeezed" else STEPS)
    assert 0 < neurons["n1"].spikes < neurons["n1"].updates


@EVERY
@KINDS
def test_every_simulator_gives_one_count(peer: str, kind: str) -> None:
    ours, theirs = traced(build("ours", kind)), traced(build(peer, kind))
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        assert {fact: getattr(mine, fact) for fact in FACTS} == {fact: getattr(other, fact) for fact in FACTS}
    for mine, other in zip(ours.neurons, theirs.neurons, strict=True):
        assert (other.updates, other.spikes, other.state_elements) == (mine.updates, mine.spikes, mine.state_elements)
        assert (other.update_adds, other.update_compares) == (mine.update_adds, mine.update_compares)
        # Norse multiplies the input by dt/tau where the others take it as it is.
        assert other.update_muls == mine.update_muls + (peer == "norse" and kind == "lif")
        if peer != "sinabs squeezed":
            assert other.spikes_per_step == mine.spikes_per_step


@pytest.mark.parametrize("peer", [peer for peer in BUILDERS if peer != "sinabs squeezed"])
def test_the_twin_runs(peer: str) -> None:
    twin = se.ann_twin(build(peer, "lif"))
    assert all(neuron_row(module) is None for module in twin.modules())
    counts = se.trace(twin, spikes_in().mean(0, keepdim=True), samples=SAMPLES, strict=True)
    assert not counts.neurons
    assert counts.dense_macs * STEPS == traced(build(peer, "lif")).dense_macs


def test_the_twin_answers_for_its_neuron() -> None:
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        """As snnTorch's tutorials write it."""

        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.lif1 = nn.Linear(4, 3), snn.Leaky(beta=0.9)
            self.fc2, self.lif2 = nn.Linear(3, 2), snn.Synaptic(alpha=0.9, beta=0.8)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mem1 = self.lif1.init_leaky()
            syn2, mem2 = self.lif2.init_synaptic()
            spikes, membranes = [], []
            for now in x:
                spk1, mem1 = self.lif1(self.fc1(now), mem1)
                spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
                spikes.append(spk2)
                membranes.append(mem2)
            return torch.stack(spikes), torch.stack(membranes)

    x = torch.rand(5, 2, 4, generator=torch.Generator().manual_seed(0))
    net = Net().eval()
    counts = se.trace(net, x, samples=2, strict=True)
    assert [neuron.time_steps for neuron in counts.neurons] == [5, 5]
    twin = se.trace(se.ann_twin(net), x.mean(0, keepdim=True), samples=2, strict=True)
    assert twin.dense_macs * 5 == counts.dense_macs
    assert not twin.neurons


class Insisting(nn.Module):
    """Runs with its own neurons only."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.neuron = type(net.n1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if type(self.net.n1) is not self.neuron:
            raise TypeError(f"expected a {self.neuron.__name__}")
        return self.net(x)


def test_a_twin_that_cannot_run_is_one_clear_error() -> None:
    net = Insisting(build("snntorch", "lif"))
    data = [(spikes_in(), None)]
    with pytest.raises(TraceError, match=r"ANN twin of Insisting failed on an input of shape .*no-baseline"):
        assess(net, lambda: data, layout="TN")
    assert assess(net, lambda: data, layout="TN", baseline=False).report.trace.events > 0
