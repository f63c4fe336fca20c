"""Latency of whole traces: against machines simulated event by event, by hand on small networks, and by laws."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from machines import EVENTS, MEMORY, STEPS, SYSTOLIC, document, hardware
from torch import nn

import snn_energy as se
from snn_energy.costing.timing.estimate import latency_of
from snn_energy.costing.timing.pipelining import lockstep, slots
from snn_energy.costing.timing.stages import stages_of
from snn_energy.costing.timing.throughput import throughput_of
from snn_energy.counting.counts import MIXED, Coverage, LayerCounts, NeuronCounts, OperatorRecord, Trace
from snn_energy.errors import TraceError, UsageError
from snn_energy.hardware import load_hardware, parse_hardware
from snn_energy.models.neurons import IF, LIF

N_IN, N_OUT = 7, 5
"""Sizes of every layer of the made-up traces below."""


def made_up(events: list[list[list[int]]], neurons: list[int]) -> Trace:
    """A trace of layers with events[layer][sample][step] and neuron layers of so many neurons."""
    samples, steps = len(events[0]), len(events[0][0])
    layers = tuple(
        LayerCounts(
            name=f"layer{i}",
            kind="linear",
            events=sum(map(sum, each)),
            dense_macs=samples * steps * N_IN * N_OUT,
            geometry=(("batch", (1,)), ("c_in", (N_IN,)), ("c_out", (N_OUT,))),
        )
        for i, each in enumerate(events)
    )
    states = tuple(
        NeuronCounts(name=f"neuron{i}", kind="if", updates=samples * steps * count, spikes_per_step=(0,) * steps)
        for i, count in enumerate(neurons)
    )
    return Trace(layers=layers, neurons=states, samples=samples, time_steps=steps)


def worked_off(jobs: int, lanes: int) -> int:
    """Cycles of a core that takes up to `lanes` jobs in each."""
    cycles = 0
    while jobs > 0:
        jobs -= lanes
        cycles += 1
    return cycles


def latency(trace: Trace, table: dict, batch: int = 1):
    machine = hardware(table)
    return latency_of(trace, machine.latency, machine, batch=batch)


@st.composite
def runs(draw, most_samples=3):
    """Events of a chain of layers, and the neurons behind each layer but the last."""
    count, samples, steps = draw(st.integers(1, 4)), draw(st.integers(1, most_samples)), draw(st.integers(1, 4))
    one = st.lists(st.integers(0, 30), min_size=steps, max_size=steps)
    layer = st.lists(one, min_size=samples, max_size=samples)
    events = draw(st.lists(layer, min_size=count, max_size=count))
    return events, draw(st.lists(st.integers(1, 9), min_size=count - 1, max_size=count))


LANES = st.integers(1, 8)


def event_table(synops, updates, barrier, schedule):
    return {
        **EVENTS,
        "synops_per_cycle": synops,
        "updates_per_cycle": updates,
        "barrier_cycles": barrier,
        "schedule": schedule,
    }


@given(run=runs(), synops=LANES, updates=LANES, barrier=st.integers(0, 5))
def test_one_core_simulated_event_by_event(run, synops, updates, barrier):
    events, neurons = run
    samples, steps = len(events[0]), len(events[0][0])
    taken = [
        sum(
            sum(worked_off(each[n][t], synops) for each in events)
            + sum(worked_off(count, updates) for count in neurons)
            + barrier
            for t in range(steps)
        )
        for n in range(samples)
    ]
    found = latency(made_up(events, neurons), event_table(synops, updates, barrier, "sequential"))
    assert found.cycles_low <= Fraction(sum(taken), samples) <= found.cycles_high
    assert found.cycles_low <= found.cycles <= found.cycles_high
    if samples == steps == 1:
        assert found.cycles_low == found.cycles == found.cycles_high == taken[0]
    for end in ("cycles", "cycles_low", "cycles_high"):
        assert sum(getattr(row, end) for row in found.rows) == getattr(found, end)


@given(run=runs(most_samples=1), synops=LANES, updates=LANES, barrier=st.integers(0, 5))
def test_cores_in_lockstep_simulated_slot_by_slot(run, synops, updates, barrier):
    events, neurons = run
    steps = len(events[0][0])
    stages = [
        [worked_off(count, synops) + (worked_off(neurons[i], updates) if i < len(neurons) else 0) for count in each[0]]
        for i, each in enumerate(events)
    ]
    taken = 0
    for slot in range(steps + len(stages) - 1):
        active = [stage[slot - i] for i, stage in enumerate(stages) if 0 <= slot - i < steps]
        taken += max(active) + barrier
    found = latency(made_up(events, neurons), event_table(synops, updates, barrier, "pipelined"))
    assert found.cycles_low <= taken <= found.cycles_high
    assert found.cycles_low <= found.cycles <= found.cycles_high
    even = all(len(set(each[0])) == 1 for each in events)
    if even:
        assert found.cycles == taken


@given(run=runs(most_samples=1), synop=st.integers(0, 9), update=st.integers(0, 9), barrier=st.integers(0, 50))
def test_chips_in_step_simulated_step_by_step(run, synop, update, barrier):
    events, neurons = run
    steps = len(events[0][0])
    stages = [
        [each[0][t] * synop + (neurons[i] * update if i < len(neurons) else 0) for t in range(steps)]
        for i, each in enumerate(events)
    ]
    taken = sum(
        max(stage[slot - i] for i, stage in enumerate(stages) if 0 <= slot - i < steps) + barrier
        for slot in range(steps + len(stages) - 1)
    )
    table = {"model": "step-synchronous", "synop_ns": synop, "update_ns": update, "barrier_ns": barrier}
    found = latency(made_up(events, neurons), table)
    assert found.cycles is found.cycles_low is found.cycles_high is None
    assert found.cycles_missing == "the machine has no clock: its times are stated in ns"
    slack = 1e-15
    assert found.seconds_low - slack <= taken * 1e-9 <= found.seconds_high + slack
    if all(len(set(each[0])) == 1 for each in events):
        assert found.seconds == pytest.approx(taken * 1e-9, abs=1e-15)


def test_the_bounds_of_one_core_are_reached():
    """13 events in 4 steps, 4 lanes: all in one step take 4 cycles; 1, 4, 4 and 4 take 4; 10, 1, 1 and 1 take 6."""
    found = latency(made_up([[[13, 0, 0, 0]]], []), event_table(4, 1, 0, "sequential"))
    assert found.rows[0].cycles_low == worked_off(13, 4) == 4
    most = max(
        sum(worked_off(step, 4) for step in (a, b, c, 13 - a - b - c))
        for a in range(14)
        for b in range(14 - a)
        for c in range(14 - a - b)
    )
    assert found.rows[0].cycles_high == most


def test_a_large_layer_is_spread_over_cores():
    """9 neurons, 4 a core: 3 cores. 60 events of 2.5 ns and 9 updates of 4 ns at T = 2, evenly spread."""
    trace = made_up([[[30, 30]]], [9])
    found = latency(trace, {**STEPS, "neurons_per_core": 4})
    one_step = (30 * 2.5 + 9 * 4) / 3
    assert found.seconds == pytest.approx((2 * one_step + 2 * 100) * 1e-9)
    assert found.seconds_high == pytest.approx((2 * 3 * one_step + 2 * 100) * 1e-9)
    assert found.rows[0].note == "on 3 cores"
    assert "spread evenly over its cores" in " ".join(found.assumptions)


@given(
    times=st.lists(st.integers(0, 20), min_size=1, max_size=5),
    items=st.integers(1, 6),
    barrier=st.integers(0, 9),
)
def test_a_pipeline_slot_by_slot(times, items, barrier):
    """Stage i holds item `slot - i`, if there is one."""
    stages, wait = [Fraction(time) for time in times], Fraction(barrier)
    taken = [
        max(time for i, time in enumerate(times) if 0 <= slot - i < items) + barrier
        for slot in range(items + len(times) - 1)
    ]
    assert lockstep(stages, items, wait) == sum(taken)
    assert slots(stages, items) == len(taken)


@given(time=st.integers(0, 20), stages=st.integers(1, 6), items=st.integers(1, 6), barrier=st.integers(0, 9))
def test_equal_stages_fill_the_pipeline_once(time, stages, items, barrier):
    assert lockstep([Fraction(time)] * stages, items, Fraction(barrier)) == (items + stages - 1) * (time + barrier)


class Steps(nn.Module):
    """Linear - neuron - Linear over T = 3 steps of the same input."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.first, self.neuron, self.second = nn.Linear(6, 5), neuron, nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.neuron(self.first(x).expand(3, -1, -1)))


