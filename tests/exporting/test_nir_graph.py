"""Networks as NIR graphs: the graph counts, to the last integer, what the network counts; what NIR lacks is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snn_energy as se
from snn_energy.errors import DataError, UsageError
from snn_energy.exporting import ExportError, nir_graph
from snn_energy.exporting.losses import LOSSES_KEY, ExportRefused
from snn_energy.models import IF, LIF, ALIFCell, LeakyIntegrator, LIFCell, build, fold, foldable
from snn_energy.nirgraph import NirGraph, NirNetwork, NirNode

CNN: dict[str, Any] = {"in_channels": 1, "classes": 5, "image_size": 8, "time_steps": 3}
EVENTS: dict[str, Any] = {"inputs": 12, "classes": 4, "widths": (7, 5)}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "spiking-cnn": lambda: build("spiking-cnn", **CNN, widths=(4, 6)),
    "spiking-cnn, odd decay": lambda: build("spiking-cnn", **CNN, widths=(4, 6), decay=0.3, threshold=0.7),
    "spiking-vgg": lambda: build("spiking-vgg", **CNN, stages=((4,), (6, 6))),
    "spiking-vgg, step by step": lambda: build("spiking-vgg", **CNN, stages=((4,), (6, 6)), stepped=True),
    "sew-resnet": lambda: build("sew-resnet", **CNN, stages=((4, 2), (6, 2))),
    "spiking-recurrent": lambda: build("spiking-recurrent", **EVENTS),
    "spiking-recurrent, step by step": lambda: build("spiking-recurrent", **EVENTS, stepped=True),
}


def lively(net: nn.Module) -> nn.Module:
    """Weights large enough that all layers fire, batch norms folded."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.mul_(3 if value.dim() > 1 else 1)
            if name.endswith("norm.bias"):
                value.add_(0.3)
    return fold(net.eval()) if foldable(net) else net.eval()


def data_of(name: str) -> tuple[Tensor, str]:
    if name.startswith("spiking-recurrent"):
        return (torch.rand(6, 5, 12) < 0.4).float(), "TN"
    return torch.rand(5, 1, 8, 8), "N"


