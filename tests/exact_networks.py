"""The six networks with numbers whose sums are exact, so that no law hangs on how a sum was rounded.

Weights are small multiples of 1/4 (about a third are zero), biases likewise, inputs are integers or multiples of 1/256:
every current and membrane is a short binary fraction. `short` networks stay within the 8 bits of a bfloat16 as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from networks import SpikingDecoder
from torch import Tensor, nn
from torch.nn.utils import prune

from snn_energy.models import SEWResNet, SpikingRecurrent, SpikingTransformer, SpikingVGG

INPUTS = ("binary", "integer", "real")


@dataclass(frozen=True)
class Plan:
    """How one network is built and what it is shown."""

    build: Callable[..., nn.Module]
    arguments: dict[str, Any]
    channels: str
    """Name of the argument that holds the number of input channels; of a list, its first item."""
    frame: tuple[int, ...]
    """Shape of one sample at one time step."""
    steps: int = 3
    time_first: bool = False
    """True if the data always have a time axis; images and latents may be shown at every step."""
    variants: tuple[dict[str, Any], ...] = ({"reset": "hard"}, {"reset": "soft"})
    """Further arguments; the seed chooses."""


_IMAGE = {"in_channels": 2, "classes": 3, "image_size": 8, "time_steps": 3, "folded": True}

PLANS = {
    "vgg": Plan(SpikingVGG, _IMAGE | {"stages": ((4,), (5, 5), (6,))}, "in_channels", (2, 8, 8)),
    "sew-resnet": Plan(
        SEWResNet,
        _IMAGE | {"image_size": 4, "stages": ((4, 2), (5, 1))},
        "in_channels",
        (2, 4, 4),
        variants=({"reset": "hard"}, {"reset": "soft"}, {"join": "AND"}, {"join": "IAND"}),
    ),
    "spiking-transformer": Plan(
        SpikingTransformer,
        _IMAGE
        | {
            "image_size": 4,
            "dim": 8,
            "depth": 1,
            "heads": 2,
            "mlp_ratio": 2,
            "patch_widths": (),
            "patch_pools": 1,
            "scale": 0.5,
        },
        "in_channels",
        (2, 4, 4),
    ),
    # Without a leak the membranes stay multiples of the weights' step for all of the 100 time steps.
    "recurrent": Plan(
        SpikingRecurrent,
        {"inputs": 10, "classes": 3, "widths": (6, 5), "decay": 1.0, "readout_decay": 1.0},
        "inputs",
        (10,),
        steps=100,
        time_first=True,
        variants=({"reset": "hard"}, {"neuron": "alif", "adaptation_decay": 0.5}, {"reset": "soft"}),
    ),
    "decoder": Plan(
        SpikingDecoder,
        {"widths": (4, 5, 4), "time_steps": 3, "folded": True},
        "widths",
        (4, 3, 3),
        variants=({},),
    ),
    "pruned": Plan(SpikingVGG, _IMAGE | {"stages": ((4,), (5, 5), (6,))}, "in_channels", (2, 8, 8)),
}


def fill(parameter: Tensor, rng: torch.Generator) -> None:
    """Multiples of 1/4 in place; positive ones prevail, so that something fires in every layer."""
    values = torch.randint(0, 3, parameter.shape, generator=rng).float()
    if parameter.dim() > 1:
        values = torch.tensor([-1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0])[
            torch.randint(0, 7, parameter.shape, generator=rng)
        ]
    with torch.no_grad():
        parameter.copy_(values / 4)


def weights_of(model: nn.Module) -> dict[str, nn.Module]:
    """Convolutions and linear layers by path, in order of definition."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    return {path: module for path, module in model.named_modules() if isinstance(module, kinds)}


def exact(name: str, seed: int, *, extra: int = 0, extra_weight: float = 1.0, **more: Any) -> nn.Module:
    """Build network `name` from a seed, in eval mode; `more` goes to the constructor.

    `extra` further input channels meet weights of `extra_weight` (times -1, 0 or 1) and change no other weight.
    """
    plan = PLANS[name]
    arguments = plan.arguments | plan.variants[seed % len(plan.variants)] | more
    if extra:
        own = arguments[plan.channels]
        arguments[plan.channels] = own + extra if isinstance(own, int) else (own[0] + extra, *own[1:])
    model = plan.build(**arguments)
    rng, other = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
    first = next(iter(weights_of(model).values()))
    axis = 0 if isinstance(first, nn.ConvTranspose2d) else 1
    for parameter in model.parameters():
        kept = parameter
        if extra and parameter is first.weight:
            kept, added = parameter.data.split([parameter.shape[axis] - extra, extra], axis)
            added.copy_(extra_weight * torch.randint(-1, 2, added.shape, generator=other))
        fill(kept, rng)
    if name == "pruned":
        _prune(model, extra=extra, extra_weight=extra_weight)
    return model.eval()


def _prune(model: nn.Module, extra: int, extra_weight: float) -> None:
    """By masks drawn once: unstructured everywhere, and one channel of every other convolution."""
    rng = torch.Generator().manual_seed(99)
    for i, layer in enumerate(weights_of(model).values()):
        shape = list(layer.weight.shape)
        if i == 0:
            shape[1] -= extra
        mask = (torch.rand(shape, generator=rng) < 0.7).float()
        if i % 2:
            mask[0] = 0
        if i == 0 and extra:
            mask = torch.cat([mask, torch.ones(shape[0], extra, *shape[2:])], 1)
        prune.custom_from_mask(layer, "weight", mask)


def data(name: str, n: int, kind: str, seed: int, rate: float = 0.4, dtype: torch.dtype = torch.float32) -> Tensor:
    """n samples: `n c h w` to be shown at every step, or `t n c` for the recurrent network."""
    plan = PLANS[name]
    shape = (plan.steps, n, *plan.frame) if plan.time_first else (n, *plan.frame)
    rng = torch.Generator().manual_seed(seed)
    values = {
        "binary": torch.ones(shape),
        "integer": torch.randint(1, 4, shape, generator=rng).float(),
        "real": torch.randint(1, 257, shape, generator=rng).float() / 256,
    }[kind]
    return ((torch.rand(shape, generator=rng) < rate) * values).to(dtype)


def batch_axis(name: str) -> int:
    """Axis of the samples in what `data` gives."""
    return int(PLANS[name].time_first)
