"""SCALE-Sim 3: topology as convolutions or as matrix products, layout, configuration.

The first line of a topology is its heading; of every line, what follows the last comma is dropped; there are no
comments, so that losses stand in the heading, in the configuration and in the side-car. A row is one run of a layer:
SCALE-Sim knows neither time steps nor spikes, and `runs` in the side-car says how often one inference runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from snn_energy.counting.counts import Trace
from snn_energy.errors import UsageError
from snn_energy.exporting.losses import Loss, comment_lines, refuse_or_list
from snn_energy.exporting.simulators.folder import Written, layer_rows, side_car, write_folder
from snn_energy.exporting.simulators.workload import ConvShape, Workload, distinct_names, workloads_of

TOPOLOGY, LAYOUT, CONFIG = "topology.csv", "layout.csv", "scale.cfg"
FORMS = ("conv", "gemm")
DATAFLOWS: Mapping[str, str] = {"output-stationary": "os", "weight-stationary": "ws", "input-stationary": "is"}
"""Names of dataflows -> SCALE-Sim's."""

_HEADINGS: Mapping[str, str] = {
    "conv": "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,",
    "gemm": "Layer, M, N, K,",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """The machine of the configuration: units, dataflow, and SRAM sizes in KiB; the trace knows none of them."""

    rows: int = 32
    cols: int = 32
    dataflow: str = "output-stationary"
    ifmap_kib: int = 64
    filter_kib: int = 64
    ofmap_kib: int = 64

    def __post_init__(self) -> None:
        if self.dataflow not in DATAFLOWS:
            raise UsageError(f"scalesim: dataflow must be one of {', '.join(DATAFLOWS)} (got {self.dataflow!r})")
        for name in ("rows", "cols", "ifmap_kib", "filter_kib", "ofmap_kib"):
            if getattr(self, name) < 1:
                raise UsageError(f"scalesim: {name} must be an integer >= 1 (got {getattr(self, name)!r})")


def export_scalesim(
    trace: Trace,
    folder: str | Path,
    *,
    form: str = "conv",
    array: Array | None = None,
    sparsity: tuple[int, int] | None = None,
    force: bool = False,
) -> Written:
    """Write a network for SCALE-Sim: topology.csv, layout.csv, scale.cfg, and the side-car.

    `form`: "conv" writes convolutions as such, linear layers as SCALE-Sim's own GEMM reader does (an image of M x K,
    a filter of 1 x K); "gemm" writes every layer as M, N, K. `sparsity` (N, M) declares N:M structured weights for
    all layers; layers with fewer zero weights than that leaves cannot have it, and are a loss. Of those with enough the
    trace cannot tell where the zeros are: that they lie in the pattern is the caller's word.

    Errors: ExportRefused (groups, dilation, unequal strides and further geometries that the conv topology has no
    column for; weights that are not N:M), UsageError (unknown form, impossible sparsity), TraceError (an empty trace).
    """
    if form not in FORMS:
        raise UsageError(f"scalesim: form must be one of {', '.join(FORMS)} (got {form!r})")
    if sparsity is not None and not 1 <= sparsity[0] <= sparsity[1]:
        raise UsageError(f"scalesim: sparsity must be N:M with 1 <= N <= M, like 2:4 (got {_ratio(sparsity)})")
    machine = array or Array()
    works, losses = workloads_of(trace)
    if form == "conv":
        losses += tuple(loss for work in works for loss in _conv_losses(work))
    if sparsity is not None:
        losses += tuple(loss for work in works for loss in _pattern_losses(work, sparsity))
    listed = refuse_or_list(losses, force, target=f"{folder} (SCALE-Sim)")
    names = distinct_names([row_name(work.name) for work in works])
    row = _conv_row if form == "conv" else _gemm_row
    column = "" if sparsity is None else f" {_ratio(sparsity)},"
    comment = "; ".join(line.removeprefix("# ") for line in comment_lines(listed)).replace(",", " ")
    heading = _HEADINGS[form] + (" N:M," if sparsity is not None else "") + (f" # {comment}" if comment else "")
    lines = [f"{name}, {', '.join(map(str, row(work)))},{column}" for name, work in zip(names, works, strict=True)]
    files = {
        TOPOLOGY: "\n".join([heading, *lines]) + "\n",
        LAYOUT: "Layer name,\n",
        CONFIG: "\n".join([*comment_lines(listed), config_text(machine, sparsity is not None)]),
    }
    car = side_car("scalesim", trace, layer_rows(works, names), listed, form=form)
    return write_folder("scalesim", folder, files, car, listed)


def row_name(name: str) -> str:
    """Return a layer name that SCALE-Sim reads as one: no comma, and no "DP", which splits a layer into channels."""
    return name.replace(",", "_").replace("DP", "D_P").strip() or "layer"


def _ratio(sparsity: tuple[int, int]) -> str:
    return f"{sparsity[0]}:{sparsity[1]}"


def _gemm_row(work: Workload) -> tuple[int, ...]:
    return work.product.m, work.product.n, work.product.k


def _conv_row(work: Workload) -> tuple[int, ...]:
    """Height, width, kernel height and width, channels, filters, stride: of one group."""
    conv, product = work.conv, work.product
    if conv is None or next(_patches_lost(conv), None) is not None:
        return product.m, product.k, 1, product.k, 1, product.n, 1
    (height, width), (kernel_h, kernel_w) = _two(conv.padded), _two(conv.kernel)
    return height, width, kernel_h, kernel_w, conv.c_in // conv.groups, conv.c_out // conv.groups, conv.stride[-1]


def _two(sizes: tuple[int, ...]) -> tuple[int, int]:
    """A one-dimensional layer is an image of height 1."""
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


_WRITTEN = "it is written as the product of its patches, whose overlap is lost"

# Why a convolution cannot stand in the conv topology: noun, test, reason.
_PATCHES: tuple[tuple[str, Callable[[ConvShape], bool], str], ...] = (
    ("a transposed convolution", lambda c: c.transposed, "the topology has none; its outputs' overlap is lost"),
    ("a three-dimensional convolution", lambda c: c.axes > 2, f"the topology has two axes; {_WRITTEN}"),
    (
        "unequal strides",
        lambda c: len(set(c.stride)) > 1,
        f"the topology has one stride for both axes; {_WRITTEN}",
    ),
    ("dilation", lambda c: set(c.dilation) != {1}, f"the topology has no dilation; {_WRITTEN}"),
)


def _patches_lost(conv: ConvShape) -> Iterator[tuple[str, str]]:
    return ((what, why) for what, test, why in _PATCHES if test(conv))


def _conv_losses(work: Workload) -> Iterator[Loss]:
    if work.conv is None:
        return
    yield from (Loss(what, work.name, why) for what, why in _patches_lost(work.conv))
    if work.conv.groups > 1:
        yield Loss(
            f"{work.conv.groups} groups",
            work.name,
            "the topology has no groups; one of them is written, and runs in the side-car counts all",
        )


def _pattern_losses(work: Workload, sparsity: tuple[int, int]) -> Iterator[Loss]:
    """N:M leaves at most N of M weights in each full block; a last one that is shorter may keep N of its own."""
    some, of = sparsity
    blocks, rest = divmod(work.product.k, of)
    most = Fraction(blocks * some + min(rest, some), work.product.k)
    if work.weight_density > most:
        yield Loss(
            f"{_ratio(sparsity)} weights",
            work.name,
            "more of its weights are not zero than the pattern leaves; SCALE-Sim would skip work that there is",
        )


def config_text(array: Array, sparse: bool = False) -> str:
    """Return scale.cfg: the array, and SRAMs that a user will want to set; bandwidth is computed, not limited."""
    return f"""[general]
run_name = run

[architecture_presets]
ArrayHeight : {array.rows}
ArrayWidth : {array.cols}
IfmapSramSzkB : {array.ifmap_kib}
FilterSramSzkB : {array.filter_kib}
OfmapSramSzkB : {array.ofmap_kib}
IfmapOffset : 0
FilterOffset : 10000000
OfmapOffset : 20000000
Bandwidth : 10
Dataflow : {DATAFLOWS[array.dataflow]}
MemoryBanks : 1
ReadRequestBuffer : 32
WriteRequestBuffer : 32

[layout]
IfmapCustomLayout : False
IfmapSRAMBankBandwidth : 10
IfmapSRAMBankNum : 10
IfmapSRAMBankPort : 2
FilterCustomLayout : False
FilterSRAMBankBandwidth : 10
FilterSRAMBankNum : 10
FilterSRAMBankPort : 2

[sparsity]
SparsitySupport : {str(sparse).lower()}
SparseRep : ellpack_block
OptimizedMapping : false
BlockSize : 4
RandomNumberGeneratorSeed : 40

[run_presets]
InterfaceBandwidth : CALC
UseRamulatorTrace : False
"""
