"""Training recipes: everything that decides the weights, in one frozen record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown
from snn_energy.training.augmentation import make_augmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one network is trained. Every field may stand in a TOML file under the same name (see `recipefile`).

    What is trained: `dataset` (a name, or a folder with train and test in it), `model` (a registered name) with
    `model_args` and `time_steps`. `mean` and `std`, one number per channel, turn a pixel p into (p/255 - mean) / std;
    without them it becomes p/256, an exact binary fraction.

    Steps: `epochs` over batches of `batch_size` samples, each cut into `accumulate` parts that pass through the network
    one after the other and whose gradients add up (batch norms see one part at a time). `optimizer` "sgd" (`momentum`;
    Nesterov's form unless `nesterov` is false) or "adamw" (`betas`). `weight_decay` acts on tensors with more than one
    axis alone. `schedule`: the learning rate rises linearly to `learning_rate` over `warmup_epochs`, then falls to
    `min_learning_rate` along a half cosine ("cosine") or a straight line ("triangle"), or stays ("constant").
    `clip_norm` bounds the norm of the whole gradient, `label_smoothing` is that of the cross entropy; 0 is off.

    `augmentation`: settings of `make_augmentation`; an empty table is none. `ema_decay` > 0 keeps an exponential moving
    average of the weights, which is then what is evaluated and saved (see `ema`).

    Numbers: `precision` "float32", "bfloat16" or "float16" (autocast; float16 scales the loss), `channels_last`
    memory, `compile` through torch.compile. They change speed and rounding. Evaluation is always in float32.

    Choice of weights: `validation` samples, drawn by the seed, are held out of the training set and evaluated every
    `evaluate_every` epochs; `keep` "best" takes the epoch that was best on them, "last" the last one. The test split is
    never used for a choice.

    With `snap_bits` (0 or None: off) the batch norms are then folded and the weights snapped to that many bits (see
    `models.snapping`), after `snap_epochs` of further training with straight-through rounding at
    `snap_learning_rate`; `snap_per_channel` gives every output channel a scale of its own. `seed` decides all random
    numbers. `saved_as` is how the checkpoint holds the weights: "float32", "float16" (rounded, and tested so) or
    "packed" (snapped weights in one byte each, exact).

    Errors: UsageError that names the field out of range.
    """

    dataset: str
    model: str = "spiking-cnn"
    model_args: Mapping[str, Any] = field(default_factory=dict)
    time_steps: int = 4
    mean: Sequence[float] = ()
    std: Sequence[float] = ()

    epochs: int = 10
    batch_size: int = 128
    accumulate: int = 1
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    betas: Sequence[float] = (0.9, 0.999)
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    min_learning_rate: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    augmentation: Mapping[str, Any] = field(default_factory=lambda: {"shift_pixels": 2})
    ema_decay: float = 0.0
    ema_warmup: bool = True

    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False

    validation: int = 0
    evaluate_every: int = 1
    keep: str = "last"

    snap_bits: int | None = 8
    snap_epochs: int = 1
    snap_learning_rate: float = 0.01
    snap_per_channel: bool = False
    saved_as: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.snap_bits == 0 and not isinstance(self.snap_bits, bool):
            object.__setattr__(self, "snap_bits", None)  # how TOML, which has no null, says it
        for name in _LISTS:
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        check({each.name: getattr(self, each.name) for each in fields(self)}, "recipe")

    @property
    def total_epochs(self) -> int:
        """Epochs of both phases: `epochs`, then `snap_epochs` when the weights are to be snapped."""
        return self.epochs + (self.snap_epochs if self.snap_bits is not None else 0)

    def to_plain(self) -> dict[str, Any]:
        """Return the fields as a dict of plain types."""
        plain = asdict(self)
        return plain | {name: list(plain[name]) for name in ("mean", "std", "betas")}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], where: str = "recipe") -> Recipe:
        """Return the recipe of `to_plain`, of a TOML file, or of a checkpoint's record; `where` is named in errors.

        Records of release 0.1 said `augment`, `shift_pixels` and `flip` for what is now the table `augmentation`.
        """
        values = dict(plain)
        if "augment" in values:
            moved = {"shift_pixels": values.pop("shift_pixels", 2), "flip": values.pop("flip", False)}
            chosen = {name: value for name, value in moved.items() if value} if values.pop("augment") else {}
            values.setdefault("augmentation", chosen)
        check(values, where)
        if "dataset" not in values:
            raise UsageError(f'{where}: dataset is missing; name the data, like dataset = "digits"')
        return cls(**values)


