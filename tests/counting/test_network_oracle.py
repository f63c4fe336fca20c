"""The six networks against nested loops: what every product was fed, caught from outside and counted."""

from __future__ import annotations

from typing import Any

import brute
import pytest
from agree import FACTS, pick, same_class
from catching import caught, oracle
from exact_networks import PLANS
from hypothesis import given, settings
from networks import BATCH_AXIS, NETWORKS
from on_networks import example, kinds, seeds, trace
from torch import Tensor, nn

from snn_energy.models import ALIFCell, LeakyIntegrator


def check(net: nn.Module, x: Tensor, traced: Any) -> None:
    """Every layer, product and neuron of a trace against what was caught."""
    modules = dict(net.named_modules())
    with caught(net) as (operands, spikes, products):
        net(x)
    layers = {layer.name: layer for layer in traced.layers}
    pairs = [layer for layer in traced.layers if layer.partner_values is not None]
    assert {layer.name for layer in traced.layers if layer.partner_values is None} == set(operands)
    for path, calls in operands.items():
        layer, module = layers[path], modules[path]
        want = brute.total(oracle(module, one) for one in calls)
        assert (path, pick(layer, FACTS)) == (path, pick(want, FACTS))
        assert layer.calls == len(calls)
        assert layer.weights == module.weight.numel()
        assert layer.zero_weights == sum(weight == 0 for weight in module.weight.flatten().tolist())
        same_class(layer, [value for one in calls for value in one.flatten().tolist()])
        assert layer.bias_adds == (0 if module.bias is None else sum(module(one).numel() for one in calls))
    assert bool(pairs) == bool(products)
    for number, layer in enumerate(pairs):  # one attention: q k^T, then (q k^T) v, at every call
        calls = products[number :: len(pairs)]
        want = brute.total(brute.matmul(a.tolist(), b.tolist()) for a, b in calls)
        names = ("dense_macs", "connections", "events", "effective_events")
        assert (layer.name, pick(layer, names)) == (layer.name, pick(want, names))
        assert layer.calls == len(calls)
        factors = [[value for pair in calls for value in pair[side].flatten().tolist()] for side in (0, 1)]
        classes = ("silent", "binary", "ternary", "integer", "real")
        assert layer.operand.kind == min((brute.operand_class(values)[0] for values in factors), key=classes.index)
    integrators = [neuron for neuron in traced.neurons if not neuron.spiking]
    assert [(neuron.kind, neuron.spikes) for neuron in integrators] == [
        ("li", 0) for module in modules.values() if isinstance(module, LeakyIntegrator)
    ]
    for neuron in integrators:  # one value for each time step of each logit
        assert neuron.updates == net.classes * sum(len(one.flatten(0, -2)) for one in operands["head"])
        assert neuron.state_elements == net.classes
    assert {neuron.name for neuron in traced.neurons if neuron.spiking} == set(spikes)
    for neuron in (neuron for neuron in traced.neurons if neuron.spiking):
        steps = spikes[neuron.name]
        assert neuron.spikes_per_step == tuple(sum(v != 0 for v in step.flatten().tolist()) for step in steps)
        assert neuron.updates == sum(step.numel() for step in steps)
        variables = 2 if isinstance(modules[neuron.name], ALIFCell) else 1
        assert neuron.state_elements == variables * steps[0][0].numel()


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("name", PLANS)
def test_every_layer_of_every_network(name: str, stepped: bool) -> None:
    """Two networks and data each by default; `test_many_networks` draws more."""
    for seed, kind in ((1, "binary"), (2, "real")):
        net, x = example(name, seed, kind, n=1, stepped=stepped)
        check(net, x, trace(name, net, x))


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_many_networks(name: str) -> None:
    @settings(max_examples=8)
    @given(seed=seeds, kind=kinds)
    def example_of(seed: int, kind: str) -> None:
        net, x = example(name, seed, kind, n=2)
        check(net, x, trace(name, net, x))

    example_of()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_of_the_benchmarks(name: str) -> None:
    """Batch norms, adaptive neurons and weights that are no small fractions."""
    net, x = NETWORKS[name]()
    x = x.narrow(BATCH_AXIS[name], 0, 1)
    check(net, x, trace(name, net, x))
