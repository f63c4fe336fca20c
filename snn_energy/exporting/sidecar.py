"""The JSON side-car of an ONNX file: the same facts as its `metadata_props`, for those who do not read ONNX.

`sidecar.schema.json`, beside this file, is its JSON schema. Unknown is null, never zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_energy.exporting.graph import COMPARISONS, MODULE_KEY, PRODUCTS
from snn_energy.exporting.losses import plain_losses
from snn_energy.exporting.metadata import NEURON_CONSTANTS, PREFIX, REPORT_FIELDS

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

    from snn_energy.exporting.onnx import ExportedModel

FORMAT, VERSION = "snn-energy-onnx", 1
SCHEMA = Path(__file__).with_name("sidecar.schema.json")


def sidecar_of(done: ExportedModel, proto: ModelProto) -> str:
    """Return the side-car's text: JSON, indented, the same for the same file."""
    properties = done.metadata
    steps = properties.get(PREFIX + "time_steps")
    report = json.loads(properties.get(PREFIX + "report", '{"samples": null, "layers": []}'))
    nodes = list(_all_nodes(proto.graph))
    document = {
        "format": FORMAT,
        "format_version": VERSION,
        "file": {"name": done.path.name, "sha256": done.sha256, "bytes": done.size_bytes},
        "form": done.form,
        "opset": done.opset,
        "ir_version": done.ir_version,
        "time_steps": None if steps is None else int(steps),
        "readout": properties.get(PREFIX + "readout"),
        "weights": properties.get(PREFIX + "weights", "float"),
        "inputs": [_value(info) for info in proto.graph.input],
        "outputs": [_value(info) for info in proto.graph.output],
        "states": _parsed(properties, "states", []),
        "operators": dict(done.operators),
        "model": properties.get(PREFIX + "model"),
        "dataset": properties.get(PREFIX + "dataset"),
        "classes": _parsed(properties, "classes", None),
        "input": _parsed(properties, "input", None),
        "samples": report["samples"],
        "layers": _layers(report["layers"], nodes),
        "neurons": _neurons(_parsed(properties, "neurons", []), report["layers"], nodes),
        "losses": plain_losses(done.losses),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _layers(rows: list[dict[str, Any]], nodes: list[NodeProto]) -> list[dict[str, Any]]:
    """Every measured layer; without measurements, every module that multiplies by weights."""
    holders: dict[str, list[str]] = {}
    for node in nodes:
        if node.op_type in PRODUCTS:
            holders.setdefault(_module(node), []).append(node.name)
    measured = {row["name"]: row for row in rows if row["part"] == "synapses"}
    names = measured or dict.fromkeys(name for name in holders if name)
    return [
        {"name": name}
        | {key: measured.get(name, {}).get(key) for key in REPORT_FIELDS}
        | {"nodes": holders.get(name, [])}
        for name in names
    ]


def _neurons(entries: list[dict[str, Any]], rows: list[dict[str, Any]], nodes: list[NodeProto]) -> list[dict[str, Any]]:
    rates = {row["name"]: row.get("spike_rate") for row in rows if row["part"] == "neurons"}
    return [
        {key: entry.get(key) for key in ("name", "kind", "equation", *NEURON_CONSTANTS)}
        | {
            "spike_rate": rates.get(entry["name"]),
            "nodes": [node.name for node in nodes if node.op_type in COMPARISONS and _module(node) == entry["name"]],
        }
        for entry in entries
    ]


def _all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g)


def _module(node: NodeProto) -> str:
    return next((str(entry.value) for entry in node.metadata_props if entry.key == MODULE_KEY), "")


def _value(info: ValueInfoProto) -> dict[str, Any]:
    from onnx import TensorProto

    tensor = info.type.tensor_type
    shape = [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]
    return {"name": info.name, "type": TensorProto.DataType.Name(tensor.elem_type).lower(), "shape": shape}


def _parsed(properties: Any, key: str, otherwise: Any) -> Any:
    text = properties.get(PREFIX + key)
    return otherwise if text is None else json.loads(text)
