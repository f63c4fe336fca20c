"""The crossovers of one network against several baselines, as plain values: what reports hold and figures draw.

| key       | value                                                                                                  |
|-----------|--------------------------------------------------------------------------------------------------------|
| baselines | for each baseline: {baseline, method, snn_energy_pj, ann_energy_pj, ratio, outcome, scale, mean_rate,   |
|           | crossover_mean_rate, note}                                                                             |
| layers    | for each baseline and projection: {baseline, layer, neuron, operand, rate, snn_energy_pj,               |
|           | ann_energy_pj, curve_pj, outcome, crossover_rate, margin, note}                                        |

`baseline` is one of BASELINES. Energies are in pJ per inference; `curve_pj` is [c0, c1, c2] of c0 + c1 r + c2 r^2 at
the rate r; rates are shares of operands that are not 0, from 0 to 1 (a `crossover_rate` above 1: the SNN always wins);
`scale` and `margin` are factors. `outcome` is "below" (the SNN wins below the crossover), "always", "never",
"unrelated" (no rate matters: `note` says why) or "unknown". See `crossover` for the definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_energy.baselines.comparison import Comparison

BASELINES: Mapping[str, str] = {
    "dense": "dense ANN",
    "zero-skipping": "zero-skipping ANN",
    "quantised-dense": "quantised ANN, dense",
    "quantised-zero-skipping": "quantised ANN, zero-skipping",
    "ann-dense": "named ANN, dense",
    "ann-zero-skipping": "named ANN, zero-skipping",
}
"""Name of a baseline in a report -> what it is. The first four are made from the network, the last two from the user's
ANN."""


def crossover_table(comparisons: Mapping[str, Comparison]) -> dict[str, list[dict[str, Any]]]:
    """Baselines and layers, see the module; comparisons that have no ratio are left out."""
    baselines: list[dict[str, Any]] = []
    layers: list[dict[str, Any]] = []
    for name, comparison in comparisons.items():
        found = comparison.crossover
        if found is None:
            continue
        baselines.append({"baseline": name, **found.to_dict()})
        layers += [{"baseline": name, **layer.to_dict()} for layer in found.layers]
    return {"baselines": baselines, "layers": layers}
