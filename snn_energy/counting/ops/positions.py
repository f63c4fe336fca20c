"""Arithmetic that depends on where elements go: running reductions, scatters, searches, sampling grids, sorting."""

from __future__ import annotations

from math import prod

import torch

from snn_energy.counting.ops.arithmetic import Rate, charge
from snn_energy.counting.ops.complex_numbers import complex_arithmetic
from snn_energy.counting.ops.registry import Call, counts
from snn_energy.counting.recorder import Recorder

SCANS: dict[str, Rate] = {
    # one step of a running reduction
    "cumsum": (1, 0, 0, 0),
    "cumprod": (0, 1, 0, 0),
    "cummax": (0, 0, 1, 0),
    "cummin": (0, 0, 1, 0),
    "logcumsumexp": (1, 0, 1, 2),
}


@counts(*SCANS)
def scan(recorder: Recorder, call: Call) -> None:
    """n - 1 steps along an axis of n."""
    if complex_arithmetic(recorder, call):
        return
    x = call.tensors[0]
    axis = call.get(1, "dim", 0)
    lines = 0 if not x.numel() else x.numel() // (x.shape[axis] if x.dim() else 1)
    charge(recorder, call.name, SCANS[call.name], x.numel() - lines)


@counts("col2im")
def fold_patches(recorder: Recorder, call: Call) -> None:
    """One addition for each patch element that falls into the image, after the first of its pixel."""
    columns, out = call.tensors[0], call.result
    size, kernel, dilation, padding, stride = (list(call.args[i]) for i in range(1, 6))
    hits = torch.ones((), dtype=torch.int64)
    for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True):
        steps = (n + 2 * p - d * (k - 1) - 1) // s + 1
        line = torch.zeros(n, dtype=torch.int64)
        for tap in range(k):
            for step in range(steps):
                place = step * s - p + tap * d
                if 0 <= place < n:
                    line[place] += 1
        hits = hits.unsqueeze(-1) * line
    images = out.numel() // max(1, prod(size)) if columns.numel() else 0
    charge(recorder, call.name, (1, 0, 0, 0), images * int((hits - 1).clamp(min=0).sum()))


@counts("bucketize", "searchsorted")
def search(recorder: Recorder, call: Call) -> None:
    """Comparisons of a binary search among n sorted boundaries: ceil(log2(n + 1)) for each value."""
    boundaries = call.tensors[-1] if call.name == "bucketize" else call.tensors[0]
    width = boundaries.shape[-1] if boundaries.dim() else 1
    charge(recorder, call.name, (0, 0, width.bit_length(), 0), call.result.numel())


@counts("kthvalue", "mode")
def selection(recorder: Recorder, call: Call) -> None:
    """Comparisons of a merge sort along the axis, n * ceil(log2 n)."""
    x = call.tensors[0]
    axis = call.get(2, "dim", -1) if call.name == "kthvalue" else call.get(1, "dim", -1)
    width = x.shape[axis] if x.dim() else 1
    charge(recorder, call.name, (0, 0, max(0, width - 1).bit_length(), 0), x.numel())


@counts("affine_grid_generator")
def affine_grid(recorder: Recorder, call: Call) -> None:
    """theta [n, d, d + 1] maps each position: d multiplications and d additions for each coordinate."""
    axes = call.result.shape[-1]
    charge(recorder, call.name, (axes, axes, 0, 0), call.result.numel())


_GRID_TAPS = {0: 2, 1: 1, 2: 4}
"""Neighbours along each axis: linear, nearest, cubic."""


@counts("grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "cudnn_grid_sampler")
def grid_sample(recorder: Recorder, call: Call) -> None:
    """Each position is scaled to pixels, then every channel is a weighted sum of its neighbours.

    For d axes and k neighbours along each: one addition and one multiplication for each coordinate; k^d weights of
    d - 1 multiplications each for each position (from d differences and one complement for each, or the 3 additions and
    4 multiplications of a cubic for each neighbour); k^d multiplications and k^d - 1 additions for each output.
    """
    grid, out = call.tensors[1], call.result
    axes = grid.shape[-1]
    neighbours = _GRID_TAPS[int(call.get(2, "interpolation_mode", 0))]
    positions = grid.numel() // axes
    taps = neighbours**axes
    adds, muls, compares = grid.numel(), grid.numel(), 0
    if neighbours == 1:
        compares = grid.numel()  # rounding
    else:
        along = {2: (2, 0), 4: (12, 16)}[neighbours]
        adds += grid.numel() * along[0] + out.numel() * (taps - 1)
        muls += grid.numel() * along[1] + positions * taps * (axes - 1) + out.numel() * taps
    recorder.arithmetic("grid_sample", adds=adds, muls=muls, compares=compares)
    recorder.note("counted", call.name)


_REDUCTIONS: dict[str, Rate] = {
    # one step of a scattered reduction that does not add up
    **dict.fromkeys(("amax", "amin"), (0, 0, 1, 0)),
    **dict.fromkeys(("prod", "multiply"), (0, 1, 0, 0)),
}


@counts("bincount", "histc")
def histogram(recorder: Recorder, call: Call) -> None:
    """One addition for each element; where it falls is found by one multiplication and one addition, if it is real."""
    found = (1, 1, 0, 0) if call.name == "histc" else (0, 0, 0, 0)
    charge(recorder, call.name, (1 + found[0], found[1], 0, 0), call.tensors[0].numel())


@counts("index_add", "scatter_add", "index_put", "scatter", "scatter_reduce", "index_reduce", "_unsafe_index_put")
def scattered(recorder: Recorder, call: Call) -> None:
    """One addition for each element scattered, where they are added up; a plain write costs nothing."""
    adds_up = call.name.endswith(("_add", "_reduce")) or "reduce" in call.kwargs
    if "index_put" in call.name:
        adds_up = bool(call.get(3, "accumulate", False))
    if not adds_up:
        recorder.note("free", call.name, reason="copy: values are moved, not changed")
        return
    reduce = call.get(4, "reduce") if call.name.endswith("_reduce") else call.kwargs.get("reduce", "sum")
    elements = call.tensors[-1].numel()
    if "index_put" in call.name:  # its values may be one number for all
        where = tuple(slice(None) if index is None else index for index in call.args[1])
        elements = call.args[0][where].numel()
    charge(recorder, call.name, _REDUCTIONS.get(reduce, (1, 0, 0, 0)), elements)
    if reduce == "mean":
        recorder.arithmetic(call.name, specials=call.result.numel())
    if call.kwargs.get("alpha", 1) not in (1, -1):
        recorder.arithmetic("scaling", muls=elements)


@counts("topk", "sort", "argsort", "unique", "_unique2", "unique_dim")
def sorting(recorder: Recorder, call: Call) -> None:
    """Comparisons of a merge sort, n * ceil(log2 n) for n elements."""
    elements = call.tensors[0].numel()
    charge(recorder, call.name, (0, 0, max(0, elements - 1).bit_length(), 0), elements)
