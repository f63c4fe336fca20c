"""Cycles of dense arrays: against an array simulated register by register, against published traces, and by laws."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from systolic_grid import SIMULATIONS, matmul
from torch import nn

import snn_energy as se
from snn_energy.costing.timing.matrices import Product, Unknown, product_of
from snn_energy.costing.timing.systolic import compute_cycles, layer_cycles, pass_cycles, sata_sim_cycles
from snn_energy.counting.counts import LayerCounts
from snn_energy.counting.values import SILENT
from snn_energy.hardware import load_hardware
from snn_energy.hardware.machines import Systolic

SIZE = st.integers(1, 9)
DATAFLOWS = st.sampled_from(sorted(SIMULATIONS))


def array(rows: int, cols: int, dataflow: str = "output-stationary", over_time: str = "repeat") -> Systolic:
    return Systolic(rows=rows, cols=cols, dataflow=dataflow, over_time=over_time)  # type: ignore[arg-type]


@settings(max_examples=60)
@given(m=SIZE, n=SIZE, k=SIZE, rows=st.integers(1, 5), cols=st.integers(1, 5), dataflow=DATAFLOWS)
def test_equal_to_an_array_simulated_cycle_by_cycle(m, n, k, rows, cols, dataflow):
    drawn = random.Random(m * 1000 + n * 100 + k)
    a = [[drawn.randint(-3, 3) for _ in range(k)] for _ in range(m)]
    b = [[drawn.randint(-3, 3) for _ in range(n)] for _ in range(k)]
    out, cycles = SIMULATIONS[dataflow](a, b, rows, cols)
    assert out == matmul(a, b)
    # SCALE-Sim reports the index of the last cycle, from 0.
    assert compute_cycles(m, n, k, rows=rows, cols=cols, dataflow=dataflow) == cycles - 1


# SCALE-Sim v3 golden traces (scalesim-project/scale-sim-v3 fab89b7): total less stall cycles.
@pytest.mark.parametrize(
    ("dataflow", "cycles"),
    [
        ("output-stationary", 52447 - 42272),
        ("weight-stationary", 52447 - 41248),
        ("input-stationary", 19984 - 5777),
    ],
)
def test_golden_gemm(dataflow, cycles):
    assert compute_cycles(256, 128, 256, rows=32, cols=32, dataflow=dataflow) == cycles


def test_golden_alexnet_conv1():
    """224 x 224 x 3, 11 x 11, 96 filters, stride 4: 55 x 55 outputs, as SCALE-Sim rounds them up."""
    assert compute_cycles(55 * 55, 96, 11 * 11 * 3, rows=32, cols=32, dataflow="weight-stationary") == 112283


# SATA_Sim (RuokaiYin/SATA_Sim d447058), scale-sim/results/SATA/SATA_128_ws/COMPUTE_REPORT.csv: 8 x 16 units.
SATA_LAYERS = [
    ((900, 64, 27), 14879), ((900, 64, 576), 267839), ((196, 128, 576), 130175), ((196, 128, 1152), 260351),
    ((36, 256, 1152), 152063), ((36, 256, 2304), 304127), ((36, 256, 2304), 304127), ((1, 1024, 4096), 1015807),
    ((1, 10, 1024), 3967),
]  # fmt: skip


@pytest.mark.parametrize(("sizes", "cycles"), SATA_LAYERS)
def test_golden_sata_layers(sizes, cycles):
    assert compute_cycles(*sizes, rows=8, cols=16, dataflow="weight-stationary") == cycles


def test_the_shipped_profile_of_sata_has_the_array_of_these_runs():
    engine = load_hardware("sata-sim-int8").latency.engine
    found = [pass_cycles(Product(m=m, n=n, k=k), engine) for (m, n, k), _ in SATA_LAYERS]
    assert found == [cycles for _, cycles in SATA_LAYERS]


@pytest.mark.parametrize(("steps", "cycles"), [(2, 3192049), (4, 4918095), (8, 8370187)])
def test_published_cycles_of_sata_sim(steps, cycles):
    """SATA_Sim, inference-energy-cal/results/sata/T{2,4,8}: cycle totals over all layers."""
    assert sata_sim_cycles(10196, 852827, 1466003, steps) == cycles


@given(m=SIZE, n=SIZE, k=SIZE, rows=SIZE, cols=SIZE, dataflow=DATAFLOWS, more=st.integers(0, 9))
def test_never_faster_for_more_work(m, n, k, rows, cols, dataflow, more):
    one = compute_cycles(m, n, k, rows=rows, cols=cols, dataflow=dataflow)
    for larger in ((m + more, n, k), (m, n + more, k), (m, n, k + more)):
        assert compute_cycles(*larger, rows=rows, cols=cols, dataflow=dataflow) >= one


@given(m=SIZE, n=SIZE, k=SIZE, rows=SIZE, cols=SIZE, dataflow=DATAFLOWS)
def test_never_faster_than_all_units_at_once(m, n, k, rows, cols, dataflow):
    """The +1 is SCALE-Sim's count from 0."""
    assert (compute_cycles(m, n, k, rows=rows, cols=cols, dataflow=dataflow) + 1) * rows * cols >= m * n * k


