"""Modules and their dynamics as nodes of NIR: time steps back into differential equations.

    decay -> tau = dt / (1 - decay)          gain -> R = gain tau / dt          (no leak: R = gain / dt)

tau is the single-precision number near that from which the convention's reader computes the very decay, where there is
one; the decay is also written into the node's metadata, which this package reads back. A neuron that fires at >= is
written with the next lower single-precision threshold, which > meets exactly where >= met the threshold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from snn_energy.exporting.losses import Loss
from snn_energy.exporting.nirgraphs.dynamics import Dynamics, Number
from snn_energy.nirgraph.building import CONSTANT_KEYS, RESET_KEY
from snn_energy.nirgraph.conventions import Convention
from snn_energy.nirgraph.records import NirNode

Shape = tuple[int, ...]

_SEARCHED = 64
"""Neighbours of tau that are tried, in units of the last place."""


def neuron_node(
    dynamics: Dynamics, shape: Shape, where: str, how: Convention, dt: float
) -> tuple[NirNode, list[Loss], list[str]]:
    """The node of one layer of neurons of `shape`, what NIR does not carry of it, and what is rounded."""
    losses = dynamics.listed(where)
    metadata: dict[str, str] = {}
    fields: dict[str, Any] = {}
    kind, gain, decay = dynamics.kind, _full(dynamics.gain, shape), _full(dynamics.decay, shape)
    leaks = kind not in ("I", "IF")
    if leaks and (decay >= 1).any():
        losses.append(Loss("a membrane without leak in a leaky neuron", where, f"{kind} has a finite time constant"))
        decay = np.minimum(decay, _ALMOST)
    # Where the reader fixes the current's factor the whole membrane is rescaled to it, the threshold with it.
    scale = np.ones(shape)
    if not how.reads_r:
        scale = (1 - decay) / gain if leaks and not how.unit_gain else 1 / gain
    if leaks:
        fields["tau_mem" if kind.startswith("Cuba") else "tau"] = _tau(decay, how, dt)
        fields["v_leak"] = _full(dynamics.v_leak, shape) * scale
        metadata[CONSTANT_KEYS["decay"]] = _text(dynamics.decay)
    fields["r"] = np.ones(shape) if not how.reads_r else how.resistance(decay, gain) if leaks else gain / dt
    metadata[CONSTANT_KEYS["gain"]] = _text(dynamics.gain) if how.reads_r else ""
    if kind.startswith("Cuba"):
        assert dynamics.decay_syn is not None
        decay_syn, gain_syn = _full(dynamics.decay_syn, shape), _full(dynamics.gain_syn, shape)
        fields["tau_syn"] = _tau(decay_syn, how, dt)
        fields["w_in"] = how.resistance(decay_syn, gain_syn)
        metadata[CONSTANT_KEYS["decay_syn"]] = _text(dynamics.decay_syn)
        metadata[CONSTANT_KEYS["gain_syn"]] = _text(dynamics.gain_syn)
    if dynamics.threshold is None and (scale != 1).any():
        losses.append(Loss("the scale of its values", where, f"a {how.name} reader reads no R"))
    if dynamics.threshold is not None:
        threshold = (_full(dynamics.threshold, shape) * scale).astype(np.float32)
        if dynamics.fires_at != how.fires_at:
            threshold = np.nextafter(threshold, np.float32(-np.inf if dynamics.fires_at == "ge" else np.inf))
        fields["v_threshold"] = threshold
        fields["v_reset"] = _full(dynamics.v_reset, shape) * scale
        if dynamics.reset != how.reset:
            losses.append(Loss(_RESETS[dynamics.reset], where, f"a reader resets {_READERS[how.reset]}"))
            metadata[RESET_KEY] = dynamics.reset
            # A membrane that loses its threshold, not its neighbour in the number format.
            metadata[CONSTANT_KEYS["subtract"]] = _text(dynamics.threshold) if dynamics.reset == "subtract" else ""
    arrays = {key: np.ascontiguousarray(value, dtype=np.float32) for key, value in fields.items()}
    notes = []
    for key, wanted in (("tau", decay), ("tau_mem", decay), ("tau_syn", dynamics.decay_syn)):
        if key in arrays and wanted is not None:
            read, exact = how.decay(arrays[key], dt), _full(wanted, shape).astype(np.float32)
            if (read != exact).any():
                at = int(np.abs(read - exact).argmax())
                notes.append(
                    f"{where}: {key} in single precision: other readers compute a decay of {read.flat[at]:.9g} from it "
                    f"where the network has {exact.flat[at]:.9g}"
                )
    return NirNode(kind, arrays, {key: value for key, value in metadata.items() if value}), losses, notes


_ALMOST = np.nextafter(np.float32(1), np.float32(0))

_RESETS = {
    "value": "a reset to a value",
    "subtract": "a reset that subtracts the threshold",
    "none": "a membrane that a spike does not reset",
}
_READERS = {"value": "to v_reset", "subtract": "by subtracting the threshold"}


def feedback_node(weights: nn.Module | np.ndarray, shape: Shape) -> NirNode:
    """The node of a layer's weights from its own spikes."""
    if isinstance(weights, nn.Module):
        return weight_node(weights, shape)
    return NirNode("Linear", {"weight": np.diag(np.broadcast_to(weights, shape)).astype(np.float32)})


