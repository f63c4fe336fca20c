"""Training recipes: everything that decides the weights, in one frozen record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one network is trained.

    SGD with Nesterov momentum; the learning rate rises linearly over `warmup_epochs` and then falls along a
    half cosine to zero. Weight decay acts on convolution and linear weights alone. `augment` shifts each
    training image by up to `shift_pixels` each way; `flip` mirrors half of them. With `snap_bits` the batch
    norms are then folded and the weights snapped to that many bits (see `models.snapping`), after
    `snap_epochs` of further training with straight-through rounding at `snap_learning_rate`. Errors:
    UsageError that names the field out of range.
    """

    dataset: str
    model: str = "spiking-cnn"
    model_args: Mapping[str, Any] = field(default_factory=dict)
    time_steps: int = 4
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    warmup_epochs: float = 1.0
    augment: bool = True
    shift_pixels: int = 2
    flip: bool = False
    snap_bits: int | None = 8
    snap_epochs: int = 1
    snap_learning_rate: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, most, kind) in _RANGES.items():
            value = getattr(self, name)
            if name == "snap_bits" and value is None:
                continue
            numeric = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
            if not numeric or not least <= value <= most:
                word = "an integer" if kind is int else "a number"
                upper = f" to {most:g}" if math.isfinite(most) else ""
                raise UsageError(f"recipe: {name} must be {word} from {least:g}{upper} (got {value!r})")

    @property
    def total_epochs(self) -> int:
        """Epochs of both phases: `epochs`, then `snap_epochs` when the weights are to be snapped."""
        return self.epochs + (self.snap_epochs if self.snap_bits is not None else 0)

    def to_plain(self) -> dict[str, Any]:
        """Return the fields as a dict of plain types."""
        return asdict(self)


_RANGES: dict[str, tuple[float, float, type]] = {
    "time_steps": (1, math.inf, int),
    "epochs": (1, math.inf, int),
    "batch_size": (2, math.inf, int),
    "learning_rate": (0, math.inf, float),
    "momentum": (0, 1, float),
    "weight_decay": (0, math.inf, float),
    "label_smoothing": (0, 1, float),
    "warmup_epochs": (0, math.inf, float),
    "shift_pixels": (0, math.inf, int),
    "snap_bits": (2, 8, int),
    "snap_epochs": (0, math.inf, int),
    "snap_learning_rate": (0, math.inf, float),
    "seed": (0, 2**31 - 1, int),
}

RECIPES: dict[str, Recipe] = {
    # The shipped network snn_energy/models/pretrained/fashion-cnn.pt.
    "fashion-cnn": Recipe(
        dataset="fashion-mnist",
        model_args={"widths": [16, 32, 64, 128]},
        epochs=18,
        snap_epochs=2,
        label_smoothing=0.05,
    ),
    # Seconds instead of minutes, and no data to fetch.
    "digits-cnn": Recipe(
        dataset="digits",
        model_args={"widths": [16, 32]},
        epochs=15,
        batch_size=64,
        shift_pixels=1,
        snap_epochs=2,
    ),
}


def find_recipe(name: str) -> Recipe:
    """Return the recipe called `name`; UsageError with a suggestion when there is none."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]


def learning_rate_at(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of optimizer step `step` (from 0) over both phases."""
    first_phase = recipe.epochs * steps_per_epoch
    if step >= first_phase:
        share = (step - first_phase) / max(1, recipe.snap_epochs * steps_per_epoch)
        return recipe.snap_learning_rate * 0.5 * (1 + math.cos(math.pi * share))
    warmup = min(recipe.warmup_epochs * steps_per_epoch, first_phase)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / math.ceil(warmup)
    share = (step - warmup) / max(1.0, first_phase - warmup)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
