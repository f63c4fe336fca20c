"""The methods `arithmetic+memory` and `arithmetic-zero-skipping+memory`: arithmetic, and the traffic it causes.

Energy of memory = sum over tensors of accesses x price of an access, at the memory that each tensor lies in (`levels`),
for the traffic that a declared policy leaves (`policy`, `traffic`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from snn_energy.costing.arithmetic import arithmetic, arithmetic_zero_skipping
from snn_energy.costing.memory.levels import Level, hierarchy, level_for
from snn_energy.costing.memory.policy import Policy, parsed_policy
from snn_energy.costing.memory.records import MemoryRow, MemoryUse
from snn_energy.costing.memory.traffic import Flow, Widths, layer_flows, neuron_flows
from snn_energy.costing.methods import Method, family
from snn_energy.costing.report import Report
from snn_energy.counting.counts import LayerCounts, Trace
from snn_energy.errors import PriceError
from snn_energy.hardware import Hardware

DENSE = "arithmetic+memory"
ZERO_SKIPPING = "arithmetic-zero-skipping+memory"

ASSUMPTIONS = (
    "each tensor of a layer lies in a memory of its own, the smallest that holds it, at that memory's price",
    "weights lie there before an inference starts: loading them is not charged",
    "operands that several layers read are written for each; the network's input is written once, its output is not",
    "pooling, normalisation and residual sums take their operands as these pass: they cause no traffic",
    "registers beside the arithmetic are not charged",
)


@family(DENSE)
def with_memory(options: str) -> Method:
    """Arithmetic of a machine that computes zeros of real-valued operands, and its traffic."""
    return _method(DENSE, arithmetic, parsed_policy(options), skip_zeros=False)


@family(ZERO_SKIPPING)
def zero_skipping_with_memory(options: str) -> Method:
    """The same where zeros of real-valued operands are skipped, and stored like spikes."""
    return _method(ZERO_SKIPPING, arithmetic_zero_skipping, parsed_policy(options), skip_zeros=True)


def compared_methods(method: str) -> tuple[str, str] | None:
    """The dense and the zero-skipping method of the same policy; None for a method without memory."""
    name, _, options = method.partition(":")
    if name not in (DENSE, ZERO_SKIPPING):
        return None
    policy = parsed_policy(options)
    return _named(DENSE, policy), _named(ZERO_SKIPPING, policy)


def _named(name: str, policy: Policy) -> str:
    return f"{name}:{policy.text}" if policy.text else name


def _method(name: str, base: Callable[[Trace, Hardware], Report], policy: Policy, *, skip_zeros: bool) -> Method:
    def price(trace: Trace, hardware: Hardware) -> Report:
        levels = hierarchy(hardware, policy.dram)
        _widest(trace, hardware, policy)  # a profile without widths should be refused before the network runs
        cashier = _Cashier(levels=levels, hardware=hardware, policy=policy)
        plain = base(trace, hardware)
        rows: list[MemoryRow] = []
        for layer in trace.layers:
            flows = layer_flows(layer, trace, policy, _widths(layer, hardware, policy), skip_zeros=skip_zeros)
            rows += cashier.rows(layer.name, "synapses", flows)
        for neuron in trace.neurons:
            rows += cashier.rows(neuron.name, "neurons", neuron_flows(neuron, _widest(trace, hardware, policy)))
        spent: dict[tuple[str, str], float] = {}
        for row in rows:
            spent[row.name, row.part] = spent.get((row.name, row.part), 0.0) + row.energy_pj
        return replace(
            plain,
            method=_named(name, policy),
            rows=tuple(replace(row, memory_pj=spent.get((row.name, row.part), 0.0)) for row in plain.rows),
            uncounted_pj=plain.uncounted_pj + cashier.bound_pj(trace),
            memory=MemoryUse(policy=policy, levels=levels, rows=tuple(rows), assumptions=ASSUMPTIONS),
        )

    return price


class _Cashier:
    """Puts tensors into memories and charges their accesses."""

    def __init__(self, *, levels: tuple[Level, ...], hardware: Hardware, policy: Policy) -> None:
        self.levels, self.hardware, self.policy = levels, hardware, policy

    def rows(self, name: str, part: str, flows: Iterable[Flow]) -> list[MemoryRow]:
        return [self._row(name, part, flow) for flow in flows if flow.reads or flow.writes]

    def _row(self, name: str, part: str, flow: Flow) -> MemoryRow:
        what = f"the {flow.tensor} of {name}"
        level = level_for(self.levels, flow.footprint_bits, self.hardware, what)
        return MemoryRow(
            name=name,
            part=part,
            tensor=flow.tensor,
            level=level.name,
            footprint_bits=flow.footprint_bits,
            read_bits=flow.read_bits,
            write_bits=flow.write_bits,
            energy_pj=self._pj(level, level.read_pj, flow, flow.reads, f"reading {what}")
            + self._pj(level, level.write_pj, flow, flow.writes, f"writing {what}"),
        )

    def _pj(self, level: Level, price_pj: float | None, flow: Flow, values: int, what: str) -> float:
        if not values:
            return 0.0
        if price_pj is None:
            raise PriceError(
                f'hardware "{self.hardware.name}": {level.name} has no price for {what}, {values * flow.width:,} bits; '
                f"add it to [memory_pj] with its source, or choose another profile (snn-energy hardware list)"
            )
        if self.policy.words and not flow.packed:
            return values * -(-flow.width // level.access_bits) * price_pj
        return values * flow.width * price_pj / level.access_bits

    def bound_pj(self, trace: Trace) -> float:
        """Most that uncounted work can move: three reads and a write for each MAC, at the dearest place."""
        if not trace.coverage.bound:
            return 0.0
        width = _widest(trace, self.hardware, self.policy).value
        dearest = max(
            (pj or 0.0) * -(-width // level.access_bits)
            for level in self.levels
            for pj in (level.read_pj, level.write_pj)
        )
        return 4 * trace.coverage.bound * dearest


def _widths(layer: LayerCounts, hardware: Hardware, policy: Policy) -> Widths:
    if policy.trace_bits:
        return Widths(value=layer.operand_bits, weight=layer.weight_bits or layer.operand_bits)
    stated = _stated(hardware)
    return Widths(value=stated, weight=stated)


def _widest(trace: Trace, hardware: Hardware, policy: Policy) -> Widths:
    """Of neurons, whose width no trace records: as wide as the widest operand."""
    if not policy.trace_bits:
        return Widths(value=_stated(hardware), weight=_stated(hardware))
    widest = max((layer.operand_bits for layer in trace.layers), default=0)
    return Widths(value=widest, weight=widest)


def _stated(hardware: Hardware) -> int:
    if hardware.operand_bits is None:
        raise PriceError(
            f'hardware "{hardware.name}" states no operand_bits, so the width of a value is unknown; add it to the '
            'profile, or take the width that ran: "arithmetic+memory:trace-bits"'
        )
    return hardware.operand_bits
