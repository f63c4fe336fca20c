"""Laws of whole networks: what must not change a count, however data, time and calls are arranged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from agree import COUNTS
from exact_networks import PLANS, batch_axis, data, exact
from hypothesis import strategies as st
from networks import NETWORKS, SIZES
from on_networks import example, facts, kinds, on_networks, samples, seeds, trace
from torch import nn

import snn_energy as se
from snn_energy.models import ALIFCell, SpikingNeuron

SHOWN_AT_EVERY_STEP = [name for name, plan in PLANS.items() if not plan.time_first]


@pytest.mark.parametrize("size", [SIZES[0], pytest.param(SIZES[1], marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_fires_at_a_realistic_rate(name: str, size: str) -> None:
    """The networks that benchmarks run: neither silent nor saturated, in either order of time."""
    for stepped in (False, True):
        rates = _rates(*NETWORKS[name](size, stepped))
        assert len(rates) >= 2
        assert {path: rate for path, rate in rates.items() if not 0.02 <= rate <= 0.6} == {}


def _rates(model: nn.Module, x: torch.Tensor) -> dict[str, float]:
    """Share of non-zero outputs of each neuron, by plain hooks."""
    fired: dict[str, list[torch.Tensor]] = {}

    def keep(module: nn.Module, args: Any, out: Any) -> None:
        fired.setdefault(paths[module], []).append(out[0] if isinstance(out, tuple) else out)

    paths = {module: path for path, module in model.named_modules()}
    for module in paths:
        if isinstance(module, SpikingNeuron | ALIFCell):
            module.register_forward_hook(keep)
    with torch.no_grad():
        model(x)
    return {
        path: sum(int(out.count_nonzero()) for out in outs) / sum(out.numel() for out in outs)
        for path, outs in fired.items()
    }


@on_networks(
    n=st.integers(2, 4),
    size=st.integers(1, 3),
    kind=kinds,
    seed=seeds,
    stepped=st.booleans(),
    rng=st.randoms(use_true_random=False),
)
def test_batch_split_and_order(name: str, n: int, size: int, kind: str, seed: int, stepped: bool, rng: Any) -> None:
    net, x = example(name, seed, kind, n, stepped=stepped)
    whole = trace(name, net, x)
    parts = list(x.split(size, batch_axis(name)))
    rng.shuffle(parts)
    split = trace(name, net, parts)
    assert facts(split) == facts(whole)
    assert split.samples == whole.samples == n
    assert [layer.calls for layer in split.layers] == [len(parts) * layer.calls for layer in whole.layers]


@on_networks(seed=seeds, kind=kinds, n=samples)
def test_time_folded_into_the_batch_or_step_by_step(name: str, seed: int, kind: str, n: int) -> None:
    """One call for all time steps, or the whole network once for each: T times the calls, the same work."""
    folded, x = example(name, seed, kind, n)
    one, loop = trace(name, folded, x), trace(name, exact(name, seed, stepped=True), x)
    assert facts(loop) == facts(one)
    steps = PLANS[name].steps
    recurrent = {layer.name: layer.calls for layer in one.layers if layer.name.endswith("recurrent")}
    assert set(recurrent.values()) <= {steps}
    assert {layer.name: layer.calls for layer in loop.layers} == {
        layer.name: recurrent.get(layer.name, steps * layer.calls) for layer in one.layers
    }


class SamplesFirst(nn.Module):
    """The network, fed [N, T, ...]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.transpose(0, 1))


@on_networks(seed=seeds, kind=kinds, n=samples, stepped=st.booleans())
def test_frames_as_tn_or_nt(name: str, seed: int, kind: str, n: int, stepped: bool) -> None:
    net, x = example(name, seed, kind, n, stepped=stepped)
    frames = x if PLANS[name].time_first else torch.stack([x, x.flip(0), x])
    want = facts(trace(name, net, frames, batch_axis=1))
    for data_nt in (frames.transpose(0, 1), frames.transpose(0, 1).contiguous()):
        traced = trace(name, SamplesFirst(net).eval(), data_nt, batch_axis=0)
        assert facts(_inner(traced, "net")) == want


