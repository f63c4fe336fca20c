"""ONNX operators that multiply and accumulate, as the products of torch that they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from snn_energy.counting.onnxgraph.node import Node, NotRead, charges, replays
from snn_energy.counting.onnxgraph.windows import window_of
from snn_energy.counting.tags import Origin, Tag, hang_tag


@replays("Conv")
def conv(node: Node) -> Any:
    """Convolution; unequal padding is padded on first, as zeros outside the image."""
    x, w, bias = node.x, node.inputs[1], node.operand(2)
    window = window_of(node, w.shape[2:], x.shape[2:], node.result.shape[2:])
    before = window.before
    if not window.symmetric:
        x, before = functional.pad(x, window.pads), (0,) * len(before)
    return torch.convolution(
        x, w, bias, window.stride, before, window.dilation, False, [0] * len(before), node.get("group", 1)
    )


@charges("ConvTranspose")
def conv_transpose(node: Node) -> None:
    """Transposed convolution: the padding before and the size of the result fix which taps stay inside."""
    x, w, bias = node.x, node.inputs[1], node.operand(2)
    axes = w.dim() - 2
    stride, dilation = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    full = [
        (n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(x.shape[2:], stride, dilation, w.shape[2:], strict=True)
    ]
    extra = node.get("output_padding") or [0] * axes
    pads = list(node.get("pads") or [0] * 2 * axes)
    automatic = node.get("auto_pad", "NOTSET")
    if automatic == "VALID":
        pads = [0] * 2 * axes
    elif automatic != "NOTSET" or node.get("output_shape"):
        totals = [
            max(0, whole + more - out) for whole, more, out in zip(full, extra, node.result.shape[2:], strict=True)
        ]
        # The odd one goes to the end for SAME_UPPER, to the beginning otherwise.
        pads = [total // 2 if automatic == "SAME_UPPER" else total - total // 2 for total in totals]
    before = pads[:axes]
    beyond = [out - whole + 2 * pad for out, whole, pad in zip(node.result.shape[2:], full, before, strict=True)]
    node.product_by_row("convolution", x, w, bias, stride, before, dilation, True, beyond, node.get("group", 1))


@replays("Gemm")
def gemm(node: Node) -> Any:
    """alpha * A' @ B' + beta * C."""
    a = node.x.t() if node.get("transA", 0) else node.x
    b = node.inputs[1].t() if node.get("transB", 0) else node.inputs[1]
    c, alpha, beta = node.operand(2), node.get("alpha", 1.0), node.get("beta", 1.0)
    if c is None:
        product = torch.mm(a, b)
        return product if alpha == 1 else product * alpha
    scaled = {} if alpha == 1 else {"alpha": alpha}
    scaled |= {} if beta == 1 else {"beta": beta}
    return torch.addmm(c, a, b, **scaled)


@replays("MatMul")
def matmul(node: Node) -> Any:
    """Matrix product with broadcasting."""
    return torch.matmul(node.x, node.inputs[1])


@replays("Einsum")
def einsum(node: Node) -> Any:
    """Einstein sum."""
    return torch.einsum(node.get("equation"), *node.inputs)


@replays("Attention")
def attention(node: Node) -> Any:
    """Scaled dot-product attention: its two products and the softmax between them."""
    past = any(node.operand(position) is not None for position in (4, 5, 6))
    if past or node.get("softcap", 0.0) or len([r for r in node.results if r is not None]) > 1:
        raise NotRead("attention with a cache, a soft cap or its scores as a result")
    q, k, v, mask = (node.operand(position) for position in range(4))
    flat = q.dim() == 3
    if flat:
        heads, shared = node.get("q_num_heads"), node.get("kv_num_heads")
        q = q.unflatten(-1, (heads, -1)).transpose(1, 2)
        k, v = (one.unflatten(-1, (shared, -1)).transpose(1, 2) for one in (k, v))
    out = functional.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        is_causal=bool(node.get("is_causal", 0)),
        scale=node.get("scale"),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    return out.transpose(1, 2).flatten(2) if flat else out


# -- integers ---------------------------------------------------------------------------------------------------------


def _centred(node: Node, x: Tensor, zero: Tensor | None, *, axis: int = 0) -> Tensor:
    """x less its zero point, in integers, with what is known of x: a stored zero point is a zero operand."""
    if zero is not None and bool((zero != 0).any()):
        with node.stage.unseen():
            shape = [1] * x.dim()
            if zero.numel() > 1:
                shape[axis] = -1
            wide = x.to(torch.int16) - zero.to(torch.int16).reshape(shape if zero.numel() > 1 else [])
            narrow = wide.to(torch.int8)
            moved = narrow if torch.equal(narrow.to(torch.int16), wide) else wide
    elif x.dtype is torch.int8:
        return x
    else:
        return x
    tag = node.recorder.tag(x)
    hang_tag(moved, Tag(node.recorder.token, node.recorder.origin(x), names=() if tag is None else tag.names))
    return moved


def _operand(node: Node, x: Tensor, zero: Tensor | None) -> Tensor:
    """The data operand, wide enough that its magnitudes fit."""
    centred = _centred(node, x, zero)
    if centred.dtype is not torch.int8:
        return centred
    with node.stage.unseen():
        wide = centred.to(torch.int16)
    hang_tag(wide, Tag(node.recorder.token, node.recorder.origin(x)))
    return wide


def _stored_bits(node: Node, bits: int) -> None:
    """Operands count with the bits they are stored in, not with those we look at them in."""
    tag = node.recorder.tag(node.result)
    projection = node.recorder.projection_before(tag)
    if projection is not None:
        projection.operand_bits = bits


def _requantised(node: Node, zero: Tensor | None) -> None:
    """Scale, round, shift by the zero point if there is one, clip at both ends."""
    shift = int(zero is not None and bool((zero != 0).any()))
    node.charge("requantise", (shift, 1, 3, 0))


def _convolve(node: Node, x: Tensor, w: Tensor, bias: Tensor | None) -> None:
    window = window_of(node, w.shape[2:], x.shape[2:], node.result.shape[2:])
    before = window.before
    if not window.symmetric:
        pairs = tuple(zip(window.before, window.after, strict=True))
        x, before = functional.pad(x, window.pads), (0,) * len(before)
        hang_tag(x, Tag(node.recorder.token, Origin.DATA, padding=pairs))
    none = [0] * len(before)
    node.product_by_row(
        "convolution", x, w, bias, window.stride, before, window.dilation, False, none, node.get("group", 1)
    )


@charges("ConvInteger")
def conv_integer(node: Node) -> None:
    """Convolution of integers: x, w and their zero points."""
    x, w = _operand(node, node.x, node.operand(2)), _centred(node, node.inputs[1], node.operand(3))
    _convolve(node, x, w, None)
    _stored_bits(node, node.x.element_size() * 8)


@charges("QLinearConv")
def qlinear_conv(node: Node) -> None:
    """Convolution of integers, scaled back: x, its scale and zero point, w likewise, the result's, the bias."""
    x, w = _operand(node, node.x, node.operand(2)), _centred(node, node.inputs[3], node.operand(5))
    _convolve(node, x, w, node.operand(8))
    _stored_bits(node, node.x.element_size() * 8)
    _requantised(node, node.operand(7))


