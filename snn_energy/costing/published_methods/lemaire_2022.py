"""Lemaire et al. 2022: arithmetic, addressing, and accesses to memories whose price grows with their size.

For a layer whose input spikes (theta_in spikes, all samples and time steps together):

| term                        | convolution                              | linear                |
|-----------------------------|------------------------------------------|-----------------------|
| accumulates                 | theta_in * prod ceil(k/S) * C_out / g    | theta_in * N_out      |
| ... of the bias, and reads  | one for each output                      | the same              |
| reads of inputs             | theta_in                                 | theta_in              |
| reads of weights            | theta_in * prod k * C_out / g            | theta_in * N_out      |
| reads, writes of potentials | as many each                             | the same              |
| addressing                  | 2 theta_in MACs, and accumulates (below) | theta_in * N_out ACs  |

and for each update of a neuron one read and one write of its potential, one MAC where it leaks; for each spike one
accumulate (the reset) and one write. Addressing in a convolution takes theta_in * prod k * C_out / g accumulates in the
equations (and SpikingJelly), theta_in * prod k in the code of qualia-plugin-snn. A layer with any other input is
charged as in an ANN: dense MACs, and a read of input and weight for each. Equation 2.4 of the paper multiplies the
accumulates of a linear layer with N_in once more: an erratum, not followed by either code.

An access moves one word to or from a memory as large as the layer needs: its weights with biases, its potentials, a
queue of 1000 messages for spikes, its input where that is dense. Three laws for the energy of an access circulate, all
said to be after Horowitz 2014: one method each. Sources: arXiv:2210.13107; spikingjelly 2.0.0,
op_counter/analytical_energy.py; qualia-plugin-snn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import prod

from snn_energy.costing.published_methods.accounts import Book, account_of, is_attention, is_first, steps_of
from snn_energy.costing.published_methods.sheets import Sheet
from snn_energy.costing.timing.matrices import passes_of
from snn_energy.counting.counts import LayerCounts, NeuronCounts
from snn_energy.errors import PriceError
from snn_energy.hardware import load_hardware

Law = Callable[[Sheet, Fraction], Fraction]
"""Sheet and size of a memory in bits -> pJ of one access to it."""


def interpolated(sheet: Sheet, bits: Fraction) -> Fraction:
    """Straight lines between the SRAM sizes of the sheet's profile, from 0 pJ at size 0, level beyond the largest."""
    assert sheet.hardware is not None
    points = _sizes(sheet.hardware)
    for (x0, y0), (x1, y1) in pairwise(points):
        if bits <= x1:
            return y0 + (y1 - y0) * (bits - x0) / (x1 - x0)
    return points[-1][1]


@cache
def _sizes(hardware: str) -> tuple[tuple[Fraction, Fraction], ...]:
    """Size in bits and pJ of an access, for nothing and for each SRAM of a profile."""
    memories = load_hardware(hardware).memory_pj.values()
    known = ((Fraction(8 * m.size_bytes), Fraction(m.value_pj)) for m in memories if m.size_bytes is not None)
    return ((Fraction(), Fraction()), *sorted(known))


def straight_line(sheet: Sheet, bits: Fraction) -> Fraction:
    """One straight line over the size in bits."""
    return sheet.constant("slope_pj_per_bit") * bits + sheet.constant("offset_pj")


