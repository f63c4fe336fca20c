"""Random recurrent graphs with skips, sums and delays: every spike and every event as in exact fractions, by loops."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nir_graphs import DT

import snn_energy as se
from snn_energy.nirgraph import NirGraph, NirNetwork, NirNode

STEPS = 5


@dataclass
class Layer:
    """Neurons fed by earlier layers (-1: the input) through matrices, by themselves, and some of it late."""

    width: int
    decay: Fraction
    threshold: Fraction
    weights: dict[int, list[list[Fraction]]]
    late: dict[int, int] = field(default_factory=dict)
    """Source -> time steps of delay."""
    recurrent: list[list[Fraction]] | None = None


def drawn(rng: random.Random) -> tuple[int, list[Layer]]:
    inputs, layers = rng.randint(1, 3), []

    def matrix(outs: int, ins: int) -> list[list[Fraction]]:
        return [[Fraction(rng.randint(-2, 4), 4) for _ in range(ins)] for _ in range(outs)]

    widths: list[int] = []
    for k in range(rng.randint(1, 4)):
        width = rng.randint(1, 4)
        sources = {k - 1, *rng.sample(range(-1, k), rng.randint(0, k))}
        size = {-1: inputs, **dict(enumerate(widths))}
        layers.append(
            Layer(
                width,
                rng.choice([Fraction(1, 2), Fraction(3, 4), Fraction(0)]),
                Fraction(rng.randint(1, 4), 4),
                {j: matrix(width, size[j]) for j in sorted(sources)},
                {j: rng.randint(1, 2) for j in sources if rng.random() < 0.3},
                matrix(width, width) if rng.random() < 0.5 else None,
            )
        )
        widths.append(width)
    return inputs, layers


def by_hand(layers: list[Layer], frames: list[list[int]]) -> tuple[list[list[list[int]]], dict[str, tuple[int, int]]]:
    """Spikes of each layer by time step, and (events, effective events) of each matrix."""
    spikes: list[list[list[int]]] = [[] for _ in layers]
    events: dict[str, tuple[int, int]] = {}

    def product(name: str, weights: list[list[Fraction]], x: list[int]) -> list[Fraction]:
        seen = sum(1 for row in weights for _, value in zip(row, x) if value)
        kept = sum(1 for row in weights for weight, value in zip(row, x) if value and weight)
        old = events.get(name, (0, 0))
        events[name] = (old[0] + seen, old[1] + kept)
        return [sum((w * v for w, v in zip(row, x)), Fraction(0)) for row in weights]

    membranes = [[Fraction(0)] * layer.width for layer in layers]
    for t in range(len(frames)):
        for k, layer in enumerate(layers):
            total = [Fraction(0)] * layer.width
            for j, weights in layer.weights.items():
                source, then = (frames if j < 0 else spikes[j]), t - layer.late.get(j, 0)
                x = source[then] if then >= 0 else [0] * len(weights[0])
                total = [a + b for a, b in zip(total, product(f"l{k}_from{j + 1}", weights, x))]
            if layer.recurrent is not None:
                x = spikes[k][t - 1] if t else [0] * layer.width
                total = [a + b for a, b in zip(total, product(f"l{k}_rec", layer.recurrent, x))]
            fired = []
            for i, current in enumerate(total):
                v = layer.decay * membranes[k][i] + current
                fired.append(int(v > layer.threshold))
                membranes[k][i] = Fraction(0) if fired[-1] else v
            spikes[k].append(fired)
    return spikes, events


def as_graph(inputs: int, layers: list[Layer]) -> NirGraph:
    nodes = {"input": NirNode("Input", {"shape": np.array([inputs])})}
    edges: list[tuple[str, str]] = []

    def linear(weights: list[list[Fraction]]) -> NirNode:
        return NirNode("Linear", {"weight": np.array([[float(w) for w in row] for row in weights], dtype=np.float32)})

    for k, layer in enumerate(layers):
        tau = DT / float(1 - layer.decay)
        fields = {"tau": tau, "r": tau / DT, "v_leak": 0.0, "v_threshold": float(layer.threshold)}
        nodes[f"l{k}"] = NirNode("LIF", {key: np.float64(value) for key, value in fields.items()})
        for j, weights in layer.weights.items():
            name, source = f"l{k}_from{j + 1}", "input" if j < 0 else f"l{j}"
            nodes[name] = linear(weights)
            if j in layer.late:
                nodes[f"{name}_late"] = NirNode("Delay", {"delay": np.float64(layer.late[j] * DT)})
                edges.append((source, f"{name}_late"))
                source = f"{name}_late"
            edges += [(source, name), (name, f"l{k}")]
        if layer.recurrent is not None:
            nodes[f"l{k}_rec"] = linear(layer.recurrent)
            edges += [(f"l{k}", f"l{k}_rec"), (f"l{k}_rec", f"l{k}")]
    nodes["output"] = NirNode("Output", {"shape": np.array([layers[-1].width])})
    return NirGraph(nodes, (*edges, (f"l{len(layers) - 1}", "output")))


@given(st.integers(0, 1 << 30))
@settings(max_examples=40)
def test_random_graphs_spike_and_count_as_by_hand(seed: int) -> None:
    rng = random.Random(seed)
    inputs, layers = drawn(rng)
    frames = [[rng.randint(0, 1) for _ in range(inputs)] for _ in range(STEPS)]
    graph = as_graph(inputs, layers)
    names = list(graph.nodes)
    rng.shuffle(names)  # a file lists its nodes in any order
    network = NirNetwork(NirGraph({name: graph.nodes[name] for name in names}, graph.edges))
    x = torch.tensor(frames, dtype=torch.float32).unsqueeze(1)
    spikes, events = by_hand(layers, frames)
    assert network(x)[:, 0].tolist() == spikes[-1]
    trace = se.trace(network, x, batch_axis=1)
    assert {row.name: (row.events, row.effective_events) for row in trace.layers} == events
    found = {row.name: row.spikes_per_step for row in trace.neurons}
    assert found == {f"l{k}": tuple(sum(step) for step in steps) for k, steps in enumerate(spikes)}
    batch = torch.cat((x, 1 - x), 1)
    assert torch.equal(network(batch)[:, :1], network(x))
