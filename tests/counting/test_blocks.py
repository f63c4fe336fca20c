"""Attention and newer blocks: every product against nested loops, everything else against its formula."""

from __future__ import annotations

from typing import Any

import brute
import pytest
import torch
from agree import COUNTS, FACTS, Call, filled, only, pick, same, trace
from brute import Tally
from hypothesis import given
from hypothesis import strategies as st
from strategies import Spikes, fill, fill_nonnegative, seeds
from torch import nn
from torch.nn import functional as F

import snn_energy as se
from snn_energy.models.neurons import LIF

small = st.integers(1, 3)


def heads(seed: int, n: int = 2, h: int = 2, length: int = 4, d: int = 3, rate: float = 0.5) -> list[torch.Tensor]:
    return [Spikes("binary", rate, seed + i).tensor(n, h, length, d) for i in range(3)]


def arithmetic(traced: Any) -> dict[str, tuple[int, int, int, int]]:
    return {row.kind: (row.adds, row.muls, row.compares, row.specials) for row in traced.elementwise}


def matmul(a: torch.Tensor, b: torch.Tensor) -> Tally:
    return brute.matmul(a.tolist(), b.tolist())


class TestSpikingAttention:
    @given(n=small, length=small, d=small, seed=seeds)
    def test_both_orders_of_the_product(self, n: int, length: int, d: int, seed: int) -> None:
        """(q kT) v and q (kT v) give one result and two counts; the second factor of each is a sum of spikes."""
        q, k, v = heads(seed, n, 2, length, d)
        kt = k.transpose(-1, -2)
        square = trace(Call(lambda q, k, v: (q @ k.transpose(-1, -2)) @ v), (q, k, v))
        linear = trace(Call(lambda q, k, v: q @ (k.transpose(-1, -2) @ v)), (q, k, v))
        assert [pick(layer, COUNTS) for layer in square.layers] == [
            pick(tally, COUNTS) for tally in (matmul(q, kt), matmul(q @ kt, v))
        ]
        assert [pick(layer, COUNTS) for layer in linear.layers] == [
            pick(tally, COUNTS) for tally in (matmul(kt, v), matmul(q, kt @ v))
        ]
        for traced in (square, linear):
            assert (traced.acs, traced.macs, traced.graded_events) == (traced.events, 0, 0)

    @given(length=small, keys=small, seed=seeds)
    def test_cross_attention(self, length: int, keys: int, seed: int) -> None:
        q, k, v = (Spikes("binary", 0.5, seed + i).tensor(2, m, 3) for i, m in enumerate((length, keys, keys)))
        traced = trace(Call(lambda q, k, v: (q @ k.transpose(-1, -2)) @ v), (q, k, v))
        kt = k.transpose(-1, -2)
        same(traced, matmul(q, kt) + matmul(q @ kt, v))

    def test_masked_scores_are_computed_but_never_used(self) -> None:
        """The convention: q kT is dense as arithmetic, masked pairs included; a score masked to 0 is no event."""
        q, k, v = heads(4, length=5)
        mask = torch.ones(5, 5).tril()
        net = Call(lambda q, k, v: ((q @ k.transpose(-1, -2)) * mask) @ v)
        scores = q @ k.transpose(-1, -2)
        traced = trace(net, (q, k, v))
        first, second = traced.layers
        same(first, matmul(q, k.transpose(-1, -2)))
        same(second, matmul(scores * mask, v))
        assert second.connections == matmul(scores, v).connections > 0
        assert second.events < matmul(scores, v).events

    @given(seed=seeds)
    def test_spike_driven_attention_has_no_product(self, seed: int) -> None:
        """SDT: masks and column sums. g(sum_l q*k) * v; one mask bit for each channel."""
        q, k, v = heads(seed)
        fire = LIF(decay=0.5, threshold=1.0)
        net = Call(lambda q, k, v: fire((q * k).sum(-2, keepdim=True)[None])[0] * v)
        net.fire = fire
        traced = trace(net, (q, k, v))
        assert traced.layers == ()
        full, columns = q.numel(), q.numel() // q.shape[-2]
        assert arithmetic(traced) == {"mul": (0, 2 * full, 0, 0), "sum": (full - columns, 0, 0, 0)}
        assert traced.neurons[0].updates == columns
        assert traced.neurons[0].spikes == int(((q * k).sum(-2) >= 1).sum())

    @pytest.mark.parametrize("axis", [-1, -2])
    def test_query_key_attention(self, axis: int) -> None:
        """QKFormer: spikes of q summed over channels (token mask) or tokens (channel mask), then k masked."""
        q, k, _ = heads(3)
        net = Call(lambda q, k: (q.sum(axis, keepdim=True) >= 1).float() * k)
        traced = trace(net, (q, k))
        sums = q.numel() // q.shape[axis]
        assert traced.layers == ()
        assert arithmetic(traced) == {
            "sum": (q.numel() - sums, 0, 0, 0),
            "ge": (0, 0, sums, 0),
            "mul": (0, q.numel(), 0, 0),
        }

    def test_grouped_queries_by_hand(self) -> None:
        """Four query heads, two key heads, the key broadcast rather than copied: each query head meets its keys."""
        q = Spikes("binary", 0.5, 1).tensor(2, 2, 2, 3, 4)  # n, key heads, queries of each, tokens, channels
        k = Spikes("binary", 0.5, 2).tensor(2, 2, 1, 3, 4)
        traced = trace(Call(lambda q, k: q @ k.transpose(-1, -2)), (q, k))
        same(traced, brute.matmul(q.tolist(), k.transpose(-1, -2).tolist()))

    @pytest.mark.parametrize("kind", ["binary", "integer", "real"])
    def test_fused_attention_of_spikes(self, kind: str) -> None:
        q, k, v = (Spikes(kind, 0.5, i).tensor(1, 2, 3, 4).abs() for i in range(3))
        traced = trace(Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=1.0)), (q, k, v))
        first, second = traced.layers
        same(first, matmul(q, k.transpose(-1, -2)))
        probabilities = (q @ k.transpose(-1, -2)).softmax(-1)
        same(second, matmul(probabilities, v))
        assert second.operand.kind == v_class(v)

    def test_scores_with_a_bias(self) -> None:
        q, k = (Spikes("binary", 0.5, i).tensor(2, 4, 3) for i in range(2))
        bias = torch.rand(2, 4, 4)
        traced = trace(Call(lambda b, q, k: torch.baddbmm(b, q, k.transpose(1, 2), alpha=0.5)), (bias, q, k))
        same(only(traced), matmul(q, k.transpose(1, 2)))
        assert only(traced).bias_adds == 32
        assert arithmetic(traced) == {"scaling": (0, 32, 0, 0)}


