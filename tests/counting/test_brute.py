"""The oracle against closed forms and against cases counted by hand."""

from __future__ import annotations

import warnings

import brute
import pytest
import torch
from brute import Tally
from hypothesis import given
from strategies import ConvGeometry, conv_geometries, matmul_shapes
from torch.nn import functional as F


def ones(*shape: int) -> list:
    return torch.ones(shape).tolist()


def low_high(padding: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(p, p) for p in padding]


def test_corner_spike_by_hand() -> None:
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 0, 0] = 1
    got = brute.conv(x.tolist(), ones(2, 1, 3, 3), stride=(1, 1), padding=[(1, 1)] * 2, dilation=(1, 1))
    # Nine output positions times nine taps times two filters; along one axis 2 + 3 + 2 = 7 taps are inside,
    # and the corner is seen by four positions.
    assert got == Tally(dense_macs=162, connections=98, events=8, effective_events=8, spikes=1, elements=9)


def test_zero_weight_by_hand() -> None:
    got = brute.linear([[1.0, 0.0, 2.0]], [[1.0, 5.0, 0.0], [0.0, 0.0, 0.0]])
    assert got == Tally(dense_macs=6, connections=6, events=4, effective_events=1, spikes=2, elements=3)


def test_transposed_tiles_by_hand() -> None:
    got = brute.conv_transpose(
        ones(1, 1, 4, 4),
        ones(1, 1, 2, 2),
        stride=(2, 2),
        padding=(0, 0),
        output_padding=(0, 0),
        dilation=(1, 1),
    )
    assert (got.dense_macs, got.connections, got.events) == (64, 64, 64)


