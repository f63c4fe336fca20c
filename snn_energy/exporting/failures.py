"""Refusals: what torch says when it cannot export a network, as one line that names the construct."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

import torch
from torch import nn

from snn_energy.errors import SnnEnergyError


class ExportError(SnnEnergyError):
    """A network cannot be written in the format asked for, or what was written does not agree with it."""


# Pattern in torch's message -> what is wrong, what to do. The first that matches wins.
_CAUSES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"data-dependent"),
        "control flow or a size depends on values in the data",
        "write the choice with torch.where, or the loop with a fixed number of steps",
    ),
    (
        re.compile(r"code specialized it to be a constant \((\d+)\)"),
        "the code fixes the batch size, here to {0}",
        "take it from the input, x.shape[0], and keep values as tensors (no .tolist(), no .numpy())",
    ),
    (
        re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'"),
        "operator {0} has no ONNX form",
        "write it with standard operators",
    ),
)
_STEP = re.compile(r"This is step .* of exporting the model to ONNX")
_OTHERWISE = "write this part with torch operators on tensors only"
_LONGEST = 200
_TORCH = str(Path(torch.__file__).parent)


def refusal(error: Exception, network: nn.Module) -> ExportError:
    """Return the one-line refusal for `error`, raised while `network` was traced or converted."""
    message = str(error)
    reason = _root(error)
    for pattern, what, remedy in _CAUSES:
        if match := pattern.search(message):
            return ExportError(
                f"{_place(error, network)}: cannot be exported to ONNX: {what.format(*match.groups())}; {remedy}"
            )
    return ExportError(f"{_place(error, network)}: cannot be exported to ONNX: {first_line(reason)}; {_OTHERWISE}")


def _root(error: BaseException) -> BaseException:
    """What torch's exporter failed on, where its error only says in which of its own steps."""
    while error.__cause__ is not None and _STEP.search(str(error)):
        error = error.__cause__
    return error


def first_line(error: BaseException) -> str:
    """Return the error's first line that says something, cut to a length that fits on a terminal."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0].rstrip(".") if lines else type(error).__name__
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _place(error: Exception, network: nn.Module) -> str:
    """Return the path of the innermost submodule that was running and its line of code, as far as known."""
    paths = {id(module): path for path, module in network.named_modules()}
    path, line = None, None
    for frame, number in _frames(error.__traceback__):
        inside = frame.f_locals.get("self")
        if frame.f_code.co_name == "_call_impl" and id(inside) in paths:
            path, line = paths[id(inside)], None
        elif path is not None and not frame.f_code.co_filename.startswith((_TORCH, "<")):
            line = f"line {number} of {Path(frame.f_code.co_filename).name}"
    name = type(network.get_submodule(path) if path else network).__qualname__
    details = name if line is None else f"{name}, {line}"
    return f"{path} ({details})" if path else details


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next
