"""Value classes through the graph: what each kind of block makes of spikes, and what it makes the next layer do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import brute
import pytest
import torch
from agree import COUNTS, FACTS, filled, only, pick, same, trace
from hypothesis import given
from hypothesis import strategies as st
from strategies import Spikes, fill, seeds
from torch import nn
from torch.nn import functional as F

import snn_energy as se
from snn_energy.counting.values import ValueSet
from snn_energy.models.neurons import LIF

Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
N, C, H = 3, 4, 6


def spike_pair(seed: int = 0, rate: float = 0.4) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = (Spikes("binary", rate, seed + i).tensor(N, C, H, H) for i in range(2))
    return first, second


class Fed(nn.Module):
    """A layer fed by a block of two spike trains; the block's constants are the module's parameters or buffers."""

    def __init__(self, block: nn.Module | Function, layer: nn.Module) -> None:
        super().__init__()
        self.block, self.layer = block, layer

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.layer(self.block(a, b))


class One(nn.Module):
    """A module of one input, used on the first spike train."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, a: torch.Tensor, _b: torch.Tensor) -> torch.Tensor:
        return self.module(a)


class Scaled(nn.Module):
    """Spikes times a constant of the network: learned or not, common or of each channel."""

    def __init__(self, scale: torch.Tensor, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.scale = nn.Parameter(scale)
        else:
            self.register_buffer("scale", scale)

    def forward(self, a: torch.Tensor, _b: torch.Tensor) -> torch.Tensor:
        return a * self.scale


def norm(shift: float) -> nn.BatchNorm2d:
    """A batch norm whose scale differs from channel to channel, and whose shift is that number."""
    module = nn.BatchNorm2d(C)
    with torch.no_grad():
        module.running_var.copy_(torch.tensor([0.5, 1.3, 2.2, 0.9]))
        module.bias.fill_(shift)
    return module


def ternary(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a - b


HEIGHTS = torch.tensor([0.31, 1.7, 0.77, 0.123]).view(C, 1, 1)

BLOCKS: dict[str, tuple[nn.Module | Function, str, int | None]] = {
    # block, class of what it makes, levels of one spike (n spikes give n / levels)
    "average pool 2x2": (One(nn.AvgPool2d(2)), "integer", 4),
    "average pool 3x3": (One(nn.AvgPool2d(3)), "integer", 9),
    "average pool, padded": (One(nn.AvgPool2d(3, 2, 1)), "integer", 9),
    "average pool, padding left out": (One(nn.AvgPool2d(3, 2, 1, count_include_pad=False)), "integer", 36),
    "average pool, ceil mode": (One(nn.AvgPool2d(2, 2, 1, ceil_mode=True)), "integer", 4),
    "adaptive average pool to 3": (One(nn.AdaptiveAvgPool2d(3)), "integer", 4),
    "adaptive average pool to 4": (One(nn.AdaptiveAvgPool2d(4)), "integer", 4),
    "adaptive average pool to 1": (One(nn.AdaptiveAvgPool2d(1)), "integer", 36),
    "bilinear upsampling": (One(nn.Upsample(scale_factor=2, mode="bilinear")), "integer", 16),
    "max pool": (One(nn.MaxPool2d(2)), "binary", None),
    "adaptive max pool": (One(nn.AdaptiveMaxPool2d(4)), "binary", None),
    "fractional max pool": (One(nn.FractionalMaxPool2d(2, 4)), "binary", None),
    "nearest upsampling": (One(nn.Upsample(scale_factor=2)), "binary", None),
    "pixel shuffle": (One(nn.PixelShuffle(2)), "binary", None),
    "pixel unshuffle": (One(nn.PixelUnshuffle(2)), "binary", None),
    "channel shuffle": (One(nn.ChannelShuffle(2)), "binary", None),
    "dropout": (One(nn.Dropout2d(0.5)), "binary", None),
    "SEW add": (lambda a, b: a + b, "integer", 1),
    "SEW add of three": (lambda a, b: a + b + a, "integer", 1),
    "SEW and": (lambda a, b: a * b, "binary", None),
    "SEW iand": (lambda a, b: (1 - a) * b, "binary", None),
    "or": (lambda a, b: a + b - a * b, "binary", None),
    "exclusive or": (lambda a, b: torch.logical_xor(a, b).float(), "binary", None),
    "maximum": (torch.maximum, "binary", None),
    "mask": (lambda a, b: a.masked_fill(b.bool(), 0.0), "binary", None),
    "integer spikes 0..3": (lambda a, b: a * (1 + 2 * b), "integer", 1),
    "ternary": (ternary, "ternary", None),
    "scaled ternary": (lambda a, b: 0.37 * (a - b), "ternary", None),
    "constant scale": (lambda a, _b: 0.37 * a, "binary", None),
    "negative scale": (lambda a, _b: a * -0.37, "binary", None),
    "learned scale": (Scaled(torch.tensor(0.37), learned=True), "binary", None),
    "threshold as height": (Scaled(torch.tensor(1.25), learned=False), "binary", None),
    "learned scale of each channel": (Scaled(HEIGHTS, learned=True), "binary", None),
    "threshold of each channel": (Scaled(HEIGHTS, learned=False), "binary", None),
    "signed scale of each channel": (Scaled(HEIGHTS * torch.tensor([1, -1, 1, -1]).view(C, 1, 1), learned=True),
                                     "ternary", None),
    "integer scales of each channel": (Scaled(torch.tensor([1.0, 2.0, 3.0, 5.0]).view(C, 1, 1), learned=True),
                                       "binary", None),
    "norm without shift": (One(norm(0.0)), "binary", None),
    "norm with shift": (One(norm(0.3)), "real", None),
    "heads of one height": (lambda a, b: torch.cat((a, b), 1), "binary", None),
    "heads of two heights": (lambda a, b: torch.cat((0.3 * a, 0.7 * b), 1), "binary", None),
    "heads of two heights, pooled": (lambda a, b: F.max_pool2d(torch.cat((0.3 * a, 0.7 * b), 1), 2), "binary", None),
    "spikes times reals": (lambda a, b: a * torch.linspace(0.2, 0.9, N * C * H * H).view_as(b).sin(), "real", None),
}  # fmt: skip


def consumer(kind: str, shape: torch.Size) -> nn.Module:
    channels = shape[1]
    made = {
        "conv": lambda: nn.Conv2d(channels, 2, 2, stride=2, padding=1, bias=False),
        "depthwise": lambda: nn.Conv2d(channels, channels, 1, groups=channels, bias=False),
        "transposed": lambda: nn.ConvTranspose2d(channels, 2, 2, stride=2, bias=False),
        "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(shape[1:].numel(), 3, bias=False)),
    }[kind]()
    return filled(made, 5, fill)


def taps_of(kind: str, layer: nn.Module, x: Any) -> list[brute.Tap]:
    if kind == "linear":
        return list(brute.linear_taps([brute.flat(sample) for sample in x], layer[1].weight.tolist()))
    geometry = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
    if kind == "transposed":
        return list(
            brute.conv_transpose_taps(x, layer.weight.tolist(), padding=[0, 0], output_padding=[0, 0], **geometry)
        )
    return list(brute.conv_taps(x, layer.weight.tolist(), padding=[(p, p) for p in layer.padding], **geometry))


@pytest.mark.parametrize("kind", ["conv", "linear", "transposed", "depthwise"])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_of_spikes_and_the_layer_behind_it(name: str, kind: str) -> None:
    block, expected, levels = BLOCKS[name]
    # A linear layer tells every position apart: there must be samples enough to see each of them come and go.
    many = range(0, 30, 2) if kind == "linear" and name != "spikes times reals" else (0,)
    a, b = (torch.cat([spike_pair(seed)[i] for seed in many]) for i in range(2))
    torch.manual_seed(3)
    with torch.no_grad():
        y = block(a, b) if not isinstance(block, nn.Module) else block.eval()(a, b)
    net = Fed(block, consumer(kind, y.shape)).eval()
    torch.manual_seed(3)
    layer = only(trace(net, (a, b)))
    taps = taps_of(kind, net.layer, y.tolist())
    same(layer, brute.tally(taps, y.tolist()), FACTS)
    assert layer.operand.kind == expected
    want = {
        "acs": layer.events if expected in ("binary", "ternary") else 0,
        "macs": layer.connections if expected == "real" else 0,
        "graded_events": layer.events if expected == "integer" else 0,
    }
    assert pick(layer, want) == want
    if levels is not None:
        whole = (y.double() * levels).round()
        assert torch.allclose(whole / levels, y.double(), atol=1e-6)
        units = brute.unit_events(taps_of(kind, net.layer, whole.tolist()), 1)
        assert layer.unit_events * round(layer.operand.scale * levels) == units


class TestHeightsOfEachChannel:
    """{0, a_c} on channel c folds into the weights as a common scale does."""

    @given(
        st.integers(1, 4),
        st.integers(1, 4),
        st.sampled_from(("binary", "ternary")),
        st.sampled_from((0.1, 0.5, 0.9)),
        seeds,
    )
    def test_class_of_the_union(self, n: int, c: int, kind: str, rate: float, seed: int) -> None:
        x = Spikes(kind, rate, seed).tensor(n, c, 2, 2)
        heights = torch.rand(c, 1, 1, generator=torch.Generator().manual_seed(seed)) + 0.5
        net = Fed(Scaled(heights, learned=True), nn.Conv2d(c, 2, 1, bias=False))
        y = (x * heights).tolist()
        common = brute.operand_class(brute.flat(y))[0]
        want = common if common in ("silent", "binary", "ternary") else brute.channel_class(y) or common
        together = trace(net, (x, x))
        apart = trace(net, [(one[None], one[None]) for one in x])
        merged = trace(net, (x[:1], x[:1]))
        for one in x[1:]:
            merged = merged + trace(net, (one[None], one[None]))
        for traced in (together, apart, merged):
            layer = only(traced)
            assert layer.operand.kind == want
            assert layer.events == only(together).events
            assert layer.values == only(together).values

    def test_folding_changes_nothing(self) -> None:
        """f(a_c s, W) and f(s, a_c W): the same counts, operand and all."""
        spikes = spike_pair()[0]
        conv = filled(nn.Conv2d(C, 3, 3, padding=1), 2, fill)
        folded = nn.Conv2d(C, 3, 3, padding=1)
        folded.load_state_dict(conv.state_dict())
        with torch.no_grad():
            folded.weight.mul_(HEIGHTS)
        outside = only(trace(Fed(Scaled(HEIGHTS, learned=True), conv), (spikes, spikes)))
        inside = only(trace(folded, spikes))
        names = (*FACTS, "acs", "macs", "graded_events", "unit_events", "bias_adds")
        assert pick(outside, names) == pick(inside, names)
        assert (str(outside.operand), str(inside.operand)) == ("binary x [c]", "binary")

    def test_one_second_value_in_one_channel_ends_it(self) -> None:
        spikes = spike_pair()[0]
        spikes[0, 1, 2, 2] = 1.5
        layer = only(trace(Fed(Scaled(HEIGHTS, learned=True), nn.Conv2d(C, 2, 1)), (spikes, spikes)))
        assert (layer.operand.kind, layer.macs) == ("real", layer.connections)

    def test_it_ends_in_a_later_batch_and_for_good(self) -> None:
        spikes = spike_pair()[0]
        odd = spikes.clone()
        odd[0, 1, 2, 2] = 1.5
        net = Fed(Scaled(HEIGHTS, learned=True), nn.Conv2d(C, 2, 1))
        for batches in ([spikes, odd, spikes], [odd, spikes, spikes]):
            assert only(trace(net, [(x, x) for x in batches])).operand.kind == "real"

    def test_a_still_image_is_no_spike_train(self) -> None:
        """One sample of reals, shown T times to a linear layer: each feature takes one value, and never rests."""
        still = torch.rand(1, 9).repeat(4, 1)
        still[:, 2] = 0
        net = Fed(Scaled(torch.rand(9), learned=True), nn.Linear(9, 2))
        assert only(trace(net, (still, still))).operand.kind == "real"
        assert only(trace(nn.Linear(9, 2), still)).operand.kind == "real"

    def test_numbers_of_the_data_are_no_heights_of_the_network(self) -> None:
        """Without a constant of the network behind them, two heights in two columns are two values of the data."""
        x = torch.tensor([[0.3, 0.0], [0.0, 0.7731], [0.3, 0.7731], [0.3, 0.0], [0.0, 0.7731]])
        assert only(trace(nn.Linear(2, 2), x)).operand.kind == "real"

    def test_heights_in_an_attention_stay_multiplications(self) -> None:
        """A product of two activations has no weights that could take the scale in."""
        a, b = spike_pair()
        net = Fed(Scaled(HEIGHTS, learned=True), nn.Flatten(2))

        class Scores(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = net

            def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
                q = self.net(a, a)
                return q.transpose(1, 2) @ self.net(b, b)

        layer = only(trace(Scores(), (a, b)))
        assert (layer.operand.kind, layer.macs) == ("real", layer.connections)

    def test_they_add_up_over_traces_and_survive_a_file(self, tmp_path: Any) -> None:
        spikes = torch.cat(spike_pair())
        net = Fed(Scaled(HEIGHTS, learned=True), nn.Conv2d(C, 2, 1))
        parts = [trace(net, (x[None], x[None])) for x in spikes]
        whole = sum(parts[1:], parts[0])
        se.save_trace(whole, tmp_path / "t.json")
        assert se.load_trace(tmp_path / "t.json") == whole
        assert only(whole).values == only(trace(net, (spikes, spikes))).values
        left, right = parts[0] + (parts[1] + parts[2]), (parts[0] + parts[1]) + parts[2]
        assert only(left).values == only(right).values

    def test_a_join_of_unknown_channels_is_unknown(self) -> None:
        known = ValueSet((1.0,), True, False, channels=((2, 1.0, 2, True),))
        unknown = ValueSet((0.7731,), True, False)
        assert (known | unknown).operand_class.kind == (unknown | known).operand_class.kind == "real"
        assert (known | ValueSet()).channels == known.channels


class TestIntegerSpikes:
    """n is n accumulates or one graded multiply-accumulate, as the hardware declares."""

    POLICIES = ("accumulate-per-unit", "graded-mac")

    @given(n=st.integers(1, 3), levels=st.integers(2, 4), seed=seeds)
    def test_binary_expansion_takes_the_same_accumulates(self, n: int, levels: int, seed: int) -> None:
        """I-LIF: n in 0..D at one step is n spikes over D steps."""
        rng = torch.Generator().manual_seed(seed)
        counts = torch.randint(0, levels + 1, (n, 5), generator=rng).float()
        counts[0, 0], counts[0, 1] = levels, levels - 1
        train = torch.stack([(counts > step).float() for step in range(levels)])
        layer = filled(nn.Linear(5, 3, bias=False), seed, fill)
        whole, expanded = only(trace(layer, counts)), only(trace(layer, train.flatten(0, 1)))
        assert (whole.operand.kind, expanded.operand.kind) == ("integer", "binary")
        unit = round(whole.operand.scale)
        assert expanded.acs == whole.unit_events * unit == 3 * int(counts.sum())

    @pytest.mark.parametrize("policy", POLICIES)
    def test_layers(self, policy: str) -> None:
        counts = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 3.0]])
        layer = filled(nn.Linear(3, 4, bias=False), 1, fill)
        report = se.price(se.trace(layer, counts), hardware_with(policy))
        got = (report.rows[0].acs, report.rows[0].macs)
        assert got == ((4 * 9, 0) if policy == "accumulate-per-unit" else (0, 4 * 4))

    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("second", ["integer", "real", "binary"])
    def test_attention(self, policy: str, second: str) -> None:
        """q of small integers; k binary decides by itself, k real leaves q to decide, two integers q by convention."""
        q = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 1.0]])
        k = Spikes(second, 0.7, 8).tensor(3, 4).abs()
        traced = se.trace(_Product(), (q, k), samples=1)
        tally = brute.matmul(q.tolist(), k.tolist())
        row = se.price(traced, hardware_with(policy)).rows[0]
        if second == "binary":
            assert (row.acs, row.macs) == (tally.events, 0)
        elif policy == "graded-mac":
            assert (row.acs, row.macs) == (0, tally.events)
        else:
            assert (row.acs, row.macs) == (brute.matmul_units(q.tolist(), k.tolist()), 0)