def _inner(traced: Any, prefix: str) -> Any:
    """The trace with a wrapper's name taken off every path; the wrapped network is `(model)` again."""

    def plain(record: Any) -> Any:
        return replace(record, name=record.name.removeprefix(prefix).removeprefix(".") or "(model)")

    return replace(
        traced,
        layers=tuple(plain(layer) for layer in traced.layers),
        neurons=tuple(plain(neuron) for neuron in traced.neurons),
        elementwise=tuple(plain(record) for record in traced.elementwise),
    )


@on_networks(SHOWN_AT_EVERY_STEP, seed=seeds, kind=kinds, n=samples)
def test_an_image_is_its_frames(name: str, seed: int, kind: str, n: int) -> None:
    net, x = example(name, seed, kind, n)
    frames = torch.stack([x] * PLANS[name].steps)
    assert facts(trace(name, net, frames, batch_axis=1)) == facts(trace(name, net, x))


@on_networks(seed=seeds, kind=kinds, n=samples)
def test_gradient_modes(name: str, seed: int, kind: str, n: int) -> None:
    net, x = example(name, seed, kind, n)
    want = facts(trace(name, net, x))
    for mode in (torch.no_grad, torch.enable_grad, torch.inference_mode):
        with mode():
            assert facts(trace(name, net, x)) == want
    with torch.inference_mode():
        inference_tensor = x.clone()
    assert facts(trace(name, net, inference_tensor)) == want
    assert facts(trace(name, net, x.clone().requires_grad_())) == want
    assert facts(trace(name, net.requires_grad_(False).train(), x)) == want


@on_networks(seed=seeds, kind=kinds, n=samples)
def test_repeated_traces_agree(name: str, seed: int, kind: str, n: int) -> None:
    """Twice the same answer; the same data twice is twice the work, and no other class."""
    net, x = example(name, seed, kind, n)
    first = trace(name, net, x)
    assert facts(trace(name, net, x)) == facts(first)
    assert facts(trace(name, net, [x, x])) == facts(first + first)
    once = {layer.name: layer.events for layer in first.layers}
    assert {layer.name: layer.events for layer in (first + first).layers} == {k: 2 * v for k, v in once.items()}


@on_networks(seeds=st.lists(st.tuples(seeds, kinds), min_size=3, max_size=3))
def test_ranks_merged_are_one_process(name: str, seeds: list[tuple[int, str]]) -> None:
    """Three ranks with three shares of the data, one by way of a file: in any order, the trace of one process."""
    net = exact(name, seeds[0][0])
    shares = [data(name, n + 1, kind, seed) for n, (seed, kind) in enumerate(seeds)]
    a, b, c = (trace(name, net, share) for share in shares)
    whole = trace(name, net, shares)
    with TemporaryDirectory() as folder:
        se.save_trace(b, Path(folder) / "b.json.gz")
        b = se.load_trace(Path(folder) / "b.json.gz")
    for merged in (a + b + c, a + (b + c), c + a + b):
        assert facts(merged) == facts(whole)
        assert merged.coverage.complete
    assert [layer.calls for layer in (a + b + c).layers] == [layer.calls for layer in whole.layers]
    for count in (*COUNTS, "acs", "macs", "graded_events"):
        assert getattr(a + b + c, count) == getattr(whole, count)


@on_networks(seed=seeds, kind=kinds, n=samples)
def test_layers_add_up(name: str, seed: int, kind: str, n: int) -> None:
    """Totals are sums, every event is of exactly one class, and each count bounds the next."""
    net, x = example(name, seed, kind, n)
    traced = trace(name, net, x)
    for count in (*COUNTS, "acs", "macs", "graded_events"):
        assert getattr(traced, count) == sum(getattr(layer, count) for layer in traced.layers)
    for layer in traced.layers:
        assert layer.dense_macs >= layer.connections >= layer.events >= layer.effective_events >= 0
        assert layer.elements >= layer.spikes
        assert layer.weights >= layer.zero_weights
        classes = {"acs": layer.events, "macs": layer.connections, "graded_events": layer.events}
        own = {"integer": "graded_events", "real": "macs"}.get(layer.operand.kind, "acs")
        assert {key: getattr(layer, key) for key in classes} == dict.fromkeys(classes, 0) | {own: classes[own]}
    for neuron in traced.neurons:
        assert neuron.spikes == sum(neuron.spikes_per_step) <= neuron.updates
        variables = 2 if neuron.kind == "alif" else 1
        assert neuron.updates * variables == neuron.state_elements * n * PLANS[name].steps
