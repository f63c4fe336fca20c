"""An ONNX file or model, made ready to read: external weights from beside the file only, functions inlined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_energy.errors import TraceError, first_line

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto

STANDARD_DOMAINS = ("", "ai.onnx")


def read_model(source: Any) -> ModelProto:
    """The model in a file, or a copy of one in memory, with its weights inside and without functions of its own.

    Weights in files of their own are read only from the folder of the model or below it: a path that leads out of it
    is refused, and so are external weights of a model in memory, whose folder nobody knows.

    Raises:
        TraceError: onnx is missing, the file cannot be read, or its weights lie elsewhere.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import inliner
    except ImportError:
        raise TraceError("trace: reading ONNX needs the package onnx; pip install onnx onnxruntime") from None
    if isinstance(source, (str, Path)):
        path = Path(source)
        try:
            model = onnx.load_model_from_string(path.read_bytes())
        except OSError as problem:
            raise TraceError(f"{path}: cannot read this ONNX file ({problem.strerror}); check the path") from None
        except (DecodeError, ValueError) as problem:
            raise TraceError(f"{path}: no ONNX model ({first_line(problem)}); export it again") from None
        folder: Path | None = path.parent
    else:
        path, folder = Path("the ONNX model"), None
        model = onnx.ModelProto()
        model.CopyFrom(source)
    if not model.graph.node and not model.graph.output:
        raise TraceError(f"{path}: an ONNX model without a graph; export it again")
    _take_in_weights(model, path, folder)
    return inliner.inline_local_functions(model) if model.functions else model


def _take_in_weights(model: ModelProto, path: Path, folder: Path | None) -> None:
    from onnx.external_data_helper import load_external_data_for_tensor

    for tensor in _tensors(model.graph):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        where = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        if folder is None:
            raise TraceError(
                f"{path}: weight {tensor.name!r} lies in a file of its own, {where!r}; load the model with its "
                "external data, or pass the path of the .onnx file"
            )
        inside = folder.resolve()
        wanted = (folder / where).resolve()
        if not where or Path(where).is_absolute() or not wanted.is_relative_to(inside) or not wanted.is_file():
            raise TraceError(
                f"{path}: weight {tensor.name!r} lies in {where!r}; expected a file in the model's own folder; "
                "move it there, or save the model as one file"
            )
        load_external_data_for_tensor(tensor, str(inside))
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]


def _tensors(graph: GraphProto) -> list[TensorProto]:
    """Every tensor stored in a graph, its nodes' attributes and the graphs inside them."""
    found = [*graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            found += [attribute.t] if attribute.HasField("t") else []
            found += attribute.tensors
            found += _tensors(attribute.g) if attribute.HasField("g") else []
            for inner in attribute.graphs:
                found += _tensors(inner)
    return found


def opset_of(model: ModelProto) -> int:
    """Version of the standard operator set."""
    return max((entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS), default=1)
