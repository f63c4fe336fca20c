"""Compiled and scripted modules, and other number types: the counts of the eager module in single precision."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agree
import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.counting.neurons import NEURONS, NeuronRow, register_neuron
from snn_energy.errors import DataError, TraceError
from snn_energy.models.neurons import IF, LIF

pytestmark = pytest.mark.filterwarnings("ignore")


def filled(net: nn.Module) -> nn.Module:
    """Multiples of 1/8, none of them zero: sums are exact in every type here, so that spikes agree."""
    torch.manual_seed(5)
    for parameter in net.parameters():
        parameter.data = torch.randint(-4, 4, parameter.shape).float() / 4 + 1 / 8
    return net.eval()


class Conv(nn.Module):
    """Convolution, batch norm, a neuron called twice, a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3, eps=0.0)
        self.fire = LIF(threshold=0.25, reset="soft")
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(12, 12)
        self.last = IF(threshold=0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        current = self.norm(self.conv(x))
        spikes = self.pool(self.fire(torch.stack([current, current])).flatten(0, 1))
        spikes = self.fire(self.hidden(spikes.flatten(1)).unflatten(0, (2, -1)))
        return self.last(spikes).sum(0)


class Attention(nn.Module):
    """Spiking attention: q, k and v are spikes; both products in one line."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(4, 4) for _ in range(3))
        self.fire_q, self.fire_k, self.fire_v = (LIF(threshold=0.25) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.fire_q(self.q(x)), self.fire_k(self.k(x)), self.fire_v(self.v(x))
        return (q @ k.transpose(1, 2)) @ v


class Recurrent(nn.Module):
    """Spikes fed back through weights, step by step; products joined over the steps of a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.back = nn.Linear(4, 5), nn.Linear(5, 5, bias=False)
        self.fire = LIF(threshold=0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = torch.zeros(x.shape[1], 5, dtype=x.dtype)
        total = torch.zeros_like(spikes)
        for now in x.unbind(0):
            spikes = self.fire((self.into(now) + self.back(spikes)).unsqueeze(0)).squeeze(0)
            total = total + spikes
        return total


def spikes(*shape: int) -> torch.Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)).float()


NETS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
    "conv": (Conv, spikes(2, 1, 4, 4)),
    "attention": (Attention, spikes(2, 3, 4)),
    "recurrent": (Recurrent, spikes(3, 2, 4)),
}


def same(one: Any, other: Any) -> None:
    assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers]
    assert one.layers == other.layers
    assert one.neurons == other.neurons
    assert one.elementwise == other.elementwise
    assert (one.model, one.samples, one.time_steps) == (other.model, other.samples, other.time_steps)


def eager_of(name: str) -> tuple[nn.Module, torch.Tensor, Any]:
    make, x = NETS[name]
    net = filled(make())
    eager = agree.trace(net, x, samples=2)
    assert all(neuron.spikes for neuron in eager.neurons)
    assert eager.neurons
    return net, x, eager


# ---------------------------------------------------------------- torch.compile


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"backend": "eager"}, id="default"),
        pytest.param({"backend": "eager", "fullgraph": True}, id="fullgraph", marks=pytest.mark.slow),
        pytest.param({"backend": "eager", "dynamic": True}, id="dynamic", marks=pytest.mark.slow),
        pytest.param({}, id="inductor", marks=pytest.mark.slow),
    ],
)
def test_compiled_modules(name: str, options: dict[str, Any]) -> None:
    net, x, eager = eager_of(name)
    same(agree.trace(torch.compile(net, **options), x, samples=2), eager)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_modules_that_were_compiled_before(name: str) -> None:
    net, x, eager = eager_of(name)
    compiled = torch.compile(net, backend="aot_eager")
    with torch.no_grad():
        compiled(x)
    same(agree.trace(compiled, x, samples=2), eager)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_modules_compiled_in_place(name: str) -> None:
    net, x, eager = eager_of(name)
    net.compile(backend="eager")
    with torch.no_grad():
        net(x)
    same(agree.trace(net, x, samples=2), eager)


