"""Tests of an attribute, from which the rows of the simulators build their variants and requirements."""

from __future__ import annotations

from typing import Any

import torch

from snn_energy.counting.neurons import Test


def is_any(*values: Any) -> Test:
    """One of these texts, flags, whole numbers or None; never asks a tensor for its truth."""
    return lambda value: isinstance(value, str | bool | int | None) and value in values


def given(value: Any) -> bool:
    """Anything but None."""
    return value is not None


def nonzero(value: Any) -> bool:
    """A number or tensor with anything but zeros."""
    return value is not None and bool(torch.as_tensor(value).count_nonzero())


def one(value: Any) -> bool:
    """A number or tensor of nothing but ones."""
    return value is not None and bool((torch.as_tensor(value) == 1).all())


def absent(value: Any) -> bool:
    """No quantiser and the like: missing, None or False."""
    return value is None or value is False


def named(*names: str) -> Test:
    """A class or a function of one of these names, or an instance of such a class."""
    return lambda value: getattr(value, "__name__", type(value).__name__) in names
