"""Laws of whole networks: how one is written does not matter; what its numbers are does, in known ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from exact_networks import PLANS, data, exact, weights_of
from hypothesis import strategies as st
from on_networks import example, facts, kinds, on_networks, samples, seeds, trace
from torch import Tensor, nn
from torch.nn import functional as F

from snn_energy.models import LIF, ALIFCell, LIFCell, SpikingNeuron
from snn_energy.models.units import ConvUnit, LinearUnit


class MyConv(nn.Conv2d):
    """A subclass that says nothing new."""


class MyTransposed(nn.ConvTranspose2d):
    """A subclass that says nothing new."""


class MyLinear(nn.Linear):
    """A subclass that says nothing new."""


class MyLIF(LIF):
    """A subclass that says nothing new."""


class MyCell(LIFCell):
    """A subclass that says nothing new."""


class ConvByFunction(nn.Conv2d):
    """The convolution as a functional call."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class TransposedByFunction(nn.ConvTranspose2d):
    """The transposed convolution as a functional call."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding, self.output_padding)


class LinearByProduct(nn.Linear):
    """The linear layer as a matrix product and an addition."""

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight.t()
        return y if self.bias is None else y + self.bias


SUBCLASSES = {nn.Conv2d: MyConv, nn.ConvTranspose2d: MyTransposed, nn.Linear: MyLinear, LIF: MyLIF, LIFCell: MyCell}
BY_FUNCTION = {nn.Conv2d: ConvByFunction, nn.ConvTranspose2d: TransposedByFunction, nn.Linear: LinearByProduct}


def reclassed(net: nn.Module, classes: dict[Any, Any]) -> nn.Module:
    changed = 0
    for module in net.modules():
        if type(module) in classes:
            module.__class__ = classes[type(module)]
            changed += 1
    assert changed >= 2
    return net


class Wrapper(nn.Module):
    """Runs `call(net, x)`; the network may hang in it under any names."""

    def __init__(self, net: nn.Module, call: Callable[[nn.Module, Any], Any], **more: nn.Module) -> None:
        super().__init__()
        self.call, self.net = call, net
        for name, module in more.items():
            self.add_module(name, module)

    def forward(self, x: Any) -> Any:
        return self.call(self.net, x)


def nameless(traced: Any, *left_out: str) -> dict[str, Any]:
    """Facts in order, without the names of the modules."""
    found = facts(traced)
    return {
        key: list(value.values()) if key in ("layers", "neurons") else value
        for key, value in found.items()
        if key not in left_out
    } | {"other": sorted((kind, values) for (_, kind), values in found["other"].items())}


@on_networks(seed=seeds, kind=kinds, n=samples, stepped=st.booleans())
def test_subclasses_and_functional_calls(name: str, seed: int, kind: str, n: int, stepped: bool) -> None:
    net, x = example(name, seed, kind, n, stepped=stepped)
    want = facts(trace(name, net, x))
    assert facts(trace(name, reclassed(exact(name, seed, stepped=stepped), SUBCLASSES), x)) == want
    assert facts(trace(name, reclassed(exact(name, seed, stepped=stepped), BY_FUNCTION), x)) == want


@on_networks(seed=seeds, kind=kinds, n=samples)
def test_names_nesting_and_sharing(name: str, seed: int, kind: str, n: int) -> None:
    """Whatever the paths, and however many of them lead to one module."""
    net, x = example(name, seed, kind, n)
    want = nameless(trace(name, net, x))
    nested = nn.Sequential(nn.Sequential(nn.Identity(), nn.Sequential(net)))
    renamed = Wrapper(net, lambda net, x: net(x))
    for path, module in list(net.named_children()):
        renamed.add_module(f"also_{path}", module)  # a second way to every part
    stateless = Wrapper(net, lambda net, x: torch.func.functional_call(net, dict(net.named_parameters()), (x,)))
    for written in (nested, renamed, stateless):
        assert nameless(trace(name, written.eval(), x)) == want
    twice = Wrapper(net, lambda net, x: (net(x), net(x)), shared=net)
    doubled = trace(name, twice.eval(), x)
    once = trace(name, net, x)
    assert [(layer.calls, layer.events, layer.weights) for layer in doubled.layers] == [
        (2 * layer.calls, 2 * layer.events, layer.weights) for layer in once.layers
    ]


@on_networks(seed=seeds, kind=kinds, n=samples)
def test_one_neuron_in_every_place(name: str, seed: int, kind: str, n: int) -> None:
    """Neurons without state may be one and the same module: it then does the work of all."""
    net, x = example(name, seed, kind, n, stepped=False)
    want = trace(name, net, x)
    one = next(module for module in net.modules() if isinstance(module, SpikingNeuron | ALIFCell))
    places = 0
    for module in list(net.modules()):
        for path, child in list(module.named_children()):
            if type(child) is type(one) and repr(child) == repr(one):
                setattr(module, path, one)
                places += 1
    assert places >= 2
    got = trace(name, net, x)
    assert facts(got)["layers"] == facts(want)["layers"]
    for count in ("updates", "spikes", "adds", "muls", "compares", "calls"):
        assert sum(getattr(neuron, count) for neuron in got.neurons) == sum(
            getattr(neuron, count) for neuron in want.neurons
        )


@on_networks([name for name in PLANS if name != "recurrent"], seed=seeds, kind=kinds, n=samples)
def test_memory_format(name: str, seed: int, kind: str, n: int) -> None:
    """Channels last, in the weights or in the images, strided or expanded: the same numbers in another order."""
    net, x = example(name, seed, kind, n)
    want = facts(trace(name, net, x))
    last = {"memory_format": torch.channels_last}
    for images in (x.to(**last), x.flip(-1).flip(-1), x.repeat_interleave(2, -1)[..., ::2]):
        assert facts(trace(name, net, images)) == want
    assert facts(trace(name, exact(name, seed).to(**last), x.to(**last))) == want


@on_networks([name for name in PLANS if name != "recurrent"], seed=seeds, kind=kinds, n=samples)
def test_a_batch_norm_is_its_folded_layer(name: str, seed: int, kind: str, n: int) -> None:
    """A norm right behind its weights costs its shift, one addition: what the bias costs once it is folded."""
    folded, x = example(name, seed, kind, n)
    net = exact(name, seed, folded=False)
    rng = torch.Generator().manual_seed(seed)
    for unit in net.modules():
        if not isinstance(unit, ConvUnit | LinearUnit):
            continue
        path = next(path for path, module in net.named_modules() if module is unit)
        kept = next(folded.get_submodule(path).children())
        layer, norm = next(unit.children()), unit.norm
        axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        gain = 2.0 ** torch.randint(-1, 2, (norm.num_features,), generator=rng)
        shape = [1] * kept.weight.dim()
        shape[axis] = -1
        with torch.no_grad():
            own, other = (dict(m.named_parameters()) for m in (layer, kept))
            for key in set(own):
                own[key].copy_(other[key] / gain.reshape(shape))
            norm.running_mean.copy_(torch.randint(-2, 3, gain.shape, generator=rng) / 4)
            norm.running_var.fill_(1.0)
            norm.eps = 0.0
            norm.weight.copy_(gain)
            norm.bias.copy_(kept.bias + norm.running_mean * gain)
    for path, module in weights_of(net).items():
        if path == "head":
            module.load_state_dict(folded.get_submodule(path).state_dict())
    want, got = facts(trace(name, folded, x)), facts(trace(name, net, x))
    shifts = {key: values for key, values in got["other"].items() if key[1] == "batch_norm (folded)"}
    assert len(shifts) == len(want["layers"]) - len([name for name in want["layers"] if "matmul" in name]) - 1
    assert got["other"] == want["other"] | shifts
    moved = 0
    for path, layer in want["layers"].items():
        if path != "head" and layer["bias_adds"]:
            moved += layer["bias_adds"]
            layer["bias_adds"] = 0
    assert sum(adds for adds, *_ in shifts.values()) == moved > 0
    assert {(muls, compares, specials) for _, muls, compares, specials in shifts.values()} == {(0, 0, 0)}
    assert got["layers"] == want["layers"]
    assert got["neurons"] == want["neurons"]


class Taller(nn.Module):
    """A neuron whose spikes are `height` high."""

    def __init__(self, neuron: nn.Module, height: float) -> None:
        super().__init__()
        self.neuron, self.height = neuron, height

    def forward(self, *args: Any) -> Any:
        out = self.neuron(*args)
        return (out[0] * self.height, *out[1:]) if isinstance(out, tuple) else out * self.height


@on_networks(height=st.sampled_from((0.25, 2.0, 8.0, -0.5)), seed=seeds, kind=kinds, stepped=st.booleans())
def test_a_constant_scale_folds_into_the_weights(name: str, height: float, seed: int, kind: str, stepped: bool) -> None:
    """Spikes of another height into weights as many times smaller: every class but its scale, and every count."""
    added = {"join": "ADD"} if name == "sew-resnet" else {}  # a product of two scaled spikes is no scaled spike
    net, x = example(name, seed, kind, stepped=stepped, **added)
    taller = exact(name, seed, stepped=stepped, **added)
    if any(isinstance(module, nn.MaxPool2d) for module in net.modules()):
        height = abs(height)  # the largest of negative spikes is no spike
    _, *later = weights_of(taller).values()
    with torch.no_grad():
        for layer in later:
            # A pruned layer keeps its weight as `weight_orig`.
            dict(layer.named_parameters()).get("weight_orig", layer.weight).div_(height)
    for module in list(taller.modules()):
        for child_name, child in list(module.named_children()):
            if isinstance(child, SpikingNeuron | ALIFCell):
                setattr(module, child_name, Taller(child, height))
        if hasattr(module, "scale"):
            module.scale /= height**3  # of q, k and v
    want, got = trace(name, net, x), trace(name, taller.eval(), x)
    scaled = {layer.name for layer in got.layers if layer.values != _layer(want, layer.name).values}
    assert len(scaled) >= 1
    assert {layer.name: _counted(layer) for layer in got.layers} == {
        layer.name: _counted(layer) for layer in want.layers
    }
    for layer in got.layers:
        scale = _layer(want, layer.name).operand.scale
        if layer.name in scaled and layer.partner_values is None and scale is not None:
            assert layer.operand.scale == scale * (height if layer.operand.kind == "binary" else abs(height))
    assert [neuron.spikes_per_step for neuron in got.neurons] == [neuron.spikes_per_step for neuron in want.neurons]


def _layer(traced: Any, name: str) -> Any:
    return next(layer for layer in traced.layers if layer.name == name)


def _counted(layer: Any) -> dict[str, Any]:
    names = (
        "dense_macs", "connections", "events", "effective_events", "unit_events", "graded_events", "acs", "macs",
        "spikes", "elements", "weights", "zero_weights", "bias_adds",
    )  # fmt: skip
    return {name: getattr(layer, name) for name in names} | {"kind": layer.operand.kind}


EVENTS = ("events", "effective_events", "unit_events", "acs", "graded_events", "spikes")


def _beside(name: str, x: Tensor, extra: int, value: float) -> Tensor:
    """The input with further channels, all of one value."""
    axis = 2 if PLANS[name].time_first else 1
    shape = list(x.shape)
    shape[axis] = extra
    return torch.cat([x, x.new_full(shape, value)], axis)


@on_networks(extra=st.integers(1, 3), seed=seeds, kind=kinds)
def test_silent_channels_change_no_event(name: str, extra: int, seed: int, kind: str) -> None:
    """Channels that never spike: more connections in the first layer, not one event anywhere."""
    net, x = example(name, seed, kind)
    want = trace(name, net, x)
    got = trace(name, exact(name, seed, extra=extra), _beside(name, x, extra, 0.0))
    assert _each(got, EVENTS) == _each(want, EVENTS)
    assert _each(got, ("connections",))[1:] == _each(want, ("connections",))[1:]
    assert got.layers[0].connections > want.layers[0].connections
    assert [neuron.spikes_per_step for neuron in got.neurons] == [neuron.spikes_per_step for neuron in want.neurons]


@on_networks(extra=st.integers(1, 3), seed=seeds, kind=kinds)
def test_zero_weights_change_no_effective_event(name: str, extra: int, seed: int, kind: str) -> None:
    """Channels that spike into weights of zero: events of the first layer, no effective one."""
    net, x = example(name, seed, kind)
    want = trace(name, net, x)
    got = trace(name, exact(name, seed, extra=extra, extra_weight=0.0), _beside(name, x, extra, 1.0))
    assert _each(got, ("effective_events",)) == _each(want, ("effective_events",))
    assert _each(got, EVENTS)[1:] == _each(want, EVENTS)[1:]
    assert got.layers[0].events > want.layers[0].events
    added = got.layers[0].weights - want.layers[0].weights
    assert added > 0
    assert got.layers[0].zero_weights == want.layers[0].zero_weights + added


def _each(traced: Any, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    return [tuple(getattr(layer, name) for name in names) for layer in traced.layers]


@on_networks(seed=seeds, kind=kinds, n=samples, stepped=st.booleans())
def test_rate_zero_is_zero(name: str, seed: int, kind: str, n: int, stepped: bool) -> None:
    """Nothing in and no bias: every connection is there, and nothing happens on it."""
    net = exact(name, seed, stepped=stepped)
    with torch.no_grad():
        for layer in weights_of(net).values():
            if layer.bias is not None:
                layer.bias.zero_()
    traced = trace(name, net, data(name, n, kind, seed, rate=0.0))
    assert all(layer.connections > 0 for layer in traced.layers)
    assert [str(layer.operand) for layer in traced.layers] == ["silent"] * len(traced.layers)
    names = ("events", "effective_events", "unit_events", "graded_events", "acs", "macs", "spikes")
    assert {getattr(layer, count) for layer in traced.layers for count in names} == {0}
    assert {neuron.spikes for neuron in traced.neurons} == {0}
    assert all(neuron.updates > 0 for neuron in traced.neurons)


@on_networks(seed=seeds, kind=kinds, n=samples, stepped=st.booleans())
def test_rate_one_is_the_connections(name: str, seed: int, kind: str, n: int, stepped: bool) -> None:
    """Everything fires at every step: each connection is an event, but for the silence before the first step."""
    added = {"join": "ADD"} if name == "sew-resnet" else {}
    net = exact(name, seed, stepped=stepped, **added | ({"neuron": "lif"} if name == "recurrent" else {}))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
        for layer in weights_of(net).values():
            if layer.bias is not None:
                layer.bias.fill_(1.0)
    steps = PLANS[name].steps
    traced = trace(name, net, data(name, n, kind, seed, rate=1.0))
    for layer in traced.layers:
        fed_back = layer.name.endswith("recurrent")
        assert layer.events == (layer.connections // steps * (steps - 1) if fed_back else layer.connections) > 0
        assert layer.spikes == (layer.elements // steps * (steps - 1) if fed_back else layer.elements)
    assert [neuron.spikes for neuron in traced.neurons] == [
        neuron.updates if neuron.spiking else 0 for neuron in traced.neurons
    ]