def weight_node(module: Any, shape: Shape, folded: Any = None) -> NirNode:
    """The node of a linear layer or convolution that takes `shape`; `folded` is the norm right behind it."""
    weight, bias = module.weight.detach(), None if module.bias is None else module.bias.detach()
    if folded is not None:
        weight, bias = _merged(weight, bias, folded)
    if isinstance(module, nn.Linear):
        fields: dict[str, Any] = {"weight": _array(weight)}
        return NirNode("Linear", fields) if bias is None else NirNode("Affine", fields | {"bias": _array(bias)})
    axes = weight.dim() - 2
    padding = module.padding if isinstance(module.padding, str) else _sizes(module.padding, axes)
    return NirNode(
        f"Conv{axes}d",
        {
            "input_shape": shape[1] if axes == 1 else np.array(shape[1:]),
            "weight": _array(weight),
            "stride": _sizes(module.stride, axes),
            "padding": padding,
            "dilation": _sizes(module.dilation, axes),
            "groups": int(module.groups),
            "bias": np.zeros(len(weight), dtype=np.float32) if bias is None else _array(bias),
        },
    )


def _merged(weight: torch.Tensor, bias: torch.Tensor | None, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights with a batch norm folded into them, in double precision and rounded once, as in `models.folding`."""
    gain = 1 / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = torch.zeros_like(gain)
    if norm.affine:
        gain, shift = gain * norm.weight.detach().double(), norm.bias.detach().double()
    shift = shift - norm.running_mean.double() * gain
    if bias is not None:
        shift = shift + bias.double() * gain
    scaled = weight.double() * gain.reshape(-1, *(1,) * (weight.dim() - 1))
    return scaled.to(weight.dtype), shift.to(weight.dtype)


def _tau(decay: np.ndarray, how: Convention, dt: float) -> np.ndarray:
    """The time constants from which a reader computes these decays, as nearly as single precision allows."""
    base = how.time_constant(decay, dt).astype(np.float32)
    wanted, best = decay.astype(np.float32), base.copy()
    missed = np.abs(how.decay(best, dt) - wanted)
    above = below = base
    for _ in range(_SEARCHED):
        if not missed.any():
            break
        above, below = np.nextafter(above, np.float32(np.inf)), np.nextafter(below, np.float32(0))
        for candidate in (above, below):
            off = np.abs(how.decay(candidate, dt) - wanted)
            better = off < missed
            best, missed = np.where(better, candidate, best), np.where(better, off, missed)
    return best


def _full(value: Number, shape: Shape) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    while array.ndim > len(shape) and len(array) == 1:
        array = array[0]
    return np.broadcast_to(array, shape)


def _text(value: Number | None) -> str:
    """A number that all neurons share, so that it reads back as the same float; "" where they differ."""
    return repr(float(value)) if isinstance(value, float | int) else ""


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())


def _sizes(value: Any, axes: int) -> Any:
    sizes = [value] * axes if isinstance(value, int) else list(value)
    return int(sizes[0]) if axes == 1 else np.array(sizes)
