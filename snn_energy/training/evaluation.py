"""Accuracy: how many samples the largest logit gets right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from snn_energy.errors import DataError
from snn_energy.models.inputs import InputSpec
from snn_energy.training.imageset import ImageSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Samples classified correctly, out of how many."""

    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """Share of correct samples, 0 to 1."""
        return self.correct / self.total


def evaluate(
    model: nn.Module,
    images: ImageSet,
    spec: InputSpec,
    batch_size: int = 250,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run `model` in eval mode over all `images` and count the correct ones; the model's mode is restored.

    The images go to the device that the model's first parameter is on. `progress` is called with (samples done,
    samples in all). Errors: DataError when the images have no labels.
    """
    if images.labels is None:
        raise DataError(f"{images.source}: accuracy needs labels (got none); give class folders or labels")
    training = model.training
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    correct = done = 0
    try:
        with torch.no_grad():
            for x, labels in images.batches(batch_size, spec):
                assert labels is not None
                correct += int((model(x.to(device)).argmax(1).cpu() == labels).sum())
                done += len(labels)
                if progress is not None:
                    progress(done, len(images))
    finally:
        model.train(training)
    return Evaluation(correct=correct, total=done)
