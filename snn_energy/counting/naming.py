"""Names of projections: from parameters where they have some, from the caller's line where they have none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch

_OWN_CODE = str(Path(__file__).parent)
_TORCH_CODE = str(Path(torch.__file__).parent)


def eager_name(name: str) -> str:
    """A name as the eager model has it: torch.compile wraps modules under `_orig_mod`."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def call_site() -> tuple[str, int, int]:
    """Innermost line of the caller's code: tells anonymous products apart, and joins those of a loop."""
    for frame in _frames():
        name = frame.f_code.co_filename
        if not name.startswith((_OWN_CODE, _TORCH_CODE)):
            return (name, frame.f_lineno, frame.f_lasti)
    return ("", 0, 0)


def inside_einsum() -> bool:
    """True if the operator comes straight from torch.einsum."""
    return _einsum_frame() is not None


def einsum_of_many() -> FrameType | None:
    """The running call of torch.einsum on three operands or more, which makes several products of one line."""
    frame = _einsum_frame()
    return frame if frame is not None and len(frame.f_locals.get("args", ())) > 3 else None


def _einsum_frame() -> FrameType | None:
    for frame in _frames():
        if not frame.f_code.co_filename.startswith(_OWN_CODE):
            here = frame.f_code.co_name == "einsum" and frame.f_code.co_filename.startswith(_TORCH_CODE)
            return frame if here else None
    return None


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


_SUFFIXES = ("_orig", "_g", "_v", "_u")


def stem(names: tuple[str, ...]) -> str:
    """The parameter that a computed weight stands for: `0.weight_g` and `0.weight_v` make `0.weight`."""
    plain = [_without_parametrisation(name) for name in names]
    stem = _common_start(plain)
    stem = stem.rstrip("._0123456789") if len(set(plain)) > 1 else stem
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    return stem or plain[0]


def _common_start(names: list[str]) -> str:
    same = 0
    for letters in zip(*names, strict=False):
        if len(set(letters)) > 1:
            break
        same += 1
    return names[0][:same]


def _without_parametrisation(name: str) -> str:
    """`fc.parametrizations.weight.original0` is `fc.weight`."""
    parts = name.split(".")
    if "parametrizations" not in parts:
        return name
    at = parts.index("parametrizations")
    return ".".join((*parts[:at], parts[at + 1]))
