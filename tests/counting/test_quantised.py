"""Quantised layers of torch.ao: counted as the numbers they stand for, with the bits that carry them.

The oracle works on the integers: a quantised value q counts as q - zero_point, and the rounding of a dynamic layer is
written out from its definition. torch announces the end of torch.ao; its warnings are ignored in this file alone.
"""

from __future__ import annotations

import json
from typing import Any

import brute
import pytest
import torch
from agree import COUNTS, FACTS, Call, only, pick, same, trace
from hypothesis import given
from hypothesis import strategies as st
from strategies import Spikes, fill, seeds
from torch import nn
from torch.ao import quantization as tq
from torch.ao.nn.quantized import FloatFunctional

import snn_energy as se

pytestmark = pytest.mark.filterwarnings("ignore")
ENGINE = torch.backends.quantized.engine


def integers(x: torch.Tensor) -> Any:
    """A quantised tensor as nested lists of whole numbers, less the zero point."""
    whole = x.int_repr().long()
    if x.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return (whole - x.q_zero_point()).double().tolist()
    shape = [1] * x.dim()
    shape[x.q_per_channel_axis()] = -1
    return (whole - x.q_per_channel_zero_points().long().view(shape)).double().tolist()


def dynamic(x: torch.Tensor, bits: int = 7) -> Any:
    """What a dynamic layer makes of x: 2^bits levels from min(x, 0) to max(x, 0), the zero on a level of its own.

    torch's modules leave one of the eight bits unused (`reduce_range`).
    """
    low, high = min(0.0, x.min().item()), max(0.0, x.max().item())
    step = (high - low) / (2**bits - 1) or 1.0
    zero = round(-low / step)
    return [
        [min(max(round(value / step) + zero, 0), 2**bits - 1) - zero for value in row]
        for row in x.reshape(-1, x.shape[-1]).tolist()
    ]


def elementwise(traced: Any, kind: str) -> tuple[int, int, int, int]:
    rows = [row for row in traced.elementwise if row.kind == kind]
    return tuple(sum(getattr(row, name) for row in rows) for name in ("adds", "muls", "compares", "specials"))


def quantise_dynamically(net: nn.Module, kinds: set[type], dtype: torch.dtype = torch.qint8) -> nn.Module:
    return tq.quantize_dynamic(net.eval(), kinds, dtype=dtype)


# ---------------------------------------------------------------- dynamic


@given(
    n=st.integers(1, 3), ins=st.integers(2, 5), bias=st.booleans(), kind=st.sampled_from(("binary", "real")), s=seeds
)
def test_dynamic_linear(n: int, ins: int, bias: bool, kind: str, s: int) -> None:
    float_net = nn.Sequential(nn.Linear(ins, 3, bias=bias))
    fill(float_net[0].weight, s)
    net = quantise_dynamically(float_net, {nn.Linear})
    x = Spikes(kind, 0.6, s).tensor(n, ins)
    traced = trace(net, x)
    layer = only(traced)
    weight, _ = torch.ops.quantized.linear_unpack(net[0]._packed_params._packed_params)
    whole = dynamic(x)
    same(layer, brute.linear(whole, integers(weight)), FACTS)
    assert layer.name == "0"
    assert (layer.operand_bits, layer.weight_bits) == (8, 8)
    assert layer.bias_adds == (n * 3 if bias else 0)
    assert layer.zero_weights == sum(value == 0 for value in brute.flat(integers(weight)))
    if kind == "binary":
        assert layer.acs == layer.events
    assert elementwise(traced, "quantise") == (n * ins, n * ins, 5 * n * ins, 0)


def test_what_rounds_to_the_zero_point_is_zero() -> None:
    net = quantise_dynamically(nn.Sequential(nn.Linear(4, 3)), {nn.Linear})
    x = torch.tensor([[1.0, 0.001, 0.0039, 0.0040]])  # levels of 1/127: below half of one there is nothing
    layer = only(trace(net, x))
    assert (layer.spikes, layer.events) == (2, 6)
    assert dynamic(x) == [[127, 0, 0, 1]]