def v_class(v: torch.Tensor) -> str:
    return brute.operand_class(v.flatten().tolist())[0]


class SpikingBlock(nn.Module):
    """The block of a spiking transformer: linear, norm, neuron for q, k and v; attention; a projection; a shortcut."""

    def __init__(self, width: int = 6, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(4))
        self.fires = nn.ModuleList(LIF(decay=0.5, threshold=0.1) for _ in range(5))

    def spikes(self, linear: nn.Linear, index: int, x: torch.Tensor) -> torch.Tensor:  # t n l c
        y = linear(x.flatten(0, 1))
        y = self.norms[index](y.transpose(-1, -2)).transpose(-1, -2)
        return self.fires[index](y.unflatten(0, x.shape[:2]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            self.spikes(linear, i, x).unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for i, linear in enumerate((self.q, self.k, self.v))
        )
        mixed = (q @ k.transpose(-1, -2)) @ v * 0.25
        return self.spikes(self.out, 3, self.fires[4](mixed.transpose(-2, -3).flatten(-2))) + x


def test_a_spiking_transformer_block() -> None:
    """Every projection from what a hook caught, both products from the neurons' spikes, all norms folded."""
    torch.manual_seed(2)
    net = SpikingBlock().eval()
    x = Spikes("binary", 0.5, 5).tensor(3, 2, 4, 6)
    inputs: dict[str, torch.Tensor] = {}
    spikes: list[torch.Tensor] = []
    handles = [
        net.get_submodule(name).register_forward_pre_hook(
            lambda _m, args, name=name: inputs.__setitem__(name, args[0].clone())
        )
        for name in ("q", "k", "v", "out")
    ]
    handles += [fire.register_forward_hook(lambda _m, _a, out: spikes.append(out.clone())) for fire in net.fires]
    net(x)
    for handle in handles:
        handle.remove()
    traced = trace(net, x, batch_axis=1)
    layers = {layer.name: layer for layer in traced.layers}
    for name in ("q", "k", "v", "out"):
        want = brute.linear(inputs[name].tolist(), net.get_submodule(name).weight.tolist())
        assert (name, pick(layers[name], FACTS)) == (name, pick(want, FACTS))
    q, k, v = (part.unflatten(-1, (2, -1)).transpose(-2, -3).flatten(0, 1) for part in spikes[:3])
    scores = q @ k.transpose(-1, -2)
    products = [layer for layer in traced.layers if layer.kind == "matmul"]
    assert [pick(layer, COUNTS) for layer in products] == [
        pick(matmul(q, k.transpose(-1, -2)), COUNTS),
        pick(matmul(scores, v), COUNTS),
    ]
    assert traced.acs == traced.events > 0
    norms = [row for row in traced.elementwise if "norm" in row.kind]
    assert sum(row.adds for row in norms) == 4 * x.numel()  # one shift for each output of the four projections
    assert sum(row.muls for row in norms) == 0
    assert traced.time_steps == 3


# ---------------------------------------------------------------- einsum


@given(st.tuples(*[st.integers(2, 3)] * 4), seeds)
def test_einsum_of_three(sizes: tuple[int, int, int, int], seed: int) -> None:
    """Two products of one line are two rows, and each keeps its own class: spikes first, then sums times reals."""
    i, j, k, m = sizes
    a, b = Spikes("binary", 0.6, seed).tensor(i, j), Spikes("binary", 0.6, seed + 1).tensor(j, k)
    c = Spikes("real", 1.0, seed + 2).tensor(k, m)
    net = Call(lambda a, b, c: torch.einsum("ij,jk,km->im", a, b, c))
    with torch.backends.opt_einsum.flags(enabled=False):  # from left to right
        traced = trace(net, [(a, b, c), (a, b, c)], samples=2)
    first, second = traced.layers
    same(first, matmul(a, b).times(2))
    same(second, matmul(a @ b, c).times(2))
    assert first.acs == first.events


# ---------------------------------------------------------------- state-space models


def selective_scan(
    u: torch.Tensor, delta: torch.Tensor, b: torch.Tensor, c: torch.Tensor, decay: torch.Tensor, skip: torch.Tensor
) -> torch.Tensor:
    """Mamba: u, delta [n l d]; b, c [n l s]; decay [d s]; skip [d]."""
    state = torch.zeros(u.shape[0], *decay.shape)
    outputs = []
    for t in range(u.shape[1]):
        step = F.softplus(delta[:, t])[..., None]
        state = torch.exp(step * decay) * state + step * b[:, t, None] * u[:, t, :, None]
        outputs.append((state * c[:, t, None]).sum(-1) + skip * u[:, t])
    return torch.stack(outputs, 1)


def scan_inputs(n: int, length: int, d: int, s: int) -> tuple[torch.Tensor, ...]:
    u = Spikes("binary", 0.5, 1).tensor(n, length, d)
    return u, torch.rand(n, length, d), torch.rand(n, length, s), torch.rand(n, length, s)


@given(n=small, length=small, d=small, s=st.integers(2, 3))
def test_selective_scan_as_a_loop(n: int, length: int, d: int, s: int) -> None:
    """No product of matrices: each step costs the arithmetic of the recurrence for each state element."""
    net = Call(lambda *inputs, decay, skip: selective_scan(*inputs, decay, skip), decay=-torch.rand(d, s),
               skip=torch.rand(d))  # fmt: skip
    traced = trace(net, scan_inputs(n, length, d, s))
    assert traced.layers == ()
    steps, states = n * length, n * length * d * s
    channels = steps * d
    assert arithmetic(traced) == {
        "softplus": (channels, 0, channels, 2 * channels),
        "exp": (0, 0, 0, states),
        # step*decay, exp*state, step*b, *u, state*c, and skip*u for each channel
        "mul": (0, 5 * states + channels, 0, 0),
        # the two terms of the state; output plus skip
        "add": (states + channels, 0, 0, 0),
        "sum": (states - channels, 0, 0, 0),
    }


def test_selective_scan_as_running_sums() -> None:
    """The closed form by cumsum: contractions are products, running sums are one addition less than they are long."""
    n, length, d, s = 2, 5, 3, 4
    u, delta, b, c = scan_inputs(n, length, d, s)

    def scan(u: torch.Tensor, delta: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torch.einsum("blds,bls->bld", (delta * u)[..., None].mul(b[:, :, None]).cumsum(1), c)

    traced = trace(Call(scan), (u, delta, b, c))
    states = ((delta * u)[..., None] * b[:, :, None]).cumsum(1)
    same(only(traced), brute.einsum("blds,bls->bld", states.tolist(), c.tolist()))
    got = arithmetic(traced)
    assert got["cumsum"] == (n * (length - 1) * d * s, 0, 0, 0)
    assert got["mul"] == (0, u.numel() + n * length * d * s, 0, 0)


@pytest.mark.parametrize(
    ("function", "rate"),
    [
        (torch.cumsum, (1, 0, 0, 0)),
        (torch.cumprod, (0, 1, 0, 0)),
        (torch.logcumsumexp, (1, 0, 1, 2)),
        (torch.cummax, (0, 0, 1, 0)),
        (torch.cummin, (0, 0, 1, 0)),
    ],
)
def test_running_reductions(function: Any, rate: tuple[int, ...]) -> None:
    x = torch.rand(3, 5, 2)
    for axis, length in ((0, 3), (1, 5), (-1, 2)):
        steps = x.numel() - x.numel() // length
        (got,) = arithmetic(trace(Call(lambda x, axis=axis: function(x, axis)), x)).values()
        assert got == tuple(each * steps for each in rate)


def test_state_space_model_as_a_convolution() -> None:
    """S4D: the kernel is made of parameters alone, once; the operand meets it as a causal depthwise convolution."""
    d, s, length = 3, 4, 6

    def forward(u: torch.Tensor, decay: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
        kernel = (mix[..., None] * torch.exp(decay[..., None] * torch.arange(float(length)))).sum(1)
        return F.conv1d(F.pad(u, (length - 1, 0)), kernel[:, None].flip(-1), groups=d)

    u = Spikes("binary", 0.4, 1).tensor(2, d, length)
    got = only(trace(Call(forward, decay=-torch.rand(d, s), mix=torch.rand(d, s)), u))
    same(
        got,
        brute.conv(
            u.tolist(), torch.ones(d, 1, length).tolist(), stride=[1], padding=[(length - 1, 0)], dilation=[1], groups=d
        ),
        FACTS,
    )
    assert got.acs == got.events


def test_state_space_model_with_complex_states() -> None:
    """A complex product is four multiplications and two additions; by a real input it is two multiplications."""
    n, length, d, s = 2, 5, 3, 4

    def forward(u: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        a, b, c = (torch.view_as_complex(part) for part in (a, b, c))
        state = torch.zeros(u.shape[0], d, s, dtype=torch.complex64)
        outputs = []
        for t in range(u.shape[1]):
            state = a * state + b * u[:, t, :, None]
            outputs.append((c * state).sum(-1).real)
        return torch.stack(outputs, 1)

    net = Call(forward, a=torch.rand(d, s, 2), b=torch.rand(d, s, 2), c=torch.rand(d, s, 2))
    traced = trace(net, torch.rand(n, length, d))
    states, outputs, first = n * length * d * s, n * length * d, n * d * s
    # The first product is one of parameters and zeros alone: no data, so it is free.
    assert arithmetic(traced) == {
        "complex mul": (2 * 2 * states - 2 * first, (4 + 4 + 2) * states - 4 * first, 0, 0),
        "complex add": (2 * states, 0, 0, 0),
        "complex sum": (2 * (states - outputs), 0, 0, 0),
    }


def test_convolution_by_fourier_transform_is_bounded_and_never_zero() -> None:
    """torch.fft is not counted: the certificate says so, with a bound above the direct convolution's MACs."""
    length = 8

    def forward(u: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(kernel, n=2 * length)
        return torch.fft.irfft(spectrum, n=2 * length)[..., :length]

    traced = se.trace(Call(forward, kernel=torch.rand(3, length)), torch.rand(2, 3, length))
    assert not traced.coverage.complete
    assert {record.name for record in traced.coverage.uncounted} == {"_fft_r2c", "_fft_c2r"}
    transforms = 6 * (16 * 9 * 2 + 9 * 16 * 2)  # two dense transforms of 16 points and 9 frequencies for each channel
    assert traced.coverage.bound >= transforms
    assert se.price(traced).energy_interval_pj[1] > se.price(traced).energy_pj


# ---------------------------------------------------------------- convolutions in other words


def test_depthwise_and_pointwise() -> None:
    net = nn.Sequential(
        filled(nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), 1, fill_nonnegative),
        LIF(decay=0.5, threshold=1.0),
        filled(nn.Conv2d(4, 6, 1, bias=False), 2, fill),
    ).eval()
    x = Spikes("binary", 0.4, 1).tensor(3, 4, 5, 5)  # the neuron takes the samples for time steps
    traced = trace(net, x)
    middle = net[1](net[0](x))
    depth, point = traced.layers
    geometry = {"stride": [1, 1], "dilation": [1, 1]}
    same(
        depth,
        brute.conv(x.tolist(), net[0].weight.tolist(), padding=[(1, 1)] * 2, groups=4, **geometry),
        FACTS,
    )
    same(point, brute.conv(middle.tolist(), net[2].weight.tolist(), padding=[(0, 0)] * 2, **geometry), FACTS)
    assert (depth.acs, point.acs) == (depth.events, point.events)


@given(padding=st.integers(0, 1), stride=st.integers(1, 2), seed=seeds)
def test_convolution_by_patches(padding: int, stride: int, seed: int) -> None:
    """F.unfold and a matrix product: the events of the convolution. The zeros around it are operands here."""
    weight = torch.empty(3, 2, 3, 3)
    fill(weight, seed)
    x = Spikes("binary", 0.4, seed).tensor(2, 2, 5, 5)
    net = Call(lambda x, w: w.flatten(1) @ F.unfold(x, 3, padding=padding, stride=stride), w=weight)
    got = only(trace(net, x))
    want = brute.conv(
        x.tolist(), weight.tolist(), stride=[stride] * 2, padding=[(padding, padding)] * 2, dilation=[1, 1]
    )
    assert pick(got, ("dense_macs", "events", "effective_events")) == pick(
        want, ("dense_macs", "events", "effective_events")
    )
    assert got.connections == want.dense_macs


def test_patches_folded_back() -> None:
    x = torch.rand(2, 2 * 9, 12)
    traced = trace(Call(lambda x: F.fold(x, (4, 5), 3, padding=1, stride=(1, 2), dilation=1)), x)
    hits: dict[tuple[int, int], int] = {}
    for step in brute.grid((4, 3)):
        for tap in brute.grid((3, 3)):
            place = (step[0] - 1 + tap[0], 2 * step[1] - 1 + tap[1])
            if 0 <= place[0] < 4 and 0 <= place[1] < 5:
                hits[place] = hits.get(place, 0) + 1
    assert arithmetic(traced) == {"col2im": (2 * 2 * sum(count - 1 for count in hits.values()), 0, 0, 0)}


def test_strided_windows_and_einsum() -> None:
    weight = torch.empty(3, 2, 3, 3)
    fill(weight, 3)
    x = Spikes("binary", 0.4, 3).tensor(2, 2, 5, 5)
    net = Call(
        lambda x, w: torch.einsum("nchwij,ocij->nohw", x.unfold(2, 3, 1).unfold(3, 3, 1), w),
        w=weight,
    )
    want = brute.conv(x.tolist(), weight.tolist(), stride=[1, 1], padding=[(0, 0)] * 2, dilation=[1, 1])
    same(only(trace(net, x)), want)


# ---------------------------------------------------------------- recurrence


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
@pytest.mark.parametrize("both_ways", [False, True])
def test_packed_sequences(kind: str, both_ways: bool) -> None:
    """A packed batch costs what its sequences cost one by one: the padding is no work."""
    made = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN}[kind]
    layer = filled(made(3, 2, bidirectional=both_ways), 1, fill_nonnegative)
    lengths = [4, 2, 1]
    x = Spikes("binary", 0.6, 4).tensor(4, 3, 3)

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths))
            return nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0])[0]

    ways = ("", "_reverse") if both_ways else ("",)
    weights = [
        [
            brute.RecurrentWeights(
                **{
                    key: getattr(layer, f"{name}_l0{way}").tolist()
                    for key, name in (
                        ("w_ih", "weight_ih"),
                        ("w_hh", "weight_hh"),
                        ("b_ih", "bias_ih"),
                        ("b_hh", "bias_hh"),
                    )
                }
            )
            for way in ways
        ]
    ]
    want: dict[str, Tally] = {}
    for sample, length in enumerate(lengths):
        for name, tally in brute.recurrent(kind, x[:length, sample : sample + 1].tolist(), weights).items():
            want[name] = want.get(name, Tally()) + tally
    traced = trace(Packed().eval(), x, samples=3)
    got = {layer.name.removeprefix("layer."): layer for layer in traced.layers}
    assert {name: pick(layer, COUNTS) for name, layer in got.items()} == {
        name: pick(tally, COUNTS) for name, tally in want.items()
    }
    for name, layer in got.items():
        spiking = name.startswith("weight_ih")
        assert (layer.acs, layer.macs) == ((layer.events, 0) if spiking else (0, layer.connections))