def facts(trace: se.Trace) -> dict[str, Any]:
    """All counts but the number of calls, which a loop over time has more of; element-wise work by kind."""
    work: Counter[str] = Counter()
    for row in trace.elementwise:
        work.update({"adds": row.adds, "muls": row.muls, "compares": row.compares, "specials": row.specials})
    return {
        "layers": {
            row.name: (
                row.operand,
                row.dense_macs,
                row.connections,
                row.events,
                row.effective_events,
                row.acs,
                row.macs,
            )
            for row in trace.layers
        },
        "neurons": {
            row.name: (row.kind, row.updates, row.spikes_per_step, row.state_elements, row.update_muls, row.spike_adds)
            for row in trace.neurons
        },
        "work": dict(work),
        "steps": trace.time_steps,
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_a_graph_counts_what_its_network_counts(name: str) -> None:
    net, (x, layout) = lively(NETWORKS[name]()), data_of(name)
    axis = 0 if layout == "N" else 1
    network = NirNetwork(nir_graph(net, x, layout=layout))
    eager = se.trace(net, x, batch_axis=axis)
    assert all(row.spikes for row in eager.neurons if row.spiking)
    graph = se.trace(network, x, batch_axis=axis)
    assert facts(graph) == facts(eager)
    assert graph.coverage.complete
    with torch.no_grad():
        assert torch.equal(network(x), net(x))


def test_a_neuron_without_leak_is_integrate_and_fire() -> None:
    """NIR's leaky neurons leak; a LIF of decay 1 comes back as IF, which pays no multiplication by 1."""
    net, (x, _) = lively(build("spiking-cnn", **CNN, widths=(4, 6), decay=1.0)), data_of("spiking-cnn")
    graph = nir_graph(net, x)
    eager, found = facts(se.trace(net, x)), facts(se.trace(NirNetwork(graph), x))
    assert found["layers"] == eager["layers"]
    for name, (kind, updates, spikes, *_) in found["neurons"].items():
        assert (kind, updates, spikes) == ("if", *eager["neurons"][name][1:3])


def test_a_checkpoints_norms_are_folded_on_the_way() -> None:
    """The graph of the network with batch norms is that of the folded network, weight by weight."""
    torch.manual_seed(0)
    net = build("spiking-cnn", **CNN, widths=(4, 6)).eval()
    with torch.no_grad():
        for name, value in net.named_buffers():
            if name.endswith("running_mean"):
                value.normal_()
    x = torch.rand(5, 1, 8, 8)
    with_norms, without = nir_graph(net, x), nir_graph(fold(net), x)
    assert list(with_norms.nodes) == list(without.nodes)
    for name, node in with_norms.nodes.items():
        other = without.nodes[name]
        assert isinstance(node, NirNode)
        assert isinstance(other, NirNode)
        for field, value in node.fields.items():
            assert np.array_equal(value, other.fields[field]), (name, field)


def test_max_pooling_of_spikes_is_a_sum_and_a_threshold_for_other_readers() -> None:
    """Without our metadata the two nodes are what they say, and fire the same."""
    net, (x, _) = lively(NETWORKS["spiking-cnn"]()), data_of("spiking-cnn")
    graph = nir_graph(net, x)
    plain = {name: NirNode(n.kind, n.fields) for name, n in graph.nodes.items() if isinstance(n, NirNode)}
    kinds = Counter(node.kind for node in plain.values())
    assert (kinds["SumPool2d"], kinds["Threshold"]) == (2, 2)
    theirs = se.trace(NirNetwork(type(graph)(plain, graph.edges), time_steps=3), x)
    ours = se.trace(NirNetwork(graph), x)
    steps = {row.name: row.events for row in theirs.layers}
    assert steps.pop("blocks.0.conv") == 3 * next(r.events for r in ours.layers if r.name == "blocks.0.conv")
    assert steps == {row.name: row.events for row in ours.layers if row.name != "blocks.0.conv"}


def test_what_was_read_is_written_again_as_it_was() -> None:
    """A graph, its network and that network's graph agree in every node: recurrences, delays, sums and thresholds."""
    one = np.ones(2, dtype=np.float32)
    lif = {"tau": 2e-4 * one, "r": 2 * one, "v_leak": 0 * one, "v_threshold": one, "v_reset": 0 * one}
    nodes = {
        "input": NirNode("Input", {"shape": np.array([2])}),
        "scale": NirNode("Scale", {"scale": 2 * one}),
        "late": NirNode("Delay", {"delay": 2e-4 * one}),
        "lif": NirNode("LIF", lif),
        "rec": NirNode("Linear", {"weight": np.eye(2, dtype=np.float32)}),
        "back": NirNode("Delay", {"delay": 2e-4 * one}),
        "fires": NirNode("Threshold", {"threshold": 0.5 * one}),
        "output": NirNode("Output", {"shape": np.array([2])}),
    }
    edges = (
        ("input", "scale"), ("scale", "late"), ("late", "lif"), ("scale", "lif"), ("lif", "rec"), ("rec", "back"),
        ("back", "lif"), ("lif", "fires"), ("fires", "output"),
    )  # fmt: skip
    x = torch.rand(6, 3, 2)
    again = nir_graph(NirNetwork(NirGraph(nodes, edges)), x, layout="TN")
    assert set(again.edges) == set(edges)
    for name, node in nodes.items():
        found = again.nodes[name]
        assert isinstance(found, NirNode)
        assert (found.kind, set(found.fields)) == (node.kind, set(node.fields))
        for field, value in node.fields.items():
            assert np.allclose(found.fields[field], value), (name, field)
    assert torch.equal(NirNetwork(again)(x), NirNetwork(NirGraph(nodes, edges))(x))


class Loop(nn.Module):
    """A user's network: a loop over time, an average of the outputs."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.fc, self.neuron, self.out = nn.Linear(4, 6), neuron, nn.Linear(6, 3)

    def between(self, spikes: Tensor) -> Tensor:
        return spikes

    def forward(self, x: Tensor) -> Tensor:
        state, total = None, torch.zeros(x.shape[1], 3)
        for now in x:
            spikes, state = self.neuron(self.fc(now), state)
            total = total + self.out(self.between(spikes))
        return total / len(x)


def frames() -> Tensor:
    return torch.rand(5, 2, 4) * 3


def test_a_loop_of_the_users_own() -> None:
    net = Loop(LIFCell()).eval()
    graph = nir_graph(net, frames(), layout="TN")
    assert graph.edges == (("input", "fc"), ("fc", "neuron"), ("neuron", "out"), ("out", "output"))
    assert graph.metadata["snn_energy.readout"] == "mean"
    network, x = NirNetwork(graph), frames()
    with torch.no_grad():
        assert torch.allclose(network(x), net(x), atol=1e-6)
    assert facts(se.trace(network, x, batch_axis=1))["layers"] == facts(se.trace(net, x, batch_axis=1))["layers"]


class Scaled(Loop):
    def between(self, spikes: Tensor) -> Tensor:
        return torch.tanh(spikes)


class Asking(Loop):
    def between(self, spikes: Tensor) -> Tensor:
        return spikes if spikes.sum() > 1 else spikes[:]


class Skipping(Loop):
    def forward(self, x: Tensor) -> Tensor:
        first, state = self.neuron(self.fc(x[0]), None)
        later, _ = self.neuron(self.fc(x[2]), state)
        return self.out(later + first)


class Borrowing(Loop):
    def forward(self, x: Tensor) -> Tensor:
        spikes, _ = self.neuron(self.fc(x[0]), torch.ones(2, 6))
        return self.out(spikes)


class RealMaximum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.neuron = nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), LIF()

    def forward(self, x: Tensor) -> Tensor:
        current: Tensor = self.pool(self.conv(x.flatten(0, 1)))
        return self.neuron(current.unflatten(0, x.shape[:2]))


IMPOSSIBLE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str, str]] = {
    "an operator": (
        lambda: Scaled(LIFCell()),
        (5, 2, 4),
        "TN",
        r"the operator tanh \(out\): NIR",
    ),
    "a question": (lambda: Asking(LIFCell()), (5, 2, 4), "TN", r"control flow that asks the data"),
    "a sum over time": (lambda: Skipping(LIFCell()), (3, 2, 4), "TN", r"a sum over time before it \(out\)"),
    "a start": (lambda: Borrowing(LIFCell()), (5, 2, 4), "TN", r"a state that does not start at rest \(neuron\)"),
    "a maximum of reals": (RealMaximum, (5, 2, 1, 8, 8), "TN", r"max pooling of what is no spike \(pool\)"),
    "an LSTM": (lambda: nn.Sequential(nn.LSTM(4, 6)), (5, 2, 4), "TN", r"LSTM \(0\): NIR has no node for it"),
    "tokens": (
        lambda: nn.Sequential(nn.Linear(4, 6), LIF()),
        (5, 2, 7, 4),
        "TN",
        r"several positions at once \(70 of \[4\] for 2 samples\) \(0\)",
    ),
    "window neurons": (
        lambda: build("pure-cnn", in_channels=1, classes=3, image_size=8, widths=(4,), depths=(1,), time_steps=2),
        (2, 1, 8, 8),
        "N",
        r"NIR has IF, LIF, CubaLIF|operator",
    ),
    "attention": (
        lambda: build("spiking-transformer", in_channels=1, classes=3, image_size=8),
        (2, 1, 8, 8),
        "N",
        r"NIR has no node for it",
    ),
    "element-wise AND": (
        lambda: build("sew-resnet", **CNN, stages=((4, 1),), join="AND"),
        (2, 1, 8, 8),
        "N",
        r"the operator mul \(blocks.0\)",
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_nir_has_no_node_for_is_refused_by_name_even_if_forced(name: str) -> None:
    make, shape, layout, message = IMPOSSIBLE[name]
    with pytest.raises(ExportError, match=message) as refused:
        nir_graph(make().eval(), torch.rand(shape), layout=layout, force=True)
    assert "\n" not in str(refused.value)


def test_what_is_lost_is_refused_and_listed_where_forced() -> None:
    net = nn.Sequential(nn.Linear(4, 6), LIF(reset="soft"), nn.Linear(6, 3), IF(reset="soft"))
    x = frames()
    with pytest.raises(ExportRefused, match=r"a reset that subtracts the threshold \(1, 3\)") as refused:
        nir_graph(net, x, layout="TN")
    assert [loss.where for loss in refused.value.losses] == ["1", "3"]
    graph = nir_graph(net, x, layout="TN", force=True)
    assert '"where":"3"' in graph.metadata[LOSSES_KEY]
    # Our own reader takes the reset from the metadata; a Sinabs reader subtracts by itself.
    with torch.no_grad():
        assert torch.equal(NirNetwork(graph)(x), net(x))
    assert LOSSES_KEY not in nir_graph(net, x, layout="TN", convention="sinabs").metadata
    adapting = Loop(ALIFCell())
    with pytest.raises(ExportRefused, match=r"a threshold that adapts \(neuron\)"):
        nir_graph(adapting, x, layout="TN")


@pytest.mark.parametrize("convention", ["nir", "exponential", "snntorch", "spikingjelly", "norse"])
@pytest.mark.parametrize("decay", [0.5, 0.75, 0.9375, 0.9])
def test_every_convention_reads_back_the_same_neuron(convention: str, decay: float) -> None:
    """Decays to the last bit, whoever reads: with our exact constants, and by the file's numbers alone."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 6), LIF(decay))
    graph = nir_graph(net, frames(), layout="TN", convention=convention)
    bare = type(graph)(
        {name: NirNode(node.kind, node.fields) for name, node in graph.nodes.items() if isinstance(node, NirNode)},
        graph.edges,
        {key: value for key, value in graph.metadata.items() if key.endswith(("convention", ".dt"))},
    )
    for network in (NirNetwork(graph), NirNetwork(bare)):
        neuron = network.module_of("1")
        if convention == "exponential":  # exp is no inverse of log in single precision, to the last bit
            assert neuron.decay == pytest.approx(decay, rel=2e-7)
        else:
            assert torch.tensor(neuron.decay) == torch.tensor(decay)
        if decay == 0.5:  # a power of two rescales without rounding
            x = frames()
            with torch.no_grad():
                assert torch.equal(network(x), net(x))


@pytest.mark.parametrize("convention", ["nir", "snntorch", "spikingjelly", "norse"])
def test_reaching_the_threshold_is_enough_whoever_reads(convention: str) -> None:
    """A current of 1 meets a threshold of 1: our neuron fires, and so does that of a reader who asks for more."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False), LIF(0.5))
    with torch.no_grad():
        net[0].weight.fill_(1.0)
    below = float(np.nextafter(np.float32(1), np.float32(0)))
    x = torch.tensor([1.0, below, 1.0]).reshape(-1, 1, 1)
    graph = nir_graph(net, x, layout="TN", convention=convention)
    with torch.no_grad():
        # 1 fires and resets; below stays silent and leaves almost 1/2; 1 on top of that fires.
        assert net(x).flatten().tolist() == [1, 0, 1]
        assert NirNetwork(graph)(x).flatten().tolist() == [1, 0, 1]


def test_an_integrator_for_a_reader_that_scales_it_is_a_loss() -> None:
    net = nn.Sequential(nn.Linear(4, 6), LeakyIntegrator(0.5))
    with pytest.raises(ExportRefused, match=r"the scale of its values \(1\)"):
        nir_graph(net, frames(), layout="TN", convention="norse")
    graph, x = nir_graph(net, frames(), layout="TN", convention="norse", force=True), frames()
    with torch.no_grad():
        assert torch.equal(NirNetwork(graph)(x), net(x) / 2)


def test_usage_errors() -> None:
    net = nn.Sequential(nn.Linear(4, 6), LIF())
    with pytest.raises(UsageError, match=r"layout must be one of N, TN, NT \(got 'T'\)"):
        nir_graph(net, frames(), layout="T")
    with pytest.raises(UsageError, match=r"dt must be above 0 \(got -1\)"):
        nir_graph(net, frames(), layout="TN", dt=-1)
    with pytest.raises(DataError, match=r"example must be inputs in layout TN \(got \[4\]\)"):
        nir_graph(net, torch.ones(4), layout="TN")
    with pytest.raises(ExportError, match="cannot run on an example of shape"):
        nir_graph(net, torch.ones(5, 2, 3), layout="TN")


def test_the_model_is_left_as_it_was() -> None:
    net = Loop(LIFCell())
    net.train()
    nir_graph(net, frames(), layout="TN")
    assert net.training
    assert net.neuron.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
