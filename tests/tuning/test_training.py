"""The energy term at work: a small network on the digits needs less energy and knows them as well."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

import snn_energy as se
from snn_energy.models import build
from snn_energy.models.inputs import unit_pixels
from snn_energy.training.datasets import load_named
from snn_energy.training.evaluation import evaluate
from snn_energy.tuning import EnergyTerm


def trained(epochs=25, **options):
    """(correct test images of 360, energy per inference in microjoules on them) after training with the term."""
    train, test = load_named("digits", "train"), load_named("digits", "test")
    spec = unit_pixels(*(int(n) for n in train.images.shape[1:]))
    torch.manual_seed(0)
    model = build("spiking-cnn", in_channels=1, classes=10, image_size=8, widths=(16, 32), time_steps=2)
    term = EnergyTerm("horowitz-45nm-fp32", **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 + math.cos(math.pi * epoch / epochs))
        with term.watching(model.train()):
            for chosen in torch.randperm(len(train)).split(64):
                logits = model(spec.apply(train.images[chosen]))
                loss = functional.cross_entropy(logits, train.labels[chosen]) + term.loss(len(chosen))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    report = se.profile(model.eval(), spec.apply(test.images))
    return evaluate(model, test, spec).correct, report.energy_per_inference_pj / 1e6


@pytest.mark.slow
def test_less_energy_at_the_same_accuracy():
    correct, energy = trained(weight=0.0)
    lighter_correct, lighter = trained(weight=0.1)
    aimed_correct, aimed = trained(target_uj=0.075)
    assert correct >= 330
    assert min(lighter_correct, aimed_correct) >= correct - 11  # 3 % of 360
    assert lighter < 0.9 * energy
    assert aimed < 0.075 < energy
