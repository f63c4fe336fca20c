"""The key "uncertainty" of a report document: what the published ranges of the prices leave of its energies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snn_energy.baselines.comparison import Comparison
from snn_energy.costing.report import Report
from snn_energy.costing.uncertainty import chance, uncertainty
from snn_energy.counting.counts import record_fields


def uncertainty_key(
    report: Report, comparisons: Iterable[Comparison] = (), against: Mapping[str, Comparison] | None = None
) -> dict[str, Any]:
    """One key, "uncertainty": `costing.uncertainty.Uncertainty`, and the chances against each baseline ("cheaper").

    Args:
        report: of the network.
        comparisons: with the plain twin.
        against: all comparisons by the name of their baseline, as in `Assessment.against`, in place of `comparisons`;
            their chances bear that name ("baseline").

    A comparison without a ratio, since a synaptic operation has no price, has no chance either.
    """
    named = (*((None, each) for each in comparisons), *(against or {}).items())
    chances = [
        {**({} if name is None else {"baseline": name}), **record_fields(chance(c.report, c.baseline))}
        for name, c in named
        if not c.without_price
    ]
    return {"uncertainty": {**uncertainty(report).to_dict(), "cheaper": chances}}
