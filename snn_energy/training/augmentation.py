"""Random shifts and mirror images of a batch of pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def augment(pixels: Tensor, generator: torch.Generator, shift: int, flip: bool) -> Tensor:
    """Return `n c h w` pixels, each image shifted by up to `shift` pixels each way over black; same dtype.

    With `flip`, half of the images (by chance) are mirrored left to right.
    """
    n, _, height, width = pixels.shape
    padded = torch.nn.functional.pad(pixels, (shift,) * 4)
    offsets = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=generator)
    rows = offsets[0] + torch.arange(height)
    columns = offsets[1] + torch.arange(width)
    if flip:
        mirrored = torch.randint(0, 2, (n, 1), generator=generator, dtype=torch.bool)
        columns = torch.where(mirrored, columns.flip(1), columns)
    sample = torch.arange(n)[:, None, None]
    moved = padded.movedim(1, -1)[sample, rows[:, :, None], columns[:, None, :]]
    return moved.movedim(-1, 1).contiguous()
