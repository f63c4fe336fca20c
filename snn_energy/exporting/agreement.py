"""The check that a written file computes what the network computes: both run on the same images."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from snn_energy.errors import DataError
from snn_energy.exporting.failures import ExportError, first_line

BATCH_SIZE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the logits of a written file and of its network are apart.

    `same_class`: samples with the same largest logit; `max_abs_diff`: largest difference between two logits;
    `largest`: largest magnitude among the network's logits; `bit_equal`: every logit is the same float.
    """

    samples: int
    same_class: int
    max_abs_diff: float
    largest: float
    bit_equal: bool

    def within(self, tolerance: float) -> bool:
        """True when no logit is off by more than `tolerance` times the larger of 1 and the largest logit."""
        return self.max_abs_diff <= tolerance * max(1.0, self.largest)


def verify_onnx(
    source: str | Path | bytes, model: nn.Module, inputs: Tensor, *, batch_size: int = BATCH_SIZE
) -> Agreement:
    """Run `inputs` through an ONNX file (path or bytes) in onnxruntime and through `model`, and compare.

    Shapes: inputs `n c h w`, as the network takes them (normalised); logits `n classes`. The model runs as a
    copy in eval mode and is left as it is. Errors: ExportError without onnxruntime, for a file that it cannot
    run or that gives another shape; DataError without inputs.
    """
    if inputs.dim() == 0 or len(inputs) == 0:
        raise DataError(
            f"verify_onnx: expected at least one input [N, ...] (got shape {list(inputs.shape)}); give some images"
        )
    name = "the exported model" if isinstance(source, bytes) else str(source)
    run = _session(source, name)
    network = copy.deepcopy(model).cpu().eval()
    same, worst, largest, bit_equal = 0, 0.0, 0.0, True
    for part in torch.split(inputs.detach().cpu(), batch_size):
        with torch.no_grad():
            expected = network(part).numpy()
        got = run(part.contiguous().numpy())
        if got.shape != expected.shape or got.dtype != expected.dtype:
            raise ExportError(
                f"{name}: expected logits {expected.dtype} {list(expected.shape)} (got {got.dtype}"
                f" {list(got.shape)}); export the network again"
            )
        flat, wanted = got.reshape(len(part), -1), expected.reshape(len(part), -1)
        same += int((flat.argmax(1) == wanted.argmax(1)).sum())
        bit_equal = bit_equal and bool(np.array_equal(got, expected, equal_nan=True))
        # A NaN on one side only is a difference without bound; on both sides it is agreement.
        apart = np.where(np.isnan(flat) & np.isnan(wanted), 0.0, np.abs(flat.astype(np.float64) - wanted))
        worst = max(worst, float(np.nan_to_num(apart, nan=np.inf).max()))
        largest = max(largest, float(np.nan_to_num(np.abs(wanted), posinf=0.0).max()))
    return Agreement(samples=len(inputs), same_class=same, max_abs_diff=worst, largest=largest, bit_equal=bit_equal)


class _Session:
    """One file loaded by onnxruntime; calling it maps an input array to the logits."""

    def __init__(self, content: bytes, name: str) -> None:
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError:
            raise ExportError(
                f"{name}: cannot be checked: onnxruntime is not installed; pip install onnxruntime, or go"
                " without the check (--no-verify)"
            ) from None
        self._name = name
        # onnxruntime's errors have no common base below Exception.
        self._failures = (
            state.Fail,
            state.InvalidArgument,
            state.InvalidGraph,
            state.InvalidProtobuf,
            state.NotImplemented,
            state.RuntimeException,
        )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: its warnings go to standard error
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except self._failures as problem:
            raise ExportError(f"{name}: onnxruntime cannot load it: {first_line(problem)}; {_REMEDY}") from None

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """Return the first output for one batch."""
        try:
            result = self._session.run(None, {self._session.get_inputs()[0].name: array})[0]
        except self._failures as problem:
            raise ExportError(f"{self._name}: onnxruntime cannot run it: {first_line(problem)}; {_REMEDY}") from None
        return np.asarray(result)


def _session(source: str | Path | bytes, name: str) -> _Session:
    if isinstance(source, bytes):
        return _Session(source, name)
    try:
        content = Path(source).read_bytes()
    except OSError as problem:
        raise ExportError(f"{name}: cannot read it ({problem.strerror}); check the path") from None
    return _Session(content, name)


_REMEDY = "export in float32, in an opset that onnxruntime knows, or go without the check (--no-verify)"
