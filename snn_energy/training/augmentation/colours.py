"""Changes of colour and contrast, each image by its own amount, as Pillow computes them.

Every function takes uint8 `n c h w` pixels with 1 or 3 channels. The enhancements (`PIL.ImageEnhance`) blend the image
with a duller one: 0 gives the dull image, 1 the image itself, more than 1 goes beyond it.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 256
# ITU-R 601-2 luma in 1/65,536, as Pillow converts RGB to grey.
LUMA = (19595, 38470, 7471)
LUMA_BITS = 16
# The kernel of PIL.ImageFilter.SMOOTH: ones around a five.
SMOOTH_MIDDLE, SMOOTH_SUM = 5, 13


def _blend(dull: Tensor, pixels: Tensor, factors: Tensor) -> Tensor:
    """dull + factor (pixels - dull), clipped to 0..255 and cut, not rounded, to integers."""
    base = dull.to(torch.float32)
    mixed = base + factors.to(torch.float32)[:, None, None, None] * (pixels - base)
    return mixed.clamp(0, LEVELS - 1).to(torch.uint8)


def grey(pixels: Tensor) -> Tensor:
    """Return the luma, uint8 `n 1 h w`."""
    if pixels.shape[1] == 1:
        return pixels
    red, green, blue = (pixels[:, i].to(torch.int32) * weight for i, weight in enumerate(LUMA))
    return ((red + green + blue + (1 << (LUMA_BITS - 1))) >> LUMA_BITS).to(torch.uint8).unsqueeze(1)


def brightness(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with black."""
    return _blend(torch.zeros_like(pixels), pixels, factors)


def colour(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the grey image (saturation); grey images stay as they are."""
    return pixels if pixels.shape[1] == 1 else _blend(grey(pixels), pixels, factors)


def contrast(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the mean luma, rounded."""
    luma = grey(pixels).flatten(1)
    mean = (2 * luma.sum(1, dtype=torch.int64) + luma.shape[1]) // (2 * luma.shape[1])
    return _blend(mean.to(torch.uint8)[:, None, None, None], pixels, factors)


def sharpness(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the image smoothed over 3 x 3 pixels; the border is not smoothed."""
    if min(pixels.shape[-2:]) < 3:
        return pixels
    levels = pixels.to(torch.int16)
    rows = levels[:, :, :-2] + levels[:, :, 1:-1] + levels[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + (SMOOTH_MIDDLE - 1) * levels[:, :, 1:-1, 1:-1]
    smooth = pixels.clone()
    smooth[:, :, 1:-1, 1:-1] = ((sums + SMOOTH_SUM // 2) // SMOOTH_SUM).to(torch.uint8)
    return _blend(smooth, pixels, factors)


def posterize(pixels: Tensor, dropped_bits: Tensor) -> Tensor:
    """Clear the lowest bits of every pixel."""
    kept = (LEVELS - (1 << dropped_bits.round().to(torch.int64))).to(torch.uint8)
    return pixels & kept[:, None, None, None]


def solarize(pixels: Tensor, depth: Tensor) -> Tensor:
    """Invert the pixels at or above 256 - `depth`."""
    threshold = (LEVELS - depth)[:, None, None, None]
    return torch.where(pixels < threshold, pixels, ~pixels)


def invert(pixels: Tensor) -> Tensor:
    """255 - p."""
    return ~pixels


def autocontrast(pixels: Tensor) -> Tensor:
    """Stretch each channel so that its darkest pixel becomes 0 and its lightest 255; a flat one stays."""
    low, high = pixels.amin((2, 3), keepdim=True), pixels.amax((2, 3), keepdim=True)
    # In double precision and in this order, so that every product is cut to the same integer as in Pillow; a number
    # divided by a tensor would be multiplied by its reciprocal.
    span = (high - low).clamp_min(1).to(torch.float64)
    scale = torch.full_like(span, LEVELS - 1) / span
    stretched = (pixels * scale - low * scale).clamp(0, LEVELS - 1).to(torch.uint8)
    return torch.where(high > low, stretched, pixels)


def equalize(pixels: Tensor) -> Tensor:
    """Spread the levels of each channel so that they become about equally frequent (`PIL.ImageOps.equalize`)."""
    n, channels, height, width = pixels.shape
    flat = pixels.reshape(n * channels, -1).to(torch.int64)
    counts = torch.zeros(n * channels, LEVELS, dtype=torch.int64, device=pixels.device)
    counts.scatter_add_(1, flat, torch.ones_like(flat))
    # The lightest level is left out of the total: all above the last step would become white otherwise.
    lightest = counts.gather(1, flat.amax(1, keepdim=True))
    step = (flat.shape[1] - lightest) // (LEVELS - 1)
    below = counts.cumsum(1) - counts
    table = ((below + step // 2) // step.clamp_min(1)).clamp_max(LEVELS - 1)
    spread = table.gather(1, flat).to(torch.uint8).view(n, channels, height, width)
    return torch.where((step > 0).view(n, channels, 1, 1), spread, pixels)