# ---------------------------------------------------------------- graphs, tables, grids, searches


EDGES = torch.tensor([[0, 1, 2, 2, 3, 0, 1, 3, 3], [1, 2, 0, 3, 0, 2, 1, 1, 0]])
NODES, WIDTH = 4, 3


def spread(x: torch.Tensor, how: str) -> torch.Tensor:
    source, target = EDGES
    messages, zeros = x[source], torch.zeros_like(x)
    wide = target[:, None].expand(-1, WIDTH)
    if how == "index_add":
        return zeros.index_add(0, target, messages)
    if how == "index_put":
        return zeros.index_put((target,), messages, accumulate=True)
    if how == "scatter_add":
        return zeros.scatter_add(0, wide, messages)
    return zeros.scatter_reduce(0, wide, messages, how)


@pytest.mark.parametrize(
    ("how", "rate"),
    [
        ("index_add", (1, 0, 0, 0)),
        ("index_put", (1, 0, 0, 0)),
        ("scatter_add", (1, 0, 0, 0)),
        ("sum", (1, 0, 0, 0)),
        ("amax", (0, 0, 1, 0)),
        ("prod", (0, 1, 0, 0)),
    ],
)
def test_message_passing(how: str, rate: tuple[int, ...]) -> None:
    """One step of the reduction for each element of each message; then a layer over the sums."""
    layer = filled(nn.Linear(WIDTH, 2, bias=False), 1, fill)
    net = Call(lambda x: layer(spread(x, how)))
    net.layer = layer
    x = Spikes("binary", 0.5, 2).tensor(NODES, WIDTH)
    traced = trace(net, x, samples=1)
    (got,) = arithmetic(traced).values()
    assert got == tuple(EDGES.shape[1] * WIDTH * each for each in rate)
    same(only(traced), brute.linear(spread(x, how).tolist(), layer.weight.tolist()), FACTS)


