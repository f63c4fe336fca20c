"""One VGG-16, one trace: what each tool says of it, from our counts, with every difference named.

Energies agree to the last digits where a tool prices what a trace holds. Where it charges more (operations that depend
on a backend, input elements of pooling), the rest is compared as well, so that nothing is left unexplained.
"""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import snn_energy as se
from snn_energy.costing.published_methods import account

pytestmark = pytest.mark.peer

sj_neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
sj_functional = pytest.importorskip("spikingjelly.activation_based.functional")
energy = pytest.importorskip("spikingjelly.activation_based.op_counter.analytical_energy")
simple = pytest.importorskip("spikingjelly.activation_based.op_counter.simple_energy")

STEPS = 2
VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


class Vgg(nn.Module):
    """VGG-16 for 32 x 32 pixels, a neuron behind every layer; single-step modules, run T times on the same image."""

    def __init__(self, neuron):
        super().__init__()
        torch.manual_seed(0)
        layers, channels = [], 3
        for width in VGG16:
            if width == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), neuron()]
            channels = width
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 512), neuron(), nn.Linear(512, 10))
        for module in self.layers:
            if isinstance(module, nn.Conv2d | nn.Linear):  # wide enough for spikes to reach the last layer
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                module.weight.data *= 2.0
                nn.init.uniform_(module.bias, -0.05, 0.05)

    def forward(self, x):
        sj_functional.reset_net(self)
        return sum(self.layers(x) for _ in range(STEPS)) / STEPS


NEURONS = {
    "IF": lambda: sj_neuron.IFNode(v_reset=0.0),
    "LIF": lambda: sj_neuron.LIFNode(tau=2.0, decay_input=False, v_reset=0.0),
}


def image() -> Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module", params=NEURONS)
def case(request):
    model = Vgg(NEURONS[request.param]).eval()
    trace = se.trace(model, image(), time_steps=STEPS)
    weighted = trace.layers
    assert [layer.operand.kind for layer in weighted] == ["real", *["binary"] * 14]
    assert all(layer.spikes for layer in weighted)
    return model, trace


