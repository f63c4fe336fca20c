"""The questions that rows ask: a name, what it means, and how our trace answers it. Other tools claim some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snn_energy.counting.counts import LayerCounts, Trace
from snn_energy.errors import UsageError
from snn_energy.selftest.rows import Answer


@dataclass(frozen=True, slots=True)
class Question:
    """One fact: its meaning, and how it is read off a trace."""

    meaning: str
    read: Callable[[Trace], Answer]


def _of_layers(name: str) -> Callable[[Trace], Answer]:
    return lambda trace: sum(getattr(layer, name) for layer in trace.layers)


def _of_neurons(name: str) -> Callable[[Trace], Answer]:
    return lambda trace: sum(getattr(neuron, name) for neuron in trace.neurons)


def _of_arithmetic(name: str) -> Callable[[Trace], Answer]:
    return lambda trace: sum(getattr(record, name) for record in trace.elementwise)


def _effective(layer: LayerCounts, *, accumulates: bool) -> int:
    real = layer.operand.kind == "real"
    return layer.effective_events if (layer.operand.accumulates if accumulates else real) else 0


def _work(trace: Trace) -> int:
    arithmetic = sum(r.adds + r.muls + r.compares + r.specials for r in trace.elementwise)
    return trace.connections + arithmetic + trace.coverage.bound


QUESTIONS: dict[str, Question] = {
    "dense_macs": Question("multiply-accumulates of a dense machine, padding taps counted", lambda t: t.dense_macs),
    "connections": Question("the same without the taps that only meet padding", lambda t: t.connections),
    "events": Question("non-zero operand x connection", lambda t: t.events),
    "effective_events": Question("events that meet a weight that is not zero", lambda t: t.effective_events),
    "acs": Question("accumulates: events of spike trains, whatever their constant scale", lambda t: t.acs),
    "macs": Question("connections of layers whose operand is real-valued", lambda t: t.macs),
    "effective_acs": Question(
        "accumulates that meet a weight that is not zero",
        lambda t: sum(_effective(layer, accumulates=True) for layer in t.layers),
    ),
    "effective_macs": Question(
        "multiply-accumulates of real operands of which neither factor is zero",
        lambda t: sum(_effective(layer, accumulates=False) for layer in t.layers),
    ),
    "graded_events": Question("events of small integers", lambda t: t.graded_events),
    "unit_events": Question("events weighted by magnitude: an integer n is n", _of_layers("unit_events")),
    "bias_adds": Question("additions of biases", _of_layers("bias_adds")),
    "spikes": Question("non-zero operand elements", _of_layers("spikes")),
    "elements": Question("operand elements", _of_layers("elements")),
    "weights": Question("weights in memory", _of_layers("weights")),
    "calls": Question("products run", _of_layers("calls")),
    "layers": Question("projections, one row each", lambda t: len(t.layers)),
    "operand": Question("class of the last projection's operand", lambda t: str(t.layers[-1].operand)),
    "updates": Question("neuron updates", _of_neurons("updates")),
    "neuron_spikes": Question("spikes out of neurons", _of_neurons("spikes")),
    "state_elements": Question("state variables that one sample keeps", _of_neurons("state_elements")),
    "adds": Question("additions outside projections and neurons", _of_arithmetic("adds")),
    "muls": Question("multiplications outside projections and neurons", _of_arithmetic("muls")),
    "compares": Question("comparisons outside projections and neurons", _of_arithmetic("compares")),
    "specials": Question("transcendental functions and divisions", _of_arithmetic("specials")),
    "samples": Question("samples seen", lambda t: t.samples),
    "time_steps": Question("time steps", lambda t: 0 if t.time_steps is None else t.time_steps),
    "work": Question("connections, other arithmetic, and the bound of what is uncounted", _work),
}


def answer(trace: Trace, question: str) -> Answer:
    """What a trace says to a question, also to one about a single layer: `fc: events`."""
    layer, colon, name = question.rpartition(": ")
    if name not in QUESTIONS:
        raise UsageError(f"selftest: unknown question {question!r}; one of: {', '.join(QUESTIONS)}")
    if not colon:
        return QUESTIONS[name].read(trace)
    found = tuple(one for one in trace.layers if one.name == layer)
    if not found:
        raise UsageError(f"selftest: no layer {layer!r}; layers: {', '.join(one.name for one in trace.layers)}")
    return QUESTIONS[name].read(Trace(layers=found))
