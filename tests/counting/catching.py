"""What a network's layers are fed and fire, caught from outside by plain hooks, without any of our counting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import brute
import torch
from exact_networks import weights_of
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snn_energy.models import ALIFCell, SpikingNeuron


def oracle(module: nn.Module, x: Tensor) -> brute.Tally:
    """One call of a convolution or linear layer."""
    operand, weight = x.tolist(), module.weight.tolist()
    if isinstance(module, nn.Linear):
        return brute.linear(operand, weight)
    geometry = {"stride": module.stride, "dilation": module.dilation, "groups": module.groups}
    if isinstance(module, nn.ConvTranspose2d):
        return brute.conv_transpose(
            operand, weight, padding=module.padding, output_padding=module.output_padding, **geometry
        )
    return brute.conv(operand, weight, padding=[(p, p) for p in module.padding], **geometry)


class Products(TorchFunctionMode):
    """Notes both factors of every `a @ b`."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ in ("matmul", "__matmul__"):
            self.seen.append((args[0].clone(), args[1].clone()))
        return func(*args, **kwargs or {})


@contextmanager
def caught(net: nn.Module) -> Iterator[tuple[dict[str, list[Tensor]], dict[str, list[Tensor]], list[Any]]]:
    """Operands of every layer with weights, spikes of every neuron, factors of every product, while it runs."""
    operands: dict[str, list[Tensor]] = {}
    spikes: dict[str, list[Tensor]] = {}
    handles = []
    for path, module in weights_of(net).items():

        def before(module: nn.Module, args: Any, path: str = path) -> None:
            operands.setdefault(path, []).append(args[0].clone())

        handles.append(module.register_forward_pre_hook(before))
    for path, module in net.named_modules():
        if isinstance(module, SpikingNeuron | ALIFCell):

            def after(module: nn.Module, args: Any, out: Any, path: str = path) -> None:
                by_step = [out[0]] if isinstance(out, tuple) else out.unbind(0)
                spikes.setdefault(path, []).extend(step.clone() for step in by_step)

            handles.append(module.register_forward_hook(after))
    with Products() as products, torch.no_grad():
        yield operands, spikes, products.seen
    for handle in handles:
        handle.remove()
