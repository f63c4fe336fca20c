"""Programs of torch.export: layers, neurons and element-wise work of the eager module, under its names."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import agree
import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.counting.neurons import NEURONS, NeuronRow, Variant, register_neuron
from snn_energy.errors import DataError, TraceError
from snn_energy.models.neurons import IF, LIF

pytestmark = pytest.mark.filterwarnings("ignore")


def filled(net: nn.Module) -> nn.Module:
    """Weights that are multiples of 1/32, none of them zero: exact sums, so that spikes agree."""
    torch.manual_seed(5)
    for parameter in net.parameters():
        parameter.data = torch.randint(-8, 9, parameter.shape).float() / 16 + 1 / 32
    return net.eval()


class Spiking(nn.Module):
    """A neuron called twice, batch norm behind a convolution, pools, a mean over time."""

    def __init__(self, reset: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.fire = LIF(threshold=0.25, reset=reset)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(12, 12)
        self.last = IF(threshold=0.25, reset=reset)
        self.head = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        current = self.norm(self.conv(x))
        spikes = self.pool(self.fire(torch.stack([current, current, current])).flatten(0, 1))
        spikes = self.fire(self.hidden(spikes.flatten(1)).unflatten(0, (3, -1)))
        return self.head(self.last(spikes)).mean(0)


class Recurrent(nn.Module):
    """A sequence module, a cell in a loop, and products of activations: in a loop, and two in one line."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3)
        self.cell = nn.GRUCell(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sequence = self.lstm(x)[0]
        state = torch.zeros_like(sequence[0])
        for now in sequence:
            state = self.cell(now, state)
        for _ in range(2):
            state = state + state @ state.t() @ state
        return torch.einsum("ij,kj->ik", state, state)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        self.calls.add_(1)
        mixed = self.heads(x, x, x, need_weights=False)[0]
        with torch.no_grad():
            scores = torch.softmax(mixed @ x.transpose(1, 2), -1)
        return {"scores": scores, "normed": self.norm(mixed * scale)}


X = torch.randint(0, 2, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
NETS: dict[str, tuple[Any, Any, dict[str, torch.Tensor]]] = {
    "soft": (lambda: Spiking("soft"), (X,), {}),
    "hard": (lambda: Spiking("hard"), (X,), {}),
    "recurrent": (Recurrent, (torch.ones(3, 2, 4),), {}),
    "attention": (Attention, (torch.ones(2, 3, 4),), {"scale": torch.full((1,), 2.0)}),
}


class Bound(nn.Module):
    """A call with keywords, as one module of positions: se.trace takes one or the other."""

    def __init__(self, net: nn.Module, kwargs: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.net, self.kwargs = net, kwargs

    def forward(self, *args: torch.Tensor) -> Any:
        return self.net(*args, **self.kwargs)


def same(graph: Any, eager: Any) -> None:
    assert [layer.name for layer in graph.layers] == [layer.name for layer in eager.layers]
    assert graph.layers == eager.layers
    assert graph.neurons == eager.neurons
    assert graph.elementwise == eager.elementwise
    assert (graph.model, graph.samples, graph.time_steps) == (eager.model, eager.samples, eager.time_steps)


@pytest.mark.parametrize("name", NETS)
def test_a_program_counts_as_the_eager_module(name: str) -> None:
    make, args, kwargs = NETS[name]
    net = filled(make())
    net = net if not kwargs else Bound(net, kwargs)
    eager = agree.trace(net, args, samples=2)
    assert all(neuron.spikes for neuron in eager.neurons)
    same(agree.trace(torch.export.export(net, args), args, samples=2), eager)


@pytest.mark.parametrize("name", [pytest.param("soft", marks=pytest.mark.slow), "hard"])
def test_decomposed_programs_keep_their_neurons(name: str) -> None:
    make, args, _ = NETS[name]
    net = filled(make())
    program = torch.export.export(net, args).run_decompositions()
    same(agree.trace(program, args, samples=2), agree.trace(net, args, samples=2))


def test_keywords_and_their_order() -> None:
    net = filled(Attention())
    x, scale = torch.ones(2, 3, 4), torch.ones(1)
    program = torch.export.export(net, (x,), {"scale": scale})
    batch = {"x": x, "scale": scale}
    by_name = torch.export.export(net, (), batch)
    assert agree.trace(by_name, dict(reversed(batch.items())), samples=2).connections > 0
    with pytest.raises(DataError, match=r"takes other arguments|takes arguments of the form"):
        se.trace(program, x)


def test_the_results_are_those_of_the_program() -> None:
    """Outputs come back in their structure, so that accuracy is read off the same pass."""
    net = filled(Spiking("hard"))
    seen: list[torch.Tensor] = []
    se.trace(torch.export.export(net, (X,)), (X,), on_output=seen.append)
    assert torch.equal(seen[0], net(X))


def test_batches_of_any_size_where_the_size_is_free() -> None:
    net = filled(Spiking("soft"))
    program = torch.export.export(net, (X,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    parts = [X, X[:1], torch.cat([X, X])]
    same(agree.trace(program, parts), agree.trace(net, parts))


def test_a_batch_that_the_program_does_not_take_is_refused_in_one_line() -> None:
    program = torch.export.export(filled(Spiking("soft")), (X,))
    with pytest.raises(DataError, match="do not fit the exported program") as caught:
        se.trace(program, (torch.cat([X, X]),))
    assert "\n" not in str(caught.value)


class Choice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(4, 9), nn.Linear(4, 9, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, self.wide, self.narrow, (x,))


def test_only_the_branch_that_runs_is_counted() -> None:
    """A branch in eager mode hides its operators and is refused; in a program it is a graph of its own."""
    program = torch.export.export(Choice().eval(), (torch.ones(2, 4),))
    positive, negative = (agree.only(agree.trace(program, (sign * torch.ones(2, 4),))) for sign in (1, -1))
    assert [positive.connections, negative.connections] == [72, 72]
    assert [positive.bias_adds, negative.bias_adds] == [18, 0]


def test_shared_weights_are_one_row() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            self.second.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x))

    net, x = filled(Tied()), torch.ones(2, 4)
    same(agree.trace(torch.export.export(net, (x,)), (x,)), agree.trace(net, (x,)))


# ---------------------------------------------------------------- neurons


class Configured(nn.Module):
    """A neuron whose options no graph tells."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: torch.Tensor, membrane: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        membrane = membrane + x * self.gain
        spikes = (membrane > 0.05).to(x.dtype)
        return spikes, membrane * (1 - spikes)


class Stepped(nn.Module):
    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.fc, self.neuron = nn.Linear(3, 3), neuron

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        membrane, total = torch.zeros_like(x[0]), torch.zeros_like(x[0])
        for now in x:
            spikes, membrane = self.neuron(self.fc(now), membrane)
            total = total + spikes
        return total, membrane


@pytest.fixture
def configured() -> Any:
    name = f"{Configured.__module__}.{Configured.__qualname__}"
    row = NeuronRow(
        qualified_name=name,
        kind="test",
        equation="U <- U + gain I; S = 1[U > 0.05]; reset",
        adds=1,
        muls=1,
        compares=1,
        state_variables=1,
        returned_states=1,
        variants=(Variant(attribute="gain", test=lambda gain: gain == 1, muls=-1),),
    )
    register_neuron(row)
    yield
    del NEURONS[name]


def test_a_neuron_with_options_needs_the_module(configured: Any) -> None:
    """With it, its spikes are told from the membrane that it returns as well, in each step of a loop."""
    net, x = filled(Stepped(Configured(1.0))), torch.rand(4, 2, 3) * 3
    net.fc.weight.data.abs_()
    net.fc.bias.data.zero_()
    eager = agree.trace(net, (x,), samples=2)
    (neuron,) = eager.neurons
    assert (neuron.update_muls, neuron.calls, neuron.time_steps) == (0, 4, 4)
    assert neuron.spikes
    program = torch.export.export(net, (x,))
    same(agree.trace(program, (x,), samples=2, like=net), eager)
    alone = agree.trace(program, (x,), samples=2)
    assert alone.neurons == ()
    assert alone.layers == eager.layers
    assert {row.kind for row in alone.elementwise} == {"add", "mul", "gt", "rsub"}


def test_a_neuron_without_options_needs_nothing(configured: Any) -> None:
    name = f"{Configured.__module__}.{Configured.__qualname__}"
    NEURONS[name] = dataclasses.replace(NEURONS[name], variants=())
    net, x = filled(Stepped(Configured(1.0))), torch.rand(4, 2, 3) * 3
    same(agree.trace(torch.export.export(net, (x,)), (x,), samples=2), agree.trace(net, (x,), samples=2))


def test_a_reset_that_the_graph_does_not_show_is_not_guessed() -> None:
    """One step, decomposed: the reset is dead code and gone, and with it what the spikes pay for."""
    net, x = LIF(threshold=0.25).eval(), torch.rand(1, 2, 3)
    outer = nn.Sequential(net)
    program = torch.export.export(outer, (x,)).run_decompositions()
    assert agree.trace(program, (x,), samples=2).neurons == ()
    assert agree.trace(program, (x,), samples=2, like=outer).neurons == agree.trace(outer, (x,), samples=2).neurons


def test_like_is_refused_beside_a_module() -> None:
    with pytest.raises(TraceError, match="like is for an exported graph"):
        se.trace(nn.Linear(2, 2), torch.ones(1, 2), like=nn.Linear(2, 2))


def test_what_is_no_model_is_refused_in_one_line() -> None:
    for wrong in (None, 3, "net.pt", Path("net.pt2"), torch.ones(2)):
        with pytest.raises(TraceError, match=r"model must be a torch\.nn\.Module") as caught:
            se.trace(wrong, torch.ones(2))
        assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- files


def test_a_saved_program_counts_as_the_module(tmp_path: Path) -> None:
    net = filled(Spiking("soft"))
    torch.export.save(torch.export.export(net, (X,)), tmp_path / "net.pt2")
    same(agree.trace(torch.export.load(tmp_path / "net.pt2"), (X,)), agree.trace(net, (X,)))
