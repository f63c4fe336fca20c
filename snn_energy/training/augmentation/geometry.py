"""Shear, translation and rotation of pixels, each image by its own amount, as Pillow computes them.

An affine transform takes the pixel whose centre is at (x, y) from the place (a x + b y + c, d x + e y + f) of the old
image, without interpolation; what lies outside is filled. Coordinates are 16.16 fixed-point numbers, like those of
`PIL.Image.Image.transform` with `AFFINE` and `NEAREST`, so that the same pixels are chosen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snn_energy.training.augmentation.shifting import gathered

FRACTION_BITS = 16
PILLOW_DIGITS = 15
"""Decimals to which `PIL.Image.Image.rotate` rounds sine and cosine."""


def affine(pixels: Tensor, matrix: Tensor, fill: int) -> Tensor:
    """Return `n c h w` pixels, moved by `matrix`, float64 `n 6` (a, b, c, d, e, f of the module's text)."""
    n, channels, height, width = pixels.shape
    a, b, c, d, e, f = matrix.unbind(1)
    x, y = torch.arange(width, device=pixels.device), torch.arange(height, device=pixels.device)[:, None]

    def source(across: Tensor, down: Tensor, start: Tensor) -> Tensor:
        fixed = [_fixed(value)[:, None, None] for value in (start + (across + down) / 2, across, down)]
        return (fixed[0] + x * fixed[1] + y * fixed[2]) >> FRACTION_BITS

    column, row = source(a, b, c), source(d, e, f)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    places = torch.where(inside, row * width + column, 0)
    moved = gathered(pixels.flatten(2), places.view(n, 1, -1)).view(n, channels, height, width)
    return torch.where(inside[:, None], moved, fill)


def _fixed(value: Tensor) -> Tensor:
    return (value * (1 << FRACTION_BITS) + 0.5).floor().to(torch.int64)


def _matrix(values: Tensor, **entries: Tensor) -> Tensor:
    """The identity for each of `values`, but for the named entries; float64 `n 6`."""
    zero, one = torch.zeros_like(values), torch.ones_like(values)
    rows = {"a": one, "b": zero, "c": zero, "d": zero, "e": one, "f": zero} | entries
    return torch.stack(list(rows.values()), 1)


def shear_x(pixels: Tensor, values: Tensor, fill: int) -> Tensor:
    """Rows move sideways by `values` pixels for each row down."""
    return affine(pixels, _matrix(values, b=values), fill)


def shear_y(pixels: Tensor, values: Tensor, fill: int) -> Tensor:
    """Columns move up or down by `values` pixels for each column across."""
    return affine(pixels, _matrix(values, d=values), fill)


def translate_x(pixels: Tensor, values: Tensor, fill: int) -> Tensor:
    """Move sideways by `values` image widths, cut to whole pixels."""
    return affine(pixels, _matrix(values, c=(values * pixels.shape[-1]).trunc()), fill)


def translate_y(pixels: Tensor, values: Tensor, fill: int) -> Tensor:
    """Move up or down by `values` image heights, cut to whole pixels."""
    return affine(pixels, _matrix(values, f=(values * pixels.shape[-2]).trunc()), fill)


def rotate(pixels: Tensor, values: Tensor, fill: int) -> Tensor:
    """Turn by `values` degrees around the middle, anticlockwise."""
    height, width = pixels.shape[-2:]
    angle = -torch.deg2rad(values)
    cosine = angle.cos().round(decimals=PILLOW_DIGITS)
    sine = angle.sin().round(decimals=PILLOW_DIGITS)
    x, y = width / 2, height / 2
    matrix = _matrix(
        values,
        a=cosine,
        b=sine,
        c=-cosine * x - sine * y + x,
        d=-sine,
        e=cosine,
        f=sine * x - cosine * y + y,
    )
    return affine(pixels, matrix, fill)
