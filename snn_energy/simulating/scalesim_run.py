"""SCALE-Sim on a trace: export, run, read its report, and set its compute cycles beside our latency model's."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snn_energy.costing.report import Report
from snn_energy.costing.timing.systolic import pass_cycles
from snn_energy.exporting.simulators.folder import SIDE_CAR
from snn_energy.exporting.simulators.scalesim import Array, export_scalesim
from snn_energy.exporting.simulators.workload import workloads_of
from snn_energy.hardware.machines import Systolic
from snn_energy.simulating.energies import our_energies
from snn_energy.simulating.process import Tool, ToolError, run_module
from snn_energy.simulating.records import Simulated, SimulatedLayer

TOOL = Tool("scalesim", "scalesim", "3.0.0")
_REPORT = Path("run") / "COMPUTE_REPORT.csv"


def simulate_scalesim(
    report: Report, *, array: Array | None = None, form: str = "conv", force: bool = False
) -> Simulated:
    """Run SCALE-Sim on the network of a report, each layer once, and multiply by its runs in one inference.

    Errors: UsageError (SCALE-Sim is not installed), ExportRefused (a layer that its topology cannot hold), ToolError.
    """
    version = TOOL.version()
    array = array or Array()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "scalesim"
        written = export_scalesim(report.trace, folder, array=array, form=form, force=force)
        run_module(TOOL, "snn_energy.simulating.scalesim_main", [str(folder), form], folder)
        car: dict[str, Any] = json.loads((folder / SIDE_CAR).read_text(encoding="utf-8"))
        rows = compute_report(folder / _REPORT)
    if len(rows) != len(car["layers"]):
        raise ToolError(
            f"scalesim {version}: its report has {len(rows)} layers (expected {len(car['layers'])}); {TOOL.pip_command}"
        )
    engine = Systolic(rows=array.rows, cols=array.cols, dataflow=array.dataflow, over_time="repeat")  # type: ignore[arg-type]
    products = {work.name: work.product for work in workloads_of(report.trace)[0]}
    energies = our_energies(report)
    layers = tuple(
        SimulatedLayer(
            name=fact["name"],
            runs=fact["runs"],
            cycles=(row["Total Cycles"] - row["Stall Cycles"]) * fact["runs"],
            stall_cycles=row["Stall Cycles"] * fact["runs"],
            energy_pj=None,
            our_cycles=pass_cycles(products[fact["name"]], engine) * products[fact["name"]].passes,
            our_energy_pj=energies[fact["name"]],
        )
        for fact, row in zip(car["layers"], rows, strict=True)
    )
    return Simulated(
        simulator="scalesim",
        version=version,
        machine=f"{array.rows} x {array.cols} units, {array.dataflow}",
        hardware=report.hardware.name,
        layers=layers,
        remarks=(
            "SCALE-Sim gives no energy, and takes the time of all operands: spikes save nothing",
            *(str(loss) for loss in written.losses),
        ),
    )


def compute_report(path: Path) -> list[Mapping[str, int]]:
    """Read SCALE-Sim's COMPUTE_REPORT.csv: cycles of each layer, whole numbers, by the names of its columns."""
    columns = ("Total Cycles", "Stall Cycles")
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), skipinitialspace=True))
        heading = [cell.strip() for cell in lines[0]]
        places = {name: heading.index(name) for name in columns}
        return [{name: int(float(cells[place])) for name, place in places.items()} for cells in lines[1:] if cells]
    except (OSError, IndexError, ValueError) as problem:
        raise ToolError(
            f"scalesim: cannot read its {path.name} ({type(problem).__name__}: expected columns {', '.join(columns)});"
            f" tried with version {TOOL.tried}: {TOOL.pip_command}"
        ) from None
