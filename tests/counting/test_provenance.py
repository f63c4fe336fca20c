"""What is a weight, what is data, what is padding: cases built to confuse a tracer that follows tensors."""

from __future__ import annotations

from collections.abc import Callable

import brute
import pytest
import torch
from agree import COUNTS, Call, filled, only, same, trace
from strategies import Spikes, fill
from torch import nn
from torch.nn import functional as F


def ones(parameter: torch.Tensor, seed: int = 0) -> None:
    with torch.no_grad():
        parameter.fill_(1.0)


def unit_conv(**options: object) -> nn.Conv2d:
    return filled(nn.Conv2d(1, 1, 3, bias=False, **options), 0, ones)


class Padded(nn.Module):
    """A convolution behind something done to the zero-padded image."""

    def __init__(self, between: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.between, self.conv = between, unit_conv()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.between(F.pad(x, (1, 1, 1, 1))))


def corner(x: torch.Tensor) -> torch.Tensor:
    x[..., 0, 0] = 1.0
    return x


@pytest.mark.parametrize(
    ("between", "connections"),
    [
        (lambda y: y, 100),
        (lambda y: y.add_(1.0), 144),
        (lambda y: y + 1.0, 144),
        (corner, 144),
        (lambda y: torch.cos(y), 144),
    ],
    ids=["untouched", "added in place", "added", "corner set in place", "cosine"],
)
def test_padding_that_was_written_to_is_no_padding(
    between: Callable[[torch.Tensor], torch.Tensor], connections: int
) -> None:
    got = only(trace(Padded(between).eval(), torch.ones(1, 1, 4, 4)))
    assert (got.dense_macs, got.connections) == (144, connections)


SAME_IMAGE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "channels last": lambda y: y.contiguous(memory_format=torch.channels_last),
    "clone": lambda y: y.clone(),
    "detach": lambda y: y.detach(),
    "time folded into the batch": lambda y: y[None].flatten(0, 1),
    "view": lambda y: y.view(y.shape),
}


@pytest.mark.parametrize("name", SAME_IMAGE)
def test_padding_seen_through_a_copy_or_a_view(name: str) -> None:
    got = only(trace(Padded(SAME_IMAGE[name]).eval(), torch.ones(1, 1, 4, 4)))
    assert (got.dense_macs, got.connections, got.events) == (144, 100, 100)


def test_padding_in_two_steps() -> None:
    net = nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), nn.ZeroPad2d((0, 1, 0, 1)), unit_conv()).eval()
    got = only(trace(net, torch.ones(1, 1, 4, 4)))
    assert (got.dense_macs, got.connections, got.events) == (144, 100, 100)


def overwritten_later(y: torch.Tensor) -> torch.Tensor:
    alias = y[:]
    y[..., 0] = 1.0
    return alias


def test_padding_written_to_through_an_alias_is_no_padding() -> None:
    got = only(trace(Padded(overwritten_later).eval(), torch.ones(1, 1, 4, 4)))
    assert got.events == 112
    assert got.connections >= got.events


def test_cropping_pads_are_not_padding() -> None:
    net = nn.Sequential(nn.ZeroPad2d(-1), unit_conv(padding=1)).eval()
    got = only(trace(net, torch.ones(1, 1, 6, 6)))
    assert (got.dense_macs, got.connections) == (144, 100)


def test_mixed_crop_and_pad() -> None:
    net = nn.Sequential(nn.ZeroPad2d((2, -1, 0, 0)), unit_conv()).eval()
    x = torch.ones(1, 1, 4, 4)
    want = brute.conv(
        x[..., :3].tolist(), [[[[1.0] * 3] * 3]], stride=(1, 1), padding=[(0, 0), (2, 0)], dilation=(1, 1)
    )
    same(only(trace(net, x)), want)


def test_padding_of_the_channel_axis_is_an_operand() -> None:
    """Zero channels (a ResNet shortcut) are silent inputs with real synapses."""
    conv = filled(nn.Conv2d(3, 2, 3, bias=False), 0, ones)
    net = nn.Sequential(nn.ConstantPad3d((0, 0, 0, 0, 1, 1), 0.0), conv).eval()
    got = only(trace(net, torch.ones(1, 1, 4, 4)))
    assert (got.connections, got.events) == (4 * 27 * 2, 4 * 9 * 2)


def test_padding_before_a_linear_layer_is_an_operand() -> None:
    net = nn.Sequential(nn.ConstantPad1d((0, 2), 0.0), nn.Linear(5, 3)).eval()
    got = only(trace(net, torch.ones(1, 3)))
    assert (got.connections, got.events) == (15, 9)


