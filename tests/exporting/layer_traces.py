"""Traces of single layers, and a matrix-vector product with spikes that a test gives."""

from __future__ import annotations

import torch
from torch import nn

import snn_energy as se


def trace_of(layer, *shape, samples=1, **options):
    """A layer, fed ones."""
    return se.trace(layer, torch.ones(samples, *shape), **options)


class Stepped(nn.Module):
    """`n t ...` spikes -> a layer at every time step, summed: what it is fed is what the test gives."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.time_steps = 0

    def forward(self, x):
        return torch.stack([self.layer(step) for step in x.unbind(1)]).sum(0)


def conv_outputs(size, kernel, stride, padding, dilation):
    """Positions of a kernel inside a padded axis, counted one by one."""
    positions, start = 0, -padding
    while start + (kernel - 1) * dilation <= size + padding - 1:
        positions += 1
        start += stride
    return positions
