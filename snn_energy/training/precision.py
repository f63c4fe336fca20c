"""Where a training runs and in which numbers: the device, autocast and the scale of float16 losses."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown
from snn_energy.training.recipe import Recipe

DEVICES = ("auto", "cpu", "cuda")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def find_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device that `name` means for the process `local_rank` of this machine.

    "auto" is a GPU where there is one. Errors: UsageError for another name, or when there is no GPU for this process.
    """
    if name not in DEVICES:
        raise unknown("device", name, DEVICES)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    if local_rank >= gpus:
        raise UsageError(
            f"device {name}: process {local_rank} of this machine needs a GPU of its own (got {gpus}); start fewer"
            " processes, or use the device cpu"
        )
    return torch.device("cuda", local_rank)


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[None]:
    """Return the context in which forward passes run: the recipe's precision; nothing at all for float32."""
    return torch.autocast(device.type, dtype=_DTYPES[recipe.precision], enabled=recipe.precision != "float32")


def make_scaler(recipe: Recipe, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps small float16 gradients from vanishing; for the other precisions it does nothing.

    A step whose gradients overflow is left out and the scale is halved, as `torch.amp.GradScaler` does.
    """
    return torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")
