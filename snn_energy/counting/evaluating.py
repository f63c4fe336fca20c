"""Eval mode for a while: whoever runs a network to look at it leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards, also after an exception, every module is in its own mode again.

    Flags are set one by one: `eval()` may be overridden, and frozen scripts have no flag at all.
    """
    training = [module for _, module in model.named_modules() if getattr(module, "training", False)]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True