def test_padding_read_by_two_convolutions() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = unit_conv(), unit_conv(padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = F.pad(x, (1, 1, 1, 1))
            return self.a(y).sum() + self.b(y).sum()

    a, b = trace(Net().eval(), torch.ones(1, 1, 4, 4)).layers
    assert (a.connections, a.dense_macs) == (100, 144)
    # Two rings of padding: every pixel is met by all nine taps.
    assert (b.connections, b.dense_macs) == (144, 36 * 9)


def test_a_slice_of_a_weight_counts_as_wide_as_it_is() -> None:
    weight = torch.ones(4, 6)
    net = Call(lambda x, w: F.linear(x, w[:3, ::2]), w=weight)
    got = only(trace(net, torch.ones(2, 3)))
    assert (got.connections, got.events, got.effective_events) == (18, 18, 18)


def test_a_weight_chosen_by_data_still_has_its_zeros() -> None:
    """An expert picked by an index computed from data: events count; no synapse is lost."""
    experts = torch.ones(2, 3, 3)
    net = Call(lambda x, w: F.linear(x, w[int(x.sum()) % 2]), w=experts)
    assert trace(net, torch.ones(1, 3)).events == 9


def test_a_class_token_is_an_operand() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.ones(1, 1, 4))
            self.linear = filled(nn.Linear(4, 2, bias=False), 0, ones)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(torch.cat([self.token.expand(len(x), 1, 4), x], 1))

    got = only(trace(Net().eval(), torch.zeros(2, 3, 4)))
    assert (got.connections, got.events) == (2 * 4 * 8, 2 * 8)


