"""NIR files: HDF5, read as data alone, written byte for byte the same for the same graph.

    /version                    text
    /node/type                  "NIRGraph"
    /node/nodes/<name>/type     name of the primitive
    /node/nodes/<name>/<field>  its parameters, arrays, numbers or text
    /node/edges                 text [E, 2]: from, to
    /node/metadata/<key>        optional, also in each node

The layout is that of the package `nir` 1.0, which reads what is written here. Arrays are not compressed and nothing is
dated, so that equal graphs make equal files. Nothing is unpickled, and nothing outside the file is opened.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snn_energy.errors import DataError, UsageError
from snn_energy.nirgraph.records import SUBGRAPH, NirGraph, NirNode

if TYPE_CHECKING:
    import h5py

FORMAT_VERSION = "1.0.8"
"""Version of the package `nir` whose layout is written."""

LARGEST_BYTES = 1 << 33
"""Numbers that one file may unpack to: compression hides the true size of a hostile file."""

DEEPEST = 16
"""Subgraphs within subgraphs."""

_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
"""Filters that come with HDF5 and h5py (deflate, shuffle, checksum, szip, nbit, scale-offset, lzf): others are code."""


def graph_bytes(graph: NirGraph) -> bytes:
    """The file that holds `graph`. Errors: UsageError without h5py; DataError for a name that HDF5 cannot hold."""
    h5 = _h5py("write")
    buffer = io.BytesIO()
    with h5.File(buffer, "w", track_order=False) as file:
        _put(file, "version", FORMAT_VERSION)
        _put_graph(file.create_group("node"), graph)
    return buffer.getvalue()


def read_graph(path: str | PathLike[str]) -> NirGraph:
    """The graph in a file. Errors: UsageError without h5py; DataError for a file that is missing, damaged or no NIR."""
    h5 = _h5py("read")
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    reader = _Reader(h5, str(path))
    try:
        with h5.File(path, "r") as file:
            return reader.graph(reader.group(file, "node"))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as problem:
        reason = " ".join(str(problem).split())
        raise DataError(f"{path}: cannot be read as HDF5 ({reason:.120}); export the graph again") from None


class _Reader:
    def __init__(self, h5: Any, path: str) -> None:
        self._h5, self._path, self._left = h5, path, LARGEST_BYTES

    def graph(self, group: h5py.Group, depth: int = 0) -> NirGraph:
        if depth > DEEPEST:
            raise DataError(f"{self._path}: {group.name}: graphs are nested deeper than {DEEPEST}; flatten them")
        kind = self.text(group, "type")
        if kind != SUBGRAPH:
            raise DataError(
                f"{self._path}: {group.name}: expected a graph (got a single node {kind!r}); put it between an Input "
                "and an Output"
            )
        nodes: dict[str, NirNode | NirGraph] = {}
        inside = self.group(group, "nodes")
        for name in inside:
            each = self.group(inside, name)
            kind = self.text(each, "type")
            if kind == SUBGRAPH:
                nodes[name] = self.graph(each, depth + 1)
                continue
            fields = {key: self.value(each, key) for key in each if key not in ("type", "metadata")}
            nodes[name] = NirNode(kind, fields, self.metadata(each))
        edges = self.value(group, "edges")
        pairs = np.asarray(edges)
        if pairs.size and (pairs.ndim != 2 or pairs.shape[1] != 2):
            raise DataError(
                f"{self._path}: {group.name}/edges: expected pairs of names [E, 2] (got shape {list(pairs.shape)}); "
                "export the graph again"
            )
        return NirGraph(nodes, tuple((_text(a), _text(b)) for a, b in pairs.tolist()), self.metadata(group))

    def metadata(self, group: h5py.Group) -> dict[str, str]:
        if "metadata" not in group:
            return {}
        inside = self.group(group, "metadata")
        # Somebody else's metadata may hold groups as well; only text and numbers mean something to us.
        datasets = [key for key in inside if inside.get(key, getclass=True) is self._h5.Dataset]
        return {key: _text(self.value(inside, key)) for key in datasets}

    def group(self, parent: h5py.Group, name: str) -> h5py.Group:
        found = self._item(parent, name)
        if not isinstance(found, self._h5.Group):
            raise DataError(f"{self._path}: {found.name} is no group; expected a file of NIR, export the graph again")
        return found

    def text(self, parent: h5py.Group, name: str) -> str:
        value = self.value(parent, name)
        if not isinstance(value, str):
            raise DataError(f"{self._path}: {parent.name}/{name} must be text (got {value!r:.60})")
        return value

    def value(self, parent: h5py.Group, name: str) -> Any:
        found = self._item(parent, name)
        if not isinstance(found, self._h5.Dataset):
            raise DataError(f"{self._path}: {found.name} is no array; expected a file of NIR, export the graph again")
        text = self._h5.check_string_dtype(found.dtype)
        if found.dtype.kind not in "fiub" and text is None:
            raise DataError(f"{self._path}: {found.name} holds {found.dtype}; expected numbers or text")
        plan = found.id.get_create_plist()
        filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
        if found.is_virtual or found.external or not filters <= _FILTERS:
            raise DataError(
                f"{self._path}: {found.name} is stored outside the file, or by a plug-in; copy it with h5repack first"
            )
        self._left -= found.size * found.dtype.itemsize if found.size else 0
        if self._left < 0:
            raise DataError(f"{self._path}: it unpacks to more than {LARGEST_BYTES} bytes; is it damaged?")
        value = found[()]
        if isinstance(value, bytes):
            return value.decode("utf-8")
        return value

    def _item(self, parent: h5py.Group, name: str) -> Any:
        link = parent.get(name, getlink=True)
        if link is None:
            raise DataError(
                f"{self._path}: there is no {parent.name.rstrip('/')}/{name}; expected a file of NIR, export the graph "
                "again"
            )
        if not isinstance(link, self._h5.HardLink):
            raise DataError(f"{self._path}: {parent.name}/{name} points elsewhere; expected a file that holds its data")
        return parent[name]


def _put_graph(group: h5py.Group, graph: NirGraph) -> None:
    _put(group, "type", SUBGRAPH)
    inside = group.create_group("nodes")
    for name, node in graph.nodes.items():
        if not name or "/" in name or name == "." or "\0" in name:
            raise DataError(f"export nir: {name!r} cannot be the name of a node in HDF5; rename the module")
        each = inside.create_group(name)
        if isinstance(node, NirGraph):
            _put_graph(each, node)
            continue
        _put(each, "type", node.kind)
        for key, value in node.fields.items():
            _put(each, key, value)
        _put_metadata(each, node.metadata)
    _put(group, "edges", np.array(graph.edges, dtype=object).reshape(-1, 2))
    _put_metadata(group, graph.metadata)


def _put_metadata(group: h5py.Group, metadata: Mapping[str, str]) -> None:
    if metadata:
        inside = group.create_group("metadata")
        for key in sorted(metadata):
            _put(inside, key, metadata[key])


def _put(group: h5py.Group, name: str, value: Any) -> None:
    h5 = _h5py("write")
    if isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype == object):
        group.create_dataset(name, data=value, dtype=h5.string_dtype(), track_times=False)
    else:
        group.create_dataset(name, data=np.asarray(value), track_times=False)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _h5py(what: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise UsageError(
            f"h5py is not installed, which is needed to {what} a .nir file; pip install 'snn-energy[nir]'"
        ) from None
    return h5py
