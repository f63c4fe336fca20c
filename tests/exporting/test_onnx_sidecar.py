"""The JSON side-car: it follows its published schema, and tells what the file tells."""

from __future__ import annotations

import hashlib
import json
import re

import onnx
import pytest
from lively_network import lively

import snn_energy as se
from snn_energy.exporting import export_onnx
from snn_energy.exporting.sidecar import SCHEMA
from snn_energy.models import fold

_TYPES = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None),
}  # fmt: skip
_KNOWN = {
    "$schema", "title", "description", "type", "properties", "required", "additionalProperties", "items", "minItems",
    "enum", "const", "minimum", "pattern",
}  # fmt: skip


def violations(value, schema, at="$"):
    """The rules of a JSON schema, as far as ours uses them; a keyword that is not known here is a violation."""
    found = [f"{at}: unknown keyword {key}" for key in set(schema) - _KNOWN]
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: not one of {schema['enum']}")
    if "type" in schema:
        wanted = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if isinstance(value, bool) or not any(isinstance(value, _TYPES[one]) for one in wanted):
            return [*found, f"{at}: {value!r} is no {wanted}"]
    if isinstance(value, (int, float)) and value < schema.get("minimum", value):
        found.append(f"{at}: below {schema['minimum']}")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{at}: does not match")
    if isinstance(value, list):
        found += [f"{at}: too short"] if len(value) < schema.get("minItems", 0) else []
        for k, item in enumerate(value):
            found += violations(item, schema.get("items", {}), f"{at}[{k}]")
    if isinstance(value, dict):
        rules, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        found += [f"{at}: {key} is missing" for key in schema.get("required", ()) if key not in value]
        for key, item in value.items():
            if key not in rules and rest is False:
                found.append(f"{at}: {key} is not in the schema")
            elif key in rules or isinstance(rest, dict):
                found += violations(item, rules.get(key, rest), f"{at}.{key}")
    return found


@pytest.fixture(scope="module")
def schema():
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sidecars(digits, snapped, tmp_path_factory):
    """Of a measured step file, and of a rounded one without measurements."""
    folder = tmp_path_factory.mktemp("sidecars")
    trace = se.trace(snapped, digits[:5])
    export_onnx(snapped, digits[:2], folder / "step.onnx", form="step", trace=trace, sidecar=folder / "step.onnx.json")
    export_onnx(
        fold(lively()), digits[:2], folder / "int8.onnx", int8=True, force=True, sidecar=folder / "int8.onnx.json"
    )
    return folder


@pytest.mark.parametrize("name", ["step", "int8"])
def test_it_follows_the_schema(sidecars, schema, name):
    document = json.loads((sidecars / f"{name}.onnx.json").read_text(encoding="utf-8"))
    assert violations(document, schema) == []
    for key in schema["required"]:  # the check does check
        assert violations({one: value for one, value in document.items() if one != key}, schema)
    assert violations({**document, "form": "rolled", "more": 1}, schema)


def test_it_tells_what_the_file_tells(sidecars):
    document = json.loads((sidecars / "step.onnx.json").read_text(encoding="utf-8"))
    content = (sidecars / "step.onnx").read_bytes()
    assert document["file"] == {
        "name": "step.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    proto = onnx.load_model_from_string(content)
    assert [entry["name"] for entry in document["inputs"]] == [entry.name for entry in proto.graph.input]
    assert [entry["name"] for entry in document["outputs"]] == [entry.name for entry in proto.graph.output]
    assert (document["form"], document["time_steps"], document["readout"]) == ("step", 3, "mean")
    assert document["inputs"][0] == {"name": "frame", "type": "float", "shape": ["batch", 1, 8, 8]}
    assert [state["shape"] for state in document["states"]] == [["batch", 4, 8, 8], ["batch", 6, 4, 4]]
    assert sum(document["operators"].values()) == len(proto.graph.node)
    assert [neuron["nodes"] for neuron in document["neurons"]] == [
        [f"blocks.{i}.neuron/GreaterOrEqual"] for i in (0, 1)
    ]


def test_unknown_is_null_and_losses_are_listed(sidecars):
    document = json.loads((sidecars / "int8.onnx.json").read_text(encoding="utf-8"))
    assert document["samples"] is None
    assert {layer["acs"] for layer in document["layers"]} == {None}
    assert (document["weights"], len(document["losses"])) == ("int8", 3)


def test_the_schema_is_that_of_the_readme_table(schema):
    """Every top-level key is required, so that a reader need not ask."""
    assert list(schema["properties"]) == schema["required"]
    assert schema["additionalProperties"] is False