def test_one_number_added_in_many_places() -> None:
    x = torch.zeros(4, 3)
    traced = trace(Call(lambda x: x.index_put((torch.tensor([0, 1, 1]),), torch.ones(()), accumulate=True)), x)
    assert arithmetic(traced) == {"index_put": (9, 0, 0, 0)}


def test_a_mean_of_messages_divides_once_for_each_node() -> None:
    traced = trace(Call(lambda x: spread(x, "mean")), torch.rand(NODES, WIDTH), samples=1)
    assert arithmetic(traced) == {"scatter_reduce": (27, 0, 0, 12)}


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bags(mode: str) -> None:
    """Bags of 3 and 2 rows of width 4: one operation for each element after a bag's first row."""
    bag = nn.EmbeddingBag(7, 4, mode=mode)
    net = Call(lambda index, offsets: bag(index, offsets))
    net.bag = bag
    traced = trace(net, (torch.tensor([0, 3, 2, 6, 1]), torch.tensor([0, 3])), samples=2)
    later = (2 + 1) * 4
    want = {"sum": (later, 0, 0, 0), "mean": (later, 8, 0, 0), "max": (0, 0, later, 0)}[mode]
    assert arithmetic(traced) == {"embedding_bag": want}


@pytest.mark.parametrize(("mode", "taps"), [("bilinear", 4), ("nearest", 1), ("bicubic", 16)])
def test_grid_sample(mode: str, taps: int) -> None:
    """2 samples, 3 channels, 4 x 5 positions: coordinates, weights of the neighbours, weighted sums."""
    x, grid = torch.rand(2, 3, 6, 6), torch.rand(2, 4, 5, 2) * 2 - 1
    traced = trace(Call(lambda x, g: F.grid_sample(x, g, mode=mode, align_corners=False)), (x, grid))
    positions, outputs = 2 * 20, 2 * 3 * 20
    coordinates = 2 * positions
    want = {
        "nearest": (coordinates, coordinates, coordinates, 0),
        # a difference and its complement for each coordinate; four products of two; four products and three sums
        "bilinear": (coordinates * 3 + outputs * 3, coordinates + positions * taps + outputs * taps, 0, 0),
        # four cubics of 3 additions and 4 multiplications for each coordinate; sixteen products of two
        "bicubic": (coordinates * 13 + outputs * 15, coordinates * 17 + positions * taps + outputs * taps, 0, 0),
    }[mode]
    assert arithmetic(traced) == {"grid_sample": want}


