"""ZigZag on a trace: an array priced by a profile, its energy and cycles beside ours."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from snn_energy.costing.report import Report
from snn_energy.costing.timing.systolic import pass_cycles
from snn_energy.exporting.simulators.folder import SIDE_CAR
from snn_energy.exporting.simulators.workload import workloads_of
from snn_energy.exporting.simulators.zigzag import export_zigzag
from snn_energy.hardware import Hardware
from snn_energy.hardware.machines import Systolic
from snn_energy.simulating.accelerators import accelerator_of
from snn_energy.simulating.energies import our_energies
from snn_energy.simulating.process import Tool, ToolError, run_module
from snn_energy.simulating.records import Simulated, SimulatedLayer
from snn_energy.simulating.zigzag_main import ANSWER

TOOL = Tool("zigzag", "zigzag-dse", "3.9.1")


def simulate_zigzag(
    report: Report, *, machine: Hardware | None = None, rows: int = 32, cols: int = 32, force: bool = False
) -> Simulated:
    """Run ZigZag on the network of a report, each layer once, and multiply by its runs in one inference.

    `machine` prices ZigZag's units and memories; the report's own hardware if not given. Errors: UsageError (ZigZag
    is not installed), PriceError (a profile without memories), ExportRefused, ToolError.
    """
    version = TOOL.version()
    profile = machine or report.hardware
    accelerator = accelerator_of(profile, rows=rows, cols=cols)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "zigzag"
        written = export_zigzag(report.trace, folder, accelerator, force=force)
        run_module(TOOL, "snn_energy.simulating.zigzag_main", [str(folder)], folder)
        car: dict[str, Any] = json.loads((folder / SIDE_CAR).read_text(encoding="utf-8"))
        answer: list[dict[str, Any]] = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    found = {row["name"]: row for row in answer}
    missing = [fact["row"] for fact in car["layers"] if fact["row"] not in found]
    if missing:
        raise ToolError(f"zigzag-dse {version}: no answer for layer {missing[0]} (expected one for each layer)")
    engine = Systolic(rows=rows, cols=cols, dataflow="weight-stationary", over_time="repeat")
    products = {work.name: work.product for work in workloads_of(report.trace)[0]}
    energies = our_energies(report)
    layers = []
    for fact in car["layers"]:
        row, product = found[fact["row"]], products[fact["name"]]
        runs = fact["runs"]
        layers.append(
            SimulatedLayer(
                name=fact["name"],
                runs=runs,
                cycles=row["compute_cycles"] * runs,
                stall_cycles=(row["cycles"] - row["compute_cycles"]) * runs,
                energy_pj=row["energy_pj"] * runs,
                our_cycles=pass_cycles(product, engine) * product.passes,
                our_energy_pj=energies[fact["name"]],
            )
        )
    return Simulated(
        simulator="zigzag",
        version=version,
        machine=f"{rows} x {cols} units, weight-stationary, prices of {profile.name}",
        hardware=report.hardware.name,
        layers=tuple(layers),
        remarks=(
            "ZigZag prices a dense array and its memories, and skips no zeros; our energy is the report's, by spikes",
            "our cycles: a systolic array of this size, which is filled and drained; ZigZag's are not",
            *(str(loss) for loss in written.losses),
        ),
    )
