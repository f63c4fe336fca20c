"""Cycles of a dense systolic array: SCALE-Sim's compute cycles, exactly.

Source: A. Samajdar et al., "A Systematic Methodology for Characterizing Scalability of DNN Accelerators using
SCALE-Sim", ISPASS 2020, and the simulator itself (scalesim 3.0.0): an array of R x C units is filled
ceil(Sr/R) x ceil(Sc/C) times, and each fill takes the time of the whole array, however little of it is used:

| dataflow          | Sr, Sc, T | cycles of one fill         |
|-------------------|-----------|----------------------------|
| output-stationary | M, N, K   | R + C + T - 2              |
| weight-stationary | K, N, M   | R to load, + R + C + T - 2 |
| input-stationary  | K, M, N   | R to load, + R + C + T - 2 |

SCALE-Sim reports the index of the last cycle, counted from 0: one less than the number of cycles, for each layer.
Stalls for memory are not in it. Zeros take the time of all operands, so that spikes save nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snn_energy.costing.timing.matrices import Product
from snn_energy.hardware.machines import Dataflow, OverTime, Systolic

MAPPINGS: Mapping[Dataflow, Callable[[int, int, int], tuple[int, int, int]]] = {
    "output-stationary": lambda m, n, k: (m, n, k),
    "weight-stationary": lambda m, n, k: (k, n, m),
    "input-stationary": lambda m, n, k: (k, m, n),
}
"""Sizes (m, n, k) -> along the rows, along the columns, and in time."""


def compute_cycles(m: int, n: int, k: int, *, rows: int, cols: int, dataflow: Dataflow) -> int:
    """SCALE-Sim's compute cycles of one product [m k] x [k n]."""
    along_rows, along_cols, in_time = MAPPINGS[dataflow](m, n, k)
    loading = 0 if dataflow == "output-stationary" else rows
    return (loading + rows + cols + in_time - 2) * ceil_div(along_rows, rows) * ceil_div(along_cols, cols) - 1


def pass_cycles(product: Product, array: Systolic, *, batch: int = 1) -> int:
    """Cycles of one pass of a layer over `batch` samples.

    Rows that share the weights are rows of one product, so that M grows with the batch; products of two data operands
    stay products of their own.
    """
    m, copies = (product.m * batch, product.copies) if product.shared else (product.m, product.copies * batch)
    return copies * compute_cycles(m, product.n, product.k, rows=array.rows, cols=array.cols, dataflow=array.dataflow)


def layer_cycles(product: Product, array: Systolic, *, batch: int = 1) -> int:
    """Cycles of all passes of a layer, for `batch` samples at once."""
    return OVER_TIME[array.over_time](product, array, batch)


def _repeat(product: Product, array: Systolic, batch: int) -> int:
    return product.passes * pass_cycles(product, array, batch=batch)


def _fold(product: Product, array: Systolic, batch: int) -> int:
    return pass_cycles(product, array, batch=batch * product.passes)


def _unroll(product: Product, array: Systolic, batch: int) -> int:
    return pass_cycles(product, array, batch=batch)


OVER_TIME: Mapping[OverTime, Callable[[Product, Systolic, int], int]] = {
    "repeat": _repeat,
    "fold": _fold,
    "unroll": _unroll,
}
"""T time steps: one after another; as further rows of one product (the neurons wait for all of them); on T arrays."""


def sata_sim_cycles(outputs_start: int, outputs: int, filters: int, steps: int) -> int:
    """Cycles by SATA_Sim: `(start + outputs) * T + filters`, weights loaded once and outputs made anew each step.

    Source: R. Yin et al., SATA_Sim (RuokaiYin/SATA_Sim, commit d447058), inference-energy-cal; the arguments are its
    "SRAM OFMAP Start Cycle", "SRAM OFMAP Cycles" and "SRAM Filter Cycles", of one layer or summed over layers.
    """
    return (outputs_start + outputs) * steps + filters


def ceil_div(count: int, size: int) -> int:
    """Count over size, rounded up."""
    return -(-count // size)