class _Product(nn.Module):
    def forward(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return q @ k


def hardware_with(policy: str) -> Any:
    from dataclasses import replace

    return replace(se.load_hardware("horowitz-45nm-fp32"), integer_spikes=policy)


# ---------------------------------------------------------------- batch norm


class Tokens(nn.Module):
    """The way spiking transformers write it: linear, channels to axis 1, norm, and back."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 4, bias=bias), nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # t b n c
        steps, batch = x.shape[:2]
        y = self.linear(x.flatten(0, 1))
        y = self.norm(y.transpose(-1, -2)).transpose(-1, -2)
        return y.reshape(steps, batch, *y.shape[1:])


class TimeLast(nn.Module):
    """A norm over [n, c, t, h, w], as threshold-dependent norms want it, behind a convolution of folded time steps."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, bias=bias), nn.BatchNorm3d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # t n c h w
        y = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.norm(y.permute(1, 2, 0, 3, 4)).permute(2, 0, 1, 3, 4)


class Residual(nn.Module):
    """A norm in front of a residual addition."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3, padding=1, bias=bias), nn.BatchNorm2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) + x


NORMED: dict[str, tuple[Callable[[bool], nn.Module], tuple[int, ...], int]] = {
    # network, input, elements normalised
    "conv1d": (lambda b: nn.Sequential(nn.Conv1d(2, 4, 3, bias=b), nn.BatchNorm1d(4)), (3, 2, 6), 3 * 4 * 4),
    "conv2d": (lambda b: nn.Sequential(nn.Conv2d(2, 4, 3, bias=b), nn.BatchNorm2d(4)), (3, 2, 5, 5), 3 * 4 * 9),
    "conv3d": (lambda b: nn.Sequential(nn.Conv3d(2, 4, 2, bias=b), nn.BatchNorm3d(4)), (3, 2, 3, 3, 3), 3 * 4 * 8),
    "transposed": (lambda b: nn.Sequential(nn.ConvTranspose2d(2, 4, 2, 2, bias=b), nn.BatchNorm2d(4)), (3, 2, 3, 3),
                   3 * 4 * 36),
    "linear": (lambda b: nn.Sequential(nn.Linear(3, 4, bias=b), nn.BatchNorm1d(4)), (5, 3), 5 * 4),
    "tokens": (Tokens, (2, 3, 5, 3), 2 * 3 * 5 * 4),
    "time inside": (TimeLast, (2, 3, 2, 5, 5), 2 * 3 * 4 * 9),
    "residual": (Residual, (3, 2, 4, 4), 3 * 2 * 16),
}  # fmt: skip


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", NORMED)
def test_a_norm_behind_a_projection(name: str, bias: bool) -> None:
    """Folded: its shift is the projection's bias, one addition for each output. Not folded: a MAC for each element."""
    build, shape, elements = NORMED[name]
    net, x = build(bias).eval(), Spikes("binary", 0.4, 2).tensor(*shape)
    folded, counted = trace(net, x), trace(net, x, fold=False)
    assert pick(folded, COUNTS) == pick(counted, COUNTS)

    def norms(traced: Any) -> tuple[int, int, int]:
        rows = [row for row in traced.elementwise if "norm" in row.kind]
        return (
            sum(layer.bias_adds for layer in traced.layers) + sum(row.adds for row in rows),
            sum(row.muls for row in rows),
            sum(row.compares + row.specials for row in rows),
        )

    assert norms(folded) == (elements, 0, 0)
    assert norms(counted) == (elements * (2 if bias else 1), elements, 0)
    if name == "residual":
        assert [row.adds for row in folded.elementwise if row.kind == "add"] == [elements]


def test_what_stands_between_keeps_a_norm_from_folding() -> None:
    """A pool, an activation or a second use of the weights' channels is no view."""
    x = Spikes("binary", 0.4, 2).tensor(2, 2, 6, 6)
    for between in (nn.MaxPool2d(2), nn.ReLU(), nn.AvgPool2d(2)):
        net = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), between, nn.BatchNorm2d(4)).eval()
        elements = net(x).numel()
        rows = [row for row in trace(net, x).elementwise if row.kind == "batch_norm"]
        assert [(row.adds, row.muls) for row in rows] == [(elements, elements)]


