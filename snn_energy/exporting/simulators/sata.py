"""SATA_Sim (inference-energy-cal): workload.yaml, sizes of the layers and ONE sparsity for the whole network.

It pads every layer by 1 on each side, so that a layer's outputs are floor((IFMAP + 2 - filter) / stride) + 1. The
IFMAP written is the one that gives the true number of outputs; where there is one output alone, a stride of 3 keeps
the padding from making nine of it. The sparsity is the one by which its multiply-accumulates are the counted events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from snn_energy.counting.counts import MIXED, Trace
from snn_energy.exporting.losses import Loss, comment_lines, refuse_or_list
from snn_energy.exporting.simulators.folder import Written, layer_rows, side_car, write_folder
from snn_energy.exporting.simulators.workload import ConvShape, Workload, distinct_names, workloads_of

WORKLOAD = "workload.yaml"
KEYS = ("IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides")
_NINE = 3  # a stride beyond the padding on both sides


def export_sata(trace: Trace, folder: str | Path, *, force: bool = False) -> Written:
    """Write a network for SATA_Sim: workload.yaml and the side-car.

    Errors: ExportRefused (layers that do not run once in each time step, dilation, unequal strides and further
    geometries without a key), TraceError (an empty trace).
    """
    works, losses = workloads_of(trace)
    steps = trace.time_steps or 1
    if trace.time_steps == MIXED:
        losses += (Loss("time steps that differ", "", "the workload has one number of time steps"),)
    losses += tuple(Loss(what, work.name, why) for work in works for what, why in _lost(work, steps))
    listed = refuse_or_list(losses, force, target=f"{folder} (SATA_Sim)")
    # Groups and heads are layers of their own, all alike.
    copies = [work for work in works for _ in range(work.product.copies)]
    names = distinct_names([" ".join(work.name.split()) or "layer" for work in copies])
    rows = [_row(work) for work in copies]
    macs = sum(_macs(row) for row in rows) * steps
    events = Fraction(sum(work.layer.events for work in works), trace.samples)
    sparsity = float(1 - events / macs)
    lines = [*comment_lines(listed), "General:", f"  timestep: {steps}", f"  sparsity: {sparsity!r}", "", "Layers:"]
    for name, row in zip(names, rows, strict=True):
        lines += [f"  - name: {_quoted(name)}", "    attributes:"]
        lines += [f"      {key}: {value}" for key, value in zip(KEYS, row, strict=True)]
    car = side_car("sata", trace, layer_rows(copies, names, whole=True), listed, sparsity=sparsity)
    return write_folder("sata", folder, {WORKLOAD: "\n".join(lines) + "\n"}, car, listed)


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


_AS_PRODUCT = "it is written as the product of its patches, an image of one column"

# Why a convolution has no row as such: noun, test, reason.
_UNFIT: tuple[tuple[str, Callable[[ConvShape], bool], str], ...] = (
    ("a transposed convolution", lambda conv: conv.transposed, _AS_PRODUCT),
    ("a convolution of one or three dimensions", lambda conv: conv.axes != 2, _AS_PRODUCT),
    ("unequal strides", lambda conv: len(set(conv.stride)) > 1, _AS_PRODUCT),
    ("dilation", lambda conv: set(conv.dilation) != {1}, _AS_PRODUCT),
    ("an image smaller than its filter", lambda conv: _is_small(conv), _AS_PRODUCT),
)


def _unfit(conv: ConvShape | None) -> Iterator[tuple[str, str]]:
    if conv is not None:
        yield from ((what, why) for what, test, why in _UNFIT if test(conv))


def _lost(work: Workload, steps: int) -> Iterator[tuple[str, str]]:
    yield from _unfit(work.conv)
    if not work.product.shared:
        yield "a product of two activations", "the second factor is taken for weights"
    if work.product.passes != steps:
        yield "another number of runs than time steps", "one number of time steps holds for all layers"


def _row(work: Workload) -> tuple[int, ...]:
    """The values of KEYS; a product `m k x k n` is an image of one column, m positions with k channels."""
    conv, product = work.conv, work.product
    if conv is None or next(_unfit(conv), None) is not None:
        return _ifmap(product.m, 1, _NINE), 1, 1, 1, product.k, product.n, _NINE
    stride = _stride(conv)
    height, width = (_ifmap(out, kernel, stride) for out, kernel in zip(conv.size_out, conv.kernel, strict=True))
    return height, width, *conv.kernel, conv.c_in // conv.groups, conv.c_out // conv.groups, stride


def _stride(conv: ConvShape) -> int:
    return conv.stride[0] if set(conv.size_out) != {1} else max(conv.stride[0], _NINE)


def _is_small(conv: ConvShape) -> bool:
    """Whether the image that makes the true outputs is smaller than the filter, which SCALE-Sim below it refuses."""
    sizes = zip(conv.size_out, conv.kernel, strict=True)
    return any(_ifmap(out, kernel, _stride(conv)) < kernel for out, kernel in sizes)


def _ifmap(out: int, kernel: int, stride: int) -> int:
    """An image size from which padding by 1 makes `out` outputs, never smaller than the kernel where that can be."""
    least = (out - 1) * stride + kernel - 2
    return min(max(least, kernel), least + stride - 1)


def outputs(image: int, kernel: int, stride: int) -> int:
    """SATA_Sim's outputs along one axis: floor((image + 2 - kernel) / stride) + 1."""
    return (image + 2 - kernel) // stride + 1


def _macs(row: tuple[int, ...]) -> int:
    """SATA_Sim's multiply-accumulates of one time step, without sparsity."""
    height, width, kernel_h, kernel_w, channels, filters, stride = row
    return (
        outputs(height, kernel_h, stride) * outputs(width, kernel_w, stride) * kernel_h * kernel_w * channels * filters
    )
