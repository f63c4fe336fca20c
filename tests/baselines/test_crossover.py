"""Crossover rates: closed forms worked out by hand, and equal energies where a trace really has that rate."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snn_energy as se
from snn_energy.baselines.crossover import crossing
from snn_energy.baselines.crossover_table import crossover_table
from snn_energy.baselines.pairing import neurons_of
from snn_energy.counting.counts import Coverage, ElementwiseCounts, LayerCounts, NeuronCounts, OperatorRecord, Trace
from snn_energy.counting.values import REAL, ValueSet
from snn_energy.errors import UsageError
from snn_energy.hardware import load_hardware

MAC, AC, ADD, MUL, COMPARE = 4.6, 0.9, 0.9, 3.7, 0.9  # Horowitz 2014, 45 nm, 32-bit floating point, in pJ
SKIPPING = "arithmetic-zero-skipping"

BINARY = ValueSet.of([1.0], positive=True, negative=False, eps=1e-7)
SMALL = ValueSet.of([1.0, 2.0, 3.0], positive=True, negative=False, eps=1e-7)


def spiking(name: str = "b", values: ValueSet = BINARY, **counts: Any) -> LayerCounts:
    """250 inputs and 10 outputs over T = 4 steps of one sample: 1000 operands, 200 of them spikes."""
    own: dict[str, Any] = {
        "elements": 1000, "spikes": 200, "connections": 10_000, "dense_macs": 10_000, "events": 2000,
        "effective_events": 2000, "outputs": 40, "weights": 2500, "calls": 1, "operand_bits": 32, "weight_bits": 32,
    }  # fmt: skip
    return LayerCounts(name=name, kind="linear", values=values, **{**own, **counts})


def lif(name: str = "n", spikes: tuple[int, ...] = (1, 2, 3, 4), **changes: Any) -> NeuronCounts:
    own: dict[str, Any] = {
        "calls": 1, "updates": 40, "state_elements": 10, "state_variables": 1, "update_adds": 1, "update_muls": 1,
        "update_compares": 1,
    }  # fmt: skip
    return NeuronCounts(name=name, kind="lif", spikes_per_step=spikes, **{**own, **changes})


def snn(*layers: LayerCounts, neurons: tuple[NeuronCounts, ...] = (lif(),), **more: Any) -> Trace:
    return Trace(model="Net", layers=layers or (spiking(),), neurons=neurons, samples=1, time_steps=4, **more)


def ann(events: int = 500, **changes: Any) -> Trace:
    """The same layer at one time step, `events` of its 2500 operands not 0, and a ReLU of 10 outputs."""
    layer = spiking(
        values=REAL, elements=250, spikes=events // 10, connections=2500, dense_macs=2500, events=events,
        effective_events=events, outputs=10, **changes,
    )  # fmt: skip
    return Trace(
        model="Net", layers=(layer,), elementwise=(ElementwiseCounts(name="n", kind="relu", compares=10),), samples=1
    )


def crossed(own: Trace, other: Trace, method: str = "arithmetic", hardware: str = "horowitz-45nm-fp32") -> Any:
    found = se.compare(se.price(own, hardware, method), se.price(other, hardware, method)).crossover
    assert found is not None
    return found


def test_one_layer_by_hand() -> None:
    """E(r) = 40 updates x 5.5 pJ + 10,000 r x 0.9 pJ; the ANN: 500 MACs of 4.6 pJ and 10 comparisons."""
    found = crossed(snn(), ann(), SKIPPING)
    (layer,) = found.layers
    updates = 40 * (ADD + MUL + COMPARE)
    other = 500 * MAC + 10 * COMPARE
    assert (layer.layer, layer.neuron, layer.operand, layer.rate) == ("b", "n", "binary", 0.2)
    assert layer.curve_pj == pytest.approx((updates, 10_000 * AC, 0.0))
    assert layer.ann_energy_pj == pytest.approx(other)
    assert layer.snn_energy_pj == pytest.approx(updates + 2000 * AC)
    assert layer.outcome == "below"
    assert layer.crossover_rate == pytest.approx((other - updates) / (10_000 * AC))
    assert layer.margin == pytest.approx(layer.crossover_rate / 0.2)
    # One layer and its neurons are all of this network.
    assert found.wins
    assert (found.outcome, found.mean_rate) == ("below", 0.2)
    assert found.crossover_mean_rate == pytest.approx(layer.crossover_rate)
    assert found.scale == pytest.approx(layer.margin)


def test_computing_alone_it_is_yans_bound() -> None:
    """T s_r = k (1 - gamma), k = E_MAC / E_ACC, gamma the ANN's share of zeros (Yan et al. 2024, arXiv:2409.08290)."""
    for events, time_steps in ((500, 4), (100, 4), (700, 4)):
        found = crossed(snn(neurons=()), replace(ann(events), elementwise=()), SKIPPING)
        assert time_steps * found.crossover_mean_rate == pytest.approx(MAC / AC * events / 2500)


