"""Which modules are taken for a neuron: nothing that holds weights, nothing that means something else.

Only the last test needs simulators.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snn_energy as se
from snn_energy.counting.neurons import NEURONS, NeuronRow, Variant, neuron_row
from snn_energy.models.neurons import IF, LIF

THEIRS = ("snntorch.", "spikingjelly.", "norse.", "sinabs.", "rockpool.")


class WithOwnWeights(IF):
    """Leaves forward alone, but its weights could be used by anything that it calls."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2))


class WithChild(IF):
    def __init__(self, child: nn.Module) -> None:
        super().__init__()
        self.inner = child


class Renamed(LIF):
    pass


class Overridden(LIF):
    def forward(self, current: Tensor) -> Tensor:
        return super().forward(2 * current)


@pytest.mark.parametrize(
    "module",
    [
        WithOwnWeights(),
        WithChild(nn.Linear(1, 1)),
        WithChild(nn.Sequential(nn.Conv2d(1, 1, 1))),
        WithChild(nn.LazyLinear(3)),
        Overridden(),
        nn.ReLU(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_not_recognised(module: nn.Module) -> None:
    assert neuron_row(module) is None


@pytest.mark.parametrize("module", [IF(), Renamed(), WithChild(nn.Identity()), WithChild(nn.PReLU())])
def test_recognised(module: nn.Module) -> None:
    assert neuron_row(module) is not None


def test_a_replaced_forward_is_not_recognised() -> None:
    module = IF()
    module.forward = lambda x: x  # type: ignore[method-assign]
    assert neuron_row(module) is None


def test_weights_inside_a_neuron_are_counted() -> None:
    class Hidden(IF):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3, bias=False)
            self.register_forward_pre_hook(lambda module, args: (self.fc(args[0]),))

    x = torch.ones(2, 1, 4)
    assert se.trace(nn.Sequential(Hidden()), x, samples=1, strict=True).events == 2 * 4 * 3


def test_no_simulator_is_imported() -> None:
    import subprocess

    code = "import sys, snn_energy.counting.neurons; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(THEIRS)]


def test_every_row_says_what_it_charges() -> None:
    rows = [row for name, row in NEURONS.items() if name.startswith(THEIRS)]
    assert len(rows) >= 80
    for row in rows:
        assert row.equation.strip()
        assert (row.adds >= 1) is (row.state_variables >= 1) is (row.kind != "psn")  # a product over time, no state
        assert (row.compares >= 1) is row.spiking
        assert (row.specials == 1) is ("exp(" in row.equation)
        assert row.binary_scale is None  # their spike functions are the user's choice


def test_variants_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign(nn.Module):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            self.__dict__.update(options)

        def forward(self, x: Tensor) -> Tensor:
            return x

    name = f"{Foreign.__module__}.{Foreign.__qualname__}"
    row = NeuronRow(
        qualified_name=name,
        kind="x",
        equation="x",
        adds=1,
        muls=1,
        compares=1,
        state_variables=1,
        variants=(
            Variant(attribute="mode", test=lambda value: value == "m", time_axis=0),
            Variant(attribute="p.leak", test=lambda value: value is not None, adds=2, soft_reset_adds=1),
            Variant(attribute="p.leak", test=lambda value: value == 3, muls=-1, specials=2, state_variables=1),
        ),
        requires=(("quantiser", lambda value: value is None),),
    )
    monkeypatch.setitem(NEURONS, name, row)
    inner = ModuleType("p")
    inner.leak = 3  # type: ignore[attr-defined]

    def facts(module: nn.Module) -> tuple[Any, ...] | None:
        got = neuron_row(module)
        return got and (
            got.adds, got.muls, got.specials, got.state_variables, got.soft_reset_adds, got.time_axis
        )  # fmt: skip

    assert facts(Foreign()) == (1, 1, 0, 1, 0, None)
    assert facts(Foreign(mode="m")) == (1, 1, 0, 1, 0, 0)
    assert facts(Foreign(p=inner)) == (3, 0, 2, 2, 1, None)
    assert facts(Foreign(quantiser=1)) is None
    assert row == NEURONS[name]  # resolving a module changes no row


# -- classes of other simulators that hold weights --------------------------------------------------------------------


class Loop(nn.Module):
    """A recurrent cell through time; `step(cell, x, state)` -> (spikes, state)."""

    def __init__(self, cell: nn.Module, step: Callable[..., Any]) -> None:
        super().__init__()
        self.cell = cell
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        state, out = None, []
        for now in x:
            spikes, state = self.step(self.cell, now, state)
            out.append(spikes)
        return torch.stack(out)


class Whole(nn.Module):
    """A recurrent layer that takes time on axis 1."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x.transpose(0, 1)).transpose(0, 1)


def _rleaky(**options: Any) -> nn.Module:
    snn = pytest.importorskip("snntorch")
    return Loop(snn.RLeaky(beta=0.5, linear_features=4, init_hidden=True, **options), lambda c, x, s: (c(x), None))


def _rsynaptic() -> nn.Module:
    snn = pytest.importorskip("snntorch")
    return Loop(snn.RSynaptic(alpha=0.5, beta=0.5, linear_features=4, init_hidden=True), lambda c, x, s: (c(x), None))


def _norse() -> nn.Module:
    norse = pytest.importorskip("norse.torch")
    p = norse.LIFParameters(v_th=torch.tensor(0.05))
    return Loop(norse.LIFRecurrentCell(4, 4, p=p), lambda c, x, s: c(x, s))


def _sinabs() -> nn.Module:
    layers = pytest.importorskip("sinabs.layers")
    return Whole(layers.LIFRecurrent(tau_mem=5.0, rec_connect=nn.Linear(4, 4), norm_input=False))


def _spikingjelly() -> nn.Module:
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    return Loop(layer.LinearRecurrentContainer(neuron.IFNode(), 4, 4), lambda c, x, s: (c(x), None))


RECURRENT = {
    "snntorch RLeaky": _rleaky,
    "snntorch RLeaky to zero, twice a step": lambda: _rleaky(reset_mechanism="zero"),
    "snntorch RSynaptic": _rsynaptic,
    "norse LIFRecurrentCell": _norse,
    "sinabs LIFRecurrent": _sinabs,
    "spikingjelly LinearRecurrentContainer": _spikingjelly,
}


@pytest.mark.peer
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_weights_are_not_lost(name: str) -> None:
    torch.manual_seed(5)  # weights with which every one of them fires
    net = RECURRENT[name]().eval()
    spikingjelly = name.startswith("spikingjelly")  # a container around a neuron
    assert (neuron_row(net.cell) is None) is spikingjelly
    x = 1.5 * torch.rand(6, 2, 4, generator=torch.Generator().manual_seed(1))
    out: list[Tensor] = []
    counts = se.trace(net, x, samples=2, on_output=out.append)
    assert counts.coverage.complete, counts.coverage.uncounted
    # Every spike of each step but the last meets four recurrent weights.
    fed_back = int(out[0][:-1].count_nonzero())
    assert fed_back > 0
    weights = [p for p in net.parameters() if p.dim() > 1]
    assert weights
    (neuron,) = counts.neurons
    assert (neuron.updates, neuron.spikes) == (out[0].numel(), int(out[0].count_nonzero()))
    if spikingjelly:  # it joins input and feedback into one product
        assert counts.events == 4 * (fed_back + x.count_nonzero())
    else:
        recurrent = [layer for layer in counts.layers if layer.operand.kind != "real"]
        assert [layer.events for layer in recurrent] == [4 * fed_back]
        assert [layer.connections for layer in recurrent] == [6 * 2 * 16]  # one product for each step and sample
        assert not [item for item in counts.elementwise if item.name.startswith("cell")]


def _norse_modules() -> Any:
    return pytest.importorskip("norse.torch.module")


NORSE_PAIRS = {  # recurrent class: the plain one, products that it holds, and the terms that it adds
    "lif.LIFRecurrentCell": ("lif.LIFCell", 2, 1),
    "lif.LIFRecurrent": ("lif.LIF", 2, 1),
    "lif_refrac.LIFRefracRecurrentCell": ("lif_refrac.LIFRefracCell", 2, 1),
    "lif_refrac.LIFRefracRecurrent": ("lif_refrac.LIFRefracCell", 2, 1),
    "lsnn.LSNNRecurrentCell": ("lsnn.LSNNCell", 2, 1),
    "lsnn.LSNNRecurrent": ("lsnn.LSNN", 2, 1),
    "lif_ex.LIFExRecurrentCell": ("lif_ex.LIFExCell", 2, 1),
    "lif_ex.LIFExRecurrent": ("lif_ex.LIFEx", 2, 1),
    "lif_adex.LIFAdExRecurrentCell": ("lif_adex.LIFAdExCell", 2, 1),
    "lif_adex.LIFAdExRecurrent": ("lif_adex.LIFAdEx", 2, 1),
    "lif_adex_refrac.LIFAdExRefracRecurrentCell": ("lif_adex_refrac.LIFAdExRefracCell", 2, 1),
    "lif_adex_refrac.LIFAdExRefracRecurrent": ("lif_adex_refrac.LIFAdExRefracCell", 2, 1),
    "lif_mc.LIFMCRecurrentCell": ("lif.LIFCell", 3, 2),
    "lif_mc_refrac.LIFMCRefracRecurrentCell": ("lif_refrac.LIFRefracCell", 3, 2),
    "leaky_integrator.LILinearCell": ("leaky_integrator.LICell", 1, 0),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", NORSE_PAIRS)
def test_norse_recurrent_classes_add_their_products(name: str) -> None:
    import importlib

    _norse_modules()
    module, kind = name.split(".")
    made = getattr(importlib.import_module(f"norse.torch.module.{module}"), kind)(3, 4)
    plain_name, products, terms = NORSE_PAIRS[name]
    plain, row = NEURONS[f"norse.torch.module.{plain_name}"], neuron_row(made)
    assert row is not None
    assert (row.adds - terms, row.muls, row.compares, row.specials, row.state_variables, row.soft_reset_adds) == (
        plain.adds, plain.muls, plain.compares, plain.specials, plain.state_variables, plain.soft_reset_adds,
    )  # fmt: skip

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = made

        def forward(self, x: Tensor) -> Tensor:
            if row.time_axis == 0:
                return self.cell(x)[0]
            state, out = None, []
            for now in x:
                spikes, state = self.cell(now, state)
                out.append(spikes)
            return torch.stack(out)

    x = (torch.rand(6, 2, 3, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    counts = se.trace(Net().eval(), x, samples=2, strict=True)
    (neuron,) = counts.neurons
    assert (neuron.name, neuron.updates, neuron.time_steps) == ("cell", 6 * 2 * 4, 6)
    assert len(counts.layers) == products
    inputs = next(layer for layer in counts.layers if layer.name == "cell.input_weights")
    assert (inputs.events, inputs.acs) == (4 * int(x.sum()), 4 * int(x.sum()))
    assert sum(layer.connections for layer in counts.layers) == 6 * 2 * (3 * 4 + (products - 1) * 4 * 4)
    assert not [item for item in counts.elementwise if item.name.startswith("cell")]


@pytest.mark.peer
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_a_recurrent_convolution_is_one_product_a_step(reset: str) -> None:
    snn = pytest.importorskip("snntorch")
    torch.manual_seed(0)
    cell = snn.RLeaky(beta=0.5, conv2d_channels=2, kernel_size=3, init_hidden=True, reset_mechanism=reset)
    x = 2 * torch.rand(3, 1, 2, 4, 4)
    out: list[Tensor] = []
    counts = se.trace(Loop(cell, lambda c, now, s: (c(now), None)).eval(), x, samples=1, on_output=out.append)
    (product,) = counts.layers
    assert product.name == "cell.recurrent"
    inside = (
        2 * 2 * sum(9 - 3 * (i in (0, 3)) - (3 - (i in (0, 3))) * (j in (0, 3)) for i in range(4) for j in range(4))
    )
    assert product.connections == 3 * inside  # each pixel's taps that lie inside the image, for each step
    assert product.spikes == int(out[0][:-1].count_nonzero()) > 0
    assert product.calls == 3
