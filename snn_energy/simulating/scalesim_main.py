"""`python -m snn_energy.simulating.scalesim_main FOLDER conv|gemm`: SCALE-Sim on an exported folder.

Runs in a process of its own. SCALE-Sim 3.0.0 calls int(max(...)) on arrays of one element, which numpy has refused
since 2.4: its memory module gets a `max` that gives the number.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from snn_energy.exporting.simulators.scalesim import CONFIG, LAYOUT, TOPOLOGY


def main(folder: Path, form: str) -> None:
    """Run SCALE-Sim without traces; its reports go to FOLDER/run."""
    memory: Any = importlib.import_module("scalesim.memory.double_buffered_scratchpad_mem")
    memory.max = _largest
    run = importlib.import_module("scalesim.scale_sim").scalesim(
        save_disk_space=True,
        verbose=False,
        config=str(folder / CONFIG),
        topology=str(folder / TOPOLOGY),
        layout=str(folder / LAYOUT),
        input_type_gemm=form == "gemm",
    )
    run.run_scale(top_path=str(folder))


def _largest(*values: Any) -> Any:
    found = max(*values)
    return found.item() if hasattr(found, "item") else found


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
