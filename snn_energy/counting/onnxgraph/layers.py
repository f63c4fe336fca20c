"""ONNX operators with a layer of their own in torch: pools, norms, softmax, views."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch.nn import functional

from snn_energy.counting.onnxgraph.node import Node, NotRead, charges, replays
from snn_energy.counting.onnxgraph.windows import window_of


@replays("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
def reshaped(node: Node) -> Any:
    """The same elements in another shape, which onnxruntime has worked out."""
    return node.x.reshape(node.result.shape)


@replays("Dropout")
def dropout(node: Node) -> Any:
    """Identity outside training."""
    training = node.operand(2)
    if training is not None and bool(training.any()):
        raise NotRead("dropout in training mode")
    return node.x.reshape(node.result.shape)


@replays("Transpose")
def transposed(node: Node) -> Any:
    """Axes in another order; reversed if none is given."""
    return node.x.permute(node.get("perm") or list(range(node.x.dim()))[::-1])


@replays("Expand")
def expanded(node: Node) -> Any:
    """Broadcast to the shape that onnxruntime has worked out."""
    return node.x.expand(node.result.shape)


@replays("Pad")
def padded(node: Node) -> Any:
    """Zeros, another constant, or values of the image around it."""
    pads = node.constant(1, "pads") or []
    value = node.constant(2, "value") or [0]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}[
        node.get("mode", "constant")
    ]
    axes = node.constant(3) or list(range(node.x.dim()))
    pairs = [(0, 0)] * node.x.dim()
    for axis, first, last in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        pairs[axis] = (int(first), int(last))
    while len(pairs) > 1 and pairs[0] == (0, 0):
        pairs = pairs[1:]
    flat = [pad for pair in pairs[::-1] for pad in pair]
    if mode == "constant":
        return functional.pad(node.x, flat, value=value[0])
    return functional.pad(node.x, flat, mode=mode)


@replays("BatchNormalization")
def batch_norm(node: Node) -> Any:
    """With statistics of its own it folds into the projection before it."""
    if node.get("training_mode", 0):
        raise NotRead("batch norm in training mode")
    x, scale, bias, mean, var = node.inputs[:5]
    return functional.batch_norm(x, mean, var, scale, bias, False, 0.0, node.get("epsilon", 1e-5))


@replays("LayerNormalization")
def layer_norm(node: Node) -> Any:
    """Over all axes from `axis` on."""
    axis = node.get("axis", -1) % node.x.dim()
    shape = list(node.x.shape[axis:])
    scale, bias = (
        None if one is None else one.expand(shape).reshape(shape) for one in (node.inputs[1], node.operand(2))
    )
    return functional.layer_norm(node.x, shape, scale, bias, node.get("epsilon", 1e-5))


@replays("InstanceNormalization")
def instance_norm(node: Node) -> Any:
    """Over the spatial axes of each channel."""
    return functional.instance_norm(node.x, weight=node.inputs[1], bias=node.inputs[2], eps=node.get("epsilon", 1e-5))


@replays("GroupNormalization")
def group_norm(node: Node) -> Any:
    """Over groups of channels; before opset 21 scale and bias are given once for each group."""
    groups = node.get("num_groups")
    scale, bias = (
        one if one.numel() == node.x.shape[1] else one.repeat_interleave(node.x.shape[1] // groups)
        for one in node.inputs[1:3]
    )
    return functional.group_norm(node.x, groups, scale, bias, node.get("epsilon", 1e-5))


@charges("RMSNormalization", "MeanVarianceNormalization", "LpNormalization", "LRN")
def data_norm(node: Node) -> None:
    """Normalisation by the data, as layer norm."""
    node.by_row("native_layer_norm")


@replays("Softmax")
def softmax(node: Node) -> Any:
    """Over one axis; before opset 13 over all axes from `axis` on."""
    return _softmax(node, torch.softmax)


@replays("LogSoftmax")
def log_softmax(node: Node) -> Any:
    """The logarithm of the softmax."""
    return _softmax(node, torch.log_softmax)


def _softmax(node: Node, function: Any) -> Any:
    if node.opset >= 13:
        return function(node.x, node.get("axis", -1))
    axis = node.get("axis", 1) % node.x.dim()
    rows = prod(node.x.shape[:axis])
    return function(node.x.reshape(rows, -1), 1).reshape(node.x.shape)


_MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVG_POOLS: dict[int, Any] = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


@replays("MaxPool")
def max_pool(node: Node) -> Any:
    """Largest value of each window; padding never wins."""
    kernel = node.get("kernel_shape")
    window = window_of(node, kernel, node.x.shape[2:], node.result.shape[2:])
    x, before = node.x, window.before
    widest = any(2 * pad > k for pad, k in zip(before, kernel, strict=True))
    if not window.symmetric or widest:
        if not x.is_floating_point():
            raise NotRead("an uneven max pool of integers")
        with node.stage.unseen():
            padded = functional.pad(x, window.pads, value=float("-inf"))
        node.recorder.is_data(padded)
        x, before = padded, (0,) * len(before)
    return _MAX_POOLS[len(kernel)](
        x, tuple(kernel), window.stride, before, window.dilation, bool(node.get("ceil_mode", 0))
    )


@charges("AveragePool")
def average_pool(node: Node) -> None:
    """k - 1 additions and one multiplication for each result."""
    kernel = node.get("kernel_shape")
    node.by_row(f"avg_pool{len(kernel)}d", node.x, list(kernel))


@replays("GlobalAveragePool")
def global_average_pool(node: Node) -> Any:
    """The mean of each channel."""
    return node.x.mean(list(range(2, node.x.dim())), keepdim=True)


@replays("GlobalMaxPool")
def global_max_pool(node: Node) -> Any:
    """The largest value of each channel."""
    return node.x.amax(list(range(2, node.x.dim())), keepdim=True)


_RESIZED = {"linear": {1: (1, 2), 2: (3, 4), 3: (7, 8)}, "cubic": {1: (3, 4), 2: (15, 16)}}
"""Additions and multiplications of one interpolated value, by mode and number of axes."""


@charges("Resize", "Upsample")
def resized(node: Node) -> None:
    """Nearest moves values; linear and cubic weigh the neighbours of each result."""
    mode = node.get("mode", "nearest")
    if mode == "nearest":
        node.recorder.note("free", f"onnx::{node.op}", reason="copy: values are moved, not changed")
        return
    axes = sum(a != b for a, b in zip(node.x.shape, node.result.shape, strict=True))
    if not axes:
        node.recorder.note("free", f"onnx::{node.op}", reason="copy: values are moved, not changed")
        return
    rate = _RESIZED.get(mode, {}).get(axes)
    if rate is None:
        raise NotRead(f"{mode} interpolation over {axes} axes")
    node.charge(f"upsample_{mode}", (*rate, 0, 0))
