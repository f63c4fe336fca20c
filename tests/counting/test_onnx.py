"""ONNX graphs: built by hand and held against nested loops, exported and held against the eager network."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import agree
import brute
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import snn_energy as se
from snn_energy.errors import DataError, TraceError, UncountedError
from snn_energy.models.neurons import IF, LIF

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper = onnx.helper

OPSET = 18


def build(
    nodes: Sequence[Any],
    inputs: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = OPSET,
) -> Any:
    """A model of these nodes; inputs are given by an example."""
    graph = helper.make_graph(
        nodes,
        "Net",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in inputs.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def small(*shape: int, zeros: float = 0.4, seed: int = 0) -> np.ndarray:
    """Whole numbers from -2 to 2, some of them zero."""
    draw = np.random.default_rng(seed + 7 * sum(shape))
    values = draw.integers(1, 3, shape) * draw.choice([-1, 1], shape) * (draw.random(shape) > zeros)
    return values.astype(np.float32)


def spikes(*shape: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed + sum(shape)).random(shape) < 0.4).astype(np.float32)


def data(*arrays: np.ndarray) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(array) for array in arrays)


def node(op: str, inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(op, inputs.split(), output.split(), **attributes)


# ---------------------------------------------------------------- products, by hand


@pytest.mark.parametrize(
    ("attributes", "padding", "stride", "dilation", "groups"),
    [
        ({"pads": [1, 1, 1, 1]}, [(1, 1), (1, 1)], (1, 1), (1, 1), 1),
        ({"pads": [0, 2, 1, 0], "strides": [2, 1]}, [(0, 1), (2, 0)], (2, 1), (1, 1), 1),
        ({"dilations": [2, 1], "pads": [2, 0, 2, 0]}, [(2, 2), (0, 0)], (1, 1), (2, 1), 1),
        ({"group": 2, "pads": [1, 1, 1, 1], "strides": [2, 2]}, [(1, 1), (1, 1)], (2, 2), (1, 1), 2),
        # 5 outputs of stride 1 and kernel 3 over 5: one zero on each side; 6 wide and stride 2: 3 outputs, one zero.
        ({"auto_pad": "SAME_UPPER", "strides": [1, 2]}, [(1, 1), (0, 1)], (1, 2), (1, 1), 1),
        ({"auto_pad": "SAME_LOWER", "strides": [1, 2]}, [(1, 1), (1, 0)], (1, 2), (1, 1), 1),
        ({"auto_pad": "VALID"}, [(0, 0), (0, 0)], (1, 1), (1, 1), 1),
    ],
)
def test_conv(
    attributes: dict[str, Any],
    padding: list[tuple[int, int]],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> None:
    x, w = spikes(2, 2, 5, 6), small(4, 2 // groups, 3, 3)
    model = build([node("Conv", "x w", **attributes)], {"x": x}, {"w": w})
    layer = agree.only(agree.trace(model, data(x)))
    expected = brute.conv(x.tolist(), w.tolist(), stride=stride, padding=padding, dilation=dilation, groups=groups)
    agree.same(layer, expected, agree.FACTS)
    assert layer.operand.kind == "binary"


@pytest.mark.parametrize(
    ("pads", "stride", "extra", "dilation", "groups"),
    [
        ((0, 0), 2, 0, 1, 1),
        ((1, 1), 2, 1, 1, 1),
        ((1, 1), 1, 0, 2, 2),
        ((0, 0), 3, 2, 1, 1),
    ],
)
def test_conv_transpose(pads: tuple[int, int], stride: int, extra: int, dilation: int, groups: int) -> None:
    x, w = small(2, 2, 5), small(2, 3, 3)
    attributes = {"pads": list(pads), "strides": [stride], "output_padding": [extra], "dilations": [dilation]}
    model = build([node("ConvTranspose", "x w", group=groups, **attributes)], {"x": x}, {"w": w})
    layer = agree.only(agree.trace(model, data(x)))
    expected = brute.conv_transpose(
        x.tolist(),
        w.tolist(),
        stride=[stride],
        padding=[pads[0]],
        output_padding=[extra],
        dilation=[dilation],
        groups=groups,
    )
    agree.same(layer, expected, agree.FACTS)


def test_conv_transpose_with_uneven_padding() -> None:
    """Four inputs, kernel 3, stride 2: nine positions; one is cut off before, three after: five stay."""
    x, w = np.ones((1, 1, 4), np.float32), np.ones((1, 1, 3), np.float32)
    model = build([node("ConvTranspose", "x w", pads=[1, 3], strides=[2])], {"x": x}, {"w": w})
    layer = agree.only(agree.trace(model, data(x)))
    # Input i reaches 2i, 2i+1, 2i+2; 1 to 5 stay.
    inside = sum(1 <= 2 * i + k <= 5 for i in range(4) for k in range(3))
    assert (layer.dense_macs, layer.connections, layer.events) == (12, inside, inside)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
def test_conv_transpose_that_pads_by_itself(auto_pad: str) -> None:
    """Kernel 3, stride 1, three inputs: five positions, cut to three, one on each side."""
    x, w = np.ones((1, 1, 3), np.float32), np.ones((1, 1, 3), np.float32)
    model = build([node("ConvTranspose", "x w", auto_pad=auto_pad)], {"x": x}, {"w": w})
    layer = agree.only(agree.trace(model, data(x)))
    assert (layer.dense_macs, layer.connections) == (9, 7)


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
def test_gemm(trans_a: int, trans_b: int) -> None:
    a, b, c = small(3, 4), small(4, 5, seed=1), small(5)
    stored = (a.T if trans_a else a).copy(), (b.T if trans_b else b).copy()
    model = build([node("Gemm", "a b c", transA=trans_a, transB=trans_b)], {"a": stored[0]}, {"b": stored[1], "c": c})
    layer = agree.only(agree.trace(model, data(stored[0])))
    agree.same(layer, brute.linear(a.tolist(), b.T.tolist()), agree.FACTS)
    assert layer.bias_adds == 15


def test_gemm_scales_its_result() -> None:
    a, b, c = small(3, 4), small(4, 5, seed=1), small(5)
    traced = agree.trace(build([node("Gemm", "a b c", alpha=0.5, beta=2.0)], {"a": a}, {"b": b, "c": c}), data(a))
    assert [(row.kind, row.muls) for row in traced.elementwise] == [("scaling", 30)]


@pytest.mark.parametrize("shapes", [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((4,), (4, 5))])
def test_matmul_by_weights_and_of_two_activations(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = small(*shapes[0]), small(*shapes[1], seed=1)
    by_weights = agree.only(agree.trace(build([node("MatMul", "a b")], {"a": a}, {"b": b}), data(a)))
    of_data = agree.only(agree.trace(build([node("MatMul", "a b")], {"a": a, "b": b}), data(a, b)))
    pairs = brute.matmul(a.tolist(), b.tolist())
    agree.same(of_data, pairs)
    # By weights an event needs the operand alone to be non-zero, an effective event both.
    assert by_weights.connections == pairs.connections
    assert by_weights.effective_events == pairs.events
    assert by_weights.events == int((a != 0).sum()) * b.shape[-1]


def test_einsum() -> None:
    a, b = small(2, 3, 4), small(2, 4, 5, seed=3)
    traced = agree.trace(build([node("Einsum", "a b", equation="nij,njk->nik")], {"a": a, "b": b}), data(a, b))
    agree.same(agree.only(traced), brute.einsum("nij,njk->nik", a.tolist(), b.tolist()))


@settings(max_examples=25)
@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    low=st.integers(0, 2),
    high=st.integers(0, 2),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 9),
)
def test_conv_of_any_geometry(kernel: int, stride: int, low: int, high: int, dilation: int, seed: int) -> None:
    x, w = small(1, 2, 6, seed=seed), small(2, 2, kernel, seed=seed)
    attributes = {"strides": [stride], "pads": [low, high], "dilations": [dilation]}
    layer = agree.only(agree.trace(build([node("Conv", "x w", **attributes)], {"x": x}, {"w": w}), data(x)))
    geometry = {"stride": [stride], "padding": [(low, high)], "dilation": [dilation]}
    agree.same(layer, brute.conv(x.tolist(), w.tolist(), **geometry), agree.FACTS)


# ---------------------------------------------------------------- integers


@pytest.mark.parametrize("zero", [0, 3])
def test_quantised_products(zero: int) -> None:
    """A stored value equal to the zero point is a zero operand; bits are those stored."""
    x = np.random.default_rng(0).integers(zero, zero + 3, (2, 3, 5), dtype=np.uint8)
    w = np.random.default_rng(1).integers(-2, 3, (4, 3, 3), dtype=np.int8)
    real = (x.astype(np.int32) - zero).astype(np.float32)
    scalar = {"s": np.float32(0.5), "zx": np.uint8(zero), "zw": np.int8(0), "zy": np.uint8(0)}
    expected = brute.conv(real.tolist(), w.astype(np.float32).tolist(), stride=[1], padding=[(1, 1)], dilation=[1])
    nodes = {
        "ConvInteger": node("ConvInteger", "x w zx zw", pads=[1, 1]),
        "QLinearConv": node("QLinearConv", "x s zx w s zw s zy", pads=[1, 1]),
    }
    for name, one in nodes.items():
        model = build([one], {"x": x}, {"w": w, **scalar})
        layer = agree.only(agree.trace(model, data(x)))
        agree.same(layer, expected, agree.FACTS)
        assert (layer.operand_bits, layer.weight_bits) == (8, 8), name
        assert layer.operand.kind == "integer"


@pytest.mark.parametrize("op", ["MatMulInteger", "QLinearMatMul"])
def test_quantised_matmul(op: str) -> None:
    a = np.random.default_rng(0).integers(3, 6, (2, 4), dtype=np.uint8)
    b = np.random.default_rng(1).integers(-2, 3, (4, 5), dtype=np.int8)
    scalar = {"s": np.float32(0.5), "za": np.uint8(3), "zb": np.int8(0), "zy": np.uint8(0)}
    one = node(op, "a b za zb") if op == "MatMulInteger" else node(op, "a s za b s zb s zy")
    layer = agree.only(agree.trace(build([one], {"a": a}, {"b": b, **scalar}), data(a)))
    real = (a.astype(np.int32) - 3).astype(np.float32)
    agree.same(layer, brute.linear(real.tolist(), b.T.astype(np.float32).tolist()), agree.FACTS)


def test_weights_stored_as_integers_are_decoded_at_load_time() -> None:
    x = spikes(2, 4)
    w = np.random.default_rng(1).integers(-2, 3, (4, 5), dtype=np.int8)
    nodes = [node("DequantizeLinear", "w s", "real"), node("MatMul", "x real")]
    traced = agree.trace(build(nodes, {"x": x}, {"w": w, "s": np.float32(0.5)}), data(x))
    agree.same(agree.only(traced), brute.linear(x.tolist(), w.T.astype(np.float32).tolist()), agree.FACTS)
    assert traced.elementwise == ()


# ---------------------------------------------------------------- names, biases, certificate


def test_names_come_from_weights_then_from_nodes() -> None:
    x = small(2, 4)
    square = small(4, 4)
    nodes = [
        helper.make_node("MatMul", ["x", "blocks.0.fc.weight"], ["a"]),
        helper.make_node("MatMul", ["a", "w1"], ["b"], name="/encoder/layer.1/dense/MatMul"),
        helper.make_node("MatMul", ["b", "w2"], ["c"], name="readout"),
        helper.make_node("MatMul", ["c", "w3"], ["y"]),
    ]
    weights = {"blocks.0.fc.weight": square, "w1": square, "w2": square, "w3": square}
    traced = agree.trace(build(nodes, {"x": x}, weights), data(x))
    assert [layer.name for layer in traced.layers] == ["blocks.0.fc", "encoder.layer.1.dense", "readout", "w3"]
    assert traced.model == "Net"


def test_a_bias_added_right_behind_belongs_to_its_projection() -> None:
    x, w, b = small(2, 3, 4), small(4, 5), small(5) + 3
    traced = agree.trace(build([node("MatMul", "x w", "h"), node("Add", "b h")], {"x": x}, {"w": w, "b": b}), data(x))
    assert agree.only(traced).bias_adds == 30
    assert traced.elementwise == ()


def test_batch_norm_behind_a_convolution_folds() -> None:
    x, w = small(1, 2, 4), small(3, 2, 1)
    ones = np.ones(3, np.float32)
    nodes = [node("Conv", "x w", "h"), node("BatchNormalization", "h s b m v", "n"), node("Relu", "n")]
    weights = {"w": w, "s": ones, "b": ones, "m": ones, "v": ones}
    traced = agree.trace(build(nodes, {"x": x}, weights), data(x))
    rows = {row.kind: (row.adds, row.muls, row.compares) for row in traced.elementwise}
    assert rows == {"batch_norm (folded)": (12, 0, 0), "relu": (0, 0, 12)}


def test_one_weight_in_two_nodes_is_one_row() -> None:
    x, w = spikes(2, 4), small(4, 4)
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "h w")]
    layer = agree.only(agree.trace(build(nodes, {"x": x}, {"w": w}), data(x)))
    assert (layer.calls, layer.connections) == (2, 64)


def test_an_unknown_operator_is_listed_with_a_bound() -> None:
    x = small(1, 2, 4, 4)
    model = build([node("GlobalLpPool", "x")], {"x": x})
    traced = se.trace(model, data(x))
    assert [record.name for record in traced.coverage.uncounted] == ["onnx::GlobalLpPool"]
    assert traced.coverage.bound == 32 * 2
    with pytest.raises(UncountedError, match="onnx::GlobalLpPool"):
        se.trace(model, data(x), strict=True)


def test_sizes_are_bookkeeping() -> None:
    """Shape, Gather, Mul and Reshape of sizes are the program's work, not the network's."""
    x = small(2, 3, 4)
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Mul", "n two", "m"),
        node("Concat", "m rest", "t", axis=0),
        node("Reshape", "x t"),
    ]
    weights = {"zero": np.array([0]), "two": np.array([2]), "rest": np.array([-1])}
    traced = agree.trace(build(nodes, {"x": x}, weights), data(x))
    assert traced.elementwise == ()
    assert traced.layers == ()


@pytest.mark.parametrize(
    ("op", "count"),
    [
        # adds, muls, compares, specials of 24 elements, by definition
        ("Relu", (0, 0, 24, 0)),
        ("Sigmoid", (0, 0, 0, 24)),
        ("Exp", (0, 0, 0, 24)),
        ("Neg", (0, 0, 24, 0)),
        ("Gelu", (24, 48, 0, 24)),
        ("HardSwish", (24, 48, 48, 0)),
        ("Softsign", (24, 0, 24, 24)),
        ("ReduceMean", (23, 1, 0, 0)),
        ("ReduceSum", (23, 0, 0, 0)),
        ("ReduceMax", (0, 0, 23, 0)),
        ("ReduceSumSquare", (23, 24, 0, 0)),
        ("GlobalAveragePool", (2 * 3 * 3, 6, 0, 0)),
        ("GlobalMaxPool", (0, 0, 2 * 3 * 3, 0)),
    ],
)
def test_arithmetic_of_single_operators(op: str, count: tuple[int, int, int, int]) -> None:
    x = small(2, 3, 4)
    (row,) = agree.trace(build([node(op, "x")], {"x": x}, opset=20), data(x)).elementwise
    assert (row.adds, row.muls, row.compares, row.specials) == count


# ---------------------------------------------------------------- control flow


def test_a_loop_is_counted_turn_by_turn() -> None:
    """Three turns of h <- h @ w: the body's product runs three times."""
    x, w = small(2, 4) + 3, np.eye(4, dtype=np.float32)
    body = helper.make_graph(
        [node("MatMul", "h_in w", "h_out"), node("Identity", "go_in", "go_out")],
        "body",
        [
            helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("h_in", onnx.TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_out", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("h_out", onnx.TensorProto.FLOAT, None),
        ],
    )
    model = build(
        [helper.make_node("Loop", ["turns", "", "x"], ["y"], body=body)],
        {"x": x},
        {"w": w, "turns": np.array(3)},
    )
    layer = agree.only(agree.trace(model, data(x)))
    assert (layer.calls, layer.connections) == (3, 3 * 2 * 4 * 4)


def test_a_scan_carries_its_state() -> None:
    """h <- h + x_t @ w over four steps, w from outside the body."""
    x, w, start = small(4, 2, 3), small(3, 5), np.zeros((2, 5), np.float32)
    body = helper.make_graph(
        [node("MatMul", "x_t w", "p"), node("Add", "h p", "h_next"), node("Identity", "h_next", "out")],
        "body",
        [
            helper.make_tensor_value_info("h", onnx.TensorProto.FLOAT, [2, 5]),
            helper.make_tensor_value_info("x_t", onnx.TensorProto.FLOAT, [2, 3]),
        ],
        [
            helper.make_tensor_value_info("h_next", onnx.TensorProto.FLOAT, [2, 5]),
            helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [2, 5]),
        ],
    )
    scan = helper.make_node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1)
    model = build([scan], {"x": x}, {"w": w, "start": start}, outputs=("last", "y"))
    traced = agree.trace(model, data(x), samples=2)
    layer = agree.only(traced)
    assert layer.calls == 4
    agree.same(layer, brute.linear(x.tolist(), w.T.tolist()), agree.FACTS)
    (row,) = traced.elementwise
    assert row.adds == 4 * 2 * 5


