"""Leaf modules whose one operator is known before it runs: counted from the hook, without the dispatch mode.

A module gets here only if its exact class is in the table and nothing can stand between its input and its operator:
no hooks of its own, no parametrisation, plain parameters. It is charged by the same rows as the operator would be;
what is saved is the way through Python for every operator below (the mode costs more than the counting does).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.dispatch import is_foreign
from snn_energy.counting.ops import COUNTED, PRODUCTS, Call
from snn_energy.counting.ops.registry import After
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.tags import Origin, Tag

Finish = Callable[[Tensor | None], None]
"""Takes the module's output, or None after an exception."""
Shortcut = Callable[[Recorder, nn.Module, Tensor], After | None]
"""Looks at the input; returns what to do with the output, or None if dispatch must count the module."""


def shortcut(recorder: Recorder, module: nn.Module, args: tuple[Any, ...]) -> Finish | None:
    """Count a leaf module from its input; returns what to do with its output, or None if dispatch must count it."""
    row = SHORTCUTS.get(type(module))
    if row is None or len(args) != 1 or not isinstance(args[0], Tensor):
        return None
    if module._forward_pre_hooks or module._forward_hooks or "forward" in module.__dict__:
        return None
    x = args[0]
    if torch.is_autocast_enabled(x.device.type):
        return None
    if type(x) is not Tensor or x.is_nested or x.is_meta or is_foreign(x) or recorder.origin(x) is not Origin.DATA:
        return None
    after = row(recorder, module, x)
    if after is None:
        return None
    tag = recorder.tag(x) if recorder.behaviour.running else None
    past = None if tag is None else tag.past

    def finish(out: Tensor | None) -> None:
        if out is not None:
            recorder.mark(out, Tag(recorder.token, Origin.DATA, past=past))
            after(out)

    return finish


def _convolution(recorder: Recorder, module: nn.Module, x: Tensor) -> After | None:
    assert isinstance(module, nn.modules.conv._ConvNd)
    weight, bias = module.weight, module.bias
    plain = module.padding_mode == "zeros" and not isinstance(module.padding, str)
    if not plain or x.dim() != weight.dim() or recorder.origin(weight) is not Origin.WEIGHT:
        return None
    args = (x, weight, bias, module.stride, module.padding, module.dilation, False, (0,), module.groups)
    return PRODUCTS["convolution"].row(recorder, Call("convolution", args, {}, (x, weight), None))


def _batch_norm(recorder: Recorder, module: nn.Module, x: Tensor) -> After | None:
    assert isinstance(module, nn.modules.batchnorm._BatchNorm)
    if module.running_mean is None or module.training:
        return None
    return _counted(recorder, "native_batch_norm", (x,))


def _max_pool(recorder: Recorder, module: nn.Module, x: Tensor) -> After | None:
    assert isinstance(module, nn.modules.pooling._MaxPoolNd)
    if module.return_indices:
        return None
    name = {nn.MaxPool2d: "max_pool2d_with_indices", nn.MaxPool3d: "max_pool3d_with_indices"}[type(module)]
    return _counted(recorder, name, (x, module.kernel_size))


def _counted(recorder: Recorder, name: str, args: tuple[Any, ...]) -> After:
    """Charge the operator `name` of these arguments, the first of which is the input, when its result is there."""
    return lambda out: COUNTED[name](recorder, Call(name, args, {}, args[:1], out))


SHORTCUTS: dict[type[nn.Module], Shortcut] = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm),
    **dict.fromkeys((nn.MaxPool2d, nn.MaxPool3d), _max_pool),
}
