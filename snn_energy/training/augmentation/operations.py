"""The operations of AutoAugment and RandAugment, with their ranges, and how a batch is dealt out among them.

A strength of 0 leaves the image as it is, 1 is the end of the range in Table 6 of Cubuk et al., "AutoAugment: Learning
Augmentation Strategies from Data", CVPR 2019 (arXiv:1805.09501).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from snn_energy.training.augmentation import colours, geometry

Change = Callable[[Tensor, Tensor, int], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row: `change(pixels, amounts, fill)`, the `amount` at strength 1, and whether its sign is drawn."""

    change: Change
    amount: float = 0.0
    signed: bool = False


def _enhance(change: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    """Factors from 0.1 to 1.9: 1 + amount."""
    return Operation(change=lambda pixels, amounts, _: change(pixels, 1 + amounts), amount=0.9, signed=True)


def _move(change: Change, amount: float) -> Operation:
    return Operation(change=change, amount=amount, signed=True)


def _tone(change: Callable[[Tensor, Tensor], Tensor], amount: float) -> Operation:
    return Operation(change=lambda pixels, amounts, _: change(pixels, amounts), amount=amount)


def _fixed(change: Callable[[Tensor], Tensor]) -> Operation:
    return Operation(change=lambda pixels, _, __: change(pixels))


# Translations were found on images 331 pixels wide: 150 of them at most.
TRANSLATION = 150 / 331

OPERATIONS: dict[str, Operation] = {
    "shear_x": _move(geometry.shear_x, 0.3),
    "shear_y": _move(geometry.shear_y, 0.3),
    "translate_x": _move(geometry.translate_x, TRANSLATION),
    "translate_y": _move(geometry.translate_y, TRANSLATION),
    "rotate": _move(geometry.rotate, 30),
    "brightness": _enhance(colours.brightness),
    "colour": _enhance(colours.colour),
    "contrast": _enhance(colours.contrast),
    "sharpness": _enhance(colours.sharpness),
    "posterize": _tone(colours.posterize, 4),
    "solarize": _tone(colours.solarize, colours.LEVELS),
    "autocontrast": _fixed(colours.autocontrast),
    "equalize": _fixed(colours.equalize),
    "invert": _fixed(colours.invert),
}
NAMES = tuple(OPERATIONS)
NOTHING = -1
"""Number of the operation that leaves an image as it is."""


def number(name: str) -> int:
    """Place of an operation in the table."""
    return NAMES.index(name)


def apply_each(pixels: Tensor, chosen: Tensor, strengths: Tensor, fill: int) -> Tensor:
    """Return `n c h w` uint8: to each image the operation `chosen`, int64 `n`, at its strength, float64 `n`.

    The images that drew the same operation are changed together. The sign of `strengths` is ignored by operations
    that have none.
    """
    changed = pixels.clone()
    for row in sorted(set(chosen.tolist())):
        if row == NOTHING:
            continue
        operation = OPERATIONS[NAMES[row]]
        places = (chosen == row).nonzero().squeeze(1)
        amounts = operation.amount * (strengths[places] if operation.signed else strengths[places].abs())
        places = places.to(pixels.device)
        changed[places] = operation.change(pixels[places], amounts.to(pixels.device), fill)
    return changed
