"""From a recipe and its data to the network to be trained and the form of its input."""

from __future__ import annotations

import torch
from torch import nn

from snn_energy.errors import UsageError
from snn_energy.models.folding import foldable
from snn_energy.models.inputs import InputSpec, unit_pixels
from snn_energy.models.registry import build
from snn_energy.training.imageset import ImageSet
from snn_energy.training.recipe import Recipe


def input_spec(recipe: Recipe, data: ImageSet) -> InputSpec:
    """Return how the pixels of `data` enter the network: (p/255 - mean) / std, or p/256 without a mean.

    Errors: UsageError when the recipe's mean has not one number for each channel of the data.
    """
    channels, height, width = (int(n) for n in data.images.shape[1:])
    if not recipe.mean:
        return unit_pixels(channels, height, width)
    if len(recipe.mean) != channels:
        raise UsageError(
            f"recipe: mean and std must have one number per channel of {recipe.dataset}, {channels} (got"
            f" {len(recipe.mean)})"
        )
    white = torch.iinfo(torch.uint8).max
    return InputSpec(shape=(channels, height, width), scale=1 / white, mean=tuple(recipe.mean), std=tuple(recipe.std))


def new_network(recipe: Recipe, data: ImageSet) -> nn.Module:
    """Return the recipe's network for the samples and classes of `data`, its weights drawn by the recipe's seed.

    Errors: UsageError for a network or arguments that do not exist, or when weights are to be snapped and the network
    has no batch norms to fold.
    """
    channels, height, width = (int(n) for n in data.images.shape[1:])
    if height != width:
        raise UsageError(f"{recipe.dataset}: the reference network takes square images (got {height} x {width})")
    fixed = {"in_channels": channels, "classes": len(data.classes), "image_size": height}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, **fixed, **recipe.model_args, time_steps=recipe.time_steps)
    if recipe.snap_bits is not None and not foldable(model):
        raise UsageError(
            f"recipe: snap_bits snaps a network once its batch norms are folded, and {recipe.model} has none (got"
            f" snap_bits = {recipe.snap_bits}); set snap_bits = 0"
        )
    return model
