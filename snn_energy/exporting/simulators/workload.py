"""A trace as simulators see it: every projection as a matrix product, and as a convolution where it is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from snn_energy.costing.timing.matrices import Product, Unknown, product_of
from snn_energy.counting.counts import MIXED, LayerCounts, Trace
from snn_energy.errors import TraceError
from snn_energy.exporting.losses import Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvShape:
    """A convolution's sizes, one entry for each spatial axis; `padding` is what precedes the image."""

    c_in: int
    c_out: int
    groups: int
    size_in: tuple[int, ...]
    size_out: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool

    @property
    def axes(self) -> int:
        """Spatial axes: 1 to 3."""
        return len(self.kernel)

    @property
    def span(self) -> tuple[int, ...]:
        """Positions of each axis that a dilated kernel reaches over."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def padded(self) -> tuple[int, ...]:
        """Input size of each axis with its padding: exactly what the kernel reaches, (out - 1) * stride + span."""
        sizes = zip(self.size_out, self.stride, self.span, strict=True)
        return tuple((out - 1) * stride + span for out, stride, span in sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One projection: its sizes for one run, how often one inference runs it, and what was measured of it."""

    name: str
    product: Product
    conv: ConvShape | None
    layer: LayerCounts
    samples: int

    @property
    def runs(self) -> int:
        """How often one inference runs the product `m x k x n`: time steps times groups, heads or batch entries."""
        return self.product.passes * self.product.copies

    @property
    def operand_density(self) -> Fraction:
        """Non-zero operands as the multipliers meet them: events per connection of a dense machine, padding zeros in.

        Connections times this are the events, exactly.
        """
        return Fraction(self.layer.events, self.layer.dense_macs)

    @property
    def weight_density(self) -> Fraction:
        """Weights that are not zero; 1 where the product has none (two activations)."""
        layer = self.layer
        return Fraction(layer.weights - layer.zero_weights, layer.weights) if layer.weights else Fraction(1)

    def facts(self) -> dict[str, Any]:
        """What was measured, for the side-car: plain values; counts are totals over the trace's samples."""
        layer, product = self.layer, self.product
        return {
            "name": self.name,
            "kind": layer.kind,
            "m": product.m,
            "n": product.n,
            "k": product.k,
            "copies": product.copies,
            "passes": product.passes,
            "operand": layer.operand.kind,
            "spike_rate": layer.spike_rate,
            "operand_density": float(self.operand_density),
            "weight_density": float(self.weight_density),
            "dense_macs": layer.dense_macs,
            "connections": layer.connections,
            "events": layer.events,
            "effective_events": layer.effective_events,
            "acs": layer.acs,
            "macs": layer.macs,
        }


def workloads_of(trace: Trace) -> tuple[tuple[Workload, ...], tuple[Loss, ...]]:
    """Return the projections that ran, in their order, and what of the trace is no projection of known size.

    Errors: TraceError, where the trace holds no sample or nothing of a known size.
    """
    if not trace.samples:
        raise TraceError("export: the trace holds no sample; trace at least one input of the network")
    steps = None if trace.time_steps == MIXED else trace.time_steps or 1
    found: list[Workload] = []
    losses: list[Loss] = []
    for layer in trace.layers:
        if not layer.dense_macs:
            continue
        product = product_of(layer, trace.samples, steps)
        if isinstance(product, Unknown):
            losses.append(Loss("a layer of unknown sizes", layer.name, product.reason))
            continue
        conv = _conv(layer)
        found.append(Workload(name=layer.name, product=product, conv=conv, layer=layer, samples=trace.samples))
    losses += [
        Loss(f"operator {record.name}", ", ".join(record.modules), "it was not counted, so its sizes are unknown")
        for record in trace.coverage.uncounted
    ]
    if not found:
        raise TraceError(
            f"export: {trace.model or 'the trace'} has no projection of known size (expected a convolution or a matrix"
            " product); trace a network that has one"
        )
    return tuple(found), tuple(losses)


def _conv(layer: LayerCounts) -> ConvShape | None:
    facts = dict(layer.geometry or ())
    if "kernel" not in facts:
        return None
    (c_in,), (c_out,), (groups,) = facts["c_in"], facts["c_out"], facts["groups"]
    return ConvShape(
        c_in=c_in,
        c_out=c_out,
        groups=groups,
        size_in=facts["size_in"],
        size_out=facts["size_out"],
        kernel=facts["kernel"],
        stride=facts["stride"],
        padding=facts["padding"],
        dilation=facts["dilation"],
        transposed=layer.kind.startswith("conv_transpose"),
    )


def distinct_names(names: Iterator[str] | tuple[str, ...] | list[str]) -> list[str]:
    """Return the names with _2, _3, ... behind those that occur again, until no two are equal."""
    taken: set[str] = set()
    result = []
    for name in names:
        number, candidate = 1, name
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        result.append(candidate)
    return result
