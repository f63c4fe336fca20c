"""Cycles of a row's traffic at the stated bandwidth: what runs beside its work, and bounds it where it takes longer."""

from __future__ import annotations

from fractions import Fraction

from snn_energy.costing.timing.traffic import layer_bits, neuron_bits
from snn_energy.costing.timing.work import Task, memory_cycles
from snn_energy.counting.counts import LayerCounts, NeuronCounts
from snn_energy.hardware.machines import Machine


def layer_memory(layer: LayerCounts, machine: Machine, task: Task, passes: int, *, outputs: bool) -> Fraction | None:
    """Of a projection for one batch, see `traffic.layer_bits`; None where the profile states no bandwidth."""
    if machine.memory is None:
        return None
    bits = layer_bits(layer, machine.memory, task.samples, passes, outputs=outputs, batch=task.batch)
    return memory_cycles(bits, machine.memory, machine)


def neuron_memory(neuron: NeuronCounts, machine: Machine, task: Task) -> Fraction | None:
    """Of a neuron layer for one batch; None where the profile states no bandwidth."""
    if machine.memory is None:
        return None
    return memory_cycles(neuron_bits(neuron, machine.memory, task.samples, batch=task.batch), machine.memory, machine)
