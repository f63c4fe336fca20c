"""A small network that really fires."""

from __future__ import annotations

import torch

from snn_energy.models import SpikingCNN


def lively(**options):
    """A spiking CNN on 8 x 8 images with weights large enough that all its layers fire."""
    torch.manual_seed(0)
    net = SpikingCNN(1, 10, 8, widths=(4, 6), **{"time_steps": 3, **options}).eval()
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.mul_(3 if value.dim() > 1 else 1)
            if name.endswith("norm.bias"):
                value.add_(0.3)
    return net
