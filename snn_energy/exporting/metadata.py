"""What travels in a file's `metadata_props`: text by key, JSON where a value has structure.

| key                     | value                                                                           |
|-------------------------|---------------------------------------------------------------------------------|
| snn_energy.form         | "unrolled": all time steps in one graph; "step": one of them, the state in and  |
|                         | out; "sequence": frames of any number of them, in one Scan                      |
| snn_energy.time_steps   | T                                                                               |
| snn_energy.states       | step: JSON list of every state's input, output, module, rest (its value before  |
|                         | the first time step) and shape                                                  |
| snn_energy.readout      | step, sequence: how the outputs of all steps make the logits: mean, max, sum,   |
|                         | last, or stack                                                                  |
| snn_energy.weights      | "int8": weights are 8-bit integers behind DequantizeLinear                      |
| snn_energy.losses       | JSON list of what the file does not hold, if it was written with --force        |
| snn_energy.neurons      | JSON list: name, kind, equation, threshold, decay, reset of every neuron layer, |
|                         | and `update`: what one update costs                                             |
| snn_energy.model        | name of the registered network                                                  |
| snn_energy.input        | JSON: shape [C, H, W], scale, mean, std: pixel p becomes (p*scale - mean) / std |
| snn_energy.classes      | JSON list of class names in the order of the logits                             |
| snn_energy.dataset      | name of the data set that the network was trained on                            |
| snn_energy.report       | JSON: samples; per layer the measured operand class, spike rate, MACs, ACs      |
| snn_energy.module       | on nodes: path of the module that a node belongs to                             |
| snn_energy.call         | on nodes of a module's later calls: 1, 2, ...                                   |
| snn_energy.operand, ... | on the node of a layer: its row of the report (operand, spike_rate, events,     |
|                         | macs, acs); on the comparisons of a neuron: kind, threshold, decay, reset and   |
|                         | spike_rate                                                                      |

No key holds a date, a path or the version of a library.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from snn_energy.counting.neurons import named_neurons
from snn_energy.errors import DataError

if TYPE_CHECKING:
    from snn_energy.counting.counts import Trace
    from snn_energy.exporting.carrying import State
    from snn_energy.models.checkpoints import Checkpoint

PREFIX = "snn_energy."
NEURON_CONSTANTS = ("threshold", "decay", "reset")
_ALIASES = {
    "threshold": ("threshold", "v_threshold", "spike_threshold"),
    "decay": ("decay", "beta"),
    "reset": ("reset",),
}
"""A constant -> the attributes that simulators keep it in."""
UPDATE_FIELDS = (
    "adds",
    "muls",
    "compares",
    "state_variables",
    "soft_reset_adds",
    "time_axis",
    "binary_scale",
    "specials",
    "spiking",
)
"""What one update of a neuron costs, as in its `NeuronRow`: enough to count the file without the network."""
REPORT_FIELDS = ("operand", "spike_rate", "events", "macs", "acs")


def neuron_entries(
    model: nn.Module, carried: Container[str] = (), unstacked: Container[str] = ()
) -> list[dict[str, Any]]:
    """Return what is known of every neuron layer: name, kind, equation, constants, and what one update costs.

    `carried`: multi-step neurons that the file runs one step at a time, so that their spikes have no time axis.
    `unstacked`: those of a single time step whose axis the file leaves out.
    """
    neurons = []
    for name, row in named_neurons(model).items():
        module = model.get_submodule(name)
        constants = {key: _constant(module, key) for key in NEURON_CONSTANTS}
        plain = {key: value for key, value in constants.items() if isinstance(value, bool | int | float | str)}
        update = {key: getattr(row, key) for key in UPDATE_FIELDS}
        update |= {"time_axis": None} if name in carried else {}
        plain |= {"unstacked": True} if name in unstacked else {}
        neurons.append({"name": name, "kind": row.kind, "equation": row.equation, **plain, "update": update})
    return neurons


def _constant(module: nn.Module, key: str) -> object:
    """A neuron's constant, by the first of its usual names; a single number also where it is held in a tensor."""
    value = next((found for name in _ALIASES[key] if (found := getattr(module, name, None)) is not None), None)
    if isinstance(value, Tensor):
        return float(value.detach()) if value.numel() == 1 else None
    return value


def network_metadata(
    model: nn.Module, form: str = "unrolled", carried: Container[str] = (), unstacked: Container[str] = ()
) -> dict[str, str]:
    """Return what the network itself tells: its form, its time steps, its neurons' constants."""
    found = {PREFIX + "form": form, PREFIX + "neurons": _json(neuron_entries(model, carried, unstacked))}
    steps = getattr(model, "time_steps", None)
    if isinstance(steps, int):
        found[PREFIX + "time_steps"] = str(steps)
    return found


def state_metadata(states: Iterable[State], after: str) -> list[dict[str, Any]]:
    """Return the states of a step form; the axis of the samples is "batch" in their shapes."""
    return [
        {
            "input": state.name,
            "output": state.name + after,
            "module": state.module,
            "rest": state.rest,
            "shape": ["batch" if axis == state.batch_axis else size for axis, size in enumerate(state.shape)],
        }
        for state in states
    ]


def neuron_metadata(
    neurons: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]] = ()
) -> dict[str, dict[str, str]]:
    """Return the properties of the comparisons of each neuron layer, by module path; `rows` are a report's."""
    rates = {row["name"]: row.get("spike_rate") for row in rows if row["part"] == "neurons"}
    found = {}
    for neuron in neurons:
        entries = {key: neuron.get(key) for key in ("kind", *NEURON_CONSTANTS)}
        entries["spike_rate"] = rates.get(neuron["name"])
        found[neuron["name"]] = {PREFIX + key: _text(value) for key, value in entries.items() if value is not None}
    return found


def measured(trace: Trace) -> dict[str, Any]:
    """Return a trace as the part of a report that `report_metadata` reads: samples, and rows of layers and neurons."""
    rows: list[dict[str, Any]] = [
        {"name": layer.name, "part": "synapses", "operand": str(layer.operand)}
        | {key: getattr(layer, key) for key in REPORT_FIELDS[1:]}
        for layer in trace.layers
    ]
    rows += [{"name": neuron.name, "part": "neurons", "spike_rate": neuron.spike_rate} for neuron in trace.neurons]
    return {"samples": trace.samples, "rows": rows}


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