def test_a_norm_over_another_axis_does_not_fold() -> None:
    """As many tokens as channels: the axis counts, not its size."""

    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.linear(x))  # n, 4 tokens, 4 channels: normalises the tokens

    x = Spikes("binary", 0.4, 2).tensor(2, 4, 3)
    rows = [(row.kind, row.adds, row.muls) for row in trace(Wrong().eval(), x).elementwise]
    assert rows == [("batch_norm", 32, 32)]


def test_no_fold_prices_the_norm() -> None:
    net, x = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)).eval(), torch.ones(1, 2, 5, 5)
    folded, counted = se.profile(net, x), se.profile(net, x, fold=False)
    add, mul = (folded.hardware.energy_pj[action].value_pj for action in ("add", "mul"))
    assert folded.components_pj["other"] == pytest.approx(36 * add)
    assert counted.components_pj["other"] == pytest.approx(36 * (add + mul))


# ---------------------------------------------------------------- whole networks


class Pooled(nn.Sequential):
    """Conv, spikes, average pool, conv, spikes, average pool, linear."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 4, 3, padding=1), LIF(decay=0.5, threshold=0.2), nn.AvgPool2d(2),
            nn.Conv2d(4, 4, 3, padding=1), LIF(decay=0.5, threshold=0.2), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(16, 3),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # t n c h w
        steps = x.shape[0]
        y = x.flatten(0, 1)
        for module in self:
            y = module(y.unflatten(0, (steps, -1))).flatten(0, 1) if isinstance(module, LIF) else module(y)
        return y


def test_pools_of_a_whole_network_are_integers() -> None:
    net = Pooled().eval()
    x = torch.rand(3, 2, 1, 8, 8)
    kinds = {layer.name: (layer.operand.kind, layer.operand.scale) for layer in trace(net, x).layers}
    assert kinds == {"0": ("real", None), "3": ("integer", 0.25), "7": ("integer", 0.25)}
