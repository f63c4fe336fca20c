"""Batch norm folded into the convolution or linear layer before it: the network as hardware runs it.

    w' = w g    b' = beta + (b - mean) g    g = gamma / sqrt(var + eps), one for each output channel

A unit that can be folded is a module with a child `norm` (a batch norm) and the weights that it follows in a child
`conv` or `linear`, with at most a max pool between them, a child `pool`; a network takes `folded=True` to be built with
those weights alone. All else of a network, residual sums, pooling and neurons, stays as it is.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from snn_energy.errors import UsageError

WEIGHTED = ("conv", "linear")
"""Names under which a unit keeps the layer that its norm follows."""

FOLDED_INTO = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
"""Layers that hold the output channels on axis 0 of their weights."""

Network = TypeVar("Network", bound=nn.Module)


def is_folded(model: nn.Module) -> bool:
    """True if `model` is a network with norms that was built without them, by `fold` or with `folded=True`."""
    return _arguments(model).get("folded") is True


def foldable(model: nn.Module) -> bool:
    """True if `fold` can fold `model`: it takes `folded`, and every batch norm that it holds follows its weights."""
    norms = _norms(model)
    return bool(norms) and _arguments(model).get("folded") is False and norms == set(_units(model))


def fold(model: Network) -> Network:
    """Return a copy in eval mode with every batch norm folded into the weights before it.

    The original is left as it is. Computed in float64 and rounded once, so the currents agree with the
    unfolded network's to rounding. Errors: UsageError when the model is folded already, has no norms, has
    one that does not follow a convolution or a linear layer, or one with a negative gain behind a max pool.
    """
    arguments = _arguments(model)
    if arguments.get("folded") is True:
        raise UsageError("fold: the model is folded already; fold a model built with folded=False")
    if not foldable(model):
        raise UsageError(f"fold: {_why_not(model)}")
    with torch.device("meta"):  # no weights are drawn, so no random numbers are used
        copy = type(model)(**{**arguments, "folded": True})
    units = _units(model)
    state = {name: value for name, value in model.state_dict().items() if name.rpartition(".")[0] not in units}
    for norm, weighted in units.items():
        state |= _merged(model, weighted, norm)
    copy.load_state_dict({name: value.detach().clone() for name, value in state.items()}, assign=True)
    return copy.eval()


def _merged(model: nn.Module, weighted: str, norm: str) -> dict[str, Tensor]:
    """Weights and bias of the layer `weighted` with `norm` folded into it, by their names in the state dict."""
    layer, after = model.get_submodule(weighted), model.get_submodule(norm)
    assert isinstance(layer, FOLDED_INTO)
    assert isinstance(after, _BatchNorm)
    assert after.running_mean is not None
    assert after.running_var is not None
    with torch.no_grad():
        gamma, beta = after.weight.double(), after.bias.double()
        mean, var = after.running_mean.double(), after.running_var.double()
        gain = gamma / torch.sqrt(var + after.eps)
        if gain.min() < 0 and _pooled(model.get_submodule(norm.rpartition(".")[0])):
            raise UsageError(
                f"fold: {norm} stands behind a max pool and has a negative gain, behind which the largest current "
                f"would be the smallest (got {gain.min().item():.3g}); keep its gain at 0 or more, or do not fold"
            )
        bias = beta - mean * gain
        if layer.bias is not None:
            bias += layer.bias.double() * gain
        weight = layer.weight.double() * gain.reshape(-1, *(1,) * (layer.weight.dim() - 1))
    dtype = layer.weight.dtype
    return {f"{weighted}.weight": weight.to(dtype), f"{weighted}.bias": bias.to(dtype)}


def _pooled(unit: nn.Module) -> bool:
    """True if `unit` pools between its weights and its norm: children stand in the order of their use."""
    children = list(unit._modules)
    return unit._modules.get("pool") is not None and children.index("pool") < children.index("norm")


def _units(model: nn.Module) -> dict[str, str]:
    """The norms that can be folded, and the layer before each: module paths."""
    units = {}
    for path, module in model.named_modules():
        norm = module._modules.get("norm")
        if not isinstance(norm, _BatchNorm) or not norm.track_running_stats or not norm.affine:
            continue
        layers = [name for name in WEIGHTED if isinstance(module._modules.get(name), FOLDED_INTO)]
        if len(layers) == 1:
            prefix = f"{path}." if path else ""
            units[f"{prefix}norm"] = prefix + layers[0]
    return units


def _norms(model: nn.Module) -> set[str]:
    return {path for path, module in model.named_modules() if isinstance(module, _BatchNorm)}


def _arguments(model: nn.Module) -> dict[str, Any]:
    """The constructor arguments of a reference network; empty for any other module."""
    constructor_args = getattr(model, "constructor_args", None)
    return dict(constructor_args()) if callable(constructor_args) else {}


def _why_not(model: nn.Module) -> str:
    kind = type(model).__name__
    if not _norms(model):
        return f"{kind} has no batch norms; use it as it is"
    if "folded" not in _arguments(model):
        return f"{kind} cannot be built without its norms: expected a constructor argument folded; use it as it is"
    stray = sorted(_norms(model) - set(_units(model)))[0]
    return (
        f"{stray} does not follow a convolution or linear layer: expected a child called {' or '.join(WEIGHTED)} beside"
        " it; give the unit one, or use the network as it is"
    )
