"""onnxruntime, run so that every result that is asked for can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from snn_energy.errors import DataError, TraceError, first_line

if TYPE_CHECKING:
    from onnx import ModelProto

FILE_LIMIT = 2**31 - 1
"""Bytes in one protobuf message."""

Value = Any
"""A tensor; or, of the kinds that torch does not have (sequences, text), what onnxruntime returned."""


class Session:
    """One graph loaded by onnxruntime; `run` returns every result named in `fetch`, in the graph's own arithmetic."""

    def __init__(self, model: ModelProto, fetch: Sequence[str], name: str) -> None:
        import onnx

        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError:
            raise TraceError(f"{name}: running ONNX needs onnxruntime; pip install onnxruntime") from None
        self._name, self._fetch = name, list(fetch)
        # onnxruntime's errors have no common base below Exception.
        self._failures = (
            state.Fail,
            state.InvalidArgument,
            state.InvalidGraph,
            state.InvalidProtobuf,
            state.NotImplemented,
            state.RuntimeException,
        )
        wanted = onnx.ModelProto()
        wanted.CopyFrom(model)
        known = {output.name for output in wanted.graph.output}
        wanted.graph.output.extend(onnx.ValueInfoProto(name=one) for one in self._fetch if one not in known)
        if wanted.ByteSize() > FILE_LIMIT:
            raise TraceError(
                f"{name}: {wanted.ByteSize():,} bytes with its weights; expected at most {FILE_LIMIT:,} (one protobuf "
                "message); profile the network it was exported from, or parts of it"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # a failure comes as an exception; nothing else matters here
        options.intra_op_num_threads = torch.get_num_threads()
        # Fused operators would hide results; a graph that is run as written has all of them.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(
                wanted.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except self._failures as problem:
            raise TraceError(f"{name}: onnxruntime cannot load it: {_first(problem)}; export it again") from None
        self.inputs: dict[str, str] = {entry.name: entry.type for entry in self._session.get_inputs()}

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Value]:
        """The results in `fetch`, by name."""
        arrays = {name: value.detach().cpu().contiguous().numpy() for name, value in feeds.items()}
        try:
            results = self._session.run(self._fetch, arrays)
        except self._failures as problem:
            shapes = {name: list(value.shape) for name, value in feeds.items()}
            raise DataError(
                f"{self._name}: onnxruntime cannot run it on inputs of shape {shapes}: {_first(problem)}; "
                "check the data's shape and type"
            ) from None
        return {name: to_tensor(value) for name, value in zip(self._fetch, results, strict=True)}


def to_tensor(value: Any) -> Value:
    """An array as a tensor; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.name == "bfloat16":
        return torch.from_numpy(value.view(np.int16).copy()).view(torch.bfloat16)
    if value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
        return value
    return torch.from_numpy(value if value.flags.writeable else value.copy())


DTYPES: dict[str, torch.dtype] = {
    "tensor(float)": torch.float32,
    "tensor(double)": torch.float64,
    "tensor(float16)": torch.float16,
    "tensor(bool)": torch.bool,
    "tensor(int8)": torch.int8,
    "tensor(uint8)": torch.uint8,
    "tensor(int16)": torch.int16,
    "tensor(int32)": torch.int32,
    "tensor(int64)": torch.int64,
}
"""onnxruntime's name of a type -> torch's."""


def fitted(value: Tensor, wanted: str, name: str, where: str) -> Tensor:
    """An input in the type that the graph takes, if that changes no value; DataError otherwise."""
    dtype = DTYPES.get(wanted)
    if dtype is None or value.dtype is dtype:
        return value
    cast = value.to(dtype)
    if not torch.equal(cast.to(torch.float64), value.to(torch.float64)):
        raise DataError(
            f"{where}: input {name!r} is {dtype} (got {value.dtype} that it cannot hold exactly); convert the data"
        )
    return cast


def _first(problem: BaseException) -> str:
    return first_line(problem).rpartition(" : ")[2]