def check(values: Mapping[str, Any], where: str) -> None:
    """Raise UsageError, naming `where` and the field, for the first value that no recipe may have."""
    names = [each.name for each in fields(Recipe)]
    for name, value in values.items():
        if name not in names:
            raise UsageError(f"{where}: {unknown('key of a recipe', name, names)}")
        if name == "snap_bits" and (value is None or value == 0) and not isinstance(value, bool):
            continue
        expected = _misfit(name, value)
        if expected is not None:
            raise UsageError(f"{where}: {name} must be {expected} (got {value!r})")
    if len(values.get("mean", ())) != len(values.get("std", ())):
        raise UsageError(
            f"{where}: mean and std go together, one number per channel each (got {list(values.get('mean', ()))} and"
            f" {list(values.get('std', ()))})"
        )
    if values.get("keep") == "best" and not values.get("validation", 0):
        raise UsageError(
            f'{where}: keep = "best" chooses by validation samples, which are held out of the training set (got'
            " validation = 0); set validation, or keep the last weights"
        )
    if values.get("saved_as") == "packed" and values.get("snap_bits", 8) in (None, 0):
        raise UsageError(f"{where}: saved_as packed takes snapped weights (got snap_bits = 0); set snap_bits = 8")
    try:
        make_augmentation(values.get("augmentation", {}))
    except UsageError as problem:
        raise UsageError(f"{where}: {problem}") from None


def _misfit(name: str, value: object) -> str | None:
    """What the field `name` must be, where `value` is not that; else None."""
    if name in _RANGES:
        least, most, kind = _RANGES[name]
        upper = f" to {most:g}" if math.isfinite(most) else ""
        word = "an integer" if kind is int else "a number"
        return None if _within(value, least, most, kind) else f"{word} from {least:g}{upper}"
    if name in _CHOICES:
        return None if isinstance(value, str) and value in _CHOICES[name] else f"one of {', '.join(_CHOICES[name])}"
    if name in _LISTS:
        fits, expected = _LISTS[name]
        return None if isinstance(value, (list, tuple)) and fits(value) else expected
    kind, expected = _KINDS[name]
    return None if isinstance(value, kind) and value != "" else expected


def _within(value: object, least: float, most: float, kind: type) -> bool:
    numeric = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    return numeric and least <= value <= most and math.isfinite(value)  # type: ignore[operator, arg-type]


def _numbers(values: Sequence[object], least: float = -math.inf, most: float = math.inf) -> bool:
    return all(_within(value, least, most, float) for value in values)


_RANGES: dict[str, tuple[float, float, type]] = {
    "time_steps": (1, math.inf, int),
    "epochs": (1, math.inf, int),
    "batch_size": (2, math.inf, int),
    "accumulate": (1, math.inf, int),
    "learning_rate": (0, math.inf, float),
    "momentum": (0, 1, float),
    "weight_decay": (0, math.inf, float),
    "warmup_epochs": (0, math.inf, float),
    "min_learning_rate": (0, math.inf, float),
    "clip_norm": (0, math.inf, float),
    "label_smoothing": (0, 1, float),
    "ema_decay": (0, 1, float),
    "validation": (0, math.inf, int),
    "evaluate_every": (1, math.inf, int),
    "snap_bits": (2, 8, int),
    "snap_epochs": (0, math.inf, int),
    "snap_learning_rate": (0, math.inf, float),
    "seed": (0, 2**31 - 1, int),
}
_CHOICES = {
    "optimizer": ("sgd", "adamw"),
    "schedule": ("cosine", "triangle", "constant"),
    "precision": ("float32", "bfloat16", "float16"),
    "keep": ("last", "best"),
    "saved_as": ("float32", "float16", "packed"),
}
_LISTS: dict[str, tuple[Callable[[Sequence[object]], bool], str]] = {
    "mean": (_numbers, "a list of numbers, one per channel"),
    "std": (lambda values: _numbers(values, least=math.ulp(0.0)), "a list of numbers > 0, one per channel"),
    "betas": (
        lambda values: len(values) == 2 and _numbers(values, 0, math.nextafter(1, 0)),
        "two numbers from 0 to below 1",
    ),
}
_KINDS: dict[str, tuple[type, str]] = {
    "dataset": (str, "the name of a data set or a folder"),
    "model": (str, "the name of a registered network"),
    "model_args": (Mapping, "a table of the network's arguments"),
    "augmentation": (Mapping, "a table of augmentation settings"),
    "snap_per_channel": (bool, "true or false"),
    "nesterov": (bool, "true or false"),
    "ema_warmup": (bool, "true or false"),
    "channels_last": (bool, "true or false"),
    "compile": (bool, "true or false"),
}
