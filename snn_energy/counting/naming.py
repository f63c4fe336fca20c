"""Names of projections: from parameters where they have some, from the caller's line where they have none."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType

import torch
from torch import nn

_OWN_CODE = str(Path(__file__).parent)
_TORCH_CODE = str(Path(torch.__file__).parent)


def eager_name(name: str) -> str:
    """A name as the eager model has it: torch.compile wraps modules under `_orig_mod`."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


Site = tuple[str, int, int]

_REPLAYED: ContextVar[tuple[Site, bool] | None] = ContextVar("replayed", default=None)


@contextmanager
def replayed(site: Site, *, einsum: bool = False) -> Iterator[None]:
    """A node of a graph runs inside: its line of code is `site`, and whether it is an einsum is known."""
    token = _REPLAYED.set((site, einsum))
    try:
        yield
    finally:
        _REPLAYED.reset(token)


def eager_class(model: nn.Module) -> str:
    """Class name of a model as the eager one has it, whether compiled or scripted."""
    inner = getattr(model, "_orig_mod", model)
    return str(getattr(inner, "original_name", None) or type(inner).__name__)


_PRODUCT_IN_SOURCE = re.compile(r"@(?!=)|\b(?:matmul|bmm|mm|mv|dot|einsum|baddbmm|scaled_dot_product_attention)\s*\(")


def numbered_line(stack_trace: str, where: tuple[str, ...], seen: Counter[tuple[str, ...]]) -> Site | None:
    """The line of code that a graph keeps of a node, as its call site; None if it keeps none.

    One line joins the turns of a loop. A line with k products numbers the nodes of one operator in one module call
    (`where`) 0 ... k-1 in turn, which tells its products apart; `seen` counts them over a graph.
    """
    lines = [line.strip() for line in stack_trace.splitlines() if line.strip()]
    last = max((i for i, line in enumerate(lines) if line.startswith("File ")), default=None)
    if last is None:
        return None
    products = max(1, len(_PRODUCT_IN_SOURCE.findall(" ".join(lines[last + 1 :]))))
    key = (lines[last], *where)
    number = seen[key] % products
    seen[key] += 1
    return (lines[last], 0, number)


def call_site() -> Site:
    """Innermost line of the caller's code: tells anonymous products apart, and joins those of a loop."""
    known = _REPLAYED.get()
    if known is not None:
        return known[0]
    for frame in _frames():
        name = frame.f_code.co_filename
        if not name.startswith((_OWN_CODE, _TORCH_CODE)):
            return (name, frame.f_lineno, frame.f_lasti)
    return ("", 0, 0)


def inside_einsum() -> bool:
    """True if the operator comes straight from torch.einsum."""
    known = _REPLAYED.get()
    return known[1] if known is not None else _einsum_frame() is not None


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