@pytest.mark.parametrize("positive", [True, False])
def test_only_the_branch_that_runs_is_counted(positive: bool) -> None:
    x = np.full((2, 4), 1.0 if positive else -1.0, np.float32)
    branches = {
        name: helper.make_graph(
            [node("Transpose", "stored", "w"), node("MatMul", "x w", f"{name}_y")],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", onnx.TensorProto.FLOAT, None)],
            [onnx.numpy_helper.from_array(small(width, 4) + 3, "stored")],  # one name, two weights
        )
        for name, width in (("yes", 9), ("no", 2))
    }
    nodes = [
        node("ReduceMax", "x", "top", keepdims=0),
        node("Greater", "top zero", "flag"),
        helper.make_node("If", ["flag"], ["y"], then_branch=branches["yes"], else_branch=branches["no"]),
    ]
    model = build(nodes, {"x": x}, {"zero": np.float32(0)})
    assert agree.only(agree.trace(model, data(x))).connections == 2 * 4 * (9 if positive else 2)
    both = agree.trace(model, [torch.from_numpy(x), torch.from_numpy(-x)])
    assert both.connections == 2 * 4 * (9 + 2)


# ---------------------------------------------------------------- recurrent layers, by hand


def recurrent_weights(gates: int, width: int, inputs: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {
        "w": draw.normal(size=(1, gates * width, inputs)).astype(np.float32),
        "r": draw.normal(size=(1, gates * width, width)).astype(np.float32),
        "b": draw.normal(size=(1, 2 * gates * width)).astype(np.float32),
    }


@pytest.mark.parametrize(
    ("op", "gates", "options"), [("LSTM", 4, {}), ("GRU", 3, {"linear_before_reset": 1}), ("RNN", 1, {})]
)
def test_recurrent_layers(op: str, gates: int, options: dict[str, Any]) -> None:
    """Three steps, two samples; the state starts at zero, so the first step has no recurrent event."""
    x, width = spikes(3, 2, 4), 3
    weights = recurrent_weights(gates, width, 4)
    model = build([node(op, "x w r b", hidden_size=width, **options)], {"x": x}, weights)
    rows = {layer.name: layer for layer in agree.trace(model, data(x), samples=2).layers}
    name = op.lower()
    assert set(rows) == {f"{name}.weight_ih_l0", f"{name}.weight_hh_l0"}
    from_input, from_state = rows[f"{name}.weight_ih_l0"], rows[f"{name}.weight_hh_l0"]
    assert from_input.events == int(x.sum()) * gates * width
    assert from_input.operand.kind == "binary"
    assert from_state.connections == 3 * 2 * width * gates * width
    assert from_state.events == 2 * 2 * width * gates * width


def test_a_recurrent_layer_that_torch_does_not_have_is_listed() -> None:
    """A GRU that resets before the recurrent product multiplies another operand."""
    x = spikes(3, 2, 4)
    model = build([node("GRU", "x w r b", hidden_size=3)], {"x": x}, recurrent_weights(3, 3, 4))
    traced = se.trace(model, data(x), samples=2)
    assert not traced.coverage.complete
    assert traced.coverage.bound > 3 * 2 * 9 * (4 + 3)


# ---------------------------------------------------------------- the network that was exported


def exported(net: nn.Module, *x: torch.Tensor) -> Any:
    """As a user exports it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(net, x, dynamo=True, verbose=False)
    assert program is not None
    return program.model_proto


def filled(net: nn.Module) -> nn.Module:
    """Weights of both signs that are no multiples of each other's powers of two: exact sums, live biases."""
    torch.manual_seed(3)
    for parameter in net.parameters():
        parameter.data = torch.randint(-8, 9, parameter.shape).float() / 16 + 1 / 32
    return net.eval()


class Spiking(nn.Module):
    """Convolution, neuron, pool, and a second neuron that is called in every step of a loop."""

    def __init__(self, reset: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.fire = LIF(reset=reset)
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(12, 4)
        self.out = IF(reset=reset)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        current = self.conv(x)
        spikes = self.fire(torch.stack([current, current, current]))
        return self.out(self.head(self.pool(spikes.flatten(0, 1)).flatten(1)).unflatten(0, (3, -1))).mean(0)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3, num_layers=2)
        self.gru = nn.GRU(3, 2, bidirectional=True)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.gru(self.lstm(x)[0])[0])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(4, 4) for _ in range(3))
        self.norm = nn.LayerNorm(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.q(x) @ self.k(x).transpose(1, 2)
        return self.norm(scores.softmax(-1) @ self.v(x))


def same_layers(graph: Any, eager: Any) -> None:
    assert [layer.name for layer in graph.layers] == [layer.name for layer in eager.layers]
    assert graph.layers == eager.layers


NETS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "spiking": (lambda: Spiking("soft"), (2, 1, 4, 4)),
    "attention": (Attention, (2, 3, 4)),
    "recurrent": (Recurrent, (3, 2, 4)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["spiking", *(pytest.param(name, marks=pytest.mark.slow) for name in NETS if name != "spiking")]
)
def test_an_exported_network_counts_as_the_eager_one(name: str) -> None:
    make, shape = NETS[name]
    net, x = filled(make()), torch.randint(0, 2, shape).float()
    eager, graph = agree.trace(net, x, samples=2), agree.trace(exported(net, x), x, samples=2)
    assert all(neuron.spikes for neuron in eager.neurons)
    same_layers(graph, eager)
    assert graph.neurons == eager.neurons
    assert graph.elementwise == eager.elementwise
    assert (graph.model, graph.time_steps) == (eager.model, eager.time_steps)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETS)