def test_dynamic_linear_in_half_precision() -> None:
    net = quantise_dynamically(nn.Sequential(nn.Linear(4, 3)), {nn.Linear}, torch.float16)
    x = Spikes("real", 0.6, 1).tensor(2, 4)
    layer = only(trace(net, x))
    same(layer, brute.linear(x.tolist(), torch.ones(3, 4).tolist()), FACTS)
    assert (layer.operand_bits, layer.weight_bits) == (32, 16)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_dynamic_sequences(kind: str, batch_first: bool) -> None:
    """The states between the steps are the outputs before them, quantised again."""
    steps, n, ins, hidden = 4, 2, 3, 5
    gates = {"lstm": 4, "gru": 3}[kind]
    made = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](ins, hidden, batch_first=batch_first)
    net = quantise_dynamically(nn.Sequential(made), {nn.LSTM, nn.GRU})
    x = Spikes("binary", 0.5, 3).tensor(steps, n, ins)
    given = x.transpose(0, 1) if batch_first else x
    states = net(given)[0]
    states = states.transpose(0, 1) if batch_first else states
    traced = trace(net, given, samples=n)
    layers = {layer.name: layer for layer in traced.layers}
    ones = torch.ones(gates * hidden, max(ins, hidden))
    before = [torch.zeros(n, hidden), *states[:-1]]
    want = {
        "0.weight_ih_l0": brute.linear(dynamic(x), ones[:, :ins].tolist()),
        "0.weight_hh_l0": brute.total(brute.linear(dynamic(h), ones[:, :hidden].tolist()) for h in before),
    }
    assert set(layers) == set(want)
    names = [name for name in FACTS if name != "effective_events"]
    for name, tally in want.items():
        same(layers[name], tally, names)
        assert (layers[name].operand_bits, layers[name].weight_bits) == (8, 8)
        assert layers[name].bias_adds == steps * n * gates * hidden
    assert layers["0.weight_ih_l0"].acs > 0
    assert layers["0.weight_hh_l0"].macs == layers["0.weight_hh_l0"].connections
    each = steps * n * hidden
    rates = {"lstm": (5, 3, 0, 5), "gru": (5, 2, 0, 3)}[kind]  # counted off the equations in torch's manual
    assert elementwise(traced, kind) == tuple(each * rate for rate in rates)


def test_dynamic_sequence_of_layers_and_directions() -> None:
    net = quantise_dynamically(nn.Sequential(nn.LSTM(3, 5, 2, bidirectional=True)), {nn.LSTM})
    traced = trace(net, Spikes("binary", 0.5, 3).tensor(4, 2, 3), samples=2)
    sizes = {
        f"0.weight_{which}_l{level}{way}": 4 * 2 * 20 * (ins if which == "ih" else 5)
        for level, ins in ((0, 3), (1, 10))
        for way in ("", "_reverse")
        for which in ("ih", "hh")
    }
    assert {layer.name: layer.connections for layer in traced.layers} == sizes


def test_a_packed_sequence_is_listed_with_a_bound() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 2]))
            return self.lstm(packed)[0].data

    net = quantise_dynamically(Packed(), {nn.LSTM})
    traced = se.trace(net, torch.rand(4, 2, 3), samples=2)
    assert not traced.coverage.complete
    assert traced.coverage.bound >= 6 * 20 * (3 + 5)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_dynamic_cells(cell: type) -> None:
    net = quantise_dynamically(nn.Sequential(cell(3, 5)), {cell})
    x = Spikes("binary", 0.5, 3).tensor(2, 3)
    layers = {layer.name: layer for layer in trace(net, x).layers}
    gates = {nn.LSTMCell: 4, nn.GRUCell: 3, nn.RNNCell: 1}[cell]
    assert layers["0.weight_ih"].events == 5 * gates * int(x.sum())
    assert (layers["0.weight_hh"].events, layers["0.weight_hh"].connections) == (0, 2 * 5 * 5 * gates)


