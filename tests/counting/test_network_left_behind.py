"""Laws of whole networks: tracing leaves model, mode, hooks and flags as they were, also after an exception."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from exact_networks import data, exact, weights_of
from hypothesis import strategies as st
from on_networks import example, facts, kinds, on_networks, seeds, trace
from state import snapshot, tagged
from torch import nn

from snn_energy.models import ALIFCell, SpikingNeuron

MODES = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}


class BoomError(Exception):
    """A user's own error."""


class Fuse:
    """A hook that raises at its `at`-th call, once."""

    def __init__(self, at: int, error: type[BaseException] = BoomError) -> None:
        self.left, self.error = at, error

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


def mixed(net: nn.Module) -> nn.Module:
    """Some modules in training mode, some weights frozen, some with a gradient."""
    net.train()
    for i, layer in enumerate(weights_of(net).values()):
        layer.train(i % 2 == 0)
        for parameter in layer.parameters():
            parameter.requires_grad_(i % 3 > 0)
            if i % 3 == 1:
                parameter.grad = torch.ones_like(parameter)
    return net


def kept(state: dict[str, Any]) -> dict[str, Any]:
    """Gradients compare as lists."""
    return state | {"gradients": [None if grad is None else grad.tolist() for grad in state["gradients"]]}


@on_networks(seed=seeds, kind=kinds, mode=st.sampled_from(sorted(MODES)), stepped=st.booleans())
def test_a_trace_leaves_nothing_behind(name: str, seed: int, kind: str, mode: str, stepped: bool) -> None:
    net, x = example(name, seed, kind, stepped=stepped)
    mixed(net)
    value, version = x.clone(), x._version
    with MODES[mode]():
        before = kept(snapshot(net))
        trace(name, net, x)
        assert kept(snapshot(net)) == before
    assert tagged(net) == []
    assert torch.equal(x, value)
    assert x._version == version


@on_networks(
    seed=seeds,
    kind=kinds,
    mode=st.sampled_from(sorted(MODES)),
    where=st.integers(0, 100),
    at=st.integers(1, 2),
    error=st.sampled_from((BoomError, KeyboardInterrupt)),
    stepped=st.booleans(),
)
def test_a_failed_trace_leaves_nothing_behind(
    name: str, seed: int, kind: str, mode: str, where: int, at: int, error: type[BaseException], stepped: bool
) -> None:
    """Whichever neuron or layer fails, at its first call or its second; the next trace is the exact one."""
    net, x = example(name, seed, kind, stepped=stepped)
    want = facts(trace(name, exact(name, seed, stepped=stepped), [x, x]))
    mixed(net)
    places = [m for m in net.modules() if isinstance(m, (SpikingNeuron, ALIFCell, nn.Linear, nn.Conv2d))]
    fuse = Fuse(at, error)
    place = places[where % len(places)]
    handle = place.register_forward_hook(fuse) if where % 2 else place.register_forward_pre_hook(fuse)
    with MODES[mode]():
        before = kept(snapshot(net))
        with pytest.raises(error):
            trace(name, net, [x, x])
        assert fuse.left == 0
        assert kept(snapshot(net)) == before
    assert tagged(net) == []
    handle.remove()
    assert facts(trace(name, net, [x, x])) == want


@on_networks(seed=seeds, kind=kinds, good=st.integers(0, 2))
def test_a_failing_data_source_leaves_nothing_behind(name: str, seed: int, kind: str, good: int) -> None:
    net, x = example(name, seed, kind)

    def batches() -> Iterator[torch.Tensor]:
        for _ in range(good):
            yield x
        raise BoomError

    before = snapshot(net)
    with pytest.raises(BoomError):
        trace(name, net, batches())
    assert snapshot(net) == before


@on_networks(seed=seeds, kind=kinds, stepped=st.booleans())
def test_outputs_are_those_of_the_untraced_network(name: str, seed: int, kind: str, stepped: bool) -> None:
    net, x = example(name, seed, kind, stepped=stepped)
    seen: list[torch.Tensor] = []
    trace(name, net, x, on_output=lambda out: seen.append(out.clone()))
    with torch.no_grad():
        assert torch.equal(seen[0], net(x))
    assert data(name, 2, kind, seed + 1).equal(x)