def test_a_learned_initial_state_is_an_operand() -> None:
    """The first recurrent product multiplies a parameter by a weight: it runs, so it counts."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.h0 = nn.Parameter(torch.ones(1, 1, 3))
            self.rnn = nn.RNN(2, 3, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rnn(x, self.h0.expand(1, len(x), 3).contiguous())[0]

    assert trace(Net().eval(), torch.ones(2, 4, 2)).connections == 2 * 4 * 3 * (2 + 3)


def test_a_constant_input_is_an_operand() -> None:
    """Zeros made inside the forward, as an initial state is, meet the weights like any data."""
    layer = nn.Linear(4, 3, bias=False)
    net = Call(lambda x: layer(torch.zeros(len(x), 4)) + layer(x))
    net.layer = layer
    got = only(trace(net.eval(), torch.ones(2, 4)))
    assert (got.connections, got.events, got.elements) == (48, 24, 16)


def test_random_spikes_made_inside_the_forward_are_data() -> None:
    """An encoder that draws its spikes afresh at every call is not computed once at load time."""
    layer = nn.Linear(4, 3, bias=False)
    for draw in (
        lambda: (torch.rand(5, 4) < 2.0).float(),
        lambda: torch.bernoulli(torch.full((5, 4), 1.0)),
    ):
        net = Call(lambda x, draw=draw: layer(draw()) + layer(x))
        net.layer = layer
        assert trace(net.eval(), torch.zeros(5, 4)).events == 60


def test_hand_written_elman_equals_the_module() -> None:
    rnn = nn.RNN(2, 3, bias=False)

    class Elman(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = rnn

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.zeros(x.shape[1], 3)
            for frame in x:
                h = torch.tanh(F.linear(frame, rnn.weight_ih_l0) + F.linear(h, rnn.weight_hh_l0))
            return h

    x = Spikes("binary", 0.5, 1).tensor(4, 2, 2)
    module = trace(rnn, x, samples=2)
    same(trace(Elman().eval(), x, samples=2), brute.Tally(**{n: getattr(module, n) for n in COUNTS}))


def test_a_buffer_times_data() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mix", torch.tensor([[1.0, 0.0], [1.0, 1.0]]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.mix

    got = only(trace(Net().eval(), torch.tensor([[1.0, 0.0]])))
    assert (got.connections, got.effective_events) == (4, 1)


def test_recycled_memory_does_not_turn_data_into_weights() -> None:
    """Temporaries die and their addresses return: what a tensor was must not stick to its address."""
    weight = Spikes("integer", 0.6, 1).tensor(8, 8)

    def forward(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        for _ in range(60):
            x = (F.linear(x, w * 1.0) > 0).float()
            y = x * 1.0
            x = ((y @ y.transpose(-1, -2)) @ y > 0).float()
        return x

    net, x = Call(forward, w=weight), Spikes("binary", 0.5, 2).tensor(3, 4, 8)
    want = brute.Tally()
    for _ in range(60):
        want += brute.linear(x.tolist(), weight.tolist())
        x = (F.linear(x, weight) > 0).float()
        scores = x @ x.transpose(-1, -2)
        want += brute.matmul(x.tolist(), x.transpose(-1, -2).tolist())
        want += brute.matmul(scores.tolist(), x.tolist())
        x = (scores @ x > 0).float()
    same(trace(net, Spikes("binary", 0.5, 2).tensor(3, 4, 8)), want)


def test_an_out_argument() -> None:
    def forward(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        out = torch.empty(len(x), 3)
        torch.mm(x, w, out=out)
        return torch.mm(out, w[:, :3].t()[:3, :3].contiguous(), out=torch.empty(len(x), 3))

    weight = torch.ones(3, 3)
    assert trace(Call(forward, w=weight), torch.ones(2, 3)).connections == 36


CHAINS: dict[str, tuple[Callable[..., torch.Tensor], int]] = {
    "multi_dot": (lambda a, b: torch.linalg.multi_dot([a, b]), 24),
    "linalg.matmul": (lambda a, b: torch.linalg.matmul(a, b), 24),
    "addmm": (lambda a, b: torch.addmm(torch.zeros(2, 4), a, b), 24),
    "addbmm": (lambda a, b: torch.addbmm(torch.zeros(2, 4), a[None], b[None]), 24),
    "baddbmm": (lambda a, b: torch.baddbmm(torch.zeros(1, 2, 4), a[None], b[None]), 24),
    "mv": (lambda a, b: torch.mv(a, b[:, 0]), 6),
    "addmv": (lambda a, b: torch.addmv(torch.zeros(2), a, b[:, 0]), 6),
    "dot": (lambda a, b: torch.dot(a[0], b[:, 0]), 3),
    "vdot": (lambda a, b: torch.vdot(a[0], b[:, 0]), 3),
    "inner": (lambda a, b: torch.inner(a, b.t()), 24),
    "tensordot": (lambda a, b: torch.tensordot(a, b, 1), 24),
    "integer matmul": (lambda a, b: (a.long() @ b.long()).float(), 24),
    "double matmul": (lambda a, b: (a.double() @ b.double()).float(), 24),
}


@pytest.mark.parametrize("name", CHAINS)
def test_other_spellings_of_a_product(name: str) -> None:
    function, connections = CHAINS[name]
    traced = trace(Call(function), (torch.ones(2, 3), torch.ones(3, 4)), samples=1)
    assert (traced.connections, traced.events) == (connections, connections)


def test_functional_multihead_attention_and_bilinear() -> None:
    x = torch.rand(4, 1, 8, generator=torch.Generator().manual_seed(0))
    weights = {"a": torch.rand(24, 8), "b": torch.rand(8, 8)}

    def forward(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.multi_head_attention_forward(x, x, x, 8, 2, a, None, None, None, False, 0.0, b, None, training=False)[
            0
        ]

    assert trace(Call(forward, **weights), x, samples=1).connections == 1280
    bilinear = Call(lambda x, y, w: F.bilinear(x, y, w), w=torch.ones(2, 3, 4))
    assert trace(bilinear, (torch.ones(5, 3), torch.ones(5, 4))).connections == 5 * 24


def test_transposed_convolution_with_output_size() -> None:
    layer = filled(nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, bias=False), 0, fill)
    net = Call(lambda x: layer(x, output_size=(6, 6)))
    net.layer = layer
    x = torch.ones(1, 1, 3, 3)
    want = brute.conv_transpose(
        x.tolist(),
        layer.weight.tolist(),
        stride=(2, 2),
        padding=(1, 1),
        output_padding=(1, 1),
        dilation=(1, 1),
    )
    same(only(trace(net.eval(), x)), want)


def test_two_image_sizes_through_one_convolution() -> None:
    """Maps of different sizes cannot share one accumulator."""
    conv = unit_conv(padding=1)
    traced = trace(conv, [torch.ones(1, 1, 4, 4), torch.ones(1, 1, 6, 5)])
    want = 100 + (3 * 6 - 2) * (3 * 5 - 2)
    assert (traced.connections, traced.dense_macs) == (want, 9 * (16 + 30))


def test_an_unused_module_is_no_layer() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    assert trace(Net().eval(), torch.ones(1, 3)).connections == 9


def test_lazy_modules() -> None:
    net = nn.LazyLinear(3)
    assert trace(net, torch.ones(2, 4)).connections == 24


def test_checkpointed_and_nested_calls() -> None:
    """Activation checkpointing wraps the forward; nothing may be counted twice."""
    layer = nn.Linear(4, 3)
    net = Call(lambda x: torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False))
    net.layer = layer
    assert trace(net.eval(), torch.ones(2, 4)).connections == 24


def test_a_layer_fed_by_parameters_alone_is_free_or_counted() -> None:
    """A learned query's projection can be computed once at load time; either way the certificate is complete."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.project = nn.Parameter(torch.ones(2, 4)), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.project(self.query) @ x

    traced = trace(Net().eval(), torch.ones(3, 5), samples=1, strict=True)
    assert traced.connections in (2 * 3 * 5, 2 * 3 * 5 + 2 * 4 * 3)


def test_an_expert_without_tokens() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle, self.busy = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.idle(x[:0]), self.busy(x)])

    assert trace(Net().eval(), torch.ones(2, 4)).connections == 24
