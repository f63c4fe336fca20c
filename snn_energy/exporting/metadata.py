"""What travels in a file's `metadata_props`: text by key, JSON where a value has structure.

| key                     | value                                                                           |
|-------------------------|---------------------------------------------------------------------------------|
| snn_energy.form         | "unrolled": all time steps in one graph                                         |
| snn_energy.time_steps   | T                                                                               |
| snn_energy.neurons      | JSON list: name, kind, equation, threshold, decay, reset of every neuron layer, |
|                         | and `update`: what one update costs                                             |
| snn_energy.model        | name of the registered network                                                  |
| snn_energy.input        | JSON: shape [C, H, W], scale, mean, std: pixel p becomes (p*scale - mean) / std |
| snn_energy.classes      | JSON list of class names in the order of the logits                             |
| snn_energy.dataset      | name of the data set that the network was trained on                            |
| snn_energy.report       | JSON: samples; per layer the measured operand class, spike rate, MACs, ACs      |
| snn_energy.module       | on nodes: path of the module that a node belongs to                             |
| snn_energy.call         | on nodes of a module's later calls: 1, 2, ...                                   |
| snn_energy.operand, ... | on the node of a layer: its row of the report                                   |

No key holds a date, a path or the version of a library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from snn_energy.counting.neurons import neuron_row
from snn_energy.errors import DataError

if TYPE_CHECKING:
    from snn_energy.models.checkpoints import Checkpoint

PREFIX = "snn_energy."
NEURON_CONSTANTS = ("threshold", "decay", "reset")
UPDATE_FIELDS = (
    "adds",
    "muls",
    "compares",
    "state_variables",
    "soft_reset_adds",
    "time_axis",
    "binary_scale",
)
"""What one update of a neuron costs, as in its `NeuronRow`: enough to count the file without the network."""
REPORT_FIELDS = ("operand", "spike_rate", "events", "macs", "acs")


def network_metadata(model: nn.Module) -> dict[str, str]:
    """Return what the network itself tells: its form, its time steps, its neurons' constants."""
    neurons = []
    for name, module in model.named_modules():
        row = neuron_row(module)
        if row is None:
            continue
        constants = {key: getattr(module, key, None) for key in NEURON_CONSTANTS}
        plain = {key: value for key, value in constants.items() if isinstance(value, bool | int | float | str)}
        update = {key: getattr(row, key) for key in UPDATE_FIELDS}
        neurons.append({"name": name, "kind": row.kind, "equation": row.equation, **plain, "update": update})
    found = {PREFIX + "form": "unrolled", PREFIX + "neurons": _json(neurons)}
    steps = getattr(model, "time_steps", None)
    if isinstance(steps, int):
        found[PREFIX + "time_steps"] = str(steps)
    return found


def checkpoint_metadata(checkpoint: Checkpoint) -> dict[str, str]:
    """Return what a checkpoint knows about its network: name, input normalisation, classes, data set."""
    return {
        PREFIX + "model": checkpoint.model_name,
        PREFIX + "input": _json(checkpoint.input.to_plain()),
        PREFIX + "classes": _json(list(checkpoint.classes)),
        PREFIX + "dataset": checkpoint.dataset,
    }


def read_report(path: str | Path) -> dict[str, Any]:
    """Read a report written as JSON; DataError, one line, for a file that is none."""
    path = Path(path)
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"{path}: cannot read this report ({problem.strerror}); check the path") from None
    except ValueError as problem:
        raise DataError(f"{path}: not a JSON report ({problem}); {_REMEDY}") from None
    rows = report.get("rows") if isinstance(report, dict) else None
    fits = isinstance(rows, list) and all(
        isinstance(row, dict) and isinstance(row.get("name"), str) and isinstance(row.get("part"), str) for row in rows
    )
    if not fits or not isinstance(report.get("samples"), int):
        raise DataError(f"{path}: expected a report, with samples and with rows that have name and part; {_REMEDY}")
    return dict(report)


def report_metadata(report: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the properties of a report: (those of the whole file, those of each layer by module path).

    Counts are totals over the report's samples.
    """
    kept = ("name", "part", *REPORT_FIELDS)
    layers = [{key: row.get(key) for key in kept} for row in report["rows"]]
    nodes = {
        row["name"]: {PREFIX + key: _text(row[key]) for key in REPORT_FIELDS if row.get(key) is not None}
        for row in report["rows"]
        if row["part"] == "synapses"
    }
    return {PREFIX + "report": _json({"samples": report["samples"], "layers": layers})}, nodes


def _text(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


_REMEDY = "write one with `snn-energy profile CHECKPOINT --format json --output report.json`"