@given(m=SIZE, n=SIZE, k=SIZE, dataflow=DATAFLOWS, extra=st.integers(0, 50))
def test_an_array_beyond_the_product_only_takes_longer_to_cross(m, n, k, dataflow, extra):
    """R, C -> infinity: one fill, whose time grows by one cycle for each column, and one (two with loading) a row."""
    large = 9 + extra
    at = {
        d: compute_cycles(m, n, k, rows=large + (d == "row"), cols=large + (d == "col"), dataflow=dataflow)
        for d in ("none", "row", "col")
    }
    assert at["col"] - at["none"] == 1
    assert at["row"] - at["none"] == (1 if dataflow == "output-stationary" else 2)
    in_time = {"output-stationary": k, "weight-stationary": m, "input-stationary": n}[dataflow]
    crossing = 2 * large if dataflow == "output-stationary" else 3 * large
    assert at["none"] == crossing + in_time - 2 - 1


@pytest.mark.parametrize("dataflow", sorted(SIMULATIONS))
def test_time_steps(dataflow):
    """Repeated: T times a pass. Folded: the pass of T times the rows. Unrolled: one pass on T arrays."""
    product = Product(m=5, n=7, k=9, copies=3, passes=4)
    one = compute_cycles(5, 7, 9, rows=4, cols=4, dataflow=dataflow)
    folded = compute_cycles(20, 7, 9, rows=4, cols=4, dataflow=dataflow)
    assert pass_cycles(product, array(4, 4, dataflow)) == 3 * one
    assert layer_cycles(product, array(4, 4, dataflow, "repeat")) == 4 * 3 * one
    assert layer_cycles(product, array(4, 4, dataflow, "fold")) == 3 * folded
    assert layer_cycles(product, array(4, 4, dataflow, "unroll")) == 3 * one
    assert layer_cycles(product, array(4, 4, dataflow, "repeat"), batch=2) == 4 * 3 * compute_cycles(
        10, 7, 9, rows=4, cols=4, dataflow=dataflow
    )


def product(layer: nn.Module, x: torch.Tensor, steps: int | None = 1) -> Product | Unknown:
    trace = se.trace(layer, x)
    return product_of(trace.layers[0], trace.samples, steps)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        # floor((9 + 2 - 3) / 2) + 1 = 5 and floor((7 + 2 - 3) / 2) + 1 = 4 positions
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 9, 7), Product(m=5 * 4, n=8, k=3 * 9)),
        (nn.Conv2d(4, 6, (1, 3), groups=2), (4, 5, 5), Product(m=5 * 3, n=3, k=2 * 3, copies=2)),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 6, 6), Product(m=36, n=1, k=9, copies=4)),
        (nn.Conv1d(2, 5, 3, dilation=2), (2, 10), Product(m=6, n=5, k=6)),
        (nn.Conv3d(1, 2, 2), (1, 3, 4, 5), Product(m=2 * 3 * 4, n=2, k=8)),
        (nn.ConvTranspose2d(3, 4, 2, stride=2), (3, 4, 5), Product(m=20, n=4 * 4, k=3)),
        (nn.Linear(6, 4), (6,), Product(m=1, n=4, k=6)),
        (nn.Linear(6, 4), (10, 6), Product(m=10, n=4, k=6)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_products_of_layers(layer, shape, expected, samples):
    found = product(layer, torch.ones(samples, *shape))
    assert found == expected
    assert found.macs * samples == se.trace(layer, torch.ones(samples, *shape)).dense_macs


def test_products_of_two_data_operands_whose_sizes_are_recorded():
    """Two samples, T = 3, 4 heads: [5 2] x [2 5] each; nothing is shared, so nothing folds into one product."""
    heads = LayerCounts(
        name="matmul",
        kind="matmul",
        partner_values=SILENT,
        dense_macs=2 * 3 * 4 * (5 * 2 * 5),
        geometry=(("m", (5,)), ("n", (5,)), ("k", (2,))),
    )
    found = product_of(heads, 2, 3)
    assert found == Product(m=5, n=5, k=2, copies=4, passes=3, shared=False)
    one = compute_cycles(5, 5, 2, rows=4, cols=4, dataflow="output-stationary")
    for over_time in ("repeat", "fold"):
        assert layer_cycles(found, array(4, 4, over_time=over_time)) == 3 * 4 * one
    assert layer_cycles(found, array(4, 4, over_time="unroll"), batch=2) == 2 * 4 * one


class Attention(nn.Module):
    """Spiking self-attention without a softmax: [n d] x [d n], then [n n] x [n d], for each head and time step."""

    def __init__(self, heads: int, stacked: bool) -> None:
        super().__init__()
        self.heads, self.stacked = heads, stacked

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = x.transpose(0, 1)  # [T b n c]
        return self.one(steps) if self.stacked else torch.stack([self.one(step) for step in steps])

    def one(self, x: torch.Tensor) -> torch.Tensor:
        q = x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)
        return q @ q.transpose(-1, -2) @ (q > 0.5).to(q.dtype)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
