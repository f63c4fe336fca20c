"""Cycles of dense arrays beside SCALE-Sim itself, layer by layer, for all dataflows: exactly equal.

SCALE-Sim reads files and prints bars, so each array and dataflow is one run in a folder of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import snn_energy
from snn_energy.costing.timing.matrices import Product, product_of
from snn_energy.costing.timing.systolic import layer_cycles, pass_cycles
from snn_energy.hardware.machines import Systolic

pytestmark = [
    pytest.mark.peer,
    # SCALE-Sim leaves the files it has read open.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
scale_sim = pytest.importorskip("scalesim.scale_sim", reason="needs scalesim")

DATAFLOWS = {"os": "output-stationary", "ws": "weight-stationary", "is": "input-stationary"}

CONVS = [  # image, kernel, channels in and out, stride, padding, groups
    (8, 3, 1, 1, 1, 1, 1),
    (8, 3, 2, 16, 1, 1, 1),
    (9, 3, 3, 5, 2, 1, 1),
    (10, 5, 4, 9, 1, 2, 1),
    (7, 1, 16, 8, 1, 0, 1),
    (6, 1, 3, 33, 1, 0, 1),
    (13, 4, 2, 7, 3, 0, 1),
    (11, 3, 5, 17, 2, 0, 1),
    (5, 5, 3, 12, 1, 0, 1),
    (12, 3, 8, 8, 1, 1, 1),
    (12, 2, 6, 10, 2, 0, 1),
    (15, 7, 1, 4, 2, 3, 1),
    (4, 3, 40, 2, 1, 1, 1),
    (9, 3, 1, 64, 1, 1, 1),
    (6, 6, 7, 1, 1, 0, 1),
    (8, 3, 4, 4, 1, 1, 4),  # depthwise
    (9, 3, 6, 6, 2, 1, 6),
    (7, 5, 3, 6, 1, 2, 3),  # two filters for each channel
]
GEMMS = [
    (1, 1, 1), (1, 10, 100), (16, 16, 16), (17, 15, 33), (64, 10, 7), (5, 128, 3), (100, 1, 20), (1, 64, 64),
    (33, 9, 50), (8, 8, 129), (31, 2, 4), (2, 31, 65), (50, 40, 30), (7, 7, 7), (128, 4, 1), (3, 100, 9),
]  # fmt: skip
ARRAYS = [(4, 8), (16, 5), (8, 8), (1, 3)]

CONFIG = """[general]
run_name = run
[architecture_presets]
ArrayHeight : {rows}
ArrayWidth : {cols}
IfmapSramSzkB : 64
FilterSramSzkB : 64
OfmapSramSzkB : 64
IfmapOffset : 0
FilterOffset : 10000000
OfmapOffset : 20000000
Bandwidth : 10
Dataflow : {dataflow}
MemoryBanks : 1
ReadRequestBuffer : 32
WriteRequestBuffer : 32
[layout]
IfmapCustomLayout : False
FilterCustomLayout : False
IfmapSRAMBankBandwidth : 10
IfmapSRAMBankNum : 10
IfmapSRAMBankPort : 2
FilterSRAMBankBandwidth : 10
FilterSRAMBankNum : 10
FilterSRAMBankPort : 2
[sparsity]
SparsitySupport : false
[run_presets]
InterfaceBandwidth : CALC
UseRamulatorTrace : False
"""


def simulated(folder: Path, lines: Sequence[str], array: tuple[int, int], dataflow: str, *, gemm: bool) -> list[int]:
    """Compute cycles of SCALE-Sim: its total less its stalls, for each layer."""
    rows, cols = array
    (folder / "scale.cfg").write_text(CONFIG.format(rows=rows, cols=cols, dataflow=dataflow))
    (folder / "topology.csv").write_text("\n".join(["Layer, sizes,", *lines]) + "\n")
    (folder / "layout.csv").write_text("Layer name,\n")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run = scale_sim.scalesim(
            save_disk_space=True,
            verbose=False,
            config=str(folder / "scale.cfg"),
            topology=str(folder / "topology.csv"),
            layout=str(folder / "layout.csv"),
            input_type_gemm=gemm,
        )
        run.run_scale(top_path=str(folder))
    report = (folder / "run" / "COMPUTE_REPORT.csv").read_text().splitlines()
    heading = [cell.strip() for cell in report[0].split(",")]
    total, stalls = heading.index("Total Cycles"), heading.index("Stall Cycles")
    table = [[cell.strip() for cell in line.split(",")] for line in report[1:]]
    return [int(float(cells[total])) - int(float(cells[stalls])) for cells in table]


@pytest.fixture(autouse=True)
def numbers_of_one_element(monkeypatch):
    """SCALE-Sim 3.0.0 calls int(max(...)) on arrays of one element, which numpy has refused since 2.4."""
    memory = importlib.import_module("scalesim.memory.double_buffered_scratchpad_mem")

    def largest(*values):
        found = max(*values)
        return found.item() if isinstance(found, np.ndarray) else found

    monkeypatch.setattr(memory, "max", largest, raising=False)


@pytest.fixture(scope="module")
def conv_products() -> list[Product]:
    """What our traces say of these convolutions."""
    found = []
    for size, kernel, c_in, c_out, stride, padding, groups in CONVS:
        layer = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=padding, groups=groups)
        trace = snn_energy.trace(layer, torch.ones(2, c_in, size, size))
        product = product_of(trace.layers[0], trace.samples, 1)
        assert isinstance(product, Product)
        found.append(product)
    return found


def conv_lines() -> list[str]:
    """The same convolutions in SCALE-Sim's words: padding added to the image, a group is a depthwise channel."""
    lines = []
    for number, (size, kernel, c_in, c_out, stride, padding, groups) in enumerate(CONVS):
        out = (size + 2 * padding - kernel) // stride + 1
        image = (out - 1) * stride + kernel  # what the kernel reaches: SCALE-Sim rounds the output size up
        assert groups in (1, c_in)
        name = f"C{number}" if groups == 1 else f"DP{number}"
        lines.append(f"{name}, {image}, {image}, {kernel}, {kernel}, {c_in}, {c_out // groups}, {stride},")
    return lines


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_convolutions(tmp_path, conv_products, array, dataflow):
    theirs = iter(simulated(tmp_path, conv_lines(), array, dataflow, gemm=False))
    engine = Systolic(rows=array[0], cols=array[1], dataflow=DATAFLOWS[dataflow], over_time="repeat")
    for product in conv_products:
        assert pass_cycles(product, engine) == sum(next(theirs) for _ in range(product.copies)), product
    assert next(theirs, None) is None


