"""SNN against ANN: two reports side by side, each by the same rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snn_energy.baselines.crossover import Crossover, crossover_of
from snn_energy.costing.report import Report
from snn_energy.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A report beside a baseline, both for one inference on one hardware profile."""

    report: Report
    baseline: Report

    @property
    def ratio(self) -> float | None:
        """Baseline energy over the report's, per inference: above 1 the SNN needs less.

        None if the SNN needs none, or if the hardware has no price for a synaptic operation of either side: energies
        that leave out multiply-accumulates are no measure of anything.
        """
        if self.without_price:
            return None
        own = self.report.energy_per_inference_pj
        return self.baseline.energy_per_inference_pj / own if own else None

    @property
    def without_price(self) -> tuple[str, ...]:
        """Synaptic operations of either side that the hardware has no price for: "mac", "ac", both or none."""
        missing = {item.action for side in (self.report, self.baseline) for item in side.unpriced}
        return tuple(action for action in ("mac", "ac") if action in missing)

    def _repr_html_(self) -> str:
        """Both energies and how they compare, as a notebook shows them."""
        from snn_energy.notebook import html_table

        sides = (("SNN", self.report, None), (f"ANN, {self.baseline.method}", self.baseline, self.ratio))
        rows = [
            (name, side.trace.model, f"{side.energy_per_inference_pj:,.1f}", "" if ratio is None else f"{ratio:.2f}")
            for name, side, ratio in sides
        ]
        headings = ("side", "model", "energy per inference, pJ", "times the SNN's")
        return html_table(f"on {self.report.hardware.name}", headings, rows, texts=2)

    @property
    def crossover(self) -> Crossover | None:
        """Spike rates at which both sides cost the same, for each layer and the whole; None where there is no ratio.

        Raises:
            UsageError: priced by a method that does not price layer by layer, see `crossover_of`.
        """
        return None if self.without_price else crossover_of(self.report, self.baseline)

    def to_dict(self) -> dict[str, Any]:
        """Energies per inference and their ratio."""
        return {
            "method": self.baseline.method,
            "snn_energy_per_inference_pj": self.report.energy_per_inference_pj,
            "ann_energy_per_inference_pj": self.baseline.energy_per_inference_pj,
            "ratio": self.ratio,
        }


def compare(report: Report, baseline: Report | None = None) -> Comparison:
    """Set a report against a baseline.

    Args:
        report: of the spiking network.
        baseline: of an ANN; None: the one that `report` was made with, see `profile(..., ann=...)`.

    Raises:
        UsageError: no baseline, different hardware or methods, which would compare prices instead of networks.
    """
    baseline = report.ann if baseline is None else baseline
    if baseline is None:
        raise UsageError(
            "compare: nothing to compare with; give a baseline, or make the report with profile(..., ann=...)"
        )
    if report.hardware != baseline.hardware:
        raise UsageError(
            f"compare: different hardware (got {report.hardware.name!r} and {baseline.hardware.name!r}); "
            "price both traces on one profile"
        )
    if report.method != baseline.method:
        raise UsageError(
            f"compare: different methods (got {report.method!r} and {baseline.method!r}); price both by one method"
        )
    return Comparison(report=report, baseline=baseline)