def test_products_of_attention(samples, stacked):
    """T = 2, 5 tokens of 12 channels in 4 heads: [5 3] x [3 5] and [5 5] x [5 3], 8 of each for a sample."""
    trace = se.trace(Attention(4, stacked), torch.rand(samples, 2, 5, 12), time_steps=2)
    sizes = [(5, 5, 3), (5, 3, 5)]
    found = [product_of(layer, trace.samples, 2) for layer in trace.layers]
    assert found == [Product(m=m, n=n, k=k, copies=4, passes=2, shared=False) for m, n, k in sizes]
    for one, (m, n, k) in zip(found, sizes, strict=True):
        for dataflow in SIMULATIONS:
            drawn = [[[1] * columns for _ in range(rows)] for rows, columns in ((m, k), (k, n))]
            _, cycles = SIMULATIONS[dataflow](*drawn, 4, 3)
            for over_time in ("repeat", "fold"):  # nothing is shared: steps do not become rows of one product
                assert layer_cycles(one, array(4, 3, dataflow, over_time)) == 2 * 4 * (cycles - 1)
            assert layer_cycles(one, array(4, 3, dataflow, "unroll")) == 4 * (cycles - 1)
            assert layer_cycles(one, array(4, 3, dataflow), batch=5) == 5 * 2 * 4 * (cycles - 1)


class Bilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.form = nn.Bilinear(3, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.form(x, x)


class Loop(nn.Module):
    """A layer at each of T time steps, in a loop or with the steps in the batch."""

    def __init__(self, layer: nn.Module, steps: int, stacked: bool) -> None:
        super().__init__()
        self.layer, self.steps, self.stacked = layer, steps, stacked

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stacked:
            return self.layer(x.repeat(self.steps, *[1] * (x.dim() - 1)))
        return torch.stack([self.layer(x) for _ in range(self.steps)])


@pytest.mark.parametrize("stacked", [False, True])
def test_time_steps_are_passes_however_they_were_run(stacked):
    conv = Loop(nn.Conv2d(2, 3, 3), 4, stacked)
    assert product(conv, torch.ones(2, 2, 6, 6), 4) == Product(m=16, n=3, k=18, passes=4)
    linear = Loop(nn.Linear(6, 4), 4, stacked)
    assert product(linear, torch.ones(2, 6), 4) == Product(m=1, n=4, k=6, passes=4)


def test_a_layer_that_runs_once_among_many_steps():
    assert product(nn.Linear(6, 4), torch.ones(2, 6), 4) == Product(m=1, n=4, k=6, passes=1)


def test_what_a_record_does_not_tell_is_unknown():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.conv(x))

    class Growing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return sum((x[:, :n] @ x[:, :n].transpose(1, 2)).sum() for n in (1, 2))

    found = product(Two(), torch.ones(1, 1, 9))
    assert isinstance(found, Unknown)
    assert "geometry" in found.reason
    found = product(Growing(), torch.ones(1, 3, 4))
    assert isinstance(found, Unknown)
    assert "differ in size" in found.reason
    trace = se.trace(Bilinear(), torch.ones(2, 3))
    found = product_of(trace.layers[0], trace.samples, 1)
    assert isinstance(found, Unknown)
    assert "bilinear form" in found.reason
    found = product(nn.Linear(6, 4), torch.ones(2, 6), None)
    assert isinstance(found, Unknown)
    assert "time steps" in found.reason