# ---------------------------------------------------------------- static


class Static(nn.Module):
    """Convolution, norm, activation; pools, an addition; a convolution without activation; a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = tq.QuantStub(), tq.DeQuantStub()
        self.conv, self.norm, self.relu = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.max, self.average, self.sum = nn.MaxPool2d(2), nn.AvgPool2d(2), FloatFunctional()
        self.depth = nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.max(self.relu(self.norm(self.conv(self.quant(x)))))
        y = self.depth(self.sum.add(y, y))
        return self.dequant(self.head(self.average(y).flatten(1)))


def calibrated(net: nn.Module, x: torch.Tensor) -> nn.Module:
    net = tq.fuse_modules(net.eval(), [["conv", "norm", "relu"]])
    net.qconfig = tq.get_default_qconfig(ENGINE)
    tq.prepare(net, inplace=True)
    net(x)
    return net


def caught(net: nn.Module, x: torch.Tensor, names: list[str]) -> dict[str, torch.Tensor]:
    inputs: dict[str, torch.Tensor] = {}
    handles = [
        net.get_submodule(name).register_forward_pre_hook(
            lambda _module, args, name=name: inputs.__setitem__(name, args[0].clone())
        )
        for name in names
    ]
    net(x)
    for handle in handles:
        handle.remove()
    return inputs


def test_static_network() -> None:
    """Convolution with its activation, depthwise convolution, linear layer: eight bits, zero at the zero point."""
    torch.manual_seed(1)
    x = Spikes("binary", 0.3, 2).tensor(2, 2, 8, 8)
    net = tq.convert(calibrated(Static(), x))
    names = ["conv", "depth", "head"]
    inputs = caught(net, x, names)
    traced = trace(net, x)
    layers = {layer.name: layer for layer in traced.layers}
    assert list(layers) == names
    want = {
        "conv": brute.conv(
            integers(inputs["conv"]), integers(net.conv.weight()), stride=[1, 1], padding=[(1, 1)] * 2, dilation=[1, 1]
        ),
        "depth": brute.conv(
            integers(inputs["depth"]),
            integers(net.depth.weight()),
            stride=[2, 2],
            padding=[(1, 1)] * 2,
            dilation=[1, 1],
            groups=4,
        ),
        "head": brute.linear(integers(inputs["head"]), integers(net.head.weight())),
    }
    for name, layer in layers.items():
        assert (name, pick(layer, FACTS)) == (name, pick(want[name], FACTS))
        assert (layer.operand_bits, layer.weight_bits) == (8, 8)
        assert layer.operand.kind == brute.operand_class(brute.flat(integers(inputs[name])))[0]
    assert layers["conv"].acs == layers["conv"].events
    outputs = {"conv": 2 * 4 * 64, "add": 2 * 4 * 16, "depth": 2 * 4 * 4, "head": 2 * 3}
    requantised = sum(outputs.values())
    assert elementwise(traced, "requantise") == (requantised, requantised, 3 * requantised, 0)
    assert elementwise(traced, "relu") == (0, 0, outputs["conv"], 0)
    assert elementwise(traced, "add") == (outputs["add"], 0, 0, 0)
    assert elementwise(traced, "quantise") == (256, 256, 768, 0)
    assert elementwise(traced, "dequantise") == (6, 6, 0, 0)
    assert {name: layer.bias_adds for name, layer in layers.items()} == {"conv": 512, "depth": 0, "head": 6}


def test_zero_point_is_zero() -> None:
    """Activations around a zero point of 64: a value equal to it meets no synapse."""
    q = torch.quantize_per_tensor(torch.tensor([[-1.0, 0.0, 0.26, 0.0]]), 1 / 64, 64, torch.quint8)
    layer = torch.ao.nn.quantized.Linear(4, 3)
    got = only(trace(layer, q))
    assert (got.spikes, got.events, got.connections) == (2, 6, 12)


@pytest.mark.parametrize(("axes", "transposed"), [(1, False), (2, False), (3, False), (1, True), (2, True)])
def test_static_convolutions(axes: int, transposed: bool) -> None:
    """All that torch's CPU engine runs."""
    kind = f"Conv{'Transpose' if transposed else ''}{axes}d"
    layer = getattr(torch.ao.nn.quantized, kind)(2, 4, 2, stride=2)
    size = {1: (6,), 2: (4, 4), 3: (2, 2, 2)}[axes]
    weight = torch.quantize_per_tensor(torch.randn(layer.weight().shape), 0.5, 0, torch.qint8)
    layer.set_weight_bias(weight, torch.zeros(4))
    q = torch.quantize_per_tensor(Spikes("binary", 0.5, 1).tensor(2, 2, *size), 0.5, 3, torch.quint8)
    got = only(trace(layer, q, samples=2))
    whole = weight.int_repr().double().tolist()
    if transposed:
        want = brute.conv_transpose(
            integers(q), whole, stride=[2] * axes, padding=[0] * axes, output_padding=[0] * axes, dilation=[1] * axes
        )
    else:
        want = brute.conv(integers(q), whole, stride=[2] * axes, padding=[(0, 0)] * axes, dilation=[1] * axes)
    same(got, want, FACTS)
    assert got.acs == got.events


