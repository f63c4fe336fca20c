"""Where the nodes of an ONNX graph belong: module paths and weight names, as far as its exporter kept them.

Ours writes the path on each node; torch's exporter writes the scopes ("['', 'fc', 'linear']"), its older one names the
node after them ("/blocks/blocks.0/conv/Conv"), and both keep the names of weights that they do not transform.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from snn_energy.counting.neurons import NeuronRow
from snn_energy.errors import TraceError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

MODULE_KEY, CALL_KEY, NEURONS_KEY = "snn_energy.module", "snn_energy.call", "snn_energy.neurons"
SCOPES_KEY, CLASSES_KEY = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
TRACE_KEY = "pkg.torch.onnx.stack_trace"
_UNKNOWN_SCOPE = "_empty_nn_module_stack_from_metadata_hook"


@dataclass(frozen=True, slots=True)
class Scope:
    """The modules around a node, outermost first: path, which call of it, qualified class ("" where not known)."""

    modules: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Path of the innermost module; "" where it is not known."""
        return self.modules[-1][0] if self.modules else ""


def scope_of(node: NodeProto) -> Scope:
    """What the node's own properties and name tell."""
    properties = {entry.key: entry.value for entry in node.metadata_props}
    if MODULE_KEY in properties:
        path = properties[MODULE_KEY]
        return Scope(((path, f"{path}@{properties.get(CALL_KEY, '0')}"),), ("",))
    if SCOPES_KEY in properties:
        return _torch_scope(properties)
    if "/" in node.name:
        path = _path_from_name(node.name)
        return Scope(((path, path),), ("",)) if path else Scope()
    return Scope()


def _torch_scope(properties: Mapping[str, str]) -> Scope:
    try:
        calls = ast.literal_eval(properties[SCOPES_KEY])[:-1]
        classes = ast.literal_eval(properties.get(CLASSES_KEY, "[]"))[:-1]
    except (ValueError, SyntaxError):
        return Scope()
    if not all(isinstance(text, str) for text in (*calls, *classes)) or _UNKNOWN_SCOPE in calls:
        return Scope()
    if len(classes) != len(calls):
        classes = [""] * len(calls)
    # "lif@1" is the second call of lif.
    modules = tuple((".".join(part.partition("@")[0] for part in call.split(".")), call) for call in calls)
    return Scope(modules, tuple(classes))


def _path_from_name(name: str) -> str:
    """`/blocks/blocks.0/conv/Conv` lies in `blocks.0.conv`: a list's name comes once more with its index."""
    parts = [part for part in name.split("/")[:-1] if part]
    kept = [part for part, after in zip_longest(parts, parts[1:], fillvalue="") if not after.startswith(f"{part}.")]
    return ".".join(kept)


def weight_name(own: str, path: str, node_name: str) -> str:
    """Name of a weight: its own if that is a path, else the path of the node that multiplies by it, else its own."""
    own = own.removesuffix("_quantized").removesuffix("_DequantizeLinear_Output")
    leaf = own.rpartition(".")[2]
    if "." in own and leaf.replace("_", "").isalnum() and not leaf.isdigit() and "::" not in own:
        return own
    owner = path or ("" if "/" in node_name else node_name)
    return f"{owner}.weight" if owner else own


def written_neurons(model: ModelProto) -> dict[str, NeuronRow] | None:
    """The neuron layers that our exporter wrote into the file, by path; None for any other exporter."""
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if NEURONS_KEY not in properties:
        return None
    try:
        entries = json.loads(properties[NEURONS_KEY])
        return {entry["name"]: _row(entry) for entry in entries if "update" in entry}
    except (ValueError, TypeError, KeyError) as problem:
        raise TraceError(
            f"{model.graph.name}: its property {NEURONS_KEY} is damaged ({problem!r}); export the network again"
        ) from None


def unstacked_neurons(model: ModelProto) -> frozenset[str]:
    """Multi-step neurons whose spikes lie in the file without their axis of one time step, as our exporter noted."""
    if written_neurons(model) is None:
        return frozenset()
    text = next(entry.value for entry in model.metadata_props if entry.key == NEURONS_KEY)
    return frozenset(entry["name"] for entry in json.loads(text) if entry.get("unstacked"))


def _row(entry: Mapping[str, Any]) -> NeuronRow:
    update: Mapping[str, Any] = entry["update"]
    return NeuronRow(
        qualified_name=str(entry["name"]),
        kind=str(entry["kind"]),
        equation=str(entry.get("equation", "")),
        adds=int(update["adds"]),
        muls=int(update["muls"]),
        compares=int(update["compares"]),
        state_variables=int(update["state_variables"]),
        specials=int(update.get("specials", 0)),
        soft_reset_adds=int(update["soft_reset_adds"]),
        spiking=bool(update.get("spiking", True)),
        time_axis=None if update["time_axis"] is None else int(update["time_axis"]),
        binary_scale=None if update["binary_scale"] is None else float(update["binary_scale"]),
    )
