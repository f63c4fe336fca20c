"""Trace and price in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from snn_energy.costing.pricing import DEFAULT_HARDWARE, DEFAULT_METHOD, price
from snn_energy.costing.report import Report
from snn_energy.counting.tracing import trace
from snn_energy.hardware import Hardware


def profile(
    model: nn.Module,
    data: Any,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    method: str = DEFAULT_METHOD,
    **options: Any,
) -> Report:
    """Run `model` on `data` once and price what happened: `price(trace(model, data), hardware, method)`.

    Args:
        model: any module, see `trace`.
        data: one tensor, the arguments of one call, or an iterable of these, see `trace`.
        hardware: name of a shipped profile, path of a TOML file, or a loaded profile.
        method: see `price`.
        **options: passed to `trace` (samples, time_steps, strict, batch_axis, fold, progress, on_output).

    Raises:
        SnnEnergyError: what `trace` and `price` raise.
    """
    return price(trace(model, data, **options), hardware=hardware, method=method)
