"""One change to a network at a time, taken back afterwards: its thresholds, its time steps, its weights' precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.models.snapping import snap_tensor

THRESHOLDS = ("threshold", "v_threshold")
"""What neurons call their threshold: a number, a buffer or a parameter."""

PRECISIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "fp16": lambda weight: weight.to(torch.float16).to(weight.dtype),
    "int8": lambda weight: snap_tensor(weight, 8),
    "int4": lambda weight: snap_tensor(weight, 4),
    "int2": lambda weight: snap_tensor(weight, 2),
}
"""Data type -> weights rounded to it: halves, or signed integers times one power of two for each layer."""


def threshold_of(module: nn.Module) -> str | None:
    """The attribute that holds the threshold of a neuron layer; None for one that has no number there."""
    for name in THRESHOLDS:
        value = getattr(module, name, None)
        if isinstance(value, (float, Tensor)) or (isinstance(value, int) and not isinstance(value, bool)):
            return name
    return None


@contextmanager
def scaled_thresholds(modules: Sequence[nn.Module], factor: float) -> Iterator[None]:
    """Multiply the thresholds of these neuron layers by `factor` inside."""
    changes = [(module, name) for module in modules if (name := threshold_of(module)) is not None]
    with _restored([getattr(module, name) for module, name in changes]):
        numbers = [(m, name, getattr(m, name)) for m, name in changes if not isinstance(getattr(m, name), Tensor)]
        try:
            for module, name in changes:
                value = getattr(module, name)
                if isinstance(value, Tensor):
                    with torch.no_grad():
                        value.mul_(factor)
                else:
                    setattr(module, name, value * factor)
            yield
        finally:
            for module, name, value in numbers:
                setattr(module, name, value)


@contextmanager
def at_time_steps(model: Any, steps: int) -> Iterator[None]:
    """Let a network that keeps its number of time steps as `time_steps` make `steps` of them inside."""
    before = model.time_steps
    model.time_steps = steps
    try:
        yield
    finally:
        model.time_steps = before


@contextmanager
def rounded(modules: Sequence[nn.Module], datatype: str) -> Iterator[None]:
    """Round the weights (parameters of two axes or more) of these modules to a data type inside; biases stay."""
    weights = [p for module in modules for p in weights_of(module)]
    with _restored(weights):
        with torch.no_grad():
            for weight in weights:
                weight.copy_(PRECISIONS[datatype](weight))
        yield


@contextmanager
def pruned(modules: Sequence[nn.Module], share: float) -> Iterator[None]:
    """Set the smallest weights of each module to zero inside: this share, rounded down, the first of equal ones."""
    weights = list({id(p): p for module in modules for p in weights_of(module)}.values())
    with _restored(weights):
        with torch.no_grad():
            for weight in weights:
                flat = weight.flatten()
                smallest = flat.abs().argsort(stable=True)[
                    : int(Fraction(str(share)) * flat.numel())
                ]  # 0.29 is 29/100 here
                flat[smallest] = 0
                weight.copy_(flat.view_as(weight))
        yield


def weights_of(module: nn.Module) -> list[nn.Parameter]:
    """What a module multiplies by: its own parameters of two axes or more."""
    return [p for p in module.parameters(recurse=False) if p.dim() > 1]


@contextmanager
def _restored(values: Sequence[object]) -> Iterator[None]:
    tensors = [value for value in values if isinstance(value, Tensor)]
    copies = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, copy in zip(tensors, copies, strict=True):
                tensor.copy_(copy)
