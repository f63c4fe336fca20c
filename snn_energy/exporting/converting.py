"""From a module to an ONNX graph, by torch's newer exporter, and from a graph to checked bytes.

`dynamo=True` keeps module paths, folds constants, infers shapes and gives the smaller graph; the older exporter is
deprecated.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from snn_energy.errors import MODEL_ERRORS, UsageError
from snn_energy.exporting.failures import ExportError, first_line, refusal

if TYPE_CHECKING:
    from onnx import ModelProto

LOWEST_OPSET = 18
"""The opset torch's exporter is written in; the default, as nothing is converted and most tools read it."""

# Warnings that torch raises about itself, or about things checked here by other means.
_EXPECTED_WARNINGS = (
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    (UserWarning, r"The tensor attributes? .* (was|were) assigned during export"),
    (UserWarning, r"# The axis name: .* will not be used"),
    (UserWarning, r"A model attribute `.*` requires gradient"),  # a constant is what it is meant to be here
)


def converted(
    network: nn.Module, args: tuple[Any, ...], sizes: Any, inputs: Sequence[str], outputs: Sequence[str], opset: int
) -> ModelProto:
    """Export one call of `network` on `args`; `sizes` are torch.export's dynamic shapes.

    Errors: ExportError that names the construct, UsageError for an opset that the graph cannot be written in.
    """
    try:
        with torch.no_grad(), quiet():
            program = torch.export.export(network, args, dynamic_shapes=sizes, strict=False)
            done = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
            assert done is not None
            proto: ModelProto = done.model_proto
    except MODEL_ERRORS as problem:
        raise refusal(problem, network) from problem
    got = {entry.domain: entry.version for entry in proto.opset_import}.get("")
    if got != opset:  # the converter gives up with a line in its log and leaves the graph as it was
        raise UsageError(
            f"export_onnx: this network cannot be written in opset {opset} (got {got}); use opset {LOWEST_OPSET}"
        )
    return proto


def checked_bytes(proto: ModelProto, network: nn.Module) -> bytes:
    """The same graph, the same bytes; ExportError where onnx's checker or shape inference refuses it."""
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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