@charges("MatMulInteger")
def matmul_integer(node: Node) -> None:
    """Matrix product of integers: a, b and their zero points."""
    a, b = _operand(node, node.x, node.operand(2)), _centred(node, node.inputs[1], node.operand(3), axis=-1)
    _multiply(node, a, b)
    _stored_bits(node, node.x.element_size() * 8)


@charges("QLinearMatMul")
def qlinear_matmul(node: Node) -> None:
    """Matrix product of integers, scaled back: a, its scale and zero point, b likewise, the result's."""
    a, b = _operand(node, node.x, node.operand(2)), _centred(node, node.inputs[3], node.operand(5), axis=-1)
    _multiply(node, a, b)
    _stored_bits(node, node.x.element_size() * 8)
    _requantised(node, node.operand(7))


def _multiply(node: Node, a: Tensor, b: Tensor) -> None:
    """A product of any rank by the rows of `mm` and `bmm`."""
    if b.dim() == 2:
        node.product_by_row("mm", _tagged(node, a, a.reshape(-1, a.shape[-1])), b)
        return
    if a.dim() < 2:
        raise NotRead(f"operands of {a.dim()} and {b.dim()} axes")
    lead = node.result.shape[:-2]
    left, right = (one.expand(*lead, *one.shape[-2:]).reshape(-1, *one.shape[-2:]) for one in (a, b))
    node.product_by_row("bmm", _tagged(node, a, left), _tagged(node, b, right))


def _tagged(node: Node, source: Tensor, moved: Tensor) -> Tensor:
    """`moved` with the origin of `source`, whatever the dispatch mode made of it."""
    tag = node.recorder.tag(source)
    names = () if tag is None else tag.names
    if node.recorder.origin(source) is not Origin.WEIGHT or node.recorder.tag(moved) is None:
        hang_tag(moved, Tag(node.recorder.token, node.recorder.origin(source), names=names))
    return moved
