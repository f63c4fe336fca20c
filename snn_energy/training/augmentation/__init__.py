"""Random changes of training images, batched, in torch; every random number comes from the caller's generator."""

from __future__ import annotations

from snn_energy.training.augmentation.pipeline import Augmentation, make_augmentation
from snn_energy.training.augmentation.shifting import shift_and_flip as augment

__all__ = ["Augmentation", "augment", "make_augmentation"]
