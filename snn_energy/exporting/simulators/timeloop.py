"""Timeloop and Sparseloop: one problem for each layer, with the densities that were measured.

A problem is a loop nest of its own, so that every geometry fits: any number of axes, groups, dilation, unequal
strides. Time steps are its batch dimension N, since they share the weights. A density is one number for a data space:
the inputs' is events per connection of a dense machine, padding in, so that Sparseloop's effectual computes (computes
times the densities of inputs and weights) are the counted events times the share of weights that are not zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snn_energy.counting.counts import Trace
from snn_energy.exporting.losses import Loss, comment_lines, refuse_or_list
from snn_energy.exporting.simulators.folder import Written, layer_rows, side_car, write_folder
from snn_energy.exporting.simulators.workload import ConvShape, Workload, workloads_of

DISTRIBUTION = "hypergeometric"
"""Non-zeros placed at random: the trace holds no more than their number."""


def export_timeloop(trace: Trace, folder: str | Path, *, force: bool = False) -> Written:
    """Write a network for Timeloop and Sparseloop: one problem file (version 0.4) for each layer, and the side-car.

    Errors: ExportRefused (transposed convolutions, layers of unknown sizes), TraceError (an empty trace).
    """
    works, losses = workloads_of(trace)
    losses += tuple(
        Loss("a transposed convolution", work.name, "its outputs overlap; it is written as the product before that")
        for work in works
        if work.conv is not None and work.conv.transposed
    )
    listed = refuse_or_list(losses, force, target=f"{folder} (Timeloop)")
    digits = len(str(len(works) - 1))
    names = [f"{number:0{digits}d}_{_file_name(work.name)}" for number, work in enumerate(works)]
    files: dict[str, str | bytes] = {
        f"{name}.problem.yaml": "\n".join([*comment_lines(listed), *_problem(work)]) + "\n"
        for name, work in zip(names, works, strict=True)
    }
    car = side_car("timeloop", trace, layer_rows(works, names, whole=True), listed)
    return write_folder("timeloop", folder, files, car, listed)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name) or "layer"


@dataclass(frozen=True, slots=True)
class _Nest:
    """A loop nest: sizes of its dimensions, coefficients, and what each data space is indexed by."""

    sizes: dict[str, int]
    coefficients: dict[str, int]
    weights: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def _problem(work: Workload) -> Iterator[str]:
    conv = work.conv
    nest = _product(work) if conv is None or conv.transposed else _convolution(work, conv)
    yield f"# {' '.join(work.name.split())}: {work.layer.kind}, operand {work.layer.operand.kind}"
    yield "problem:"
    yield "  version: 0.4"
    yield "  shape:"
    yield f"    name: {'matrix_product' if conv is None or conv.transposed else 'convolution'}"
    yield f"    dimensions: [{', '.join(nest.sizes)}]"
    if nest.coefficients:
        yield "    coefficients:"
        yield from (f"    - {{name: {name}, default: {value}}}" for name, value in nest.coefficients.items())
    yield "    data_spaces:"
    for name, projection in (("Weights", nest.weights), ("Inputs", nest.inputs), ("Outputs", nest.outputs)):
        yield f"    - name: {name}"
        yield f"      projection: [{', '.join(projection)}]"
        if name == "Outputs":
            yield "      read_write: true"
    yield "  instance:"
    yield from (f"    {name}: {size}" for name, size in nest.sizes.items())
    yield from (f"    {name}: {value}" for name, value in nest.coefficients.items())
    yield "    densities:"
    for name, density in (("Inputs", work.operand_density), ("Weights", work.weight_density)):
        yield f"      {name}: {{distribution: {DISTRIBUTION}, density: {float(density)!r}}}"


_OUT, _IN = ("P", "Q", "O"), ("R", "S", "U")


def _convolution(work: Workload, conv: ConvShape) -> _Nest:
    """N time steps, G groups, C and M channels of a group, P Q O outputs and R S U taps along the axes."""
    axes = range(conv.axes)
    sizes = {"N": work.product.passes, "G": conv.groups, "C": conv.c_in // conv.groups, "M": conv.c_out // conv.groups}
    sizes |= {_OUT[i]: conv.size_out[i] for i in axes} | {_IN[i]: conv.kernel[i] for i in axes}
    coefficients = {f"stride_{_OUT[i]}": conv.stride[i] for i in axes}
    coefficients |= {f"dilation_{_IN[i]}": conv.dilation[i] for i in axes}
    places = tuple(f"[[{_OUT[i]}, stride_{_OUT[i]}], [{_IN[i]}, dilation_{_IN[i]}]]" for i in axes)
    return _Nest(
        sizes,
        coefficients,
        weights=("[[G]]", "[[M]]", "[[C]]", *(f"[[{_IN[i]}]]" for i in axes)),
        inputs=("[[N]]", "[[G]]", "[[C]]", *places),
        outputs=("[[N]]", "[[G]]", "[[M]]", *(f"[[{_OUT[i]}]]" for i in axes)),
    )


def _product(work: Workload) -> _Nest:
    """N time steps, H heads or matrices of their own, M x K times K x F; weights that time steps share have no N."""
    product = work.product
    sizes = {"N": product.passes, "H": product.copies, "M": product.m, "K": product.k, "F": product.n}
    second = ("[[H]]", "[[K]]", "[[F]]")
    return _Nest(
        sizes,
        {},
        weights=second if product.shared else ("[[N]]", *second),
        inputs=("[[N]]", "[[H]]", "[[M]]", "[[K]]"),
        outputs=("[[N]]", "[[H]]", "[[M]]", "[[F]]"),
    )
