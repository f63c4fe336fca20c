"""One torch module for each node of a NIR graph, and the shape of what it puts out.

Shapes are those of one sample at one time step, as NIR has them: [features] or [channels, ...].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snn_energy.errors import DataError
from snn_energy.nirgraph import neurons
from snn_energy.nirgraph.conventions import Convention
from snn_energy.nirgraph.records import NirNode

Shape = tuple[int, ...]

RESET_KEY, POOL_KEY = "snn_energy.reset", "snn_energy.max_pool"
"""Metadata of a node that our files say what NIR cannot with: a reset of another kind; sums that are a maximum."""

CONSTANT_KEYS = {name: f"snn_energy.{name}" for name in ("decay", "gain", "decay_syn", "gain_syn", "subtract")}
"""Metadata of a node that hold a neuron's constants as its network had them, free of rounding; `subtract` is the
threshold that a reset subtracts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a node is built: its name and file for errors, how time runs, whether it is called step by step."""

    name: str
    where: str
    convention: Convention
    dt: float
    stepped: bool
    shortened: bool = False
    """Of a delay: the edge into it takes one time step of it already."""
    own_time: bool = True
    """False where the caller reads the file with another time step than it says: its exact constants do not hold."""

    def refuse(self, node: NirNode, what: str) -> DataError:
        """The error that names this node."""
        return DataError(f"{self.where}: node {self.name} ({node.kind}): {what}")


class SumPool2d(nn.Module):
    """The sum over each window: `n c h w -> n c h' w'`."""

    def __init__(self, kernel: Any, stride: Any, padding: Any) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return nn.functional.avg_pool2d(x, self.kernel_size, self.stride, self.padding, divisor_override=1)


class Scale(nn.Module):
    """Each element times its own constant."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """`b ... -> b ...`."""
        return x * self.scale


class Delay(nn.Module):
    """Hand on what came `steps` time steps ago (one number, or one for each element); zero before that.

    Shapes as in `neurons.NirNeuron`: `t n ... -> t n ...`, or one step with a state.
    """

    def __init__(self, steps: Tensor, *, stepped: bool, shortened: bool = False) -> None:
        super().__init__()
        self.shortened = shortened
        self.steps: Tensor
        self.register_buffer("steps", steps)
        self.stepped, self.longest = stepped, int(steps.max())

    def forward(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> Any:
        """See the class."""
        if self.stepped:
            past = (*(state or (torch.zeros_like(x),) * self.longest), x)
            return self._late(torch.stack(past))[-1], past[1:]
        return self._late(x)

    def ann_counterpart(self) -> nn.Module:
        """At the one time step of an ANN nothing is late."""
        return _HandOn(self.stepped)

    def _late(self, x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for k in sorted(set(self.steps.flatten().tolist())):
            if k < len(x):
                late = torch.cat((torch.zeros_like(x[:k]), x[: len(x) - k]))
                out = torch.where(self.steps == k, late, out)
        return out


class _HandOn(nn.Module):
    def __init__(self, stepped: bool) -> None:
        super().__init__()
        self.stepped = stepped

    def forward(self, x: Tensor, state: Any = None) -> Any:
        return (x, state) if self.stepped else x


def build(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    """The module of a node that gets `shape`, and the shape it puts out. Errors: DataError."""
    return _BUILDERS[node.kind](node, shape, site)


def input_rank(node: NirNode) -> int | None:
    """Axes that a node's input must have, where its kind tells."""
    return {"Affine": 1, "Linear": 1, "Conv1d": 2, "Conv2d": 3}.get(node.kind)


