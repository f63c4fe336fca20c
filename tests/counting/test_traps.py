"""Cases in which some counter answers wrongly: here the exact number, one row of the trap list per test.

The ids are those of the list: which tool says what is recorded there; only the right answer matters here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from agree import Call, filled, pick, trace
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

import snn_energy as se
from snn_energy.models.neurons import IF, LIF


def ones(parameter: torch.Tensor, seed: int = 0) -> None:
    with torch.no_grad():
        parameter.fill_(1.0)


def linear(ins: int = 10, outs: int = 10) -> nn.Linear:
    """The list's L."""
    return filled(nn.Linear(ins, outs, bias=False), 0, ones)


def conv(ins: int = 1, outs: int = 16, **options: Any) -> nn.Conv2d:
    """The list's C."""
    options = {"padding": 1, "bias": False} | options
    return filled(nn.Conv2d(ins, outs, 3, **options), 0, ones)


def spike(*where: int, shape: tuple[int, ...] = (1, 1, 8, 8), value: float = 1.0) -> torch.Tensor:
    x = torch.zeros(shape)
    x[(0,) * (len(shape) - len(where)) + where] = value
    return x


def row(*values: float, width: int = 10) -> torch.Tensor:
    x = torch.zeros(1, width)
    x[0, : len(values)] = torch.tensor(values)
    return x


class SubclassedConv(nn.Conv2d):
    pass


