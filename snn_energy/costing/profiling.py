"""Trace and price in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from torch import nn

from snn_energy.costing.pricing import DEFAULT_HARDWARE, DEFAULT_METHOD, price
from snn_energy.costing.report import Report
from snn_energy.costing.stopping import Stopper, checked_target
from snn_energy.counting.counts import Trace
from snn_energy.counting.tracing import batches, trace
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware, load_hardware


def profile(
    model: nn.Module,
    data: Any,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    method: str = DEFAULT_METHOD,
    *,
    until: float | None = None,
    ann: nn.Module | None = None,
    **options: Any,
) -> Report:
    """Run `model` on `data` once and price what happened: `price(trace(model, data), hardware, method)`.

    Args:
        model: any module, see `trace`.
        data: one tensor, the arguments of one call, or an iterable of these, see `trace`.
        hardware: name of a shipped profile, path of a TOML file, or a loaded profile.
        method: see `price`.
        until: stop after the first batch at which the 95 % interval of the mean energy reaches no further than this
            share of the mean to either side (0.01 for 1 %), at 30 samples or more; implies `per_sample`.
            `report.distribution.precision` is the share reached.
        ann: an ANN to compare with: it is run on the same data, counted and priced alike, and becomes `report.ann`, so
            that `compare(report)` sets them side by side. The data are gone through twice.
        **options: passed to `trace` (samples, time_steps, strict, batch_axis, fold, per_sample, progress, on_output).

    Raises:
        UsageError: `until` is no share, or given with `samples`; `ann` with data that can be gone through once only.
        SnnEnergyError: what `trace` and `price` raise.
    """
    if ann is not None and isinstance(data, Iterator):
        raise UsageError(
            "profile: data must be there twice, for the network and for ann (got an iterator); give a list, a tensor "
            "or a DataLoader"
        )
    calls: int | None = None
    if until is None:
        report = price(trace(model, data, **options), hardware=hardware, method=method)
    else:
        report, calls = _until(until, model, data, hardware, method, options)
    if ann is None:
        return report
    # A distribution is a network's own, and so is what callbacks are told.
    own = {name: options[name] for name in ("samples", "strict", "batch_axis", "fold") if name in options}
    same = (kwargs or args for args, kwargs in islice(batches(data), calls))
    return replace(report, ann=price(trace(ann, same, **own), report.hardware, method))


def _until(
    target: float,
    model: nn.Module,
    data: Any,
    hardware: str | Path | Hardware,
    method: str,
    options: dict[str, Any],
) -> tuple[Report, int]:
    """The report on as many calls as are enough, and their number."""
    if options.get("samples") is not None:
        raise UsageError("profile: until decides how many samples run (got samples as well); leave one of them out")
    prices = hardware if isinstance(hardware, Hardware) else load_hardware(hardware)
    price(Trace(samples=1), prices, method)  # an unknown method should fail before the network runs
    enough = Stopper(checked_target(target), prices, method)
    so_far: list[Callable[[], Trace]] = []
    calls = 0

    def watched() -> Iterator[Any]:
        nonlocal calls
        for args, kwargs in batches(data):
            calls += 1
            yield kwargs or args
            # Asked for another batch, the tracer is through with this one.
            if enough(so_far[0]()):
                return

    facts = trace(model, watched(), on_start=so_far.append, **{**options, "samples": None, "per_sample": True})
    return price(facts, prices, method), calls