def quietly(function, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every module outside its formulas
        return function(*arguments)


def test_lemaire_is_spikingjellys(case):
    """Equal in total and in each of its parts; only pooling, outside the equations, is left out by both."""
    model, trace = case
    theirs = quietly(
        lambda: energy.estimate_lemaire_energy(model, image(), config=energy.LemaireEnergyConfig(strict=False))
    )
    ours = account(trace, "lemaire-2022")
    assert float(ours.energy_pj) == pytest.approx(theirs.total_pj, rel=1e-12)
    parts = {
        "ops_pj": ("first layer", "synapses", "bias", "neurons"),
        "addressing_pj": ("addressing",),
        "inout_pj": ("inputs and outputs",),
        "params_pj": ("weights",),
        "potential_pj": ("potentials",),
    }
    for theirs_name, names in parts.items():
        assert float(sum(ours.part(name)[1] for name in names)) == pytest.approx(
            theirs.breakdown_pj[theirs_name], rel=1e-12
        ), theirs_name


def test_lemaire_on_all_steps_at_once_differs_in_the_first_layer():
    """Given [T, N, ...] at once, SpikingJelly has an input buffer for all T steps, and addresses the kernel once."""
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    torch.manual_seed(1)
    conv, node = layer.Conv2d(2, 4, 3, padding=1, step_mode="m"), sj_neuron.IFNode(step_mode="m", v_reset=0.0)
    model = nn.Sequential(conv, node).eval()
    x = torch.rand(3, 1, 2, 8, 8)
    sj_functional.reset_net(model)
    trace = se.trace(model, [x], time_steps=3, batch_axis=1)
    sj_functional.reset_net(model)
    theirs = quietly(
        lambda: energy.estimate_lemaire_energy(model, x, config=energy.LemaireEnergyConfig(strict=False))
    ).total_pj
    reads, step_bytes = 3 * 4 * 64 * 2 * 9, 4 * 2 * 64
    buffer = reads * (3 - 1) * step_bytes * 10 / 8192  # both sizes lie below 8 KB, on the line through 0
    addressing = (3 - 1) * 4 * 9 * 0.1  # of the kernel: once for a call there, once for a step here
    assert theirs - float(account(trace, "lemaire-2022").energy_pj) == pytest.approx(buffer - addressing, rel=1e-9)


def test_simple_is_spikingjellys(case):
    """MACs, synaptic accumulates and all memory agree; what is left is biases and neurons as its backend runs them."""
    model, trace = case
    theirs = quietly(simple.estimate_simple_energy, model, image())
    ours = account(trace, "spikingjelly-simple")
    by_action = {a: sum(t.count for t in ours.terms if t.action == a) for a in ("mac", "ac", "byte")}
    assert by_action["mac"] == theirs.counts["mac"]
    assert by_action["ac"] == theirs.counts["synop"]
    assert by_action["byte"] == theirs.counts["memory_access_bytes"]
    rest = (theirs.counts["ac"] - theirs.counts["synop"]) * 0.9
    assert float(ours.energy_pj) + rest == pytest.approx(theirs.energy_total_pj, rel=1e-12)
    assert float(ours.energy_pj) == pytest.approx(theirs.energy_total_pj, rel=0.01)
    assert {left.part for left in ours.left} == {"bias", "neurons"}


def test_neurobench(case):
    models, workload = (
        pytest.importorskip("neurobench.models"),
        pytest.importorskip("neurobench.metrics.workload"),
    )
    model, trace = case
    sj_functional.reset_net(model)
    wrapped = models.TorchModel(nn.Sequential(model.layers))
    wrapped.register_hooks()
    metric = workload.SynapticOperations()
    with torch.no_grad():
        model(image())
    found = metric(wrapped, None, (image(), None))
    ours = account(trace, "neurobench")
    counts = {a: int(sum(t.count for t in ours.terms if t.action == a)) for a in ("mac", "ac")}
    assert found["Effective_ACs"] == pytest.approx(counts["ac"], rel=1e-6)  # NeuroBench sums in single precision
    assert found["Effective_MACs"] == pytest.approx(counts["mac"], rel=1e-6)
    for hook in wrapped.connection_hooks:
        hook.hook.remove()


@pytest.fixture
def syops_ops(monkeypatch):
    """Its hooks, without the package around them: it asks for names that SpikingJelly 2.0 has no more."""
    package = importlib.util.find_spec("syops")
    if package is None or package.origin is None:
        pytest.skip("syops is not installed")
    old = types.ModuleType("spikingjelly.clock_driven.neuron")
    for name in ("IFNode", "LIFNode", "ParametricLIFNode"):
        setattr(old, name, getattr(sj_neuron, name))
        setattr(old, f"MultiStep{name}", type(f"MultiStep{name}", (nn.Module,), {}))
    monkeypatch.setitem(sys.modules, "spikingjelly.clock_driven", types.ModuleType("spikingjelly.clock_driven"))
    monkeypatch.setitem(sys.modules, "spikingjelly.clock_driven.neuron", old)
    spec = importlib.util.spec_from_file_location("syops_ops", Path(package.origin).with_name("ops.py"))
    ops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ops)
    return ops


def test_syops(case, syops_ops):
    """Equal but for pooling, whose input elements times rate it adds."""
    numpy = pytest.importorskip("numpy")
    model, trace = case
    hooks = {
        nn.Conv2d: syops_ops.conv_syops_counter_hook,
        nn.Linear: syops_ops.linear_syops_counter_hook,
        nn.MaxPool2d: syops_ops.pool_syops_counter_hook,
        sj_neuron.IFNode: syops_ops.IF_syops_counter_hook,
        sj_neuron.LIFNode: syops_ops.LIF_syops_counter_hook,
    }
    handles = []
    for module in model.layers:
        if type(module) in hooks:
            module.__syops__ = numpy.zeros(4)
            handles.append(module.register_forward_hook(hooks[type(module)]))
    with torch.no_grad():
        model(image())
    for handle in handles:
        handle.remove()
    counted = [module for module in model.layers if type(module) in hooks]
    acs, macs = (sum(m.__syops__[i] for m in counted if type(m) is not nn.MaxPool2d) for i in (1, 2))
    theirs = 0.9 * acs + 4.6 * macs
    pooling = 0.9 * sum(m.__syops__[1] for m in counted if type(m) is nn.MaxPool2d)
    ours = account(trace, "syops")
    assert float(ours.energy_pj) == pytest.approx(theirs, rel=1e-6)  # its rates are single precision
    assert 0 < pooling < 0.01 * theirs
    assert {left.part for left in ours.left} == {"other arithmetic"}
