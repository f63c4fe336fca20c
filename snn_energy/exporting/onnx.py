"""ONNX, unrolled over time: one graph of standard operators from images to logits, all T time steps inside.

torch's newer exporter (`dynamo=True`) makes the graph: it keeps module paths, folds constants, infers shapes
and gives the smaller graph; the older one is deprecated. A spike is a comparison and a cast. The state of a
neuron starts at zero in every run, as in the network.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from snn_energy.errors import MODEL_ERRORS, DataError, UsageError
from snn_energy.exporting.agreement import Agreement, verify_onnx
from snn_energy.exporting.failures import ExportError, first_line, refusal
from snn_energy.exporting.graph import BATCH, INPUT, OUTPUT, refuse_unfit, set_properties, tidy
from snn_energy.exporting.metadata import network_metadata
from snn_energy.files import write_atomic

if TYPE_CHECKING:
    from onnx import ModelProto

LOWEST_OPSET = 18
"""The opset torch's exporter is written in; the default, as nothing is converted and most tools read it."""

TOLERANCE = 1e-4
"""Largest difference between logits that passes the check, as a part of the largest logit."""

_LARGEST_FILE = 2**31 - 1  # bytes in one protobuf message
# Warnings that torch raises about itself, or about things checked here by other means.
_EXPECTED_WARNINGS = (
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    (UserWarning, r"The tensor attributes? .* (was|were) assigned during export"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """What was written: `operators` counts nodes by operator, `agreement` is None where none was checked."""

    path: Path
    form: str
    opset: int
    ir_version: int
    input_shape: tuple[str | int, ...]
    output_shape: tuple[str | int, ...]
    operators: Mapping[str, int]
    size_bytes: int
    sha256: str
    metadata: Mapping[str, str]
    agreement: Agreement | None

    @property
    def nodes(self) -> int:
        """Number of nodes in the graph."""
        return sum(self.operators.values())


def export_onnx(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    opset: int = LOWEST_OPSET,
    metadata: Mapping[str, str] | None = None,
    node_metadata: Mapping[str, Mapping[str, str]] | None = None,
    verify: Tensor | None = None,
    tolerance: float = TOLERANCE,
) -> ExportedModel:
    """Write `model` to `path` as ONNX, unrolled over its time steps; identical input gives identical bytes.

    The file's input `images` has the shape of `example` with the first axis free; its output is `logits`. A
    copy of the model is exported, in eval mode on the CPU: the model stays as it is. `metadata` goes into the
    file's properties beside those of `metadata.network_metadata`, `node_metadata` (by module path) to the
    node that holds the module's weight. With `verify`, inputs `n ...`, the graph must agree with the model in
    onnxruntime to within `tolerance` before anything is written.

    Shapes: example `n c h w` -> logits `n classes`. Errors: UsageError for an opset out of range, DataError
    for an example that is none, ExportError, naming the construct, for a network that ONNX cannot hold, that
    keeps state between calls, draws random numbers, or does not agree; no file is left then.
    """
    _check_request(model, example, opset)
    _check_modules(model, node_metadata or {})
    batch = example.detach().cpu()
    if len(batch) == 1:
        batch = torch.cat([batch, batch])  # torch takes a size of 1 for a constant
    logits = _run_twice(model, batch)
    network = _copied(model)
    proto = _converted(network, batch, opset)
    refuse_unfit(proto, network)
    _refuse_state(network, *logits)
    tidy(proto, network, node_metadata or {})
    properties = {**(metadata or {}), **network_metadata(network)}
    set_properties(proto, properties)
    content = _checked_bytes(proto, network)

    agreement = None
    if verify is not None:
        agreement = verify_onnx(content, model, verify)
        if not agreement.within(tolerance):
            raise ExportError(
                f"{path}: not written: onnxruntime and the network disagree by up to"
                f" {agreement.max_abs_diff:.3g} on {agreement.samples} inputs (expected at most {tolerance:g}"
                f" of the largest logit, {agreement.largest:.3g}), {agreement.same_class} in the same class;"
                " where weights are not snapped, rounding may move a spike: snap the network, or write it"
                " without the check"
            )
    write_atomic(path, content)
    return ExportedModel(
        path=Path(path),
        form="unrolled",
        opset=opset,
        ir_version=proto.ir_version,
        input_shape=_shape(proto.graph.input[0]),
        output_shape=_shape(proto.graph.output[0]),
        operators=dict(sorted(Counter(node.op_type for node in proto.graph.node).items())),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        metadata=dict(sorted(properties.items())),
        agreement=agreement,
    )


def _check_request(model: nn.Module, example: Tensor, opset: int) -> None:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if isinstance(opset, bool) or not isinstance(opset, int) or not LOWEST_OPSET <= opset <= newest:
        raise UsageError(
            f"export_onnx: opset must be an integer from {LOWEST_OPSET} to {newest} (got {opset!r});"
            f" {LOWEST_OPSET} is read by most tools"
        )
    if not isinstance(example, Tensor) or example.dim() == 0 or len(example) == 0:
        got = list(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise DataError(
            f"export_onnx: example must be a tensor [N, ...] with N >= 1 (got {got}); give a batch of inputs"
        )
    size = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    if size > _LARGEST_FILE:
        raise ExportError(
            f"{type(model).__qualname__}: cannot be exported to one ONNX file: {size} bytes of weights"
            f" (expected at most {_LARGEST_FILE}); export parts of it"
        )


def _check_modules(model: nn.Module, node_metadata: Mapping[str, Mapping[str, str]]) -> None:
    known = [name for name, _ in model.named_modules()]
    if node_metadata and not set(node_metadata) & set(known):
        raise UsageError(
            f"export_onnx: node_metadata (of a report?) names {', '.join(list(node_metadata)[:3])}: expected"
            f" modules of {type(model).__qualname__} (got none of them); give those of this network"
        )


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model).cpu().eval()
    except MODEL_ERRORS as problem:
        raise ExportError(
            f"{type(model).__qualname__}: cannot be copied for the export: {first_line(problem)}; reset the"
            " network's state first"
        ) from problem


def _run_twice(model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of two calls, of a copy, on the same batch."""
    network = _copied(model)
    try:
        with torch.no_grad():
            first, second = network(batch), network(batch)
    except MODEL_ERRORS as problem:
        raise ExportError(
            f"{type(model).__qualname__}: cannot run on an example of shape {list(batch.shape)}:"
            f" {first_line(problem)}; give an example that the network takes"
        ) from problem
    if not isinstance(first, Tensor) or first.dim() == 0 or len(first) != len(batch):
        got = f"shape {list(first.shape)}" if isinstance(first, Tensor) else f"a {type(first).__name__}"
        raise ExportError(
            f"{type(model).__qualname__}: expected one tensor of logits [N, ...] with N = {len(batch)}"
            f" (got {got}); wrap the network in one that returns its logits alone"
        )
    return first, second


def _refuse_state(network: nn.Module, first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or not torch.allclose(first, second, rtol=0, atol=0, equal_nan=True):
        raise ExportError(
            f"{type(network).__qualname__}: cannot be exported to ONNX: a second call on the same input gives"
            " another result, so it keeps state between calls or draws random numbers; reset the state inside"
            " forward, or use a deterministic encoder"
        )


def _converted(network: nn.Module, batch: Tensor, opset: int) -> ModelProto:
    try:
        with torch.no_grad(), _quiet():
            sizes = ({0: torch.export.Dim(BATCH)},)
            program = torch.export.export(network, (batch,), dynamic_shapes=sizes, strict=False)
            converted = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
            assert converted is not None
            proto: ModelProto = converted.model_proto
    except MODEL_ERRORS as problem:
        raise refusal(problem, network) from problem
    got = {entry.domain: entry.version for entry in proto.opset_import}.get("")
    if got != opset:  # the converter gives up with a line in its log and leaves the graph as it was
        raise UsageError(
            f"export_onnx: this network cannot be written in opset {opset} (got {got}); use opset {LOWEST_OPSET}"
        )
    return proto


def _checked_bytes(proto: ModelProto, network: nn.Module) -> bytes:
    import onnx

    content: bytes = proto.SerializeToString(deterministic=True)
    try:
        onnx.checker.check_model(content, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as problem:
        raise ExportError(
            f"{type(network).__qualname__}: cannot be exported to ONNX: the checker refuses the graph:"
            f" {first_line(problem)}; try opset {LOWEST_OPSET}"
        ) from problem
    return content


def _shape(info: object) -> tuple[str | int, ...]:
    axes = info.type.tensor_type.shape.dim  # type: ignore[attr-defined]
    return tuple(axis.dim_param or axis.dim_value for axis in axes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's log and its expected warnings off the terminal; what matters comes as an error."""
    before = logging.root.manager.disable
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        for category, pattern in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=pattern, category=category)
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)