def traced(neuron: nn.Module | None = None, n: int = 2) -> Trace:
    torch.manual_seed(0)
    return se.trace(Steps(neuron or IF()).eval(), torch.rand(n, 6) * 4)


def rows(found):
    return {row.name: (row.passes, row.cycles, row.bottleneck) for row in found.rows}


def test_a_small_network_on_an_array_by_hand():
    """4 x 4, output-stationary: [1 6] x [6 5] once, 2 (4 + 4 + 6 - 2) - 1; [1 5] x [5 4] at 3 steps, 4 + 4 + 5 - 3."""
    found = latency(traced(), SYSTOLIC)
    assert rows(found) == {"first": (1, 23, "compute"), "second": (3, 30, "compute")}
    assert (found.cycles, found.cycles_low, found.cycles_high) == (53, 53, 53)
    assert (found.seconds, found.seconds_missing) == (None, "the profile states no clock")
    assert (
        "neurons are updated in the shadow of the array: the profile states no updates_per_cycle" in found.assumptions
    )
    swept = latency(traced(), {**SYSTOLIC, "updates_per_cycle": 2, "clock_mhz": 200})
    assert rows(swept)["neuron"] == (3, 9, "neuron sweep")
    assert swept.cycles == 53 + 9
    assert swept.seconds == pytest.approx(62 / 200e6)
    assert swept.bottleneck == "compute"


