"""How an image becomes the network's input: pixel p -> (p * scale - mean) / std, per channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snn_energy.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """Shape and normalisation of one input.

    `shape` is (channels, height, width); an 8-bit pixel p of channel c becomes (p * scale - mean[c]) / std[c]
    in float32. `mean` and `std` have one entry per channel. Errors: ValueError when a field is out of range.
    """

    shape: tuple[int, int, int]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in self.shape):
            raise ValueError(f"shape must be three integers >= 1, (C, H, W) (got {self.shape!r})")
        for name, values in (("mean", self.mean), ("std", self.std), ("scale", (self.scale,))):
            if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in values):
                raise ValueError(f"{name} must be made of numbers (got {values!r})")
            if not all(math.isfinite(v) for v in values):
                raise ValueError(f"{name} must be finite (got {values!r})")
            if name != "scale" and len(values) != self.shape[0]:
                raise ValueError(f"{name} must have one number per channel, {self.shape[0]} (got {len(values)})")
        if self.scale <= 0 or any(v <= 0 for v in self.std):
            raise ValueError(f"scale and std must be > 0 (got scale {self.scale!r}, std {self.std!r})")

    def apply(self, pixels: Tensor) -> Tensor:
        """Return the network's input, float32, for `... c h w` uint8 pixels; float input is taken as it is.

        Errors: DataError when the last three axes are not `shape`.
        """
        if tuple(pixels.shape[-3:]) != self.shape:
            raise DataError(
                f"input: expected images of shape {list(self.shape)} (got {list(pixels.shape[-3:])}); resize"
                " them or use a model made for them"
            )
        if pixels.dtype != torch.uint8:
            return pixels.to(torch.float32)
        x = pixels.to(torch.float32) * self.scale
        # A mean of 0 and a std of 1 are skipped: the shipped network's inputs stay exact multiples of 1/256.
        if any(self.mean):
            x -= torch.tensor(self.mean, dtype=torch.float32)[:, None, None]
        if any(s != 1 for s in self.std):
            x /= torch.tensor(self.std, dtype=torch.float32)[:, None, None]
        return x

    def to_plain(self) -> dict[str, Any]:
        """Return the fields as a dict of plain types, for a checkpoint."""
        return {
            "shape": list(self.shape),
            "scale": self.scale,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> InputSpec:
        """Return the spec written by `to_plain`. Errors: ValueError that names the field."""
        for name in ("shape", "mean", "std"):
            if not isinstance(plain.get(name), list | tuple):
                raise ValueError(f"{name} must be a list (got {plain.get(name)!r})")
        if unknown := sorted(set(plain) - {"shape", "scale", "mean", "std"}):
            raise ValueError(f"unknown field {unknown[0]!r}")
        return cls(
            shape=tuple(plain["shape"]),
            scale=plain.get("scale", math.nan),
            mean=tuple(plain["mean"]),
            std=tuple(plain["std"]),
        )


def unit_pixels(channels: int, height: int, width: int) -> InputSpec:
    """Return the spec of the shipped networks: p / 256, an exact binary fraction in [0, 1)."""
    return InputSpec(shape=(channels, height, width), scale=1 / 256, mean=(0.0,) * channels, std=(1.0,) * channels)