@pytest.mark.parametrize(("boundaries", "steps"), [(1, 1), (3, 2), (4, 3), (7, 3), (8, 4)])
def test_searches(boundaries: int, steps: int) -> None:
    """A binary search tells n + 1 bins apart."""
    edges = torch.linspace(0.1, 0.9, boundaries)
    x = torch.rand(2, 5)
    for function in (lambda x: torch.bucketize(x, edges), lambda x: torch.searchsorted(edges, x)):
        (got,) = arithmetic(trace(Call(function), x)).values()
        assert got == (0, 0, 10 * steps, 0)


@pytest.mark.parametrize(
    ("function", "want"),
    [
        (F.glu, (0, 1, 0, 1)),
        (torch.logit, (1, 0, 0, 2)),
        (F.hardshrink, (0, 0, 2, 0)),
        (F.softshrink, (1, 0, 2, 0)),
        (F.rrelu, (0, 1, 1, 0)),
        (lambda x: torch.hypot(x, x), (1, 2, 0, 1)),
        (torch.nan_to_num, (0, 0, 3, 0)),
    ],
)
def test_activations_by_their_formula(function: Any, want: tuple[int, ...]) -> None:
    x = torch.rand(3, 4)
    outputs = function(x).numel()
    (got,) = arithmetic(trace(Call(function), x)).values()
    assert got == tuple(each * outputs for each in want)
