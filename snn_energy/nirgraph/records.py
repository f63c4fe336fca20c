"""A NIR graph as records: nodes by name, edges between them, text beside both. No library of NIR's is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from snn_energy.errors import DataError

PREFIX = "snn_energy."
"""Of the keys that this package writes into a graph's metadata; see `metadata`."""

SUBGRAPH = "NIRGraph"

PRIMITIVES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "Input": (("shape",), ()),
        "Output": (("shape",), ()),
        "Affine": (("weight", "bias"), ()),
        "Linear": (("weight",), ()),
        "Scale": (("scale",), ()),
        "Conv1d": (("weight", "stride", "padding", "dilation", "groups", "bias"), ("input_shape",)),
        "Conv2d": (("weight", "stride", "padding", "dilation", "groups", "bias"), ("input_shape",)),
        "AvgPool2d": (("kernel_size", "stride", "padding"), ()),
        "SumPool2d": (("kernel_size", "stride", "padding"), ()),
        "Flatten": (("start_dim", "end_dim"), ("input_type",)),
        "Delay": (("delay",), ()),
        "Threshold": (("threshold",), ()),
        "I": (("r",), ()),
        "LI": (("tau", "r", "v_leak"), ()),
        "CubaLI": (("tau_syn", "tau_mem", "r", "v_leak"), ("w_in",)),
        "IF": (("r", "v_threshold"), ("v_reset",)),
        "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
        "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), ("v_reset", "w_in")),
    }
)
"""Every primitive of NIR 1.0: the fields that it must have, and those that it may have."""

NEURONS = ("I", "LI", "CubaLI", "IF", "LIF", "CubaLIF")
"""Primitives that remember something from one time step to the next, delays aside."""


@dataclass(frozen=True, slots=True, eq=False)
class NirNode:
    """One node: `kind` is a primitive's name, `fields` its parameters, `metadata` text that simulators pass over."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def array(self, name: str, default: float | None = None) -> np.ndarray:
        """The field `name` as an array; `default` where the node lacks it."""
        return np.asarray(self.fields.get(name, default))


@dataclass(frozen=True, slots=True, eq=False)
class NirGraph:
    """Nodes by name, directed edges (from, to), metadata. Several edges into one node add up."""

    nodes: Mapping[str, NirNode | NirGraph]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def flat(self, where: str = "the graph") -> NirGraph:
        """This graph without subgraphs, whose nodes are then called `outer.inner`; checked.

        Errors: DataError for an edge to nowhere, an edge given twice, an unknown primitive, a missing or an unknown
        field, or not exactly one input and one output.
        """
        nodes: dict[str, NirNode] = {}
        edges: list[tuple[str, str]] = []
        _flatten(self, "", nodes, edges, where)
        for name, node in nodes.items():
            _check(name, node, where)
        for kind in ("Input", "Output"):
            found = [name for name, node in nodes.items() if node.kind == kind]
            if len(found) != 1:
                raise DataError(
                    f"{where}: expected one node {kind} (got {len(found)}: {', '.join(found) or 'none'}); join the "
                    "others, or export the parts as graphs of their own"
                )
        return NirGraph(nodes, tuple(dict.fromkeys(edges)), self.metadata)

    def only(self, kind: str) -> str:
        """The name of the one node of this kind."""
        return next(name for name, node in self.nodes.items() if isinstance(node, NirNode) and node.kind == kind)


def from_nir(graph: Any) -> NirGraph:
    """The records of a graph in memory, a `nir.NIRGraph`."""
    return _converted(graph.to_dict())


def _converted(plain: Mapping[str, Any]) -> NirGraph:
    nodes: dict[str, NirNode | NirGraph] = {}
    for name, node in plain["nodes"].items():
        if node["type"] == SUBGRAPH:
            nodes[name] = _converted(node)
        else:
            kept = [key for key in node if key not in ("type", "metadata") and node[key] is not None]
            fields = {key: node[key] for key in kept}
            nodes[name] = NirNode(node["type"], fields, _texts(node.get("metadata")))
    return NirGraph(nodes, tuple((str(a), str(b)) for a, b in plain["edges"]), _texts(plain.get("metadata")))


def _texts(metadata: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, Mapping) else {}


def _flatten(graph: NirGraph, prefix: str, nodes: dict[str, NirNode], edges: list[tuple[str, str]], where: str) -> None:
    """Add the nodes and edges of `graph`; the Input and Output of a subgraph join what leads to and from it."""
    doors: dict[str, tuple[str, str]] = {}
    own: list[tuple[str, str]] = []
    for name, node in graph.nodes.items():
        if isinstance(node, NirNode):
            nodes[prefix + name] = node
            continue
        inner: dict[str, NirNode] = {}
        within: list[tuple[str, str]] = []
        _flatten(node, f"{prefix}{name}.", inner, within, where)
        ins, outs = (
            [
                f"{prefix}{name}.{key}"
                for key, each in node.nodes.items()
                if isinstance(each, NirNode) and each.kind == kind
            ]
            for kind in ("Input", "Output")
        )
        if len(ins) != 1 or len(outs) != 1:
            raise DataError(
                f"{where}: subgraph {prefix + name}: expected one Input and one Output (got {len(ins)} and "
                f"{len(outs)}); give it one of each"
            )
        doors[name] = (ins[0], outs[0])
        nodes |= inner
        own += within
    for ends in graph.edges:
        for end in ends:
            if end not in graph.nodes:
                known = ", ".join(sorted(graph.nodes)[:6])
                raise DataError(
                    f"{where}: edge {ends[0]} -> {ends[1]}: there is no node {end!r} (nodes: {known}); export the "
                    "graph again"
                )
        a, b = ends
        own.append((doors[a][1] if a in doors else prefix + a, doors[b][0] if b in doors else prefix + b))
    for entrance, way_out in doors.values():
        for door in (entrance, way_out):
            own = _through(door, own)
            nodes.pop(door, None)
    edges += own


def _through(door: str, edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges with those through `door` joined, and the door gone."""
    into = [a for a, b in edges if b == door]
    out = [b for a, b in edges if a == door]
    return [edge for edge in edges if door not in edge] + [(a, b) for a in into for b in out]


def _check(name: str, node: NirNode, where: str) -> None:
    if node.kind not in PRIMITIVES:
        raise DataError(
            f"{where}: node {name}: unknown primitive {node.kind!r} (known: {', '.join(PRIMITIVES)}); write it with "
            "these"
        )
    needed, optional = PRIMITIVES[node.kind]
    missing = [field_name for field_name in needed if field_name not in node.fields]
    if missing:
        raise DataError(
            f"{where}: node {name} ({node.kind}): no field {missing[0]!r} (expected {', '.join(needed)}; got "
            f"{', '.join(sorted(node.fields)) or 'none'}); export the graph again"
        )
    strange = sorted(set(node.fields) - {*needed, *optional})
    if strange:
        raise DataError(
            f"{where}: node {name} ({node.kind}): unknown field {strange[0]!r} (known: "
            f"{', '.join((*needed, *optional))}); it may change what the node means, so leave it out"
        )
    for key, value in node.fields.items():
        kind = np.asarray(value).dtype.kind
        if kind not in "fiub" and not (key == "padding" and isinstance(value, str)):
            raise DataError(f"{where}: node {name} ({node.kind}): {key} must be numbers (got {value!r:.60})")
        if kind == "f" and not np.isfinite(np.asarray(value)).all():
            raise DataError(f"{where}: node {name} ({node.kind}): {key} holds NaN or infinity; repair the weights")
