"""A random part of each image, resized to the whole; and cutout, a square taken away."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ASPECT_RATIOS = (3 / 4, 4 / 3)
TRIES = 10


def random_resized_crop(pixels: Tensor, generator: torch.Generator, share: tuple[float, float]) -> Tensor:
    """Return uint8 `n c h w`: of each image a random part, resized to the whole with bilinear interpolation.

    The part has from `share[0]` to `share[1]` of the area, and a width of 3/4 to 4/3 of its height, drawn evenly in
    the logarithm; of ten draws the first that fits is taken, else the whole image. Source: Szegedy et al., "Going
    Deeper with Convolutions", CVPR 2015, section 6.
    """
    n, _, height, width = pixels.shape
    place = generator.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand((n, TRIES), generator=generator, device=place, dtype=torch.float64) * (high - low) + low

    area = uniform(*share) * (height * width)
    ratio = uniform(*(math.log(limit) for limit in ASPECT_RATIOS)).exp()
    corner = torch.rand((n, 2), generator=generator, device=place, dtype=torch.float64)
    columns, rows = (area * ratio).sqrt().round().clamp_min(1), (area / ratio).sqrt().round().clamp_min(1)
    fits = (columns <= width) & (rows <= height)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    some = fits.any(1)
    rows = torch.where(some, rows.gather(1, first).squeeze(1), float(height))
    columns = torch.where(some, columns.gather(1, first).squeeze(1), float(width))
    top = (corner[:, 0] * (height - rows + 1)).floor()
    left = (corner[:, 1] * (width - columns + 1)).floor()
    return resized_parts(pixels, top, left, rows, columns)


def resized_parts(pixels: Tensor, top: Tensor, left: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return uint8 `n c h w`: the part of each image with these corners and sizes, `n` each, enlarged to the whole.

    Rounded after the columns and again after the rows, as Pillow does.
    """
    height, width = pixels.shape[-2:]
    across = _between(pixels.to(torch.float32), left, columns, width)
    return _between(across.mT, top, rows, height).mT.to(torch.uint8).contiguous()


def _between(values: Tensor, start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return `n c h size`: the pixels from `start` to `start + length` of the last axis, interpolated and rounded.

    By taking neighbours, not as a matrix product: autocast and the like would cut its precision.
    """
    middle = (torch.arange(size, device=start.device) + 0.5) * (length / size)[:, None] - 0.5
    source = start[:, None] + middle.clamp_min(0).minimum(length[:, None] - 1)
    before = source.floor()
    after = (before + 1).minimum((start + length - 1)[:, None])

    def taken(places: Tensor) -> Tensor:
        return values.gather(3, places.to(values.device, torch.int64)[:, None, None].expand(*values.shape[:3], -1))

    share = (source - before).to(values)[:, None, None]
    first = taken(before)
    return (first + (taken(after) - first) * share + 0.5).floor()


def cutout(pixels: Tensor, generator: torch.Generator, side: int, fill: int) -> Tensor:
    """Return uint8 `n c h w`: in each image a square of `side` pixels, around a random pixel, set to `fill`.

    The square may reach over the border. Source: DeVries and Taylor, "Improved Regularization of Convolutional Neural
    Networks with Cutout", arXiv:1708.04552.
    """
    n, _, height, width = pixels.shape

    def inside(size: int) -> Tensor:
        middle = torch.randint(0, size, (n, 1), generator=generator, device=generator.device)
        from_start = torch.arange(size, device=generator.device) - (middle - side // 2)
        return (from_start >= 0) & (from_start < side)

    rows, columns = inside(height), inside(width)
    square = (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
    return pixels.masked_fill(square.to(pixels.device), fill)