class MultiStepConv(nn.Conv2d):
    """The multi-step convolution of a spiking library: [t n c h w] folded into the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def subclassed() -> nn.Module:
    return filled(SubclassedConv(1, 16, 3, padding=1, bias=False), 0, ones)


def pruned(remove: bool) -> nn.Module:
    layer = nn.Linear(10, 10, bias=False)
    prune.l1_unstructured(layer, "weight", amount=0.9)
    if remove:
        prune.remove(layer, "weight")
    return layer


def wrapped() -> nn.Module:
    net = nn.Module()
    net.model = linear()
    net.forward = lambda x: net.model(x)
    return net


class TwoContainers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(linear())
        self.b = nn.ModuleList([self.a[0]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x)


class SelfProduct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = filled(nn.Linear(8, 8, bias=False), 0, ones)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.linear(x)
        return q @ q.transpose(-1, -2)


class LstmLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.linear = nn.LSTM(8, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.lstm(x)[0])


class SelfAttention(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attn(x, x, x, need_weights=False)[0]


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = linear(10, 100)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + self.layer(y)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def sparse_weights() -> nn.Module:
    layer = linear()
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight.view(-1)[[r * 10 + c for r in range(10) for c in (r % 7, (r + 2) % 7, (r + 4) % 7)]] = 1.0
    return layer


def bits(text: str) -> torch.Tensor:
    """256 spikes, written as 64 hexadecimal digits -> [heads=2, tokens=16, d=8]."""
    return torch.tensor([float(bit) for bit in f"{int(text, 16):0256b}"]).view(2, 16, 8)


SSA_Q = bits("0d1018800101883240011240000a0c0040010404e34401401400289086580308")
SSA_K = bits("4061400508014451041800000500848021d0006250060894003019a001108080")
SSA_V = bits("830a42c4210802100d00a456188c4800834a2004200018a04290000084540125")

Case = tuple[str, Callable[[], nn.Module], Callable[[], Any], dict[str, int]]


def case(name: str, model: Callable[[], nn.Module], data: Callable[[], Any], **expected: int) -> Any:
    return pytest.param(model, data, expected, id=name)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


CASES = [
    case("T2-conv", conv, lambda: torch.ones(1, 1, 8, 8), events=7744, acs=7744),
    case("T2-subclass", subclassed, lambda: torch.ones(1, 1, 8, 8), events=7744, acs=7744),
    case("T4", conv, lambda: spike(0, 0), events=64, acs=64, dense_macs=9216),
    case("T4b", lambda: conv(stride=2), lambda: spike(4, 4), events=16, acs=16),
    case(
        "T5",
        lambda: nn.ConvTranspose2d(1, 1, 2, stride=2, bias=False),
        lambda: torch.ones(1, 1, 4, 4),
        events=64,
        acs=64,
        dense_macs=64,
    ),
    # One constant scale: 0.25 folds into the weights, so these are accumulates.
    case("T5b", linear, lambda: row(*[0.25] * 5), events=50, acs=50, macs=0),
    case("T5c-two", linear, lambda: row(2.0), events=10, acs=10, macs=0),
    case("T5c-minus-one", linear, lambda: row(-1.0), events=10, acs=10, macs=0),
    case("T5d-mha", SelfAttention, lambda: random(4, 1, 8), macs=1280),
    case("T5d-lstm", lambda: nn.LSTM(8, 8), lambda: random(4, 1, 8), connections=2048),
    case("T6", linear, lambda: row(1.0), events=10, acs=10, dense_macs=100),
    case("T6-wrapped", wrapped, lambda: row(1.0), events=10, acs=10, dense_macs=100),
    case("T7-lstm", lambda: nn.LSTM(10, 10), lambda: torch.ones(2, 1, 10), dense_macs=2 * 40 * 20),
    case("T7-keyword", linear, lambda: {"input": row(1.0)}, events=10, dense_macs=100),
    case(
        "T8",
        lambda: pruned(False),
        lambda: torch.ones(1, 10),
        effective_events=10,
        events=100,
        dense_macs=100,
    ),
    case(
        "T8-removed",
        lambda: pruned(True),
        lambda: torch.ones(1, 10),
        effective_events=10,
        events=100,
        dense_macs=100,
    ),
    case(
        "T8b",
        lambda: parametrizations.weight_norm(nn.Linear(10, 10)),
        lambda: row(1.0),
        events=10,
        acs=10,
        dense_macs=100,
    ),
    case(
        "T9",
        lambda: conv(3, 8, padding=0).half(),
        lambda: torch.ones(1, 3, 64, 64).half(),
        events=830304,
        dense_macs=830304,
    ),
    case(
        "T9b-bf16",
        lambda: conv(3, 8, padding=0).bfloat16(),
        lambda: torch.ones(1, 3, 64, 64).bfloat16(),
        events=830304,
    ),
    case(
        "T9b-past-2^31",
        lambda: nn.utils.skip_init(nn.Linear, 4097, 4099, bias=False),
        lambda: (torch.arange(190 * 4097) >= 60).float().view(190, 4097),
        events=3190538630,
    ),
    case("T9d", lambda: nn.LSTMCell(4, 4), lambda: torch.ones(1, 4), dense_macs=128),
    case("T9e", TwoContainers, lambda: row(1.0), events=10, dense_macs=100),
    case("T9f", SelfProduct, lambda: torch.ones(1, 4, 8), dense_macs=384, connections=384),
    case(
        "T12",
        lambda: Call(attend),
        lambda: tuple(random(2, 4, 8) for _ in range(3)),
        dense_macs=512,
        macs=512,
    ),
    case("T12-mha", SelfAttention, lambda: random(4, 1, 8), dense_macs=1280, macs=1280),
    case(
        "T12b",
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        lambda: random(1, 4, 8),
        dense_macs=2304,
        macs=2304,
    ),
    case("T13", LstmLinear, lambda: random(4, 1, 8), dense_macs=2048 + 64, macs=2048 + 64),
    case("T15b", linear, lambda: 0.5 * (torch.arange(40) < 15).float().view(4, 10), acs=150, macs=0),
    case("T15c-two", linear, lambda: row(2.0), events=10, macs=0),
    case("T15c-minus-one", linear, lambda: row(-1.0), events=10, macs=0),
    case("T15c-quarter", linear, lambda: row(0.25), events=10, macs=0),
    case("T16", conv, lambda: random(1, 1, 8, 8), connections=7744, macs=7744, dense_macs=9216),
    case(
        "T17",
        lambda: Call(lambda q, k, v: (q @ k.transpose(-1, -2)) @ v),
        lambda: (SSA_Q, SSA_K, SSA_V),
        events=153 + 206,
        acs=153 + 206,
    ),
    case(
        "T18b",
        lambda: Call(lambda a, b: a + b),
        lambda: (row(1, 1, 1, 1, 1, 1), row(1, 1, 1, 1, 1, 1)),
        acs=0,
        macs=0,
        dense_macs=0,
    ),
    case(
        "T18c",
        lambda: Call(torch.matmul),
        lambda: (torch.ones(4, 257).bfloat16(), torch.ones(257, 4).bfloat16()),
        events=4112,
    ),
    case("T18d", sparse_weights, lambda: row(*[1.0] * 7), events=70, effective_events=30),
    case("T19b-corner", conv, lambda: spike(0, 0), acs=64),
    case("T19b-stride", lambda: conv(stride=2), lambda: spike(4, 4), acs=16),
    case("T20", linear, lambda: row(1.0, -1.0), events=20, acs=20),
    case("T20c-same", lambda: conv(padding="same"), lambda: spike(0, 0), events=64),
    case("T20c-circular", lambda: conv(padding_mode="circular"), lambda: spike(0, 0), events=144),
    case(
        "T20d-nested",
        lambda: nn.Sequential(nn.Sequential(nn.Sequential(conv()))),
        lambda: spike(0, 0),
        events=64,
    ),
    case("T20d-conv1d", lambda: nn.Conv1d(1, 16, 3, padding=1), lambda: spike(0, shape=(1, 1, 8)), events=32),
    case(
        "T20d-transposed",
        lambda: nn.ConvTranspose1d(1, 16, 3, padding=1),
        lambda: spike(0, shape=(1, 1, 8)),
        events=32,
    ),
    case(
        "T20e-average",
        lambda: nn.Sequential(nn.AvgPool2d(2), conv()),
        lambda: F.pad(torch.ones(1, 1, 2, 2), (0, 14, 0, 14)),
        events=64,
        acs=64,
    ),
    case(
        "T20e-adaptive",
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(8), conv()),
        lambda: F.pad(torch.ones(1, 1, 2, 2), (0, 14, 0, 14)),
        events=64,
        acs=64,
    ),
    case("T21", Twice, lambda: (torch.ones(1, 10), torch.ones(1, 10)), events=2000),
    case("T22", lambda: conv(stride=2), lambda: spike(4, 4), events=16),
    case("T23", linear, lambda: torch.ones(4, 3, 10), dense_macs=1200, events=1200),
    case(
        "T23b",
        lambda: MultiStepConv(1, 16, 3, padding=1, bias=False),
        lambda: torch.ones(4, 1, 1, 8, 8),
        dense_macs=36864,
        connections=4 * 7744,
    ),
    case(
        "T25-sdpa",
        lambda: Call(attend),
        lambda: tuple(random(2, 4, 8) for _ in range(3)),
        dense_macs=512,
    ),
    case("T25-lstm", lambda: nn.LSTM(8, 8), lambda: random(4, 1, 8), dense_macs=2048),
    case("T25-mha", lambda: SelfAttention(batch_first=True), lambda: random(1, 4, 8), dense_macs=1280),
]


@pytest.mark.parametrize(("model", "data", "expected"), CASES)
def test_exact_number(model: Callable[[], nn.Module], data: Callable[[], Any], expected: dict[str, int]) -> None:
    torch.manual_seed(0)
    assert pick(trace(model().eval(), data(), samples=1), expected) == expected


def test_t3_time_steps_are_neither_lost_nor_taken_for_samples() -> None:
    traced = trace(linear(), torch.ones(4, 1, 10), samples=1, time_steps=4)
    assert (traced.acs, traced.samples) == (400, 1)


def test_t9c_a_class_does_not_depend_on_the_batch() -> None:
    x = torch.cat([row(1.0), random(1, 10)])
    one, two = trace(linear(), [x[:1], x[1:]]), trace(linear(), x)
    assert (one.acs, one.macs, one.events) == (two.acs, two.macs, two.events) == (0, 200, 110)


def test_t11_under_inference_mode() -> None:
    with torch.inference_mode():
        assert trace(linear(), random(1, 10)).macs == 100


def test_t14_strict_accepts_a_plain_linear_layer() -> None:
    assert trace(nn.Linear(10, 10), row(1.0), strict=True).events == 10


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(4), nn.AvgPool2d(3)])
def test_t15_pooled_spikes_stay_sparse(pool: nn.Module) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.neuron, self.pool = conv(1, 2), LIF(decay=0.5), pool
            self.second = conv(2, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spikes = self.neuron(self.first(x)[None])[0]
            return self.second(self.pool(spikes))

    traced = trace(Net().eval(), (random(3, 1, 8, 8) > 1).float() * 1.5, samples=3)
    second = next(layer for layer in traced.layers if layer.name == "second")
    binary = isinstance(pool, nn.MaxPool2d)
    assert second.macs == 0
    assert 0 < second.events < second.connections
    assert second.operand.kind == ("binary" if binary else "integer")
    assert (second.acs if binary else second.graded_events) == second.events


def test_t18_neuron_updates_do_not_depend_on_elementwise_operators() -> None:
    for neuron in (IF(), LIF(decay=0.5)):
        (got,) = trace(neuron, torch.full((4, 1, 10), 0.6), samples=1, time_steps=4).neurons
        assert (got.updates, got.time_steps, got.calls) == (40, 4, 1)


def test_t19_totals_double_and_samples_do_too() -> None:
    one, two = trace(linear(), torch.ones(1, 10)), trace(linear(), torch.ones(2, 10))
    assert (one.acs, one.samples, two.acs, two.samples) == (100, 1, 200, 2)


def test_t20b_one_spike_per_step() -> None:
    x = torch.zeros(1, 4, 10)
    x[..., 0] = 1
    traced = trace(linear(), x, samples=1, time_steps=4)
    assert traced.acs == 40
    assert traced.layers[0].spike_rate == 0.1


def test_t24_a_model_without_parameters_then_one_with() -> None:
    assert trace(nn.ReLU(), row(1.0)).dense_macs == 0
    for _ in range(3):
        assert trace(linear(), row(1.0)).dense_macs == 100


def test_t26_rates_are_means_over_all_batches() -> None:
    batches = [row(1.0), row(1.0, 1.0), row(), row(1.0)]
    assert trace(linear(), batches).layers[0].spike_rate == 0.1
    assert trace(linear(), batches[:1]).layers[0].spike_rate == 0.1


def test_t28_more_spikes_are_more_work() -> None:
    assert trace(linear(), row(1, 1)).acs == 2 * trace(linear(), row(1)).acs


def test_a_user_error_is_not_swallowed() -> None:
    with pytest.raises((RuntimeError, se.errors.SnnEnergyError)):
        se.trace(linear(), torch.ones(1, 11))
