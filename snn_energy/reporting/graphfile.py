"""An exported graph as the subject of a report: `.onnx` files and, if trusted, `.pt2` programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from snn_energy.counting.graphs import ONNX_SUFFIX, PROGRAM_SUFFIX, as_graph
from snn_energy.errors import DataError, TraceError, UsageError, first_line
from snn_energy.models import InputSpec

if TYPE_CHECKING:
    from snn_energy.counting.skeleton import Graph

NIR_SUFFIX = ".nir"
GRAPH_SUFFIXES = (ONNX_SUFFIX, PROGRAM_SUFFIX)


def is_graph_file(name: str) -> bool:
    """True for the name of a file that holds a graph."""
    return Path(name).suffix.lower() in GRAPH_SUFFIXES


def is_nir_file(name: str) -> bool:
    """True for the name of a file that holds a NIR graph."""
    return Path(name).suffix.lower() == NIR_SUFFIX


def load_graph(path: str | Path, *, trust: bool = False) -> Graph:
    """The graph in a file.

    An ONNX file holds data alone. A .pt2 program may hold code: torch.export.load unpickles constants, and evaluates
    the formulas of dynamic shapes. It is loaded only with `trust`.

    Raises:
        UsageError: a .pt2 file without `trust`.
        TraceError: a file that cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() == ONNX_SUFFIX:
        return as_graph(path, None)
    if not trust:
        raise UsageError(
            f"{path}: a .pt2 program can run code of its own while it is loaded (torch.export.load unpickles, and "
            "evaluates formulas); give --trust if you know where it is from, or export the model as ONNX"
        )
    if not path.is_file():
        raise TraceError(f"{path}: no such file; check the path")
    import zipfile

    import torch

    if not zipfile.is_zipfile(path):  # torch would log a traceback of its own before it fails
        raise TraceError(f"{path}: torch.export.load cannot read it (no zip archive); export the program again")
    try:
        program = torch.export.load(path)
    except (RuntimeError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as problem:
        raise TraceError(
            f"{path}: torch.export.load cannot read it ({first_line(problem)}); export the program again"
        ) from None
    return as_graph(program, None)


def written_input(properties: Mapping[str, str], path: str) -> InputSpec | None:
    """How pixels become inputs, if our exporter wrote it into the file.

    Raises:
        DataError: it did, and somebody damaged it.
    """
    text = properties.get("snn_energy.input")
    if text is None:
        return None
    try:
        return InputSpec.from_plain(json.loads(text))
    except (ValueError, AttributeError) as problem:
        raise DataError(f"{path}: its property snn_energy.input is damaged ({problem}); export it again") from None


def written_classes(properties: Mapping[str, str]) -> tuple[str, ...] | None:
    """The class names, if our exporter wrote them into the file."""
    text = properties.get("snn_energy.classes")
    try:
        names = None if text is None else json.loads(text)
    except ValueError:
        return None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
