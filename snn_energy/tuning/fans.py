"""Connections that leave each operand of a module that multiplies by weights: exact at borders, strides and groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_energy.counting.fanout import Axis, spatial_fan_out

Fan = Tensor | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One product of a module's input with weights: what is summed first, and what then leaves each remaining place."""

    row: str
    """What follows the module's path in the name of the trace's row."""
    operand: Tensor
    summed: tuple[int, ...]
    """Axes over which the fan-out is the same."""
    fan: Fan
    """Connections of each place that is left, broadcastable to them."""


def reaches(module: nn.Module, operand: Tensor) -> tuple[Reach, ...]:
    """The products that `module` makes of its input; () for one that this table does not know."""
    row = next((row for kind, row in _TABLE.items() if isinstance(module, kind)), None)
    return () if row is None else row(module, operand)


def known(module: nn.Module) -> bool:
    """True for a module whose products can be told from its input."""
    return isinstance(module, tuple(_TABLE))


def _linear(module: Any, x: Tensor) -> tuple[Reach, ...]:
    return (Reach(row="", operand=x, summed=tuple(range(x.dim())), fan=module.weight.shape[0]),)


def _conv(module: Any, x: Tensor) -> tuple[Reach, ...]:
    count = len(module.kernel_size)
    padding = module.padding
    if module.padding_mode != "zeros":  # copies of the image are operands like any others
        x = functional.pad(x, module._reversed_padding_repeated_twice, mode=module.padding_mode)
        padding = (0,) * count
    elif isinstance(padding, str):  # "same" or "valid": torch pads the rest at the far end, which meets zeros alone
        padding = tuple(module._reversed_padding_repeated_twice[::-1][::2])
    axes = []
    for i, size in enumerate(x.shape[-count:]):
        span = module.dilation[i] * (module.kernel_size[i] - 1) + 1
        total = 2 * padding[i]
        if isinstance(module.padding, str):
            total = span - 1 if module.padding == "same" else 0
        out = (size + total - span) // module.stride[i] + 1
        axes.append(Axis(size, out, module.kernel_size[i], module.stride[i], padding[i], module.dilation[i]))
    return (_convolved(module, x, tuple(axes)),)


def _conv_transpose(module: Any, x: Tensor) -> tuple[Reach, ...]:
    axes = []
    for i, size in enumerate(x.shape[-len(module.kernel_size) :]):
        kernel, stride, padding = module.kernel_size[i], module.stride[i], module.padding[i]
        span = module.dilation[i] * (kernel - 1) + 1
        out = (size - 1) * stride - 2 * padding + span + module.output_padding[i]
        axes.append(Axis(size, out, kernel, stride, padding, module.dilation[i], True))
    return (_convolved(module, x, tuple(axes)),)


def _convolved(module: Any, x: Tensor, axes: tuple[Axis, ...]) -> Reach:
    fan = _map(axes, module.out_channels // module.groups, x.device)
    image = 0 if isinstance(fan, int) else len(axes)
    return Reach(row="", operand=x, summed=tuple(range(x.dim() - image)), fan=fan)


@lru_cache(maxsize=256)
def _map(axes: tuple[Axis, ...], channels: int, device: torch.device) -> Fan:
    """Connections of each position, or one number where no border makes a difference; kept, as a copy takes time."""
    fan = spatial_fan_out(axes) * channels
    first = int(fan.flatten()[0])
    return first if bool((fan == first).all()) else fan.to(device, torch.float32)


def _recurrent(module: Any, x: Tensor) -> tuple[Reach, ...]:
    """The input product of the first layer, once for each direction; later ones take what the layer itself made."""
    x = x.data if isinstance(x, nn.utils.rnn.PackedSequence) else x
    ends = ("", "_reverse") if module.bidirectional else ("",)
    return tuple(
        Reach(
            row=f".weight_ih_l0{end}",
            operand=x,
            summed=tuple(range(x.dim())),
            fan=getattr(module, f"weight_ih_l0{end}").shape[0],
        )
        for end in ends
    )


_TABLE: Mapping[Any, Callable[[Any, Any], tuple[Reach, ...]]] = {
    nn.Linear: _linear,
    nn.modules.conv._ConvTransposeNd: _conv_transpose,
    nn.modules.conv._ConvNd: _conv,
    nn.RNNBase: _recurrent,
}
"""Class -> what it makes of its input. To add one: a function from module and input to `Reach`es, and a row here."""
