"""The other side of a report in JSON: a baseline, how the SNN compares with it, what fvcore says of it."""

from __future__ import annotations

from typing import Any

from snn_energy.baselines.comparison import Comparison
from snn_energy.baselines.second_opinion import SecondOpinion
from snn_energy.costing.report import Report
from snn_energy.counting.counts import record_fields


def without_hardware(report: Report) -> dict[str, Any]:
    """A baseline's report: its hardware is the SNN's."""
    return {key: value for key, value in report.to_dict().items() if key != "hardware"}


def comparison_keys(comparison: Comparison) -> dict[str, Any]:
    """Energies per inference, their ratio, and its bounds where work is uncounted."""
    low, high = comparison.report.energy_interval_pj
    ann_low, ann_high = comparison.baseline.energy_interval_pj
    samples, ann_samples = comparison.report.trace.samples, comparison.baseline.trace.samples
    if comparison.without_price:
        return {**comparison.to_dict(), "ratio_low": None, "ratio_high": None}
    return {
        **comparison.to_dict(),
        "ratio_low": (ann_low / ann_samples) / (high / samples) if high else None,
        "ratio_high": (ann_high / ann_samples) / (low / samples) if low else None,
    }


def opinion_keys(opinion: SecondOpinion) -> dict[str, Any]:
    """What fvcore counted, by family of operators."""
    # What fvcore says it skipped names torch's operators of one version, so it stays out.
    return {
        "ours": opinion.ours,
        "fvcore": opinion.fvcore,
        "agrees": opinion.agrees,
        "rows": [record_fields(row) for row in opinion.rows],
    }
