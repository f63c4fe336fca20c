"""Time of a trace on a systolic array: every projection as matrix products, spikes or not."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from snn_energy.costing.timing.matrices import Product, product_of
from snn_energy.costing.timing.roofline import layer_memory, neuron_memory
from snn_energy.costing.timing.spans import Span, exactly, in_turn
from snn_energy.costing.timing.systolic import ceil_div, layer_cycles
from snn_energy.costing.timing.work import Row, Task, Work
from snn_energy.counting.counts import MIXED, LayerCounts, NeuronCounts, Trace
from snn_energy.hardware.machines import Machine, Systolic

FORMULA = "layers one after another: sum over layers of max(compute, memory)"
OVER_TIME = {
    "repeat": "time steps one after another: T passes over each layer",
    "fold": "all time steps of a layer as rows of one product, so that its neurons wait for all of them",
    "unroll": "T arrays side by side, one for each time step (own reasoning, from no publication)",
}


def on_array(trace: Trace, machine: Machine, engine: Systolic, task: Task) -> Work:
    """Time of one batch."""
    steps, memory = None if trace.time_steps == MIXED else task.steps, machine.memory is not None
    rows = (
        *(_layer(layer, machine, engine, task, steps) for layer in trace.layers),
        *(_neuron(neuron, machine, engine, task) for neuron in trace.neurons if machine.updates_per_cycle or memory),
    )
    return Work(
        rows=rows,
        total=in_turn(row.busy for row in rows),
        formula=FORMULA,
        assumptions=tuple(_assumptions(trace, machine, engine)),
    )


def _assumptions(trace: Trace, machine: Machine, engine: Systolic) -> Iterator[str]:
    yield "zeros take the time of all operands: spikes save nothing"
    yield OVER_TIME[engine.over_time]
    if trace.neurons and not machine.updates_per_cycle:
        yield "neurons are updated in the shadow of the array: the profile states no updates_per_cycle"
    if machine.memory is None:
        yield "memory never stalls the array: the profile states no bandwidth"


def _layer(layer: LayerCounts, machine: Machine, engine: Systolic, task: Task, steps: int | None) -> Row:
    product = product_of(layer, task.samples, steps)
    if isinstance(product, Product):
        compute, passes, note = exactly(layer_cycles(product, engine, batch=task.batch)), product.passes, None
    else:
        macs = ceil_div(layer.dense_macs * task.batch, task.samples * engine.rows * engine.cols)
        at_once = task.steps if engine.over_time == "unroll" else 1
        least = Fraction(ceil_div(macs, at_once))
        compute, passes = Span(least, None, None), None
        note = f"{product.reason}; all units busy in every cycle, it takes at least these"
    reads = 1 if engine.over_time == "fold" else passes or 1  # folded, all time steps are one pass
    return Row(
        name=layer.name,
        part="synapses",
        passes=passes,
        shares=(("compute", compute),),
        compute=compute,
        memory=layer_memory(layer, machine, task, reads, outputs=True),
        note=note,
    )


def _neuron(neuron: NeuronCounts, machine: Machine, engine: Systolic, task: Task) -> Row:
    """A sweep over all neurons at each time step, beside the array; without a stated pace, their traffic alone."""
    passes = neuron.time_steps or 1
    pace = machine.updates_per_cycle
    sweep = ceil_div(neuron.updates * task.batch, task.samples * passes * pace) if pace else 0
    compute = exactly(sweep * (1 if engine.over_time == "unroll" else passes))
    return Row(
        name=neuron.name,
        part="neurons",
        passes=passes,
        shares=(("neuron sweep", compute),),
        compute=compute,
        memory=neuron_memory(neuron, machine, task),
    )
