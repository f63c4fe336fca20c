"""What else than a module can be traced: programs of torch.export and ONNX graphs."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

from snn_energy.counting.skeleton import Graph
from snn_energy.errors import TraceError

ONNX_SUFFIX, PROGRAM_SUFFIX = ".onnx", ".pt2"


def as_graph(model: object, like: nn.Module | None) -> Graph:
    """The graph that `model` is; TraceError for anything that cannot be traced.

    Libraries are not imported to find out: an object of theirs means that they are loaded already.
    """
    if isinstance(model, Graph):
        return model
    if "torch.export" in sys.modules:
        from torch.export import ExportedProgram

        if isinstance(model, ExportedProgram):
            from snn_energy.counting.exported import Program

            return Program(model, like)
    if is_onnx(model):
        from snn_energy.counting.onnxgraph.graph import OnnxGraph

        return OnnxGraph.load(model, like)
    raise TraceError(
        "trace: model must be a torch.nn.Module, a torch.export.ExportedProgram, an onnx.ModelProto or the path of "
        f"an .onnx file (got {_described(model)}); pass the module itself"
    )


def is_onnx(model: object) -> bool:
    """True for a loaded ONNX model and for the path of an ONNX file."""
    if isinstance(model, (str, Path)):
        return Path(model).suffix.lower() == ONNX_SUFFIX
    return type(model).__name__ == "ModelProto" and type(model).__module__.startswith("onnx")


def _described(model: object) -> str:
    return repr(str(model)) if isinstance(model, (str, Path)) else type(model).__name__