@pytest.mark.parametrize(("over_time", "second"), [("repeat", 30), ("fold", 4 + 4 + 5 - 3), ("unroll", 10)])
def test_time_steps_on_an_array_by_hand(over_time, second):
    """Folded, the 3 steps are 3 rows of one product, which 4 rows of units hold at once."""
    assert rows(latency(traced(), {**SYSTOLIC, "over_time": over_time}))["second"] == (3, second, "compute")


def test_a_small_network_on_an_event_driven_core_by_hand():
    trace = traced(n=1)
    spikes = trace.layers[1].spikes
    assert 0 < spikes < 15
    found = latency(trace, EVENTS)
    assert rows(found)["first"] == (1, -(-6 * 5 // 4), "compute")
    assert rows(found)["neuron"] == (3, 3 * 3, "neuron sweep")
    assert rows(found)["second"] == (3, found.rows[1].cycles, "compute")
    assert found.rows[1].cycles_low == spikes  # each has 4 synapses, which 4 lanes take at once
    assert found.rows[1].cycles_high == (4 * spikes + 3 * 3) // 4  # 3 lanes empty at the end of each of 3 steps
    assert rows(found)["barrier"] == (3, 9, "barrier")


def test_the_roofline_by_hand():
    """2 bytes a cycle. first: 30 weights, 6 operands and 5 outputs of 8 bits, once; second: 20 weights, then 5
    spikes of 1 bit and 4 outputs of 8 bits at each of 3 steps; neurons: a state of 16 bits read and written, a spike
    sent, for 5 neurons at each of 3 steps.
    """
    table = {**SYSTOLIC, **MEMORY, "updates_per_cycle": 100}
    found = latency(traced(n=1), table)
    assert [row.memory_cycles for row in found.rows] == [
        -(-(30 * 8 + 6 * 8 + 5 * 8) // 16),
        -(-(20 * 8 + 3 * (5 * 1 + 4 * 8)) // 16),
        -(-3 * 5 * (2 * 16 + 1) // 16),
    ]
    assert [row.compute_cycles for row in found.rows] == [23, 30, 3]
    assert rows(found) == {"first": (1, 23, "compute"), "second": (3, 30, "compute"), "neuron": (3, 31, "memory")}
    assert found.cycles == 23 + 30 + 31
    unpaced = latency(traced(n=1), {**SYSTOLIC, **MEMORY})  # updates in no time, and their states move all the same
    assert rows(unpaced) == rows(found)
    assert [row.compute_cycles for row in unpaced.rows] == [23, 30, 0]
    again = latency(traced(n=1), {**table, "weights_read": "once-per-pass"})
    assert again.rows[1].memory_cycles == -(-(3 * 20 * 8 + 3 * (5 * 1 + 4 * 8)) // 16)
    folded = latency(traced(n=1), {**table, "weights_read": "once-per-pass", "over_time": "fold"})
    assert folded.rows[1].memory_cycles == found.rows[1].memory_cycles


def test_weights_read_for_each_event():
    """An event-driven core: no outputs leave it, each event reads a weight of 8 bits, spikes come as a bitmap."""
    trace = traced(n=1)
    found = latency(trace, {**EVENTS, **MEMORY, "weights_read": "per-event"})
    assert found.rows[1].memory_cycles == -(-(trace.layers[1].events * 8 + 3 * 5) // 16)
    assert found.rows[0].memory_cycles == -(-(30 * 8 + 6 * 8) // 16)


def test_static_power_and_the_energy_delay_product():
    """2 mW over 53 cycles at 200 MHz, 265 ns: 530 pJ."""
    report = se.price(traced(), hardware({**SYSTOLIC, "clock_mhz": 200, "static_power_mw": 2}))
    assert report.latency.static_pj == pytest.approx(530)
    assert report.energy_delay_pj_s == pytest.approx((report.energy_per_inference_pj + 530) * 265e-9)
    assert report.latency_cycles == 53
    bare = se.price(traced(), hardware({**SYSTOLIC, "clock_mhz": 200}))
    assert (bare.latency.static_pj, bare.latency.static_missing) == (None, "the profile states no static_power_mw")
    assert bare.energy_delay_pj_s == pytest.approx(bare.energy_per_inference_pj * 265e-9)
    assert bare.energy_pj == report.energy_pj


def test_energies_that_contain_everything_get_no_static_power_on_top():
    table = {**SYSTOLIC, "clock_mhz": 200, "static_power_mw": 2}
    machine = parse_hardware(
        {**document(table, "all-in"), "included": {"leakage": "ac", "memory": "mac"}}, stem="x", shown="x.toml"
    )
    found = latency_of(traced(), machine.latency, machine)
    assert (found.static_pj, found.static_missing) == (None, 'the price of "ac" contains it already')


def test_no_clock_no_seconds_no_product():
    report = se.price(traced(), hardware({**SYSTOLIC, "static_power_mw": 2}))
    assert report.energy_delay_pj_s is None
    assert (report.latency.static_pj, report.latency.static_missing) == (None, "it needs the time in seconds")


class Attention(nn.Module):
    """[3 4] x [4 3] as one product, or row by row with ever more columns: 1 + 2 + 3 of them."""

    def __init__(self, growing: bool) -> None:
        super().__init__()
        self.first, self.growing = nn.Linear(4, 4), growing

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        rows = [(y[:, i : i + 1], y[:, : i + 1]) for i in range(3)] if self.growing else [(y, y)]
        return torch.cat([(a @ b.transpose(1, 2)).flatten(1) for a, b in rows], 1)


def test_a_product_of_activations_takes_the_time_of_its_matrices():
    """[3 4] x [4 3] on 4 x 4 units, sums staying: 4 + 4 + 4 - 2 cycles, counted from 0."""
    found = latency(se.trace(Attention(False), torch.rand(2, 3, 4)), SYSTOLIC)
    assert [row.cycles for row in found.rows] == [9, 9]
    assert (found.cycles_low, found.cycles, found.cycles_high) == (18, 18, 18)


def test_a_layer_of_unknown_time_leaves_a_lower_bound():
    """[1 4] x [4 1], [4 2], [4 3] for 2 samples: 24 MACs each on 16 units take 2 cycles at least."""
    trace = se.trace(Attention(True), torch.rand(2, 3, 4))
    found = latency(trace, SYSTOLIC)
    first, product = found.rows
    assert (first.cycles, product.cycles, product.cycles_low, product.cycles_high) == (4 + 4 + 4 - 3, None, 2, None)
    assert (found.cycles, found.cycles_low, found.cycles_high) == (None, 9 + 2, None)
    assert found.bottleneck is None
    assert found.cycles_missing.startswith("matmul: its products differ in size")
    assert found.seconds_missing == found.cycles_missing
    report = se.price(trace, hardware({**SYSTOLIC, "clock_mhz": 1}))
    assert report.latency_cycles is None
    assert report.energy_delay_pj_s is None
    assert latency(trace, EVENTS).cycles == 12 + 6 + 3  # events are known: 48 and 24 of them, four a cycle; a barrier


def test_uncounted_work_leaves_no_upper_bound():
    gap = Coverage(uncounted=(OperatorRecord(name="fft", calls=1, modules=("x",), bound=0),))
    found = latency(replace(traced(), coverage=gap), SYSTOLIC)
    assert (found.cycles, found.cycles_low, found.cycles_high) == (53, 53, None)
    assert "uncounted work takes time that is not in this: there is no upper bound" in found.assumptions


@pytest.mark.parametrize("table", [EVENTS, {**EVENTS, "schedule": "pipelined"}, STEPS], ids=["one", "many", "chip"])
def test_time_steps_that_differ(table):
    found = latency(replace(traced(), time_steps=MIXED), table)
    assert (found.rows, found.cycles, found.seconds, found.cycles_high) == ((), None, None, None)
    missing = "samples or layers differ in time steps: trace inputs of one length at a time"
    assert found.seconds_missing == missing
    assert latency(replace(traced(), time_steps=MIXED), SYSTOLIC).cycles is None


def test_what_cannot_be_asked():
    machine = hardware(SYSTOLIC)
    with pytest.raises(UsageError, match=r"latency: batch must be at least 1 \(got 0\)"):
        latency_of(traced(), machine.latency, machine, batch=0)
    with pytest.raises(TraceError, match="latency: the trace holds no sample"):
        latency_of(Trace(), machine.latency, machine)


def test_batches_by_hand():
    """3 samples: on the array, 3 rows where there was one; on one core, three times; in a pipeline, 9 items."""
    trace = traced(n=1)
    array = rows(latency(trace, SYSTOLIC, batch=3))
    assert array == {"first": (1, 23, "compute"), "second": (3, 30, "compute")}  # 3 rows fit into the 4 of the array
    assert rows(latency(trace, SYSTOLIC, batch=5))["second"] == (3, 3 * (2 * 11 - 1), "compute")
    one, three = latency(trace, EVENTS), latency(trace, EVENTS, batch=3)
    assert (three.cycles, three.cycles_low, three.cycles_high) == tuple(
        3 * end for end in (one.cycles, one.cycles_low, one.cycles_high)
    )
    even = made_up([[[8, 8]], [[8, 8]]], [2, 2])
    pipe = {**EVENTS, "schedule": "pipelined"}
    assert latency(even, pipe).cycles == (2 + 2 - 1) * (2 + 1 + 3)
    assert latency(even, pipe, batch=4).cycles == (8 + 2 - 1) * (2 + 1 + 3)


@given(copies=st.integers(1, 4))
def test_the_mean_over_equal_samples_is_one_of_them(copies):
    x = torch.rand(1, 6) * 4
    torch.manual_seed(0)
    model = Steps(LIF()).eval()
    one, many = se.trace(model, x), se.trace(model, x.expand(copies, -1))
    for table in (SYSTOLIC, {**SYSTOLIC, **MEMORY}):
        assert latency(one, table) == latency(many, table)
    assert latency(one, EVENTS).cycles == pytest.approx(latency(many, EVENTS).cycles, abs=3)
    assume(copies > 1)
    assert latency(one, SYSTOLIC, batch=copies).cycles <= copies * latency(one, SYSTOLIC).cycles


@given(run=runs(), more=st.integers(1, 9), synops=LANES, barrier=st.integers(0, 5))
def test_more_events_never_take_less_and_more_lanes_never_more(run, more, synops, barrier):
    events, neurons = run
    busier = [[[count + more for count in steps] for steps in samples] for samples in events]
    for schedule in ("sequential", "pipelined"):
        table = event_table(synops, 2, barrier, schedule)
        wider = event_table(2 * synops, 2, barrier, schedule)
        base = latency(made_up(events, neurons), table)
        more_work, more_lanes = latency(made_up(busier, neurons), table), latency(made_up(events, neurons), wider)
        for end in ("cycles_low", "cycles_high"):
            assert getattr(more_work, end) >= getattr(base, end) >= getattr(more_lanes, end)


def test_lanes_without_end_leave_one_cycle_a_step_and_the_barriers():
    found = latency(made_up([[[5, 6]], [[7, 8]]], [3]), event_table(10**9, 10**9, 10, "sequential"))
    assert found.cycles == 2 * (1 + 1 + 1 + 10)


def test_stages():
    def layer(name, outputs):
        return LayerCounts(name=name, kind="linear", outputs=outputs)

    def neuron(name, updates):
        return NeuronCounts(name=name, kind="if", updates=updates)

    chain = Trace(layers=(layer("a", 8), layer("b", 4), layer("head", 2)), neurons=(neuron("x", 2), neuron("y", 4)))
    assert [(s.layer and s.layer.name, s.neuron and s.neuron.name) for s in stages_of(chain)] == [
        ("a", "x"),  # pooled in between
        ("b", "y"),
        ("head", None),
    ]
    branched = Trace(
        layers=(layer("a", 8), layer("q", 6), layer("k", 6), layer("b", 4)), neurons=(neuron("x", 8), neuron("y", 4))
    )
    assert [(s.layer and s.layer.name, s.neuron and s.neuron.name) for s in stages_of(branched)] == [
        ("a", "x"), ("q", None), ("k", None), ("b", "y"),
    ]  # fmt: skip
    alone = Trace(neurons=(neuron("x", 2),))
    assert [(s.name, s.layer) for s in stages_of(alone)] == [("x", None)]


def test_throughput_by_hand():
    """64 rows of one product, not 64 products: [64 6] x [6 5] is 32 fills of 4 x 4 units, [64 5] x [5 4] 3 x 16."""
    trace = traced()
    many = throughput_of(trace, hardware({**SYSTOLIC, "clock_mhz": 1}), 64)
    together = (32 * (4 + 4 + 6 - 2) - 1) + 3 * (16 * (4 + 4 + 5 - 2) - 1)
    assert (many.batch, many.cycles, many.seconds) == (64, together, together / 10**6)
    assert many.inferences_per_second == pytest.approx(64 / together * 10**6)
    assert many.gain == pytest.approx(64 * (23 + 30) / together)
    alone = throughput_of(trace, hardware(EVENTS), 7)
    assert (alone.gain, alone.seconds, alone.missing) == (1.0, None, "the profile states no clock")
    assert throughput_of(trace, hardware(STEPS), 7).gain > 1  # one stage takes the next inference while others drain
    with pytest.raises(UsageError, match='hardware "horowitz-45nm-fp32" states no timing'):
        throughput_of(trace, load_hardware("horowitz-45nm-fp32"), 7)


@pytest.mark.parametrize("table", [SYSTOLIC, EVENTS, {**EVENTS, "schedule": "pipelined"}, STEPS])
def test_nothing_but_plain_values_in_the_report(table):
    report = se.price(traced(), hardware(table))
    plain = json.loads(report.to_json())
    assert plain["latency"]["cycles"] == plain["totals"]["latency_cycles"] == report.latency_cycles
    assert [row["name"] for row in plain["latency"]["rows"]] == [row.name for row in report.latency.rows]
    assert plain["hardware"]["latency"]["model"] == table["model"]


def test_profiles_without_timing_keep_their_reports():
    report = se.price(traced())
    assert report.latency is None
    assert report.latency_cycles is None
    assert report.energy_delay_pj_s is None
    assert "latency" not in report.to_dict()
