"""Latency coding against SpikingJelly's encoder, wherever that encodes a value that is not zero."""

from __future__ import annotations

import pytest
import torch

from snn_energy.inputs import latency, latency_log

pytestmark = pytest.mark.peer


@pytest.mark.parametrize(("name", "ours"), [("linear", latency), ("log", latency_log)])
@pytest.mark.parametrize("steps", [2, 5, 20])
def test_latency(name, ours, steps):
    encoding = pytest.importorskip("spikingjelly.activation_based.encoding")
    pixels = torch.arange(1, 256).view(1, -1) / 255
    encoder = encoding.LatencyEncoder(steps, enc_function=name)
    theirs = torch.stack([encoder(pixels) for _ in range(steps)])
    assert torch.equal(ours(pixels, steps), theirs)
