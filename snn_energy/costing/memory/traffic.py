"""Values that each part of a network moves, under a policy: the same rules for the SNN and its ANN.

An operation is an event where zeros are skipped (spikes, everywhere; an integer spike is one event, however many
accumulates it costs), and a connection where they are not (real-valued operands of a dense machine). Over all samples:

| tensor  | reads, while it stays                     | reads, where it does not         | writes                |
|---------|-------------------------------------------|----------------------------------|-----------------------|
| weights | each (and each bias) once for each pass,  | one for each operation and each  | none: loading them is |
|         | with time-reuse once for each inference   | addition of a bias               | not part of inference |
| inputs  | each once for each pass                   | one for each connection; of an   | each once: by the     |
|         |                                           | encoding, what these come to     | layer before          |
| sums    | none                                      | one for each operation and bias  | as many as reads      |
| state   | `state_reads` of the neurons, in any case |                                  | `state_writes`        |
| results | with "stored": each sum once              |                                  | each sum once         |

The two operands of a product of two activations are inputs, both of them (a trace holds them together: the wider
value counts for both), and an operation reads one of each. Where a trace does not hold the sizes of a layer with
weights, its weights are read for each operation, whatever stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from snn_energy.costing.memory.encodings import PAYLOAD, Frame, encoded_bits
from snn_energy.costing.memory.policy import Policy
from snn_energy.costing.timing.matrices import Unknown, product_of
from snn_energy.counting.counts import MIXED, LayerCounts, NeuronCounts, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One tensor's traffic over all samples, in values of `width` bits."""

    tensor: str
    footprint_bits: int
    """Room that the tensor takes at a time."""
    width: int
    reads: int
    writes: int
    packed: bool = False
    """A stream of bits: its values share accesses under any policy."""

    @property
    def read_bits(self) -> int:
        """Bits read."""
        return self.reads * self.width

    @property
    def write_bits(self) -> int:
        """Bits written."""
        return self.writes * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Bits of the values of one layer; sums and states are as wide as values."""

    value: int
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    """How a layer runs."""

    passes: int | None
    """Of one inference; None where the trace does not tell."""
    frames: int
    """Passes over all samples; where unknown, the time steps or, failing these, one."""
    frame: Frame
    biases: int


def layer_flows(
    layer: LayerCounts, trace: Trace, policy: Policy, widths: Widths, *, skip_zeros: bool
) -> Iterator[Flow]:
    """Traffic of one projection of `trace`, see the module."""
    dense = layer.operand.kind == "real" and not skip_zeros
    operations = layer.connections if dense else layer.events
    sizes = _sizes(layer, trace)
    if layer.weights:
        yield _weights(layer, trace.samples, policy, widths, sizes, operations)
    yield _inputs(layer, policy, widths, sizes, dense=dense)
    room = -(-layer.outputs // sizes.frames) * widths.value
    if not policy.keeps("outputs"):
        sums = operations + layer.bias_adds
        yield Flow(tensor="sums", footprint_bits=room, width=widths.value, reads=sums, writes=sums)
    if policy.stored:
        yield Flow(tensor="results", footprint_bits=room, width=widths.value, reads=layer.outputs, writes=layer.outputs)


def neuron_flows(neuron: NeuronCounts, widths: Widths) -> Iterator[Flow]:
    """Traffic of a neuron layer: its state, which lasts from time step to time step."""
    yield Flow(
        tensor="state",
        footprint_bits=neuron.state_elements * widths.value,
        width=widths.value,
        reads=neuron.state_reads,
        writes=neuron.state_writes,
    )


def _weights(layer: LayerCounts, samples: int, policy: Policy, widths: Widths, sizes: _Sizes, operations: int) -> Flow:
    each = layer.weights + sizes.biases
    reads = operations + layer.bias_adds
    if policy.keeps("weights") and sizes.passes is not None:
        reads = each * samples * (1 if policy.time_reuse else sizes.passes)
    return Flow(tensor="weights", footprint_bits=each * widths.weight, width=widths.weight, reads=reads, writes=0)


def _inputs(layer: LayerCounts, policy: Policy, widths: Widths, sizes: _Sizes, *, dense: bool) -> Flow:
    stays = policy.keeps("inputs")
    operands = [values for values in (layer.values, layer.partner_values) if values is not None]
    uses = layer.connections * len(operands)
    if dense:
        return Flow(
            tensor="inputs",
            footprint_bits=sizes.frame.elements * widths.value,
            width=widths.value,
            reads=layer.elements if stays else uses,
            writes=layer.elements,
        )
    payload = max(PAYLOAD.get(values.operand_class.kind, widths.value) for values in operands)

    def bits(elements: int, nonzero: int) -> int:
        return encoded_bits(
            policy.encoding, sizes.frame, frames=sizes.frames, elements=elements, nonzero=nonzero, payload=payload
        )

    once = bits(layer.elements, layer.spikes)
    return Flow(
        tensor="inputs",
        # Room for the busiest frame, not for the mean one: every element with its value.
        footprint_bits=sizes.frame.elements * min(1 + payload, max(1, widths.value)),
        width=1,
        reads=once if stays else bits(uses, layer.events * len(operands)),
        writes=once,
        packed=True,
    )


def _sizes(layer: LayerCounts, trace: Trace) -> _Sizes:
    steps = None if trace.time_steps == MIXED else trace.time_steps or 1
    product = product_of(layer, trace.samples, steps)
    passes = None if isinstance(product, Unknown) else product.passes
    frames = trace.samples * (passes or _likely_passes(layer, trace.samples, steps or 1))
    elements = -(-layer.elements // frames)
    facts = dict(layer.geometry or ())
    columns = elements
    if "kernel" in facts:
        columns = prod(facts["size_in"])
    elif passes is not None and "c_in" in facts:
        columns = prod(facts["c_in"])
    return _Sizes(
        passes=passes,
        frames=frames,
        frame=Frame(rows=-(-elements // columns) if columns else 0, columns=columns),
        biases=facts["c_out"][0] * facts.get("batch", (1,))[0] if layer.bias_adds and "c_out" in facts else 0,
    )


def _likely_passes(layer: LayerCounts, samples: int, steps: int) -> int:
    """Time steps where they divide what ran, else one: it decides room and addresses, not how often a value moves."""
    return steps if layer.elements % (samples * steps) == 0 else 1
