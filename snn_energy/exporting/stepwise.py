"""The proof that a network run one time step at a time is the same network, and what its outputs then add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snn_energy.counting.onnxgraph.timed import READOUTS
from snn_energy.errors import MODEL_ERRORS
from snn_energy.exporting.carrying import copied, steps_of
from snn_energy.exporting.failures import ExportError
from snn_energy.exporting.listening import listening

_AGREES, _AGREES_SINGLE = 1e-9, 1e-4
"""Largest difference in double and in single precision, as a part of the largest output."""
_FLIPS_SINGLE = 1e-3
"""Part of the spikes that rounding may move in single precision; none in double."""


def checked_readout(model: nn.Module, frame: Tensor, time_steps: int, *, frames: bool) -> str:
    """How the steps' outputs make up the network's, after a run in both ways on random frames, in double precision.

    Outputs must agree, and so must every spike: a network may well be silent at its end. A network that is called once
    for each step has no output of the whole; "" is returned for it. Errors: ExportError where time steps one by one do
    not give what the network gives.
    """
    try:
        both = _both_ways(copied(model).double(), frame.double(), time_steps, frames=frames)
        tolerance, flips = _AGREES, 0.0
    except (ExportError, *MODEL_ERRORS):  # some neurons make float32 of everything
        both = _both_ways(copied(model), frame, time_steps, frames=frames)
        tolerance, flips = _AGREES_SINGLE, _FLIPS_SINGLE
    one_by_one, expected = both.steps, both.whole
    if both.apart <= flips:
        # Of a single time step nothing is left to do; "last" says so.
        for name, read in sorted(READOUTS.items(), key=lambda row: row[0] != "last" or len(one_by_one) > 1):
            if not frames and name != "stack":
                continue
            got = read(one_by_one)
            if got.shape == expected.shape and _close(got, expected, tolerance):
                return name if frames else ""
    count, name = len(one_by_one), type(model).__qualname__
    if both.handed_on:
        first = both.handed_on[0]
        kind = type(model.get_submodule(first)).__qualname__
        raise ExportError(
            f"{first} ({kind}): cannot be exported one time step at a time: it hands its membrane on inside a time"
            f" step, from call to call, so that step 2 of one call waits for all {count} steps of the one before; use"
            " --form unrolled, or time_steps 1"
        )
    raise ExportError(
        f"{name}: cannot be exported one time step at a time: {count} steps one by one do not give the network's"
        f" output ({list(expected.shape)}, got {list(one_by_one.shape[1:])} for each step), so it keeps state that is"
        " not found (in local variables, or in numbers that are no tensors), or looks ahead in time; keep the state in"
        " tensors, as attributes or as what a neuron returns, or use --form unrolled"
    )


@dataclass(frozen=True, slots=True)
class _Both:
    """Outputs step by step and at once, the part of all spikes that differ, neurons that hand on inside a step."""

    steps: Tensor
    whole: Tensor
    apart: float
    handed_on: tuple[str, ...]


def _both_ways(model: nn.Module, frame: Tensor, time_steps: int, *, frames: bool) -> _Both:
    steps = steps_of(model, frame, time_steps, frames=frames)
    count = max(time_steps, 2) if steps.states else time_steps
    draw = torch.Generator().manual_seed(0)
    data = torch.randn(count, *frame.shape, generator=draw, dtype=frame.dtype) + frame
    network = copied(model)
    spiking = {path: row for path, row in steps.rows.items() if row.spiking}
    with listening(steps.network, spiking) as mine:
        one_by_one = steps.run(data)
    with listening(network, spiking) as theirs:
        whole = _natural(network, data, frames=frames)
    pairs = [pair for path in theirs for pair in _aligned(mine[path], theirs[path], count)]
    total = sum(a.numel() for a, _ in pairs)
    apart = sum(a.numel() if a.shape != b.shape else int((a != b).sum()) for a, b in pairs)
    return _Both(one_by_one, whole, apart / total if total else 0.0, steps.handed_on)


def _aligned(mine: Sequence[Tensor], theirs: Sequence[Tensor], count: int) -> list[tuple[Tensor, Tensor]]:
    """Spikes of the same call and time step; none where the calls do not show which belong together."""
    if len(mine) == len(theirs):
        return [(a.reshape(-1), b.reshape(-1)) for a, b in zip(mine, theirs, strict=True)]
    calls = len(theirs)
    if len(mine) != calls * count or any(len(one) != count for one in theirs):
        return []
    return [(mine[t * calls + k].reshape(-1), theirs[k][t].reshape(-1)) for k in range(calls) for t in range(count)]


def _natural(network: nn.Module, data: Tensor, *, frames: bool) -> Tensor:
    """What the network gives by itself: for all frames in one call, or call by call."""
    with torch.no_grad():
        if frames:
            whole: Tensor = network(data)
            return whole
        outputs, state = [], None
        for frame in data.unbind(0):
            output = network(frame) if state is None else network(frame, state)
            if isinstance(output, tuple):
                output, state = output
            outputs.append(output)
        return torch.stack(outputs)


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    largest = max(1.0, float(b.abs().max())) if b.numel() else 1.0
    return bool(torch.allclose(a, b, rtol=0, atol=tolerance * largest, equal_nan=True))
