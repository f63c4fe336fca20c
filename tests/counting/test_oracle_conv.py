"""Convolutions of every kind: the core against the nested loops."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import brute
import pytest
import torch
from agree import COUNTS, FACTS, Call, filled, only, same, same_class, trace
from hypothesis import given
from hypothesis import strategies as st
from strategies import ConvGeometry, Spikes, conv_geometries, fill, seeds, spikes
from torch import nn
from torch.nn import functional as F

CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSE = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
FUNCTIONAL = (F.conv1d, F.conv2d, F.conv3d)


@pytest.fixture(autouse=True)
def _no_even_kernel_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same'")
        yield


def padding_of(g: ConvGeometry) -> list[tuple[int, int]]:
    if g.padding == "same":
        return brute.same_padding(g.kernel, g.dilation)
    return [(0, 0)] * g.rank if g.padding == "valid" else [(p, p) for p in g.padding]


def oracle(g: ConvGeometry, x: torch.Tensor, w: torch.Tensor) -> brute.Tally:
    return brute.conv(
        x.tolist(),
        w.tolist(),
        stride=g.stride,
        padding=padding_of(g),
        dilation=g.dilation,
        groups=g.groups,
        mode=g.mode,
    )


@given(conv_geometries(), spikes(), seeds)
def test_convolution(g: ConvGeometry, s: Spikes, seed: int) -> None:
    layer = filled(CONV[g.rank - 1](**g.arguments), seed, fill)
    x = s.tensor(*g.input_shape)
    traced = trace(layer, x)
    same(only(traced), oracle(g, x, layer.weight), FACTS)
    same(traced, oracle(g, x, layer.weight), COUNTS)
    same_class(only(traced), x.flatten().tolist())
    assert only(traced).calls == 1
    assert only(traced).weights == layer.weight.numel()
    assert only(traced).zero_weights == int((layer.weight == 0).sum())


@given(conv_geometries(named=True), spikes(), seeds)
def test_same_and_valid(g: ConvGeometry, s: Spikes, seed: int) -> None:
    layer = filled(CONV[g.rank - 1](**g.arguments), seed, fill)
    x = s.tensor(*g.input_shape)
    got = only(trace(layer, x))
    same(got, oracle(g, x, layer.weight))
    same_class(got, x.flatten().tolist())
    assert got.spikes == int((x != 0).sum())


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@given(data=st.data())
def test_padding_modes_are_real_inputs(mode: str, data: st.DataObject) -> None:
    g = data.draw(conv_geometries(mode=mode))
    s, seed = data.draw(spikes()), data.draw(seeds)
    layer = filled(CONV[g.rank - 1](**g.arguments, padding_mode=mode), seed, fill)
    x = s.tensor(*g.input_shape)
    got = only(trace(layer, x))
    same(got, oracle(g, x, layer.weight))
    assert got.connections == got.dense_macs


@given(conv_geometries(transposed=True), spikes(), seeds)
def test_transposed_convolution(g: ConvGeometry, s: Spikes, seed: int) -> None:
    layer = TRANSPOSE[g.rank - 1](**g.arguments, output_padding=g.output_padding)
    filled(layer, seed, fill)
    x = s.tensor(*g.input_shape)
    got = only(trace(layer, x))
    want = brute.conv_transpose(
        x.tolist(),
        layer.weight.tolist(),
        stride=g.stride,
        padding=g.padding,
        output_padding=g.output_padding,
        dilation=g.dilation,
        groups=g.groups,
    )
    same(got, want, FACTS)
    same_class(got, x.flatten().tolist())


@given(conv_geometries(), spikes(), seeds)
def test_functional_convolution(g: ConvGeometry, s: Spikes, seed: int) -> None:
    weight = torch.empty(g.outs, g.ins // g.groups, *g.kernel)
    fill(weight, seed)

    def forward(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return FUNCTIONAL[g.rank - 1](x, weight, None, g.stride, g.padding, g.dilation, g.groups)

    x = s.tensor(*g.input_shape)
    same(only(trace(Call(forward, weight=weight), x)), oracle(g, x, weight), FACTS)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4), st.integers(0, 1), spikes(), seeds)
def test_explicit_zero_padding_is_padding(pad: list[int], own: int, s: Spikes, seed: int) -> None:
    """nn.ZeroPad2d, ConstantPad2d(0), F.pad before a convolution: outside the image there is no synapse."""
    left, right, top, bottom = pad
    x = s.tensor(1, 2, 3, 4)
    conv = filled(nn.Conv2d(2, 2, 3, padding=own, stride=(1, 2)), seed, fill)
    want = brute.conv(
        x.tolist(),
        conv.weight.tolist(),
        stride=(1, 2),
        padding=[(top + own, bottom + own), (left + own, right + own)],
        dilation=(1, 1),
    )
    for padder in (nn.ZeroPad2d(pad), nn.ConstantPad2d(pad, 0.0), Call(lambda y: F.pad(y, pad))):
        same(only(trace(nn.Sequential(padder, conv), x)), want)


def test_padding_with_ones_is_a_real_input() -> None:
    conv = filled(nn.Conv2d(1, 1, 3, bias=False), 0, lambda p, _: p.data.fill_(1.0))
    got = only(trace(nn.Sequential(nn.ConstantPad2d(1, 1.0), conv), torch.zeros(1, 1, 4, 4)))
    assert got.connections == got.dense_macs == 16 * 9
    assert got.events == 144 - 100  # 100 of the 144 taps see the image, which is all zero


def test_zero_padding_shared_with_another_reader() -> None:
    """A padded tensor that is also used elsewhere keeps its meaning at the convolution."""
    conv = filled(nn.Conv2d(1, 1, 3, bias=False), 0, lambda p, _: p.data.fill_(1.0))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = F.pad(x, (1, 1, 1, 1))
            return self.conv(y) + y[:, :, 1:-1, 1:-1]

    got = only(trace(Net().eval(), torch.ones(1, 1, 4, 4)))
    assert (got.connections, got.dense_macs, got.events) == (100, 144, 100)


def test_unbatched_image() -> None:
    conv = filled(nn.Conv2d(2, 3, 3, padding=1, bias=False), 1, fill)
    x = Spikes("binary", 0.3, 5).tensor(2, 4, 4)
    got = only(trace(conv, x, samples=1))
    want = brute.conv([x.tolist()], conv.weight.tolist(), stride=(1, 1), padding=[(1, 1)] * 2, dilation=(1, 1))
    same(got, want, FACTS)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_memory_layout_changes_nothing(layout: torch.memory_format) -> None:
    conv = filled(nn.Conv2d(4, 3, 3, stride=2, padding=1, bias=False), 1, fill)
    x = Spikes("ternary", 0.3, 5).tensor(2, 4, 5, 5)
    want = brute.conv(x.tolist(), conv.weight.tolist(), stride=(2, 2), padding=[(1, 1)] * 2, dilation=(1, 1))
    got = only(trace(conv.to(memory_format=layout), x.to(memory_format=layout)))
    same(got, want, FACTS)


def test_unfold_convolution_is_counted_dense_as_written() -> None:
    """im2col by hand is a matrix product of the unfolded columns: padding is then a real operand."""
    weight = torch.ones(2, 9)
    net = Call(lambda x, weight: weight @ F.unfold(x, 3, padding=1), weight=weight)
    got = only(trace(net, torch.ones(1, 1, 4, 4)))
    assert got.dense_macs == 2 * 9 * 16
    assert got.events == 2 * 100


def test_large_counts_are_exact() -> None:
    """More than 2^24 per map and more than 2^31 in all: float32 sums would lose the last digits."""
    conv = nn.Conv2d(32, 64, 3, padding=1, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.weight[0, 0, 0, 0] = 0.0
    x = torch.ones(64, 32, 64, 64)
    x[0, 0, 0, 0] = 0.0
    got = only(trace(conv, x))
    taps = 64 * 190 * 190
    assert got.connections == 32 * 64 * taps
    assert got.events == got.connections - 64 * 4
    # The zero weight looks up and left: 63 x 63 positions per sample, one of them at the silent pixel.
    assert got.effective_events == got.events - (64 * 63 * 63 - 1)


def test_empty_batch_counts_nothing() -> None:
    conv = nn.Conv2d(1, 2, 3, padding=1).eval()
    x = torch.zeros(0, 1, 4, 4)
    got = trace(conv, [torch.ones(1, 1, 4, 4), x], samples=1)
    assert only(got).connections == 2 * 100
