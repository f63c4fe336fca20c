"""Time of a trace on a step-synchronous chip without a clock (Loihi class): per step the slowest core, then a barrier.

Form: `t_step = max over cores of (synops * t_s + updates * t_n) + t_barrier` and the sum over steps, after the
terms of Davies et al. 2018 (Table 2: a time for each synaptic operation, neuron update and barrier) and equation 1 of
Timcheck et al. 2026 (a maximum in each step); its terms for memory reads and links are not in it.
"""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.timing.events import in_slots, synops
from snn_energy.costing.timing.spans import Span
from snn_energy.costing.timing.stages import Stage, stages_of
from snn_energy.costing.timing.systolic import ceil_div
from snn_energy.costing.timing.work import Row, Task, Work
from snn_energy.counting.counts import Trace
from snn_energy.hardware.machines import StepSynchronous

ROUTING = "spikes travel in no time: neither links nor the network between cores are timed"


def on_cores(trace: Trace, engine: StepSynchronous, task: Task) -> Work:
    """Time of one batch, in ns."""
    rows = [_stage(stage, engine, task) for stage in stages_of(trace)]
    spread = (
        "each stage on one core"
        if engine.neurons_per_core is None
        else "the work of a stage is spread evenly over its cores; the upper bound holds with all of it on one core"
    )
    return in_slots(rows, engine.barrier_ns, task, (spread, ROUTING))


def _stage(stage: Stage, engine: StepSynchronous, task: Task) -> Row:
    events = 0 if stage.layer is None else synops(stage.layer, task)
    updates = 0 if stage.neuron is None else stage.neuron.updates
    cores = _cores(stage, engine, task)
    summing = _spread(events * engine.synop_ns, cores, task)
    sweep = _spread(updates * engine.update_ns, cores, task)
    return Row(
        name=stage.name,
        part="stage",
        passes=task.steps * task.batch,
        shares=(("compute", summing), ("neuron sweep", sweep)),
        compute=Span(summing.low + sweep.low, _sum(summing.even, sweep.even), _sum(summing.high, sweep.high)),
        note=None if cores == 1 else f"on {cores} cores",
    )


def _cores(stage: Stage, engine: StepSynchronous, task: Task) -> int:
    """Cores that hold the neurons of a stage, or the outputs of a projection that has none."""
    if engine.neurons_per_core is None:
        return 1
    if stage.neuron is not None:
        neurons = ceil_div(stage.neuron.updates, task.samples * (stage.neuron.time_steps or 1))
    else:
        neurons = 0 if stage.layer is None else ceil_div(stage.layer.outputs, task.samples * task.steps)
    return max(1, ceil_div(neurons, engine.neurons_per_core))


def _spread(total_ns: Fraction, cores: int, task: Task) -> Span:
    one = total_ns * task.batch / task.samples
    return Span(one / cores, one / cores, one)


def _sum(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or b is None else a + b