def _linear(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    weight = node.array("weight")
    if weight.ndim != 2:
        raise site.refuse(
            node, f"its weight has {weight.ndim} axes (expected [out, in]); write one node for each matrix"
        )
    outs, ins = weight.shape
    if shape != (ins,):
        flat = prod(shape) == ins and len(shape) > 1
        raise site.refuse(
            node,
            f"its weight {list(weight.shape)} takes [{ins}] (got {list(shape)}); "
            + ("put a Flatten before it" if flat else "check the edges into it"),
        )
    bias = node.array("bias", 0.0).reshape(-1)
    if bias.size not in (1, outs):
        raise site.refuse(node, f"bias must have {outs} entries (got {bias.size})")
    layer = nn.Linear(ins, outs, bias=bool(bias.any()), device="meta")
    return _filled(layer, weight, bias), (outs,)


def _conv(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    weight, axes = node.array("weight"), int(node.kind[-2])
    groups = _whole(node, "groups", site, 1)[0]
    if weight.ndim != axes + 2:
        raise site.refuse(node, f"weight must have {axes + 2} axes (got shape {list(weight.shape)})")
    outs, ins, *kernel = weight.shape
    if len(shape) != axes + 1 or shape[0] != ins * groups:
        raise site.refuse(
            node,
            f"its weight {list(weight.shape)} in {groups} groups takes {ins * groups} channels, {axes} axes more "
            f"(got {list(shape)}); check the edges into it",
        )
    stated = node.fields.get("input_shape")
    if stated is not None and tuple(np.atleast_1d(stated).tolist()) != shape[1:]:
        raise site.refuse(node, f"input_shape says {np.atleast_1d(stated).tolist()} (got {list(shape[1:])})")
    stride, dilation = (_whole(node, key, site, axes) for key in ("stride", "dilation"))
    padding = node.fields["padding"]
    if isinstance(padding, str) and padding not in ("same", "valid"):
        raise site.refuse(node, f"padding must be 'same', 'valid' or numbers (got {padding!r})")
    if isinstance(padding, str) and padding == "same" and set(stride) != {1}:
        raise site.refuse(node, f"padding 'same' needs stride 1 (got {list(stride)}); give the padding as numbers")
    padded: Any = padding if isinstance(padding, str) else _whole(node, "padding", site, axes, least=0)
    bias = node.array("bias").reshape(-1)
    if bias.size not in (1, outs):
        raise site.refuse(node, f"bias must have {outs} entries (got {bias.size})")
    kinds: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}
    layer = kinds[axes](
        ins * groups, outs, tuple(kernel), stride=stride, padding=padded, dilation=dilation, groups=groups,
        bias=bool(bias.any()), device="meta",
    )  # fmt: skip
    layer = _filled(layer, weight, bias)
    return layer, _ran(layer, shape, node, site)


def _pool(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    kernel: Any = _whole(node, "kernel_size", site, 2)
    stride: Any = _whole(node, "stride", site, 2)
    padding: Any = _whole(node, "padding", site, 2, least=0)
    if len(shape) != 3:
        raise site.refuse(node, f"it takes [channels, height, width] (got {list(shape)})")
    layer: nn.Module
    if node.kind == "AvgPool2d":
        layer = nn.AvgPool2d(kernel, stride, padding)
    elif node.metadata.get(POOL_KEY):
        layer = nn.MaxPool2d(kernel, stride, padding)
    else:
        layer = SumPool2d(kernel, stride, padding)
    return layer, _ran(layer, shape, node, site)


def _flatten(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    start, end = (int(node.array(key)) for key in ("start_dim", "end_dim"))
    rank = len(shape)
    first, last = (k + rank if k < 0 else k for k in (start, end))
    if not 0 <= first <= last < rank:
        raise site.refuse(node, f"it flattens axes {start} to {end}, counted without the batch (got {list(shape)})")
    merged = (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])
    return nn.Flatten(first + 1, last + 1), merged


def _scale(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    scale = _fitted(node, "scale", shape, site)
    return Scale(torch.from_numpy(np.array(scale, dtype=np.float32))), shape


def _delay(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    steps = _fitted(node, "delay", shape, site).astype(np.float64) / site.dt
    whole = np.asarray(np.rint(steps))
    if (whole < 0).any() or not np.allclose(steps, whole, rtol=1e-4, atol=1e-6):
        raise site.refuse(
            node, f"delays must be whole time steps of {site.dt:g} (got {float(steps.flat[0]):g} steps); give --dt"
        )
    left = np.array(whole, dtype=np.int64) - int(site.shortened)
    return Delay(torch.from_numpy(np.asarray(left)), stepped=site.stepped, shortened=site.shortened), shape


def _threshold(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    if node.metadata.get(POOL_KEY):  # of the sums of a max pooling of spikes, which is done already
        return nn.Identity(), shape
    threshold = _constant(_fitted(node, "threshold", shape, site))
    return neurons.NirThreshold({"threshold": threshold}, stepped=site.stepped), shape


_CLASSES: Mapping[str, type[neurons.NirNeuron]] = {
    "I": neurons.NirI,
    "LI": neurons.NirLI,
    "CubaLI": neurons.NirCubaLI,
    "IF": neurons.NirIF,
    "LIF": neurons.NirLIF,
    "CubaLIF": neurons.NirCubaLIF,
}


def _neuron(node: NirNode, shape: Shape, site: Site) -> tuple[nn.Module, Shape]:
    how, dt = site.convention, site.dt

    def read(name: str, default: float | None = None) -> np.ndarray:
        return _fitted(node, name, shape, site, default)

    for name in ("tau", "tau_mem", "tau_syn"):
        if name in node.fields and (read(name) <= 0).any():
            raise site.refuse(node, f"{name} must be above 0 (got {float(read(name).min()):g})")
        if name in node.fields and not how.exponential and (read(name) < dt * (1 - 1e-6)).any():
            raise site.refuse(
                node,
                f"{name} is {float(read(name).min()):g}, shorter than the time step {dt:g}; give the --dt that the "
                "file was written with",
            )
    found: dict[str, np.ndarray] = {}
    tau = "tau_mem" if node.kind.startswith("Cuba") else "tau"
    if tau in node.fields:
        found["decay"] = how.decay(read(tau), dt)
        found["gain"] = how.gain(read(tau), read("r"), dt)
        found["rest"] = read("v_leak")
        found["offset"] = (1 - found["decay"].astype(np.float64)) * read("v_leak")
    else:
        found["decay"] = np.ones(())
        found["gain"] = how.gain_without_leak(read("r"), dt)
        found["rest"] = read("v_reset", 0.0)
    if node.kind.startswith("Cuba"):
        found["decay_syn"] = how.decay(read("tau_syn"), dt)
        found["gain_syn"] = how.gain(read("tau_syn"), read("w_in", 1.0), dt)
    if "v_threshold" in node.fields:
        found["threshold"], found["v_reset"] = read("v_threshold"), read("v_reset", 0.0)
    constants: dict[str, neurons.Constant] = {name: _constant(value) for name, value in found.items()}
    if site.own_time:
        constants |= {name: _said(node, key, site) for name, key in CONSTANT_KEYS.items() if key in node.metadata}
    for name in ("offset", "rest"):
        if isinstance(constants.get(name), float) and constants[name] == 0:
            del constants[name]
    module = _CLASSES[node.kind](
        constants,
        fires_at=how.fires_at,
        reset=node.metadata.get(RESET_KEY, how.reset),
        stepped=site.stepped,
    )
    return module, shape


_BUILDERS: Mapping[str, Callable[[NirNode, Shape, Site], tuple[nn.Module, Shape]]] = {
    "Affine": _linear,
    "Linear": _linear,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "AvgPool2d": _pool,
    "SumPool2d": _pool,
    "Flatten": _flatten,
    "Scale": _scale,
    "Delay": _delay,
    "Threshold": _threshold,
    **dict.fromkeys(_CLASSES, _neuron),
}


def _filled(layer: Any, weight: np.ndarray, bias: np.ndarray) -> Any:
    layer.weight = nn.Parameter(torch.from_numpy(np.array(weight, dtype=np.float32)), requires_grad=False)
    if layer.bias is not None:
        full = np.array(np.broadcast_to(bias, (weight.shape[0],)), dtype=np.float32)
        layer.bias = nn.Parameter(torch.from_numpy(full), requires_grad=False)
    return layer


def _ran(layer: nn.Module, shape: Shape, node: NirNode, site: Site) -> Shape:
    """The shape that comes out, found by torch on tensors without data."""
    try:
        out = layer.to("meta")(torch.empty(1, *shape, device="meta")) if not list(layer.parameters()) else (
            torch.func.functional_call(
                layer,
                {name: torch.empty_like(value, device="meta") for name, value in layer.named_parameters()},
                torch.empty(1, *shape, device="meta"),
            )
        )  # fmt: skip
    except (RuntimeError, ValueError) as problem:
        raise site.refuse(node, f"it does not fit an input {list(shape)}: {str(problem).splitlines()[0]}") from None
    if 0 in out.shape:
        raise site.refuse(node, f"nothing is left of an input {list(shape)}: it is smaller than the kernel")
    return tuple(out.shape[1:])


def _whole(node: NirNode, key: str, site: Site, count: int, least: int = 1) -> tuple[int, ...]:
    """Whole numbers, one for each axis; one number stands for all axes."""
    values = np.atleast_1d(node.array(key)).reshape(-1)
    whole = tuple(int(value) for value in values)
    if not np.array_equal(values, whole) or len(whole) not in (1, count) or min(whole) < least:
        raise site.refuse(node, f"{key} must be {count} whole numbers >= {least} (got {values.tolist()})")
    return whole * count if len(whole) == 1 else whole


def _fitted(node: NirNode, name: str, shape: Shape, site: Site, default: float | None = None) -> np.ndarray:
    """A parameter in floating point: one number, or one for each neuron of the layer."""
    value = node.array(name, default)
    if value.dtype.kind != "f":
        value = value.astype(np.float32)
    if value.size == 1:
        return value.reshape(())
    if value.shape != shape:
        raise site.refuse(
            node,
            f"{name} has shape {list(value.shape)} (expected {list(shape)}, the layer's, or one number); check the "
            "edges into it",
        )
    return value


def _said(node: NirNode, key: str, site: Site) -> float:
    try:
        return float(node.metadata[key])
    except ValueError:
        got = node.metadata[key]
        raise site.refuse(node, f"its metadata {key} is damaged (got {got!r}); export it again") from None


def _constant(value: np.ndarray) -> neurons.Constant:
    """A float where all elements agree, else a tensor in single precision."""
    low, high = value.min(), value.max()
    return float(np.float32(low)) if low == high else torch.from_numpy(np.array(value, dtype=np.float32))