def test_the_older_exporter_counts_as_the_eager_one(name: str, tmp_path: Any) -> None:
    make, shape = NETS[name]
    net, x = filled(make()), torch.randint(0, 2, shape).float()
    torch.onnx.export(net, (x,), str(tmp_path / "net.onnx"), dynamo=False)
    eager, graph = agree.trace(net, x, samples=2), agree.trace(tmp_path / "net.onnx", x, samples=2, like=net)
    same_layers(graph, eager)
    assert graph.neurons == eager.neurons
    assert graph.elementwise == eager.elementwise


class Looped(nn.Module):
    """A neuron called in every step of a loop; one step leaves no trace of its reset."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.fire = nn.Linear(4, 3), LIF(threshold=0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(x.shape[1], 3)
        for now in x.unbind(0):
            total = total + self.fire(self.fc(now).unsqueeze(0)).squeeze(0)
        return total


@pytest.mark.filterwarnings("ignore")
def test_neurons_are_told_from_the_network_where_the_graph_does_not_tell() -> None:
    net, x = filled(Looped()), torch.randint(0, 2, (3, 2, 4)).float()
    eager, model = agree.trace(net, x, samples=2), exported(net, x)
    (neuron,) = eager.neurons
    assert (neuron.calls, neuron.spikes > 0) == (3, True)
    graph = agree.trace(model, x, samples=2, like=net)
    same_layers(graph, eager)
    assert (graph.neurons, graph.elementwise) == (eager.neurons, eager.elementwise)
    alone = agree.trace(model, x, samples=2)
    assert alone.neurons == ()
    assert alone.layers == graph.layers
    assert sum(row.compares for row in alone.elementwise) == neuron.compares


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_our_file_of_the_shipped_network_counts_as_the_network(tmp_path: Any) -> None:
    from snn_energy.exporting import export_onnx
    from snn_energy.models import checkpoint_path, load_checkpoint
    from snn_energy.training import load_images

    loaded = load_checkpoint(checkpoint_path("fashion-cnn"))
    x = loaded.input.apply(load_images("fashion-mnist").head(20).images)
    export_onnx(loaded.model, x[:2], tmp_path / "net.onnx")
    eager, graph = agree.trace(loaded.model, x), agree.trace(tmp_path / "net.onnx", x)
    same_layers(graph, eager)
    assert graph.neurons == eager.neurons
    assert graph.elementwise == eager.elementwise
    assert (graph.model, graph.samples, graph.time_steps) == (eager.model, eager.samples, eager.time_steps)


# ---------------------------------------------------------------- refusals


def test_the_wrong_inputs_are_refused_in_one_line() -> None:
    x, w = small(2, 4), small(4, 5)
    model = build([node("MatMul", "x w")], {"x": x}, {"w": w})
    cases: list[tuple[Any, str]] = [
        (torch.ones(2, 3), "onnxruntime cannot run it"),
        ((torch.ones(2, 4), torch.ones(2, 4)), "expected the inputs x"),
        ({"z": torch.ones(2, 4)}, "expected the inputs x"),
        (torch.full((2, 4), 0.1, dtype=torch.float64), "cannot hold exactly"),
    ]
    for batch, message in cases:
        with pytest.raises(DataError, match=message) as caught:
            se.trace(model, batch)
        assert "\n" not in str(caught.value)


def test_an_input_of_another_type_that_loses_nothing_is_taken() -> None:
    x, w = small(2, 4), small(4, 5)
    model = build([node("MatMul", "x w")], {"x": x}, {"w": w})
    assert se.trace(model, torch.from_numpy(x).double()).layers == se.trace(model, torch.from_numpy(x)).layers


def test_damaged_files_and_weights_elsewhere_are_refused(tmp_path: Any) -> None:
    x, w = small(2, 4), small(4, 64)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no protobuf at all")
    with pytest.raises(TraceError, match=r"broken\.onnx"):
        se.trace(broken, data(x))
    with pytest.raises(TraceError, match="cannot read"):
        se.trace(tmp_path / "missing.onnx", data(x))
    (tmp_path / "inner").mkdir()
    model = build([node("MatMul", "x w")], {"x": x}, {"w": w})
    onnx.save(model, tmp_path / "inner" / "net.onnx", save_as_external_data=True, location="net.bin", size_threshold=0)
    layer = agree.only(agree.trace(tmp_path / "inner" / "net.onnx", data(x)))
    assert layer.connections == 2 * 4 * 64
    (tmp_path / "inner" / "net.bin").rename(tmp_path / "net.bin")
    text = (tmp_path / "inner" / "net.onnx").read_bytes()
    (tmp_path / "inner" / "net.onnx").write_bytes(text)
    loaded = onnx.load(tmp_path / "inner" / "net.onnx", load_external_data=False)
    loaded.graph.initializer[0].external_data[0].value = "../net.bin"
    (tmp_path / "inner" / "net.onnx").write_bytes(loaded.SerializeToString())
    with pytest.raises(TraceError, match="own folder"):
        se.trace(tmp_path / "inner" / "net.onnx", data(x))
    with pytest.raises(TraceError, match="file of its own"):
        se.trace(loaded, data(x))


def test_batches_add_up() -> None:
    x, w = spikes(6, 4), small(4, 5)
    model = build([node("MatMul", "x w")], {"x": x[:3]}, {"w": w})
    parts = list(torch.from_numpy(x).split(3))
    whole = se.trace(model, parts)
    assert whole == se.trace(model, parts[0]) + se.trace(model, parts[1])
    assert whole.layers[0].events == int(x.sum()) * 5


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_what_is_not_installed_is_named(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    x, w = small(2, 4), small(4, 5)
    onnx.save(build([node("MatMul", "x w")], {"x": x}, {"w": w}), tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(TraceError, match=f"pip install .*{missing}") as caught:
        se.trace(tmp_path / "net.onnx", data(x))
    assert "\n" not in str(caught.value)
