"""A small network with lively neurons, and real digits to run it on."""

from __future__ import annotations

import torch
from torch import nn

from snn_energy.models import LIF, SpikingCNN
from snn_energy.models.inputs import unit_pixels
from snn_energy.training import load_images

SPEC = unit_pixels(1, 8, 8)


def lively_cnn() -> SpikingCNN:
    """Untrained, but its weights are large enough for every layer to spike."""
    torch.manual_seed(0)
    model = SpikingCNN(1, 10, 8, widths=(4, 6), time_steps=3, folded=True).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


def digits(samples=24, batch_size=10):
    images = load_images("digits", limit=samples)
    return lambda: images.batches(batch_size, SPEC)


class Frames(nn.Module):
    """Takes [T, N, 8, 8] or, with `batch_first`, [N, T, 8, 8]; returns scores for each time step."""

    def __init__(self, batch_first=False):
        super().__init__()
        torch.manual_seed(1)
        self.batch_first = batch_first
        self.hidden, self.neuron, self.out = nn.Linear(64, 12), LIF(), nn.Linear(12, 5)
        with torch.no_grad():
            self.hidden.weight.mul_(3)

    def forward(self, x):
        if self.batch_first:
            x = x.transpose(0, 1)
        y = self.out(self.neuron(self.hidden(x.flatten(2))))
        return y.transpose(0, 1) if self.batch_first else y