def test_bilinear_by_hand() -> None:
    got = brute.bilinear([[1.0, 0.0]], [[1.0, 1.0, 0.0]], [[[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]])
    assert (got.dense_macs, got.events, got.effective_events) == (6, 2, 1)


def test_products_by_hand() -> None:
    a, b = [[1.0, 0.0], [1.0, 1.0]], [[0.0, 2.0], [3.0, 0.0]]
    # Column 0 of a (two non-zeros) meets row 0 of b (one); column 1 (one) meets row 1 (one).
    assert brute.matmul(a, b) == brute.einsum("ij,jk->ik", a, b)
    assert (brute.matmul(a, b).connections, brute.matmul(a, b).events) == (8, 3)


@pytest.mark.parametrize(
    ("values", "kind", "scale"),
    [
        ([0.0, 0.0], "silent", None),
        ([0.0, 1.0], "binary", 1.0),
        ([0.25, 0.25], "binary", 0.25),
        ([0.0, -2.0], "binary", -2.0),
        ([0.5, -0.5], "ternary", 0.5),
        ([0.25, 0.75], "integer", 0.25),
        ([-2.0, 4.0], "integer", 2.0),
        ([0.123456789, 0.987654321], "real", None),
    ],
)
def test_operand_classes(values: list[float], kind: str, scale: float | None) -> None:
    assert brute.operand_class(values) == (kind, scale)


def pairs(g: ConvGeometry) -> list[tuple[int, int]]:
    if g.padding == "same":
        return brute.same_padding(g.kernel, g.dilation)
    return [(0, 0)] * g.rank if g.padding == "valid" else low_high(g.padding)


CONV = (F.conv1d, F.conv2d, F.conv3d)
TRANSPOSE = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


@given(conv_geometries())
def test_all_ones_convolution_sums_to_the_connections(g: ConvGeometry) -> None:
    x, w = torch.ones(g.input_shape), torch.ones(g.outs, g.ins // g.groups, *g.kernel)
    out = CONV[g.rank - 1](x, w, None, g.stride, g.padding, g.dilation, g.groups)
    got = brute.conv(x.tolist(), w.tolist(), stride=g.stride, padding=pairs(g), dilation=g.dilation, groups=g.groups)
    assert got.connections == got.events == got.effective_events == int(out.sum())
    assert got.dense_macs == out.numel() * w[0].numel()


@given(conv_geometries(named=True))
def test_named_padding_sums_to_the_connections(g: ConvGeometry) -> None:
    x, w = torch.ones(g.input_shape), torch.ones(g.outs, g.ins // g.groups, *g.kernel)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch mentions the copy it makes for even kernels
        out = CONV[g.rank - 1](x, w, None, g.stride, g.padding, g.dilation, g.groups)
    got = brute.conv(x.tolist(), w.tolist(), stride=g.stride, padding=pairs(g), dilation=g.dilation, groups=g.groups)
    assert got.connections == int(out.sum())
    assert got.dense_macs == out.numel() * w[0].numel()


@given(conv_geometries(transposed=True))
def test_all_ones_transposed_convolution_sums_to_the_connections(g: ConvGeometry) -> None:
    x, w = torch.ones(g.input_shape), torch.ones(g.ins, g.outs // g.groups, *g.kernel)
    out = TRANSPOSE[g.rank - 1](x, w, None, g.stride, g.padding, g.output_padding, g.groups, g.dilation)
    got = brute.conv_transpose(
        x.tolist(),
        w.tolist(),
        stride=g.stride,
        padding=g.padding,
        output_padding=g.output_padding,
        dilation=g.dilation,
        groups=g.groups,
    )
    assert got.connections == got.events == int(out.sum())
    assert got.dense_macs == x.numel() * w[0].numel()


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_padded_image_equals_padding_mode(mode: str) -> None:
    x = (torch.rand(1, 2, 4, 5) < 0.5).float()
    w = torch.ones(3, 2, 3, 3)
    padded = F.pad(x, (1, 1, 2, 2), mode=mode)
    geometry = {"stride": (2, 1), "dilation": (1, 1)}
    direct = brute.conv(x.tolist(), w.tolist(), padding=[(2, 2), (1, 1)], mode=mode, **geometry)
    explicit = brute.conv(padded.tolist(), w.tolist(), padding=[(0, 0)] * 2, **geometry)
    assert (direct.connections, direct.events) == (explicit.connections, explicit.events)
    assert direct.connections == direct.dense_macs


@given(matmul_shapes())
def test_all_ones_product_sums_to_the_connections(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = (torch.ones(shape) for shape in shapes)
    assert brute.matmul(a.tolist(), b.tolist()).events == int(torch.matmul(a, b).sum())


def test_recurrence_follows_torch() -> None:
    """The oracle's hidden states are those of torch, so that their zeros are too."""
    torch.manual_seed(0)
    for kind, width in (("tanh", 1), ("relu", 1), ("gru", 3), ("lstm", 4)):
        cell = {
            "tanh": torch.nn.RNNCell(3, 2),
            "relu": torch.nn.RNNCell(3, 2, nonlinearity="relu"),
            "gru": torch.nn.GRUCell(3, 2),
            "lstm": torch.nn.LSTMCell(3, 2),
        }[kind].double()
        x, h, c = (torch.randn(1, size, dtype=torch.float64) for size in (3, 2, 2))
        weights = brute.RecurrentWeights(
            w_ih=cell.weight_ih.tolist(),
            w_hh=cell.weight_hh.tolist(),
            b_ih=cell.bias_ih.tolist(),
            b_hh=cell.bias_hh.tolist(),
        )
        counts, new_h, new_c = brute.recurrent_step(kind, x[0].tolist(), h[0].tolist(), c[0].tolist(), weights)
        want = cell(x, (h, c)) if kind == "lstm" else (cell(x, h), torch.zeros(1, 0).double())
        assert torch.allclose(torch.tensor([new_h]).double(), want[0])
        assert torch.allclose(torch.tensor([new_c]).double(), want[1])
        assert counts["weight_ih"].connections == width * 2 * 3
        assert counts["weight_hh"].connections == width * 2 * 2


def test_attention_follows_torch() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 2)
    mask = torch.rand(2, 3, 5) < 0.5
    mask[..., 0] = True
    counts, out = brute.attention(q.tolist(), k.tolist(), v.tolist(), mask.tolist())
    assert torch.allclose(torch.tensor(out), F.scaled_dot_product_attention(q, k, v, mask), atol=1e-6)
    assert counts["scores"].connections == 2 * 3 * 5 * 4
    assert counts["mix"].events == 2 * int(mask.sum())
