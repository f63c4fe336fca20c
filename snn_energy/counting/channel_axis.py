"""Where a projection's output channels lie after its result was viewed, permuted or copied.

A batch norm folds into the projection before it only if it scales that projection's channels. Between the two there
are often views alone: tokens flattened and unflattened, channels moved to axis 1 and back.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import torch
from torch import Tensor

RESHAPES = frozenset({"view", "_unsafe_view", "reshape", "flatten", "unflatten"})
"""Keep the order of the elements, row by row."""
_COPIES = frozenset({"clone", "contiguous", "detach", "alias", "dropout"})
"""Keep the shape."""
_STRIDED = frozenset({"transpose", "permute", "movedim", "swapaxes", "t", "unsqueeze", "squeeze", "select", "slice"})
"""Keep the memory: an axis is known again by its size and stride."""


def channel_after(name: str, channel: int | None, source: Tensor, out: Tensor) -> int | None:
    """The axis of `out` that holds the channels which `source` holds on axis `channel`; None where they are lost."""
    if channel is None or channel >= source.dim():  # a vmapped tensor hides axes
        return None
    size = source.shape[channel]
    if name in _COPIES:
        return channel if out.shape == source.shape else None
    if name in RESHAPES:
        return _reshaped(source.shape, channel, out.shape)
    if name in _STRIDED:
        stride = source.stride(channel)
        return next((a for a in range(out.dim()) if out.shape[a] == size and out.stride(a) == stride), None)
    return None


@lru_cache(maxsize=1024)
def _reshaped(source: torch.Size, channel: int, out: torch.Size) -> int | None:
    size, before = source[channel], prod(source[:channel])
    return next((axis for axis, own in enumerate(out) if own == size and prod(out[:axis]) == before), None)
