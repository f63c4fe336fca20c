"""The key "uncertainty" of a report document: what the published ranges of the prices leave of its energies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from snn_energy.baselines.comparison import Comparison
from snn_energy.costing.report import Report
from snn_energy.costing.uncertainty import chance, uncertainty
from snn_energy.counting.counts import record_fields


def uncertainty_key(report: Report, comparisons: Iterable[Comparison] = ()) -> dict[str, Any]:
    """One key, "uncertainty": `costing.uncertainty.Uncertainty`, and the chances against each baseline ("cheaper").

    A comparison without a ratio, since a synaptic operation has no price, has no chance either.
    """
    chances = [chance(c.report, c.baseline) for c in comparisons if not c.without_price]
    return {"uncertainty": {**uncertainty(report).to_dict(), "cheaper": [record_fields(each) for each in chances]}}
