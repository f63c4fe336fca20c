"""Random changes of training images, batched, in torch; every random number comes from the caller's generator."""

from __future__ import annotations

from snn_energy.training.augmentation.pipeline import Augmentation, make_augmentation

__all__ = ["Augmentation", "make_augmentation"]