def test_where_there_is_no_crossover() -> None:
    dense = crossed(snn(), ann())  # 2500 x 4.6 pJ: more than 220 + 9000 pJ, when every operand spikes
    assert (dense.outcome, dense.scale, dense.layers[0].outcome) == ("always", None, "always")
    assert dense.layers[0].crossover_rate == pytest.approx((2500 * MAC + 9 - 220) / 9000)
    empty = crossed(snn(), ann(events=10), SKIPPING)  # 46 + 9 pJ: less than the updates alone
    assert (empty.outcome, empty.layers[0].outcome) == ("never", "never")
    assert (empty.scale, empty.layers[0].crossover_rate, empty.layers[0].margin) == (None, None, None)
    assert not empty.wins


def test_a_real_operand_never_wins_by_its_rate() -> None:
    layer = spiking(values=REAL)
    found = crossed(snn(layer), ann())
    assert (found.outcome, found.layers[0].outcome, found.layers[0].crossover_rate) == ("unrelated", "unrelated", None)
    assert "real-valued" in found.layers[0].note
    assert found.layers[0].curve_pj == pytest.approx((10_000 * MAC + 220, 0, 0))
    assert found.mean_rate is None


def test_layers_that_the_ann_lacks() -> None:
    for other in (ann(weights=7), replace(ann(), layers=())):
        (layer,) = crossed(snn(), other).layers
        assert (layer.outcome, layer.ann_energy_pj, layer.note) == ("unknown", None, "the ANN has no such layer")


def test_a_silent_layer_has_the_curve_of_its_connections() -> None:
    silent = spiking(values=ValueSet(), spikes=0, events=0, effective_events=0)
    found = crossed(snn(silent, neurons=(lif(spikes=(0, 0, 0, 0)),)), ann(), SKIPPING)
    assert found.layers[0].curve_pj == pytest.approx((220, 10_000 * AC, 0))
    assert found.layers[0].crossover_rate == pytest.approx((2309 - 220) / 9000)
    assert (found.layers[0].rate, found.layers[0].margin) == (0.0, None)
    assert found.outcome == "unrelated"  # no factor makes it spike


def test_attention_is_quadratic() -> None:
    """Both factors spike: a quarter of the spikes leaves a sixteenth of the events."""
    pair = replace(spiking(weights=0), kind="matmul", partner_values=BINARY)
    other = replace(pair, values=REAL, partner_values=REAL, events=1000, effective_events=1000)
    found = crossed(snn(pair, neurons=()), replace(ann(), layers=(other,), elementwise=()), SKIPPING)
    assert found.layers[0].curve_pj == pytest.approx((0, 0, 2000 * AC / 0.2**2))
    assert found.layers[0].crossover_rate == pytest.approx(0.2 * math.sqrt(1000 * MAC / (2000 * AC)))
    assert found.scale == pytest.approx(math.sqrt(1000 * MAC / (2000 * AC)))


def test_one_real_factor_tells_no_rate() -> None:
    pair = replace(spiking(weights=0), kind="matmul", partner_values=REAL)
    other = replace(pair, values=REAL)
    found = crossed(snn(pair, neurons=()), replace(ann(), layers=(other,), elementwise=()))
    assert (found.layers[0].outcome, found.layers[0].crossover_rate) == ("unknown", None)
    assert "one of its two operands is real-valued" in found.layers[0].note
    # ... but fewer spikes are fewer events: the ANN's 10,000 MACs buy 46,000 pJ of accumulates, and all cost 9000.
    assert found.outcome == "always"


def test_other_work_belongs_to_the_network_alone() -> None:
    pool = ElementwiseCounts(name="pool", kind="max_pool", compares=100)
    found = crossed(snn(elementwise=(pool,)), ann(), SKIPPING)
    assert found.layers[0].crossover_rate == pytest.approx((2309 - 220) / 9000)
    assert found.crossover_mean_rate == pytest.approx((2309 - 220 - 90) / 9000)


def test_rates_end_at_one() -> None:
    """The second layer spikes at every other place, so that beyond twice its rate the first one grows alone."""
    busy = spiking("c", spikes=500, events=5000, effective_events=5000)
    target = replace(ann(), layers=(replace(ann().layers[0], connections=3000),))
    found = crossed(snn(spiking(), busy, neurons=()), target)
    assert found.scale == pytest.approx(
        (3000 * MAC + 9 - 9000) / 1800
    )  # 9000 pJ: every operand of the second layer spikes
    assert found.scale > 2
    assert found.crossover_mean_rate == pytest.approx((0.2 * found.scale + 1) / 2)


def test_uncounted_work_is_said() -> None:
    hidden = Coverage(uncounted=(OperatorRecord(name="fft", bound=5),))
    assert crossed(snn(coverage=hidden), ann()).note == "uncounted work is left out on either side"


