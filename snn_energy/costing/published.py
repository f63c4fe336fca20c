"""How published claims count: every synaptic operation an accumulate, at the rate of the spikes it meets.

    energy = e_AC * sum over layers of rate * dense MACs

The rule behind many published ratios, SOP_l = r_l * T * FL_l with the dense operations FL_l of a layer (Z. Zhou et al.,
"Spikformer", ICLR 2023, arXiv:2209.15425). The 10 to 102 times of "Training a General Spiking Neural Network with
Improved Efficiency and Minimum Latency" (Yao et al., ACML 2023, arXiv:2401.10843) is what it gives at rates of 0.50 to
0.05; that paper's own equation was not at hand. It is here so that such a claim can be set beside a count. It is no
count: layers with real-valued operands become accumulates too, padding taps are charged, and neurons, biases and
element-wise arithmetic cost nothing.

A real-valued operand has no spike rate. Such a layer takes the network's own: the mean of the spiking layers' rates,
each weighted with its dense MACs, so that a network whose spikes all have rate r costs r times its dense MACs. In a
trace without any spiking operand there is no rate at all: it is the other side of the claim, an ANN, and costs a
multiply-accumulate for each dense MAC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from snn_energy.costing.arithmetic import arithmetic
from snn_energy.costing.methods import method
from snn_energy.costing.report import Report, ReportRow, Unpriced, layer_report_row
from snn_energy.counting.counts import LayerCounts, Trace
from snn_energy.hardware import Hardware

EVERY_OPERATION_AC = "every-operation-ac"


@method(EVERY_OPERATION_AC)
def every_operation_ac(trace: Trace, hardware: Hardware) -> Report:
    """A published claim's convention, not a count: every synaptic operation an accumulate, at its layer's rate."""
    mean = mean_rate(trace)
    unpriced: dict[str, int] = {}
    rows = tuple(_row(layer, hardware, mean, unpriced) for layer in trace.layers)
    bound = trace.coverage.bound
    return Report(
        trace=trace,
        hardware=hardware,
        method=EVERY_OPERATION_AC,
        rows=rows,
        uncounted_pj=_pj(hardware, "mac", Fraction(bound), unpriced),
        unpriced=tuple(
            Unpriced(action=action, count=count, reason=hardware.unpriced[action])
            for action, count in sorted(unpriced.items())
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BothCountings:
    """Synaptic energies of one inference in pJ: counted, as published claims count, and of an ANN of the same shape."""

    strict_pj: float
    """Accumulates where an operand spikes and multiply-accumulates where it does not (the method `arithmetic`)."""
    published_pj: float
    """Every operation an accumulate, see the module."""
    dense_ann_pj: float
    """A multiply-accumulate for each dense MAC of one time step."""

    @property
    def strict_ratio(self) -> float | None:
        """How many times the energy counted the dense ANN needs; None where the network needs none."""
        return self.dense_ann_pj / self.strict_pj if self.strict_pj else None

    @property
    def published_ratio(self) -> float | None:
        """The same for the energy as published claims count it."""
        return self.dense_ann_pj / self.published_pj if self.published_pj else None

    def to_dict(self) -> dict[str, float | None]:
        """Energies per inference in pJ, and the ratios."""
        return {
            "strict_pj": self.strict_pj,
            "published_pj": self.published_pj,
            "dense_ann_pj": self.dense_ann_pj,
            "strict_ratio": self.strict_ratio,
            "published_ratio": self.published_ratio,
        }


def both_countings(trace: Trace, hardware: Hardware) -> BothCountings:
    """The same synapses counted twice, beside a dense ANN that runs once: what is left of a published ratio.

    Raises:
        PriceError: the profile has no price for an accumulate or a multiply-accumulate.
    """
    strict = arithmetic(trace, hardware).components_pj
    published = every_operation_ac(trace, hardware).components_pj
    dense = Fraction(trace.dense_macs, (trace.time_steps or 1) * trace.samples)
    return BothCountings(
        strict_pj=(strict["mac"] + strict["ac"]) / trace.samples,
        published_pj=(published["mac"] + published["ac"]) / trace.samples,
        dense_ann_pj=_pj(hardware, "mac", dense, {}),
    )


def mean_rate(trace: Trace) -> Fraction | None:
    """Mean rate of all spiking operands, weighted with the dense MACs they meet; None where there are none."""
    spiking = [layer for layer in trace.layers if _spikes(layer)]
    dense = sum(layer.dense_macs for layer in spiking)
    return sum((_rate(layer) * layer.dense_macs for layer in spiking), Fraction()) / dense if dense else None


def _spikes(layer: LayerCounts) -> bool:
    return layer.operand.kind != "real"


def _rate(layer: LayerCounts) -> Fraction:
    return Fraction(layer.spikes, layer.elements) if layer.elements else Fraction()


def _row(layer: LayerCounts, hardware: Hardware, mean: Fraction | None, unpriced: dict[str, int]) -> ReportRow:
    rate = _rate(layer) if _spikes(layer) else mean
    action, count = ("mac", Fraction(layer.dense_macs)) if rate is None else ("ac", rate * layer.dense_macs)
    energy = _pj(hardware, action, count, unpriced)
    return replace(
        layer_report_row(layer),
        macs=round(count) if action == "mac" else 0,
        acs=round(count) if action == "ac" else 0,  # a rate times dense MACs is no whole number; the energy keeps it
        mac_pj=energy if action == "mac" else 0.0,
        ac_pj=energy if action == "ac" else 0.0,
    )


def _pj(hardware: Hardware, action: str, count: Fraction, unpriced: dict[str, int]) -> float:
    if not count:
        return 0.0
    price = hardware.price(action)
    if price is None:
        unpriced[action] = unpriced.get(action, 0) + round(count)
        return 0.0
    return float(count * Fraction(price.value_pj))