class Parts(Attention):
    """Compiled submodules and compiled functions inside a forward that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed = torch.compile(self.mix, backend="eager")

    @staticmethod
    def mix(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return (q @ k.transpose(1, 2)) @ v

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mixed(self.fire_q(self.q(x)), self.fire_k(self.k(x)), self.fire_v(self.v(x)))


@pytest.mark.parametrize("warm", [False, True])
def test_compiled_parts(warm: bool) -> None:
    _, x, eager = eager_of("attention")
    net = filled(Parts())
    net.q, net.fire_q = torch.compile(net.q, backend="eager"), torch.compile(net.fire_q, backend="eager")
    if warm:
        with torch.no_grad():
            net(x)
    traced = agree.trace(net, x, samples=2)
    same(dataclasses.replace(traced, model=eager.model), eager)


# ---------------------------------------------------------------- TorchScript


def test_tracing_a_compiled_module_warns_of_nothing() -> None:
    """Torch warns of global hooks at every call; these are ours, and fire where they should."""
    compiled = torch.compile(nn.Linear(3, 2), backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert se.trace(compiled, torch.ones(1, 3)).connections == 3 * 2


@pytest.mark.parametrize("name", NETS)
def test_traced_modules(name: str) -> None:
    net, x, eager = eager_of(name)
    with torch.no_grad():
        script = torch.jit.trace(net, x)
    # One step leaves no trace of its reset: such a neuron is told from the module itself.
    same(agree.trace(script, x, samples=2, like=net if name == "recurrent" else None), eager)


def test_a_script_that_holds_python_runs_as_it_is() -> None:
    """Traced with gradients, a neuron is a piece of Python in the graph: its operators are counted, it has no row."""
    net, x, eager = eager_of("attention")
    traced = agree.trace(torch.jit.trace(net, x, check_trace=False), x, samples=2)
    assert traced.connections == eager.connections
    assert traced.events == eager.events


class Neuron(nn.Module):
    """A neuron that TorchScript takes; registered by its qualified name."""

    def forward(self, x: torch.Tensor, membrane: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        membrane = membrane + x
        fired = (membrane > 0.25).to(x.dtype)
        return fired, membrane * (1.0 - fired)


class Scriptable(nn.Module):
    """A loop, a list, a branch on a size, a sequence module, a cell, functions of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), nn.BatchNorm1d(2, eps=0.0), nn.ReLU())
        self.fc, self.neuron = nn.Linear(4, 4), Neuron()
        self.lstm, self.cell = nn.LSTM(4, 3), nn.GRUCell(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        membrane = torch.zeros_like(x[0])
        fired: list[torch.Tensor] = []
        for step in range(x.size(0)):
            spikes, membrane = self.neuron(self.fc(x[step]), membrane)
            fired.append(spikes)
        out = self.lstm(torch.stack(fired))[0]
        if out.size(0) > 1:
            out = torch.relu(out) + 1.0
        last = self.cell(out[0])
        return (last @ last.t()) @ last


@pytest.fixture
def registered() -> Any:
    name = f"{Neuron.__module__}.{Neuron.__qualname__}"
    row = {"kind": "test", "equation": "U <- U + I; S = 1[U > 1/4]; reset", "adds": 1, "muls": 0, "compares": 1}
    register_neuron(NeuronRow(qualified_name=name, state_variables=1, returned_states=1, **row))
    yield
    del NEURONS[name]


@pytest.mark.parametrize("make", [torch.jit.script, None], ids=["script", "saved"])
def test_scripted_modules(make: Any, registered: Any, tmp_path: Path) -> None:
    net, x = filled(Scriptable()), spikes(3, 2, 4)
    eager = agree.trace(net, x, samples=2)
    (neuron,) = eager.neurons
    assert neuron.spikes
    assert neuron.calls == 3
    script = torch.jit.script(net)
    if make is None:
        script.save(str(tmp_path / "net.ts"))
        script = torch.jit.load(str(tmp_path / "net.ts"))
    same(agree.trace(script, x, samples=2), eager)
    with torch.no_grad():
        for _ in range(3):  # TorchScript optimises its graph on the way
            script(x)
    same(agree.trace(script, x, samples=2), eager)


def test_a_scripted_part_of_an_eager_module_is_counted(registered: Any) -> None:
    """No hook fires inside it: its rows have the names of its weights, its element-wise work the path of the whole."""
    net, x = filled(Scriptable()), spikes(3, 2, 4)
    eager = agree.trace(net, x, samples=2)
    net.conv = torch.jit.script(net.conv)
    traced = agree.trace(net, x, samples=2)
    assert traced.layers == eager.layers
    assert traced.neurons == eager.neurons


def test_a_frozen_module_keeps_every_product(registered: Any) -> None:
    """Weights have become constants and the batch norm is gone: counts and operand classes stay, some names do not."""
    net, x = filled(Scriptable()), spikes(3, 2, 4)
    eager = agree.trace(net, x, samples=2)
    frozen = agree.trace(torch.jit.freeze(torch.jit.script(net)), x, samples=2)
    facts = ("kind", "connections", "events", "effective_events", "acs", "macs", "weights")
    assert [agree_on(layer, facts) for layer in frozen.layers] == [agree_on(layer, facts) for layer in eager.layers]
    adds = [sum(row.adds for row in t.elementwise) + sum(row.bias_adds for row in t.layers) for t in (frozen, eager)]
    assert adds[0] >= adds[1] - 2 * 2 * 4 * 3  # the shift of the batch norm may have become the bias


def agree_on(layer: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(layer, name) for name in names)


def test_packed_weights_are_refused_in_one_line() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()
    packed = torch.jit.optimize_for_inference(torch.jit.script(net))
    if "mkldnn" not in str(packed.inlined_graph):
        pytest.skip("nothing is packed for this processor")
    with pytest.raises(TraceError, match="optimize_for_inference") as caught:
        se.trace(packed, torch.ones(1, 1, 4, 4))
    assert "\n" not in str(caught.value)


def test_arguments_that_a_script_does_not_take_are_refused() -> None:
    script = torch.jit.script(nn.Linear(4, 3).eval())
    with pytest.raises(DataError, match="takes input"):
        se.trace(script, (torch.ones(1, 4), torch.ones(1, 4)))


# ---------------------------------------------------------------- number types


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("form", ["eager", "compiled", "exported"])
def test_other_types_count_alike(name: str, dtype: torch.dtype, form: str) -> None:
    """Weights, inputs and sums are exact in all of them, so spikes agree; only the bits per number differ."""
    net, x, eager = eager_of(name)
    net, x = net.to(dtype), x.to(dtype)
    make: dict[str, Callable[[], Any]] = {
        "eager": lambda: net,
        "compiled": lambda: torch.compile(net, backend="eager"),
        "exported": lambda: torch.export.export(net, (x,)),
    }
    traced = agree.trace(make[form](), (x,), samples=2)
    bits = torch.finfo(dtype).bits
    assert {(layer.operand_bits, layer.weight_bits) for layer in traced.layers} == {(bits, bits)}
    plain = tuple(
        dataclasses.replace(
            layer, operand_bits=32, weight_bits=32, values=old.values, partner_values=old.partner_values
        )
        for layer, old in zip(traced.layers, eager.layers, strict=True)
    )
    assert [layer.operand for layer in traced.layers] == [layer.operand for layer in eager.layers]
    same(dataclasses.replace(traced, layers=plain), eager)


def test_projections_fed_the_same_tensor_know_the_same_of_it() -> None:
    """One look serves them all; it must leave each as a look of its own would."""
    _, _, eager = eager_of("attention")
    q, k, v = eager.layers[:3]
    assert q.values == k.values == v.values