def test_methods_that_are_no_count_are_refused() -> None:
    priced = [se.price(trace, method="every-operation-ac") for trace in (snn(), ann())]
    with pytest.raises(UsageError, match="'every-operation-ac' does not price layer by layer"):
        _ = se.compare(*priced).crossover


def test_a_chip_without_a_price_for_macs_has_no_crossover() -> None:
    loihi = load_hardware("loihi")
    comparison = se.compare(se.price(snn(), loihi), se.price(ann(), loihi))
    assert "mac" in comparison.without_price
    assert comparison.crossover is None
    assert crossover_table({"dense": comparison}) == {"baselines": [], "layers": []}


# -- energies are equal where the rates are those of the crossover -----------------------------------------------------


def scaled(trace: Trace, factor: int) -> Trace:
    """The network if it had spiked `factor` times as often, in the same places: nothing of it is computed by us."""

    def more(layer: LayerCounts) -> LayerCounts:
        if layer.operand.kind == "real":
            return layer
        power = factor if layer.partner_values is None else factor**2
        sums = {name: getattr(layer, name) * power for name in ("events", "effective_events", "operand_units")}
        return replace(layer, spikes=layer.spikes * factor, **sums)

    neurons = tuple(
        replace(n, spikes_per_step=tuple(spikes * factor for spikes in n.spikes_per_step)) for n in trace.neurons
    )
    return replace(trace, layers=tuple(map(more, trace.layers)), neurons=neurons)


METHODS = (
    "arithmetic",
    SKIPPING,
    "arithmetic+memory",
    "arithmetic+memory:none,aer",
    "arithmetic-zero-skipping+memory:outputs,csr",
)

layers = st.builds(
    lambda name, values, spikes, bias, pair: (
        replace(spiking(name, spikes=spikes, events=20 * spikes, weights=0, bias_adds=0), kind="matmul",
                partner_values=BINARY)
        if pair else
        spiking(name, values, spikes=spikes, events=9 * spikes, effective_events=8 * spikes, bias_adds=bias,
                operand_units=18 * spikes if values is SMALL else 0)
    ),
    st.just(""), st.sampled_from((BINARY, SMALL, REAL)), st.integers(1, 100), st.integers(0, 40), st.booleans(),
)  # fmt: skip


@settings(max_examples=40)
@given(
    made=st.lists(layers, min_size=1, max_size=4),
    resets=st.integers(0, 1),
    factor=st.integers(2, 9),
    method=st.sampled_from(METHODS),
    hardware=st.sampled_from(("horowitz-45nm-fp32", "horowitz-45nm-int8", "han-45nm-fp32")),
)
def test_at_the_crossover_both_cost_the_same(
    made: list[LayerCounts], resets: int, factor: int, method: str, hardware: str
) -> None:
    named = tuple(replace(layer, name=f"layer{i}") for i, layer in enumerate(made))
    own = snn(*named, neurons=(lif(spike_adds=resets, spikes=(1, 0, 2, 1)),))
    other = scaled(own, factor)
    found = crossed(own, other, method, hardware)
    if all(layer.operand.kind == "real" for layer in named) and not resets:
        assert found.outcome == "unrelated"
        return
    assert found.outcome == "below"
    assert found.scale == pytest.approx(factor, rel=1e-9)
    for before, after, layer in zip(own.layers, other.layers, found.layers, strict=True):
        c0, c1, c2 = layer.curve_pj
        assert layer.snn_energy_pj == pytest.approx(c0 + c1 * layer.rate + c2 * layer.rate**2)
        if before.operand.kind != "real" and layer.neuron is None:
            assert layer.crossover_rate == pytest.approx(after.spike_rate, rel=1e-9)
    assert found.snn_energy_pj == pytest.approx(se.price(own, hardware, method).energy_pj)


@given(
    curve=st.tuples(*[st.floats(0, 1e6)] * 3),
    rate=st.floats(1e-3, 1e3),
)
def test_the_root_is_a_root(curve: tuple[float, float, float], rate: float) -> None:
    c0, c1, c2 = curve
    target = c0 + c1 * rate + c2 * rate * rate
    root = crossing(curve, target)
    if target == c0:
        assert root is None
    else:
        assert root is not None
        assert c0 + c1 * root + c2 * root * root == pytest.approx(target, rel=1e-9)


# -- whose neurons -----------------------------------------------------------------------------------------------------


def test_neurons_are_found_by_size_then_place_then_order() -> None:
    trace = snn(
        spiking("a.fc", outputs=40), spiking("b.fc", outputs=10), spiking("c.fc", outputs=40), spiking("d", outputs=3),
        neurons=(lif("b.n"), lif("c.n"), lif("x"), lif("y", updates=7)),
    )  # fmt: skip
    found = {name: neuron.name for name, neuron in neurons_of(trace).items()}
    # Places come before order; the current of b.fc is repeated over 4 steps; d fits nothing, and neither does y.
    assert found == {"b.fc": "b.n", "c.fc": "c.n", "a.fc": "x"}
