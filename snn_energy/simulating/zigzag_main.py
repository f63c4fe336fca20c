"""`python -m snn_energy.simulating.zigzag_main FOLDER`: ZigZag on an exported folder, its answer as JSON beside it.

Runs in a process of its own: ZigZag logs, and fills a folder with its results.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from snn_energy.exporting.simulators.zigzag import ACCELERATOR, MAPPING, WORKLOAD

ANSWER = "answer.json"
SEARCH = 6
"""Loop factors of a layer that the search for a temporal mapping orders (ZigZag's own default)."""


def main(folder: Path) -> None:
    """Write one object for each layer: energies in pJ, latencies in cycles, of one run of the layer."""
    run = importlib.import_module("zigzag.api").get_hardware_performance_zigzag
    answers: Any = run(
        str(folder / WORKLOAD),
        str(folder / ACCELERATOR),
        str(folder / MAPPING),
        opt="latency",
        dump_folder=str(folder / "run"),
        lpf_limit=SEARCH,
        loma_show_progress_bar=False,
    )[-1]
    layers = [
        {
            "name": cost.layer.name,
            "energy_pj": float(cost.energy_total),
            "compute_cycles": int(cost.ideal_temporal_cycle),
            "cycles": int(cost.latency_total2),
        }
        for cost, *_ in answers[0][1]
    ]
    (folder / ANSWER).write_text(json.dumps(layers), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