class Attention(nn.Module):
    """Spiking self-attention: queries times keys, then times values, in each head."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (x > level for level in (0.3, 0.5, 0.7))
        q, k, v = (one.float().unflatten(-1, (self.heads, -1)).transpose(-2, -3) for one in (q, k, v))
        return q @ k.transpose(-1, -2) @ v


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_products_of_activations(tmp_path, array, dataflow):
    """Both products of attention as our traces have them, each head as a matrix product of its own: T = 2."""
    lines, ours = [], []
    engine = Systolic(rows=array[0], cols=array[1], dataflow=DATAFLOWS[dataflow], over_time="repeat")
    for tokens, width, heads in ((5, 12, 4), (16, 8, 1), (9, 34, 2)):
        trace = snn_energy.trace(Attention(heads), torch.rand(2, 2, tokens, width), time_steps=2)
        for layer in trace.layers:
            product = product_of(layer, trace.samples, 2)
            assert isinstance(product, Product)
            ours.append(layer_cycles(product, engine))
            lines.append([f"{product.m}, {product.n}, {product.k},"] * (2 * heads))
        assert [(len(one), one[0]) for one in lines[-2:]] == [
            (2 * heads, f"{tokens}, {tokens}, {width // heads},"),
            (2 * heads, f"{tokens}, {width // heads}, {tokens},"),
        ]
    gemms = [f"G{number}, {line}" for number, line in enumerate(line for each in lines for line in each)]
    theirs = iter(simulated(tmp_path, gemms, array, dataflow, gemm=True))
    assert ours == [sum(next(theirs) for _ in each) for each in lines]


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_matrix_products(tmp_path, array, dataflow):
    lines = [f"G{number}, {m}, {n}, {k}," for number, (m, n, k) in enumerate(GEMMS)]
    theirs = simulated(tmp_path, lines, array, dataflow, gemm=True)
    engine = Systolic(rows=array[0], cols=array[1], dataflow=DATAFLOWS[dataflow], over_time="repeat")
    assert [pass_cycles(Product(m=m, n=n, k=k), engine) for m, n, k in GEMMS] == theirs