def test_dynamic_convolution() -> None:
    layer = torch.ao.nn.quantized.dynamic.Conv2d(2, 4, 3)
    x = Spikes("real", 0.5, 1).tensor(2, 2, 5, 5).abs()
    whole = torch.tensor(dynamic(x)).view(x.shape).tolist()
    want = brute.conv(whole, integers(layer.weight()), stride=[1, 1], padding=[(0, 0)] * 2, dilation=[1, 1])
    got = only(trace(layer, x))
    same(got, want, FACTS)
    assert (got.operand_bits, got.weight_bits) == (8, 8)


# ---------------------------------------------------------------- training for it


def test_observers_are_no_part_of_the_network() -> None:
    x = Spikes("binary", 0.3, 2).tensor(2, 2, 8, 8)
    net = Static()
    plain = trace(tq.fuse_modules(net.eval(), [["conv", "norm", "relu"]]), x)
    watched = trace(calibrated(net, x), x)
    assert pick(watched, COUNTS) == pick(plain, COUNTS)
    assert {row.kind for row in watched.elementwise} == {row.kind for row in plain.elementwise}


class Fake(nn.Module):
    """Fake quantisers by hand: 4 bits of unsigned activations, 3 bits of signed weights."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.weight = nn.Parameter(torch.tensor([[0.5, -0.1, 0.9], [0.0, 0.3, -0.8]]))
        self.register_buffer("step", torch.tensor(0.1))
        self.register_buffer("none", torch.tensor(0, dtype=torch.int32))
        self.register_buffer("steps", torch.tensor([0.25, 0.25]))
        self.register_buffer("zeros", torch.zeros(2, dtype=torch.int32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.form == "tensor":
            x = torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 15)
            weight = torch.fake_quantize_per_tensor_affine(self.weight, 0.25, 0, -4, 3)
        else:
            x = torch.fake_quantize_per_tensor_affine(x, self.step, self.none, 0, 15)
            weight = torch.fake_quantize_per_channel_affine(self.weight, self.steps, self.zeros, 0, -4, 3)
        return nn.functional.linear(x, weight)


@pytest.mark.parametrize("form", ["tensor", "channel"])
def test_fake_quantisers_tell_their_bits(form: str) -> None:
    x = torch.tensor([[0.04, 0.33, 9.0], [0.06, 0.0, 0.2]])
    levels = [[min(max(round(value / 0.1), 0), 15) for value in row] for row in x.tolist()]
    weights = [[2, 0, 3], [0, 1, -3]]  # quarters, rounded and clamped to -4..3
    layer = only(trace(Fake(form), x))
    same(layer, brute.linear(levels, weights), FACTS)
    assert (layer.operand_bits, layer.weight_bits) == (4, 3)
    assert layer.zero_weights == 2
    report = json.loads(se.profile(Fake(form), x).to_json())
    row = next(row for row in report["rows"] if row["part"] == "synapses")
    assert (row["operand_bits"], row["weight_bits"]) == (4, 3)


def trained(net: nn.Module, x: torch.Tensor) -> nn.Module:
    net = tq.fuse_modules_qat(net.train(), [["conv", "norm", "relu"]])
    net.qconfig = tq.get_default_qat_qconfig(ENGINE)
    tq.prepare_qat(net, inplace=True)
    net(x)
    return net.eval()


def test_training_with_fake_quantisers() -> None:
    """The same projections as the converted network has; the norm still apart is folded, as conversion will fold it."""
    x = Spikes("binary", 0.3, 2).tensor(2, 2, 8, 8)
    traced = trace(trained(Static(), x), x)
    layers = {layer.name: layer for layer in traced.layers}
    assert list(layers) == ["conv", "depth", "head"]
    assert (layers["conv"].dense_macs, layers["conv"].connections) == (2 * 4 * 2 * 9 * 64, 2 * 4 * 2 * 22 * 22)
    assert (
        layers["conv"].events
        == brute.conv(
            x.tolist(), torch.ones(4, 2, 3, 3).tolist(), stride=[1, 1], padding=[(1, 1)] * 2, dilation=[1, 1]
        ).events
    )
    assert all(layer.weight_bits == 8 for layer in layers.values())
    assert layers["conv"].operand_bits <= 8  # 7 where the engine leaves one bit unused
    norms = [row for row in traced.elementwise if "norm" in row.kind]
    assert sum(row.muls for row in norms) == 0
    assert layers["conv"].bias_adds + sum(row.adds for row in norms) == 2 * 4 * 64


def test_a_fake_quantiser_that_is_off_is_nothing() -> None:
    net = trained(Static(), torch.rand(2, 2, 8, 8))
    net.apply(tq.disable_fake_quant)
    traced = trace(net, torch.rand(2, 2, 8, 8))
    assert all(layer.operand_bits == 32 for layer in traced.layers)
    assert elementwise(traced, "quantise") == (0, 0, 0, 0)


# ---------------------------------------------------------------- operators by themselves


def test_quantise_and_dequantise() -> None:
    x = torch.rand(3, 4)
    traced = trace(Call(lambda x: torch.quantize_per_tensor(x, 0.1, 3, torch.quint8).dequantize()), x)
    assert elementwise(traced, "quantise") == (12, 12, 36, 0)
    assert elementwise(traced, "dequantise") == (12, 12, 0, 0)


def test_a_float_layer_behind_a_dequantiser_takes_eight_bits() -> None:
    x = torch.tensor([[0.04, 0.33, 0.0]])
    net = Call(
        lambda x, w: nn.functional.linear(torch.quantize_per_tensor(x, 0.1, 0, torch.quint8).dequantize(), w),
        w=torch.ones(2, 3),
    )
    got = only(trace(net, x))
    assert (got.operand_bits, got.weight_bits, got.spikes) == (8, 32, 1)


def test_quantised_activations_and_embeddings() -> None:
    q = torch.quantize_per_tensor(torch.rand(2, 3), 0.1, 3, torch.quint8)
    functional = torch.ao.nn.quantized.QFunctional()
    for function in (
        lambda q: functional.add(q, q),
        lambda q: functional.mul(q, q),
        lambda q: functional.add_relu(q, q),
        lambda q: functional.cat([q, q]),
        lambda q: torch.relu(q),
        lambda q: torch.sigmoid(q),
        lambda q: torch.ao.nn.quantized.functional.leaky_relu(q, 0.1, scale=0.1, zero_point=3),
    ):
        assert not trace(Call(function), q, samples=2).layers
    bag = nn.Sequential(nn.EmbeddingBag(7, 4))
    bag = tq.quantize_dynamic(bag, {nn.EmbeddingBag: tq.float_qparams_weight_only_qconfig}, dtype=torch.quint8)
    traced = trace(bag, torch.randint(0, 7, (2, 3)))
    assert elementwise(traced, "embedding_bag") == (24, 24, 0, 0)


def test_weights_alone_in_eight_bits() -> None:
    class WeightOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.randint(-3, 4, (32, 16), dtype=torch.int8))
            self.register_buffer("scales", torch.rand(32).bfloat16())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.aten._weight_int8pack_mm(x, self.weight, self.scales)

    net, x = WeightOnly(), Spikes("binary", 0.5, 1).tensor(3, 16, dtype=torch.bfloat16)
    got = only(trace(net, x))
    same(got, brute.linear(x.tolist(), net.weight.double().tolist()), FACTS)
    assert (got.operand_bits, got.weight_bits) == (16, 8)


def test_quantisers_as_torch_export_writes_them() -> None:
    from torch.ao.quantization.fx import _decomposed  # noqa: F401  # registers the operators

    def forward(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        exported = torch.ops.quantized_decomposed
        x = exported.quantize_per_tensor(x, 0.1, 0, -8, 7, torch.int8)
        x = exported.dequantize_per_tensor(x, 0.1, 0, -8, 7, torch.int8)
        w = exported.quantize_per_tensor(w, 0.25, 0, -127, 127, torch.int8)
        return nn.functional.linear(x, exported.dequantize_per_tensor(w, 0.25, 0, -127, 127, torch.int8))

    x = torch.tensor([[0.04, 0.33, -9.0]])
    traced = trace(Call(forward, w=torch.tensor([[0.5, -0.1, 0.9], [0.0, 0.3, -0.8]])), x)
    got = only(traced)
    same(got, brute.linear([[0, 3, -8]], [[2, 0, 4], [0, 1, -3]]), FACTS)
    assert (got.operand_bits, got.weight_bits) == (4, 8)
    assert elementwise(traced, "quantise") == (3, 3, 9, 0)
    assert elementwise(traced, "dequantise") == (3, 3, 0, 0)


def test_batches_of_a_quantised_network_add_up() -> None:
    x = Spikes("binary", 0.3, 2).tensor(4, 2, 8, 8)
    net = tq.convert(calibrated(Static(), x))
    whole, parts = trace(net, x), trace(net, [x[:1], x[1:]])
    assert parts.samples == 4
    for layer, other in zip(whole.layers, parts.layers, strict=True):
        names = (*FACTS, "bias_adds", "acs", "macs", "graded_events", "zero_weights", "operand_bits", "weight_bits")
        assert pick(layer, names) == pick(other, names)
    assert trace(net, x[:1]) + trace(net, x[1:]) == parts


def test_static_sequence() -> None:
    """torch.ao takes an LSTM apart into cells: two products and the gates' arithmetic, every one requantised."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.quant, self.lstm, self.dequant = tq.QuantStub(), nn.LSTM(3, 4), tq.DeQuantStub()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.dequant(self.lstm(self.quant(x))[0])

    x = Spikes("binary", 0.5, 1).tensor(5, 2, 3)
    net = Net().eval()
    net.qconfig = tq.get_default_qconfig(ENGINE)
    tq.prepare(net, inplace=True)
    net(x)
    traced = trace(tq.convert(net), x, samples=2)
    from_input, from_state = traced.layers
    assert (from_input.acs, from_input.connections) == (16 * int(x.sum()), 5 * 2 * 16 * 3)
    assert (from_state.macs, from_state.connections) == (5 * 2 * 16 * 4, 5 * 2 * 16 * 4)
    assert {(layer.operand_bits, layer.weight_bits) for layer in traced.layers} == {(8, 8)}
    gates = 5 * 2 * 4
    assert elementwise(traced, "add") == (5 * gates, 0, 0, 0)
    assert elementwise(traced, "mul") == (0, 3 * gates, 0, 0)
    assert elementwise(traced, "sigmoid") == (0, 0, 0, 3 * gates)
    assert elementwise(traced, "tanh") == (0, 0, 0, 2 * gates)
