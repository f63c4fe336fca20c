"""Networks whose energy can be worked out by hand: no weight matters, one bias decides how often all neurons fire.

A spiking CNN of one block (two channels, 8x8 pixels, ten classes, T = 2) with zero weights: the current of every neuron
is the bias of its channel, the class is that of the head's largest bias. Data are the digits: 4-bit pixels, integers to
the tracer.
"""

from __future__ import annotations

import torch

from snn_energy.models import build, save_checkpoint
from snn_energy.models.inputs import unit_pixels
from snn_energy.training.datasets import load_named

AC, ADD, MUL, COMPARE = 0.9, 0.9, 3.7, 0.9
STEPS, NEURONS, POOLED, CLASSES = 2, 2 * 8 * 8, 2 * 4 * 4, 10


def lamp(path, bias, answer):
    """Write a checkpoint whose neurons have the current `bias` and whose class is always `answer`."""
    model = build("spiking-cnn", in_channels=1, classes=10, image_size=8, widths=(2,), time_steps=STEPS, folded=True)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.blocks[0].conv.bias.fill_(bias)
        model.head.bias[answer] = 1.0
    classes = load_named("digits", "test").classes
    return save_checkpoint(path, model, input=unit_pixels(1, 8, 8), classes=classes, dataset="digits", training={})


def pixel_units(samples):
    """Accumulates of the first convolution: levels of all pixels times the outputs they reach, over the samples."""
    images = load_named("digits", "test").images[:samples].to(torch.int64)[:, 0]
    unit = torch.gcd(images.flatten()[0], images.flatten()[0])
    for value in images.unique():
        unit = torch.gcd(unit, value)
    reach = torch.tensor([2, 3, 3, 3, 3, 3, 3, 2])  # places of a 3-wide kernel on 8 pixels, padded by one
    return int((images // unit * reach[:, None] * reach).sum()) * 2


def energy(samples, fired, steps=STEPS, ac=AC, add=ADD):
    """pJ per inference, `fired` of `steps` time steps; the convolution runs once, its sum serves all steps."""
    stem = pixel_units(samples) / samples * ac + NEURONS * add
    neurons = NEURONS * steps * (ADD + MUL + COMPARE)
    pool = POOLED * steps * 3 * COMPARE
    head = fired * POOLED * CLASSES * AC + CLASSES * steps * ADD
    return stem + neurons + pool + head + mean(steps)


def mean(steps):
    return CLASSES * (steps - 1) * ADD + CLASSES * MUL


def right(samples, answer):
    """How many of the samples are of class `answer`."""
    return int((load_named("digits", "test").labels[:samples] == answer).sum())
