"""The digits of the UCI repository, 8 x 8, that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from snn_energy.training.datasets.places import EMBEDDED
from snn_energy.training.imageset import ImageSet

TEST_SAMPLES = 360


def load_digits(split: str, _: Path | None) -> ImageSet:
    """Levels 0..16 stored as 0..240, uint8 `n 1 8 8`; the last 360 of 1,797 are the test."""
    with np.load(EMBEDDED / "digits" / "digits.npz", allow_pickle=False) as arrays:
        images, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
    cut = len(images) - TEST_SAMPLES
    part = slice(cut, None) if split == "test" else slice(None, cut)
    return ImageSet(
        images=images[part].unsqueeze(1),
        labels=labels[part].long(),
        classes=tuple("0123456789"),
        name="digits",
        split=split,
        source=f"digits ({split} split)",
    )
