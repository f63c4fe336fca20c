"""What a recipe says of augmentation, and the steps it stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from snn_energy.errors import DataError, UsageError
from snn_energy.models.suggest import unknown
from snn_energy.training.augmentation.cropping import cutout, random_resized_crop
from snn_energy.training.augmentation.mixing import cutmix, mixup
from snn_energy.training.augmentation.policies import RANDAUGMENT_TOP, autoaugment_cifar10, colour_jitter, randaugment
from snn_energy.training.augmentation.shifting import shift_and_flip

POLICIES = ("autoaugment-cifar10", "randaugment")
RANDAUGMENT_DEFAULTS = {"randaugment_ops": 2, "randaugment_magnitude": 9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Random changes of training images, always in the order of the fields; the defaults change nothing.

    `shift_pixels`: shift by up to this many pixels each way, over black. `flip`: mirror half of the images.
    `random_resized_crop`: least and largest share of the area that is cut out and resized to the whole.
    `policy`: "autoaugment-cifar10", or "randaugment" with `randaugment_ops` operations (2) of
    `randaugment_magnitude` (9) out of 30. `colour_jitter`: brightness, contrast and colour by factors up to this far
    from 1. `cutout`: side in pixels of a square that is taken away. `fill`: level, 0 to 255, of what the policies and
    cutout leave empty; 128 is close to the mean of photographs, which the papers use. `mixup`, `cutmix`: the alpha of
    Beta(alpha, alpha), 0 for none; with both, each batch gets either at even odds.

    Errors: UsageError that names the field out of range.
    """

    shift_pixels: int = 0
    flip: bool = False
    random_resized_crop: tuple[float, float] | None = None
    policy: str | None = None
    randaugment_ops: int | None = None
    randaugment_magnitude: int | None = None
    colour_jitter: float = 0.0
    cutout: int = 0
    fill: int = 128
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        if self.policy is not None and self.policy not in POLICIES:
            raise unknown("augmentation policy", self.policy, POLICIES)
        if not isinstance(self.flip, bool):
            raise UsageError(f"augmentation: flip must be true or false (got {self.flip!r})")
        for name, default in RANDAUGMENT_DEFAULTS.items():
            if self.policy == "randaugment" and getattr(self, name) is None:
                object.__setattr__(self, name, default)
            elif self.policy != "randaugment" and getattr(self, name) is not None:
                raise UsageError(
                    f'augmentation: {name} belongs to policy = "randaugment" (got policy {self.policy!r}); leave it out'
                )
        for name, (least, most, whole) in _RANGES.items():
            value = getattr(self, name)
            absent = value is None and name in RANDAUGMENT_DEFAULTS
            if not absent and not _within(value, least, most, whole):
                kind = "an integer" if whole else "a number"
                upper = f" to {most:g}" if math.isfinite(most) else ""
                raise UsageError(f"augmentation: {name} must be {kind} from {least:g}{upper} (got {value!r})")
        object.__setattr__(self, "random_resized_crop", _checked_shares(self.random_resized_crop))

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the changed pixels, uint8 `n c h w` like `pixels`, which stay as they are.

        All random numbers come from `generator`; a step that is off draws none. Errors: DataError for anything but
        8-bit pixels, or for a step on colours with other than 1 or 3 channels.
        """
        self._check(pixels)
        if self.shift_pixels or self.flip:
            pixels = shift_and_flip(pixels, generator, self.shift_pixels, self.flip)
        if self.random_resized_crop is not None:
            pixels = random_resized_crop(pixels, generator, self.random_resized_crop)
        if self.policy == "autoaugment-cifar10":
            pixels = autoaugment_cifar10(pixels, generator, self.fill)
        elif self.policy == "randaugment":
            assert self.randaugment_ops is not None
            assert self.randaugment_magnitude is not None
            pixels = randaugment(pixels, generator, self.fill, self.randaugment_ops, self.randaugment_magnitude)
        if self.colour_jitter:
            pixels = colour_jitter(pixels, generator, self.colour_jitter)
        if self.cutout:
            pixels = cutout(pixels, generator, self.cutout, self.fill)
        return pixels

    @property
    def mixes(self) -> bool:
        """Whether `mix` makes soft targets."""
        return self.mixup > 0 or self.cutmix > 0

    def mix(self, x: Tensor, labels: Tensor, classes: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return network input and targets, mixed: float `n c h w`, float32 `n classes` whose rows sum to 1.

        Without mixup and cutmix, `x` and the int64 `labels` as they are, and nothing is drawn.
        """
        if not self.mixes:
            return x, labels
        cut = self.cutmix > 0
        if cut and self.mixup > 0:
            cut = bool(torch.randint(0, 2, (1,), generator=generator, device=generator.device))
        if cut:
            return cutmix(x, labels, classes, generator, self.cutmix)
        return mixup(x, labels, classes, generator, self.mixup)

    def to_plain(self) -> dict[str, Any]:
        """Return the settings as plain types, without those that are absent; `make_augmentation` takes them back."""
        plain = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    def _check(self, pixels: Tensor) -> None:
        if pixels.dtype != torch.uint8 or pixels.dim() != 4:
            raise DataError(
                f"augmentation: expected 8-bit pixels [N, C, H, W] (got {str(pixels.dtype).removeprefix('torch.')} "
                f"{list(pixels.shape)}); train without augmentation on data that are normalised already"
            )
        if (self.policy is not None or self.colour_jitter) and pixels.shape[1] not in (1, 3):
            raise DataError(
                f"augmentation: policy and colour_jitter work on 1 or 3 channels (got {pixels.shape[1]}); leave them"
                " out"
            )


def make_augmentation(settings: Mapping[str, Any]) -> Augmentation:
    """Return the augmentation of a recipe's [augmentation] table.

    Errors: UsageError that names an unknown key, or a value out of range.
    """
    known = [field.name for field in fields(Augmentation)]
    for name in settings:
        if name not in known:
            raise unknown("augmentation setting", name, known)
    return Augmentation(**settings)


def _within(value: object, least: float, most: float, whole: bool) -> bool:
    numeric = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    return numeric and least <= value <= most and math.isfinite(value)  # type: ignore[operator,arg-type]


def _checked_shares(value: object) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(_within(v, 0, 1, False) for v in value):
        raise UsageError(
            "augmentation: random_resized_crop must be two numbers from 0 to 1, the least and largest share of the"
            f" area (got {value!r})"
        )
    low, high = float(value[0]), float(value[1])
    if not 0 < low <= high:
        raise UsageError(f"augmentation: random_resized_crop must be two shares, 0 < least <= largest (got {value!r})")
    return low, high


_RANGES: dict[str, tuple[float, float, bool]] = {
    "shift_pixels": (0, math.inf, True),
    "randaugment_ops": (1, math.inf, True),
    "randaugment_magnitude": (0, RANDAUGMENT_TOP, True),
    "colour_jitter": (0, 1, False),
    "cutout": (0, math.inf, True),
    "fill": (0, 255, True),
    "mixup": (0, math.inf, False),
    "cutmix": (0, math.inf, False),
}
