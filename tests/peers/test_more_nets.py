"""Synaptic, recurrent and integrating neurons: one count for one network, whichever simulator built it."""

from __future__ import annotations

from typing import Any

import brute
import pytest
import torch
from more_nets import INPUTS, NETS, build_more
from nets import CLASSES, HIDDEN, SAMPLES, STEPS, spikes_in

import snn_energy as se

pytestmark = pytest.mark.peer

FACTS = ("dense_macs", "connections", "events", "effective_events", "spikes", "elements")
ALL = [(kind, peer) for kind, peers in NETS.items() for peer in peers]


def traced(kind: str, peer: str) -> tuple[Any, torch.Tensor]:
    out: list[torch.Tensor] = []
    counts = se.trace(build_more(kind, peer), spikes_in(), samples=SAMPLES, strict=True, on_output=out.append)
    return counts, out[0]


def facts(counts: Any) -> list[tuple[int, ...]]:
    """Of all projections, whatever they are called."""
    return sorted(tuple(getattr(layer, fact) for fact in FACTS) for layer in counts.layers)


@pytest.mark.parametrize(("kind", "peer"), ALL)
def test_one_network_gives_one_count(kind: str, peer: str) -> None:
    first, reference = traced(kind, next(iter(NETS[kind])))
    counts, out = traced(kind, peer)
    assert facts(counts) == facts(first)
    assert all(layer.operand.accumulates for layer in counts.layers)
    if kind != "readout":
        assert torch.equal(out.reshape(reference.shape), reference)
        assert 0 < int(reference.sum()) < reference.numel()
    if peer != "by hand":
        assert [n.updates for n in counts.neurons] == {
            "cuba": [STEPS * SAMPLES * HIDDEN, STEPS * SAMPLES * CLASSES],
            "recurrent": [STEPS * SAMPLES * CLASSES],
            "readout": [STEPS * SAMPLES * HIDDEN, STEPS * SAMPLES * CLASSES],
        }[kind]
        last = counts.neurons[-1]
        assert last.spikes == (0 if kind == "readout" else int(reference.sum()))
        assert last.spiking is (kind != "readout")
        assert not [item for item in counts.elementwise if item.name.split(".")[0] in ("n1", "n2", "neuron")]


@pytest.mark.parametrize("peer", NETS["cuba"])
def test_two_filters_cost_two_additions_and_their_constants(peer: str) -> None:
    for neuron in traced("cuba", peer)[0].neurons:
        assert (neuron.update_adds, neuron.update_compares, neuron.state_variables) == (2, 1, 2)
        assert neuron.update_muls == 2 + (peer == "norse")  # its membrane scales its input


@pytest.mark.parametrize("peer", NETS["recurrent"])
def test_recurrent_products_agree_with_the_oracle(peer: str) -> None:
    counts, out = traced("recurrent", peer)
    hand = NETS["recurrent"]["by hand"]()
    fed = torch.cat([torch.zeros_like(out[:1]), out[:-1]])
    want = [
        brute.total(brute.linear(now.tolist(), hand.fc.weight.tolist()) for now in spikes_in().flatten(2)),
        brute.total(brute.linear(now.tolist(), hand.back.weight.tolist()) for now in fed),
    ]
    assert facts(counts) == sorted(tuple(getattr(one, fact) for fact in FACTS) for one in want)
    assert facts(counts)[1][1] == STEPS * SAMPLES * INPUTS * CLASSES


@pytest.mark.parametrize("peer", NETS["readout"])
def test_an_integrator_neither_fires_nor_compares(peer: str) -> None:
    *_, readout = traced("readout", peer)[0].neurons
    assert readout.kind == "leaky-integrator"
    assert (readout.compares, readout.spikes_per_step) == (0, (0,) * STEPS)
    assert readout.state_reads == readout.updates * readout.state_variables > 0


TWINS = [pair for pair in ALL if pair[1] not in ("by hand", "sinabs squeezed")]


@pytest.mark.parametrize(("kind", "peer"), TWINS)
def test_the_twin_keeps_every_product_but_the_recurrent_one(kind: str, peer: str) -> None:
    snn = build_more(kind, peer)
    counts = se.trace(se.ann_twin(snn), spikes_in().mean(0, keepdim=True), samples=SAMPLES, strict=True)
    assert not counts.neurons
    feedback = SAMPLES * CLASSES**2 if kind == "recurrent" else 0
    assert counts.dense_macs == sum(one[0] for one in facts(traced(kind, peer)[0])) // STEPS - feedback


def test_the_twin_of_an_integrator_is_linear() -> None:
    from snn_energy.baselines.twin import Rectifier

    twin = se.ann_twin(build_more("readout", "sinabs"))
    x = -torch.rand(1, 3, CLASSES)
    assert isinstance(twin.n2, Rectifier)
    assert torch.equal(twin.n2(x), x)
    assert torch.equal(twin.n1(x), torch.zeros_like(x))
