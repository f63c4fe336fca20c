"""Time of a trace on a core that pays for events: synaptic operations, a sweep over the neurons, a barrier each step.

Engineering forms, from no one publication: a layer takes `ceil(synops / lanes) + ceil(neurons / lanes)` cycles in each
time step, and each step ends in a barrier. Lanes are filled across spikes: a core that rounds up for each of them, as
Prosperity's model of MINT does with `spikes * ceil(fan-out / lanes)`, takes longer.
"""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.timing.matrices import passes_of
from snn_energy.costing.timing.pipelining import lockstep, slots
from snn_energy.costing.timing.roofline import layer_memory, neuron_memory
from snn_energy.costing.timing.spans import NOTHING, Span, exactly, in_turn, steps_of_work
from snn_energy.costing.timing.stages import Stage, stages_of
from snn_energy.costing.timing.systolic import ceil_div
from snn_energy.costing.timing.work import Row, Task, Work
from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace
from snn_energy.hardware.machines import EventDriven, Machine

SEQUENTIAL = "one core: sum over layers and time steps of max(events or updates / lanes, memory), and T barriers"
PIPELINED = (
    "one core for each stage: T + L - 1 slots for L stages, each as long as the slowest stage in it, and a barrier "
    "(filling: own reasoning, from no publication)"
)
EVENTS = "every non-zero operand is an event for each of its connections, real-valued ones included"
EVEN = "events are spread evenly over time steps and samples; the bounds hold for every spread"
MATCHED = "a stage is a projection and the neuron layer it drives, matched by order or by size"


def on_core(trace: Trace, machine: Machine, engine: EventDriven, task: Task) -> Work:
    """Time of one batch."""
    if engine.schedule == "sequential":
        rows = [_layer(layer, machine, engine, task) for layer in trace.layers]
        rows += [_neuron(neuron, machine, engine, task) for neuron in trace.neurons]
        waiting = exactly(engine.barrier * task.steps * task.batch)
        rows += [barrier_row(waiting, task.steps * task.batch)] if engine.barrier else []
        return Work(
            rows=tuple(rows),
            total=in_turn(row.busy for row in rows),
            formula=SEQUENTIAL,
            assumptions=(EVENTS, EVEN, *_memory_note(machine)),
        )
    rows = [_stage(stage, machine, engine, task) for stage in stages_of(trace)]
    return in_slots(rows, Fraction(engine.barrier), task, _memory_note(machine))


def in_slots(rows: list[Row], barrier: Fraction, task: Task, more: tuple[str, ...]) -> Work:
    """Stages on cores of their own that wait for one another after each slot.

    Bounds: no less than the busiest stage takes by itself, no more than all stages one after another.
    """
    items = task.steps * task.batch
    waiting = slots(rows, items) * barrier
    busy = [row.busy for row in rows]
    low = max((span.low for span in busy), default=Fraction()) + waiting
    work = in_turn(busy)
    high = None if work.high is None else work.high + waiting
    even = None
    if work.even is not None and items:
        even = lockstep([(span.even or Fraction()) / items for span in busy], items, barrier)
        even = max(low, even if high is None else min(even, high))
    if waiting:
        rows = [*rows, barrier_row(exactly(waiting), slots(rows, items))]
    return Work(
        rows=tuple(rows),
        total=Span(low, even, high),
        formula=PIPELINED,
        assumptions=(EVENTS, EVEN, MATCHED, *more),
    )


def barrier_row(waiting: Span, count: int) -> Row:
    """The barriers of all steps together."""
    return Row(name="barrier", part="barrier", passes=count, shares=(("barrier", waiting),), compute=waiting)


def synops(layer: LayerCounts, task: Task) -> int:
    """Synaptic operations over all samples: an event each, n for an integer spike n where the hardware counts units."""
    return layer.unit_events if task.unit_spikes else layer.events


def _memory_note(machine: Machine) -> tuple[str, ...]:
    return () if machine.memory else ("memory never stalls the core: the profile states no bandwidth",)


def _layer(layer: LayerCounts, machine: Machine, engine: EventDriven, task: Task) -> Row:
    passes = passes_of(layer, task.samples, task.steps)
    one = steps_of_work(synops(layer, task), engine.synops, passes=passes, samples=task.samples)
    compute = one.times(task.batch)
    return Row(
        name=layer.name,
        part="synapses",
        passes=passes * task.batch,
        shares=(("compute", compute),),
        compute=compute,
        memory=layer_memory(layer, machine, task, passes, outputs=False),
    )


def _neuron(neuron: NeuronCounts, machine: Machine, engine: EventDriven, task: Task) -> Row:
    passes = neuron.time_steps or 1
    sweep = ceil_div(neuron.updates, task.samples * passes * engine.updates)
    compute = exactly(sweep * passes * task.batch)
    return Row(
        name=neuron.name,
        part="neurons",
        passes=passes * task.batch,
        shares=(("neuron sweep", compute),),
        compute=compute,
        memory=neuron_memory(neuron, machine, task),
    )


def _stage(stage: Stage, machine: Machine, engine: EventDriven, task: Task) -> Row:
    parts: list[Row] = []
    if stage.layer is not None:
        parts.append(_layer(stage.layer, machine, engine, task))
    if stage.neuron is not None:
        parts.append(_neuron(stage.neuron, machine, engine, task))
    return Row(
        name=stage.name,
        part="stage",
        passes=max((part.passes or 0 for part in parts), default=0),
        shares=tuple(share for part in parts for share in part.shares),
        compute=in_turn(part.compute for part in parts) if parts else NOTHING,
        memory=None if machine.memory is None else sum((part.memory or Fraction() for part in parts), Fraction()),
    )
