"""The key "uncertainty" of a report document: what the published ranges of the prices leave of its energies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snn_energy.baselines.comparison import Comparison
from snn_energy.costing.report import Report
from snn_energy.costing.uncertainty import chance, uncertainty
from snn_energy.counting.counts import record_fields

PLAIN = ("dense", "zero-skipping")
"""Baselines whose chances stand under "cheaper"."""


def uncertainty_key(
    report: Report, comparisons: Iterable[Comparison] = (), against: Mapping[str, Comparison] | None = None
) -> dict[str, Any]:
    """One key, "uncertainty": `costing.uncertainty.Uncertainty`, and the chances against the plain twin ("cheaper").

    Args:
        report: of the network.
        comparisons: with the plain twin.
        against: in place of `comparisons`, all comparisons by the name of their baseline, as in `Assessment.against`;
            their chances stand under "against" as well, with that name ("baseline").

    A comparison without a ratio, since a synaptic operation has no price, has no chance either.
    """
    spread = uncertainty(report).to_dict()
    if against is None:
        chances = [chance(c.report, c.baseline) for c in comparisons if not c.without_price]
        return {"uncertainty": {**spread, "cheaper": [record_fields(each) for each in chances]}}
    named = {name: chance(c.report, c.baseline) for name, c in against.items() if not c.without_price}
    return {
        "uncertainty": {
            **spread,
            "cheaper": [record_fields(each) for name, each in named.items() if name in PLAIN],
            "against": [{"baseline": name, **record_fields(each)} for name, each in named.items()],
        }
    }
