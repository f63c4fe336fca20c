"""The quantised twin of one network is the same, whichever simulator's neurons it replaces."""

from __future__ import annotations

import pytest
from nets import BUILDERS, CLASSES, HIDDEN, SAMPLES, STEPS, build, spikes_in

import snn_energy as se
from snn_energy.baselines.quantised import multibit, quantised_twin
from snn_energy.reporting.assessment import assess

pytestmark = pytest.mark.peer

FACTS = ("dense_macs", "connections", "events", "spikes", "elements", "operand_bits")


def counted(peer: str) -> tuple[list[tuple[int, ...]], list[float]]:
    net, x = build(peer, "lif"), spikes_in().mean(0, keepdim=True)
    twin = quantised_twin(net, x, STEPS)
    options = {"samples": SAMPLES, "strict": True, "batch_axis": 1}
    facts = multibit(se.trace(twin.model, x, **options), se.trace(se.ann_twin(net), x, **options))
    rows = [tuple(getattr(layer, name) for name in FACTS) for layer in facts.layers]
    return rows, [step.step for step in twin.steps]


@pytest.mark.parametrize("peer", [peer for peer in BUILDERS if peer not in ("ours", "sinabs squeezed")])
def test_it_is_ours(peer: str) -> None:
    assert counted(peer) == counted("ours")


@pytest.mark.parametrize("peer", BUILDERS)
def test_reports_hold_it(peer: str) -> None:
    found = assess(build(peer, "lif"), lambda: [(spikes_in(), None)], layout="TN")
    assert found.quantised_missing is None
    assert found.quantised is not None
    fc = found.quantised.baseline.trace.layers[1]
    assert fc.connections == SAMPLES * HIDDEN * CLASSES
    assert [layer.neuron for layer in found.comparisons[0].crossover.layers] == ["n1", "n2"]
