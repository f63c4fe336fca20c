"""8-bit weights in ONNX's standard quantised form, and binary operands passed through it, so that kernels may use both.

A weight becomes int8 integers behind DequantizeLinear: integer times a scale, one for each output channel. Where the
weight is made of 8-bit integers times a power of two (snapped networks), that is the weight, bit for bit; elsewhere it
is rounded to the nearest of 255 levels, which is a loss. A spike is 0 or 1: QuantizeLinear and DequantizeLinear with
scale 1 leave it as it is. Currents, membranes and biases stay floating-point.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from snn_energy.exporting.graph import COMPARISONS, PRODUCTS
from snn_energy.exporting.losses import Loss

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

LARGEST = 127
_SCALE, _ZERO = "spike_scale", "spike_zero_point"
_KEEPS_BINARY = {"Reshape", "Transpose", "Unsqueeze", "Squeeze", "Flatten", "Identity", "MaxPool", "Slice", "Expand"}
"""Operators whose result holds nothing but values of the first operand."""
_JOINS_BINARY = {"Concat", "Max", "Min", "Mul"}
"""Operators whose result is binary where all operands are."""


def quantised(proto: ModelProto) -> tuple[Loss, ...]:
    """Rewrite a tidied graph in place; returns a loss for each weight that had to be rounded."""
    graph = proto.graph
    losses = _weights(graph)
    _spikes(graph)
    return losses


def _weights(graph: GraphProto) -> tuple[Loss, ...]:
    from onnx import TensorProto, helper, numpy_helper

    stored = {tensor.name: tensor for tensor in graph.initializer}
    shaped = {info.name for info in graph.value_info}
    done: dict[str, NodeProto] = {}
    losses = []
    for node in graph.node:
        for slot in (1, 0) if node.op_type == "MatMul" else (1,):
            name = node.input[slot] if node.op_type in PRODUCTS and len(node.input) > slot else ""
            tensor = stored.get(name)
            if tensor is None or name in done or len(tensor.dims) < 2 or tensor.data_type != TensorProto.FLOAT:
                continue
            weight = numpy_helper.to_array(tensor)
            axis = _channel_axis(node, slot, weight)
            integers, scale, exact = _rounded(weight, axis)
            if not exact:
                losses.append(
                    Loss(
                        "the exact weights", name, "they are not 8-bit integers times a power of two: snap the network"
                    )
                )
            graph.initializer.remove(tensor)
            graph.initializer.append(numpy_helper.from_array(integers, f"{name}_quantized"))
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
            done[name] = helper.make_node(
                "DequantizeLinear", [f"{name}_quantized", f"{name}_scale"], [name], name=f"{name}/Dequantize", axis=axis
            )
            _same_module(done[name], node)
            if name not in shaped:
                graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, weight.shape))
    nodes = [*done.values(), *graph.node]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    return tuple(losses)


def _channel_axis(node: NodeProto, slot: int, weight: np.ndarray[Any, Any]) -> int:
    """Axis of the output channels."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "Gemm":
        return 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
    return weight.ndim - 1 if slot == 1 else weight.ndim - 2


def _rounded(weight: np.ndarray[Any, Any], axis: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], bool]:
    """(int8 integers, float32 scale of each channel, whether their product is the weight)."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1).astype(np.float64)
    largest = np.abs(rows).max(1)
    powers = np.array([2.0 ** -_finest(value) for value in largest.tolist()])
    exact = rows / powers[:, None]
    if np.array_equal(exact, np.round(exact)):
        scale = powers
    else:
        scale = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32).astype(np.float64)
    integers = np.clip(np.round(weight.astype(np.float64) / scale.reshape(shape)), -LARGEST, LARGEST)
    same = np.array_equal(integers * scale.reshape(shape), weight.astype(np.float64))
    return integers.astype(np.int8), scale.astype(np.float32), bool(same)


def _finest(largest: float) -> int:
    """Largest k for which `largest` times 2^k is at most 127."""
    if largest == 0:
        return 0
    k = 6 - math.frexp(largest)[1]
    return k + 1 if math.ldexp(largest, k + 1) <= LARGEST else k


def _spikes(graph: GraphProto) -> None:
    from onnx import TensorProto, helper, numpy_helper

    binary = _binary_values(graph)
    types = {info.name: info for info in (*graph.value_info, *graph.input, *graph.output)}
    added: dict[str, tuple[NodeProto, NodeProto]] = {}
    nodes: list[NodeProto] = []
    for node in graph.node:
        for slot in (0, 1) if node.op_type == "MatMul" else (0,):
            name = node.input[slot] if node.op_type in PRODUCTS and len(node.input) > slot else ""
            if name not in binary:
                continue
            if name not in added:
                levels, back = f"{name}/levels", f"{name}/spikes"
                pair = (
                    helper.make_node("QuantizeLinear", [name, _SCALE, _ZERO], [levels], name=f"{name}/Quantize"),
                    helper.make_node("DequantizeLinear", [levels, _SCALE, _ZERO], [back], name=f"{name}/Dequantize"),
                )
                for made in pair:
                    _same_module(made, node)
                added[name] = pair
                nodes += pair
                if name in types:
                    for value, kind in ((levels, TensorProto.UINT8), (back, TensorProto.FLOAT)):
                        again = type(types[name]).FromString(types[name].SerializeToString())
                        again.name, again.type.tensor_type.elem_type = value, kind
                        graph.value_info.append(again)
            node.input[slot] = added[name][1].output[0]
        nodes.append(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    if added:
        graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), _SCALE))
        graph.initializer.append(numpy_helper.from_array(np.array(0, np.uint8), _ZERO))


def _binary_values(graph: GraphProto) -> set[str]:
    """Values that can hold 0 and 1 alone: comparisons cast to numbers, and what moves them."""
    flags: set[str] = set()
    binary: set[str] = set()
    for node in graph.node:
        operands = [value for value in node.input if value]
        if node.op_type in (*COMPARISONS, "Equal", "Not", "And", "Or", "Xor"):
            flags.update(node.output)
        elif node.op_type == "Cast" and operands[0] in flags:
            binary.update(node.output)
        elif (node.op_type in _KEEPS_BINARY and operands[0] in binary) or (
            node.op_type in _JOINS_BINARY and binary.issuperset(operands)
        ):
            binary.update(node.output[:1])
    return binary


def _same_module(node: NodeProto, like: NodeProto) -> None:
    from snn_energy.exporting.graph import CALL_KEY, MODULE_KEY, set_properties

    found = {entry.key: entry.value for entry in like.metadata_props if entry.key in (MODULE_KEY, CALL_KEY)}
    set_properties(node, found)
