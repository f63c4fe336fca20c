"""Whole networks: what each layer was fed, caught by plain hooks and counted by the nested loops."""

from __future__ import annotations

from typing import Any

import brute
import pytest
import torch
from agree import FACTS, pick, same_class, trace
from torch import nn
from torch.nn.utils import prune

from snn_energy.models.neurons import LIF
from snn_energy.models.spiking_cnn import SpikingCNN


def oracle(module: nn.Module, x: torch.Tensor) -> brute.Tally:
    if isinstance(module, nn.Linear):
        return brute.linear(x.tolist(), module.weight.tolist())
    assert isinstance(module, nn.Conv2d)
    return brute.conv(
        x.tolist(),
        module.weight.tolist(),
        stride=module.stride,
        padding=[(p, p) for p in module.padding],
        dilation=module.dilation,
        groups=module.groups,
    )


def caught(net: nn.Module, batches: list[torch.Tensor]) -> dict[str, list[torch.Tensor]]:
    """Inputs of every convolution and linear layer, by module path."""
    inputs: dict[str, list[torch.Tensor]] = {}
    handles = [
        module.register_forward_pre_hook(
            lambda module, args, path=path: inputs.setdefault(path, []).append(args[0].clone())
        )
        for path, module in net.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        for batch in batches:
            net(batch)
    for handle in handles:
        handle.remove()
    return inputs


class Residual(nn.Module):
    """A spiking residual block of the element-wise-added kind: its sums are integers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.b = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.fire, self.fire_again = LIF(decay=0.5, threshold=0.05), LIF(decay=0.5, threshold=0.05)

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        steps = spikes.shape[0]
        y = self.norm(self.a(spikes.flatten(0, 1))).unflatten(0, (steps, -1))
        y = self.b(self.fire(y).flatten(0, 1)).unflatten(0, (steps, -1))
        return self.fire_again(y) + spikes


class SpikingResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fire = nn.Conv2d(1, 2, 3, padding=1, stride=2), LIF(decay=0.5, threshold=0.3)
        self.blocks = nn.Sequential(Residual(2), Residual(2))
        self.head = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = self.fire(self.stem(x)[None].expand(3, -1, -1, -1, -1))
        return self.head(self.blocks(spikes).mean((-1, -2)).flatten(0, 1)).unflatten(0, (3, -1)).mean(0)


def cnn() -> nn.Module:
    return SpikingCNN(1, 3, 8, widths=(2, 3), time_steps=2, threshold=0.3)


@pytest.mark.parametrize("build", [cnn, SpikingResNet])
@pytest.mark.parametrize("pruned", [False, True])
def test_every_layer_of_a_network(build: Any, pruned: bool) -> None:
    torch.manual_seed(1)
    net = build().eval()
    if pruned:
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                prune.l1_unstructured(module, "weight", amount=0.4)
    batches = [torch.rand(2, 1, 8, 8), torch.rand(1, 1, 8, 8)]
    inputs = caught(net, batches)
    modules = dict(net.named_modules())
    traced = trace(net, batches)
    assert traced.samples == 3
    assert {layer.name for layer in traced.layers} == set(inputs)
    assert any(layer.operand.kind == "binary" for layer in traced.layers)
    for layer in traced.layers:
        calls = inputs[layer.name]
        want = brute.total(oracle(modules[layer.name], x) for x in calls)
        assert (layer.name, pick(layer, FACTS)) == (layer.name, pick(want, FACTS))
        assert layer.calls == len(calls)
        same_class(layer, [value for x in calls for value in x.flatten().tolist()])


def test_added_spikes_are_integers_in_the_network() -> None:
    torch.manual_seed(1)
    traced = trace(SpikingResNet().eval(), torch.rand(2, 1, 8, 8))
    kinds = {layer.name: layer.operand.kind for layer in traced.layers}
    assert kinds["stem"] == "real"
    assert kinds["blocks.1.a"] == "integer"
    assert kinds["blocks.0.b"] == "binary"
