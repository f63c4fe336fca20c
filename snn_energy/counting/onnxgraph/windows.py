"""Geometry of ONNX convolutions and pools: explicit pads, `auto_pad`, strides, dilations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snn_energy.counting.onnxgraph.node import Node


@dataclass(frozen=True, slots=True)
class Window:
    """One entry for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    """Padding before the first element; `after` the last."""
    after: tuple[int, ...]

    @property
    def symmetric(self) -> bool:
        """True if as much is padded before as after."""
        return self.before == self.after

    @property
    def pads(self) -> list[int]:
        """As torch's `pad` takes them: the last axis first."""
        return [pad for pair in zip(self.before[::-1], self.after[::-1], strict=True) for pad in pair]


def window_of(node: Node, kernel: Sequence[int], size: Sequence[int], result: Sequence[int]) -> Window:
    """The window of a convolution or pool over axes of `size`, whose result has `result`."""
    axes = len(kernel)
    stride = tuple(node.get("strides") or [1] * axes)
    dilation = tuple(node.get("dilations") or [1] * axes)
    automatic = node.get("auto_pad", "NOTSET")
    pads = list(node.get("pads") or [0] * 2 * axes)
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        totals = [max(0, (out - 1) * s + r - n) for out, s, r, n in zip(result, stride, reach, size, strict=True)]
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        pads = less + more if automatic == "SAME_UPPER" else more + less
    elif automatic == "VALID":
        pads = [0] * 2 * axes
    return Window(tuple(kernel), stride, dilation, tuple(pads[:axes]), tuple(pads[axes:]))
