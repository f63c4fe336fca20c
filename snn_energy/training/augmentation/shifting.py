"""Random shifts over black, and mirror images."""

from __future__ import annotations

import torch
from torch import Tensor


def shift_and_flip(pixels: Tensor, generator: torch.Generator, shift: int, flip: bool) -> Tensor:
    """Return `n c h w` pixels, each image shifted by up to `shift` pixels each way over black; same dtype.

    With `flip`, half of the images (by chance) are mirrored left to right. Equal to padding by `shift` and cutting
    the old size out at random. The random numbers, `2 n 1` offsets and then `n 1` coins, are those that the shipped
    networks were trained with: their order is part of the recipe.
    """
    n, channels, height, width = pixels.shape
    place = generator.device
    padded = torch.nn.functional.pad(pixels, (shift,) * 4)
    offsets = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=generator, device=place)
    rows = offsets[0] + torch.arange(height, device=place)
    columns = offsets[1] + torch.arange(width, device=place)
    if flip:
        mirrored = torch.randint(0, 2, (n, 1), generator=generator, device=place, dtype=torch.bool)
        columns = torch.where(mirrored, columns.flip(1), columns)
    places = (rows[:, :, None] * padded.shape[-1] + columns[:, None, :]).to(pixels.device)
    moved = gathered(padded.flatten(2), places.view(n, 1, -1))
    if channels == 1:
        # The strides of one channel decide how convolutions round; the shipped networks were trained with these.
        return moved.view(n, height, width, 1).movedim(-1, 1)
    return moved.view(n, channels, height, width)


def gathered(flat: Tensor, places: Tensor) -> Tensor:
    """Return `n c q`, the pixels of `n c p` at `places`, `n 1 q`, the same in every channel."""
    return flat.gather(2, places.expand(-1, flat.shape[1], -1))