def one_size(sheet: Sheet, bits: Fraction) -> Fraction:  # noqa: ARG001 (the size does not matter)
    """One price for a wide access, shared by the words that fit into it."""
    return sheet.constant("access_pj") / (sheet.whole("access_bits") // sheet.whole("word_bits"))


LAWS: Mapping[str, Law] = {
    "lemaire-2022": interpolated,
    "lemaire-2022-line": straight_line,
    "lemaire-2022-words": one_size,
}
"""Method -> what an access costs."""

_ADDRESSED_BY_TAP = frozenset({"lemaire-2022-line", "lemaire-2022-words"})
"""Methods whose addressing does not depend on the number of output channels, as in the code of qualia-plugin-snn."""


def access_pj(sheet: Sheet, words: Fraction | int) -> Fraction:
    """Energy in pJ of one access to a memory of so many words, by the law of the sheet's method."""
    return LAWS[sheet.name](sheet, Fraction(words) * sheet.whole("word_bits"))


def _write(book: Book) -> None:
    book.own_memory()
    spiking = bool(book.trace.neurons)
    for layer in book.trace.layers:
        if is_attention(layer):
            book.leave("attention", "the equations have convolutions and linear layers only")
        elif layer.geometry is None:
            raise PriceError(
                f"{layer.name}: its calls differ in geometry, so that the sizes of its memories are unknown"
            )
        elif layer.partner_values is not None or "transpose" in layer.kind:
            raise PriceError(f"{layer.name}: the equations have no {layer.kind}, only convolutions and linear layers")
        elif layer.operand.accumulates:
            _events(book, layer)
        else:
            _dense(book, layer, writes=not spiking)
    for neuron in book.trace.neurons:
        _neuron(book, neuron)
    if book.trace.elementwise:
        book.leave("other arithmetic", "pooling and the like are outside the equations")


def _memory(book: Book, part: str, layer: str, accesses: Fraction | int, words: Fraction | int) -> None:
    book.add(part, layer, "access", accesses, access_pj(book.sheet, words))


def _events(book: Book, layer: LayerCounts) -> None:
    spikes, queue = layer.spikes, book.sheet.whole("fifo_elements")
    facts = dict(layer.geometry or ())
    outputs = facts["c_out"][0] // facts.get("groups", (1,))[0]
    taps, conv = prod(facts.get("kernel", (1,))), "kernel" in facts
    reached = prod(-(-k // s) for k, s in zip(facts.get("kernel", (1,)), facts.get("stride", (1,)), strict=True))
    uses = spikes * taps * outputs
    book.charge("synapses", layer.name, "ac", spikes * reached * outputs)
    book.charge("bias", layer.name, "ac", layer.bias_adds)
    if conv:
        book.charge("addressing", layer.name, "mac", 2 * spikes)
        book.charge("addressing", layer.name, "ac", spikes * taps if book.sheet.name in _ADDRESSED_BY_TAP else uses)
    else:
        book.charge("addressing", layer.name, "ac", uses)
    _memory(book, "inputs and outputs", layer.name, spikes, queue)
    _memory(book, "weights", layer.name, uses + layer.bias_adds, _parameters(layer))
    _memory(book, "potentials", layer.name, 2 * uses, _outputs(book, layer))


def _dense(book: Book, layer: LayerCounts, *, writes: bool) -> None:
    part = "first layer" if is_first(layer, book.trace) else "synapses"
    facts = dict(layer.geometry or ())
    trace = book.trace
    runs = passes_of(layer, trace.samples, steps_of(trace)) * trace.samples
    inputs = Fraction(layer.elements, runs)
    book.charge(part, layer.name, "mac", layer.dense_macs)
    book.charge("bias", layer.name, "ac", layer.bias_adds)
    addressed = layer.elements + layer.outputs
    if "kernel" in facts:
        addressed += facts["c_out"][0] * prod(facts["kernel"]) * runs
    book.charge("addressing", layer.name, "ac", addressed)
    reads = layer.dense_macs if "kernel" in facts else layer.elements
    _memory(book, "inputs and outputs", layer.name, reads, inputs)
    _memory(book, "weights", layer.name, layer.dense_macs + layer.bias_adds, _parameters(layer))
    if writes:
        _memory(book, "inputs and outputs", layer.name, layer.outputs, Fraction(layer.outputs, runs))


def _neuron(book: Book, neuron: NeuronCounts) -> None:
    neurons = Fraction(neuron.state_elements, neuron.state_variables or 1)
    if neuron.update_muls:  # it leaks
        book.charge("neurons", neuron.name, "mac", neuron.updates)
    book.charge("neurons", neuron.name, "ac", neuron.spikes)
    _memory(book, "potentials", neuron.name, 2 * neuron.updates, neurons)
    _memory(book, "inputs and outputs", neuron.name, neuron.spikes, book.sheet.whole("fifo_elements"))


def _parameters(layer: LayerCounts) -> int:
    """Words of a layer's weights and biases."""
    return layer.weights + (dict(layer.geometry or ())["c_out"][0] if layer.bias_adds else 0)


def _outputs(book: Book, layer: LayerCounts) -> Fraction:
    """Words of the potentials that a layer's outputs go to, in one time step of one sample."""
    trace = book.trace
    return Fraction(layer.outputs, passes_of(layer, trace.samples, steps_of(trace)) * trace.samples)


for _name in LAWS:
    account_of(_name)(_write)
