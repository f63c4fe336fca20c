"""AutoAugment's policy for CIFAR-10, RandAugment and colour jitter: which operations each image gets.

Random numbers are drawn for all images at once, on the generator's device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snn_energy.training.augmentation.operations import NAMES, NOTHING, OPERATIONS, apply_each, number

Step = tuple[str, float, int]
"""Operation, probability, magnitude from 0 to 9 (of no meaning to operations without one)."""

AUTOAUGMENT_TOP = 9
RANDAUGMENT_TOP = 30

# Cubuk et al., "AutoAugment", arXiv:1805.09501, Table 7: 25 sub-policies of two steps.
AUTOAUGMENT_CIFAR10: tuple[tuple[Step, Step], ...] = (
    (("invert", 0.1, 7), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("colour", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("colour", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("colour", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 3)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
    (("colour", 0.9, 9), ("equalize", 0.6, 6)),
    (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("colour", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 8), ("invert", 0.1, 3)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1)),
)

# Cubuk et al., "RandAugment", arXiv:1909.13719, section 3: 14 choices, of which one is to do nothing.
RANDAUGMENT = (NOTHING, *(number(name) for name in NAMES if name != "invert"))

JITTER = tuple(number(name) for name in ("brightness", "contrast", "colour"))


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2 * torch.randint(0, 2, shape, generator=generator, device=generator.device) - 1


def autoaugment_cifar10(pixels: Tensor, generator: torch.Generator, fill: int) -> Tensor:
    """Return uint8 `n c h w`: each image by a sub-policy of its own, each step with its probability."""
    n, place = len(pixels), generator.device
    table = AUTOAUGMENT_CIFAR10
    names = torch.tensor([[number(step[0]) for step in row] for row in table], device=place)
    odds = torch.tensor([[step[1] for step in row] for row in table], device=place)
    strengths = torch.tensor([[step[2] / AUTOAUGMENT_TOP for step in row] for row in table], dtype=torch.float64)
    drawn = torch.randint(0, len(table), (n,), generator=generator, device=place)
    taken = torch.rand((n, 2), generator=generator, device=place) < odds[drawn]
    signs = _signs((n, 2), generator)
    chosen = torch.where(taken, names[drawn], NOTHING)
    amounts = strengths.to(place)[drawn] * signs
    for step in range(2):
        pixels = apply_each(pixels, chosen[:, step], amounts[:, step], fill)
    return pixels


def randaugment(pixels: Tensor, generator: torch.Generator, fill: int, operations: int, magnitude: int) -> Tensor:
    """Return uint8 `n c h w`: to each image `operations` drawn ones in a row, all at `magnitude` of 30."""
    n, place = len(pixels), generator.device
    table = torch.tensor(RANDAUGMENT, device=place)
    for _ in range(operations):
        chosen = table[torch.randint(0, len(table), (n,), generator=generator, device=place)]
        strengths = _signs((n,), generator).to(torch.float64) * (magnitude / RANDAUGMENT_TOP)
        pixels = apply_each(pixels, chosen, strengths, fill)
    return pixels


def colour_jitter(pixels: Tensor, generator: torch.Generator, most: float) -> Tensor:
    """Return uint8 `n c h w`: brightness, contrast and colour in a random order, each by a factor in 1 +- `most`."""
    n, place = len(pixels), generator.device
    order = torch.rand((n, len(JITTER)), generator=generator, device=place).argsort(1)
    factors = torch.rand((n, len(JITTER)), generator=generator, device=place, dtype=torch.float64) * 2 - 1
    chosen = torch.tensor(JITTER, device=place)[order]
    for step in range(len(JITTER)):
        # Strengths are shares of the range that the policies use.
        strengths = factors[:, step] * most / OPERATIONS["brightness"].amount
        pixels = apply_each(pixels, chosen[:, step], strengths, 0)
    return pixels
