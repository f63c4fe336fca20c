"""Batch norm folded into the convolution before it: the network as hardware runs it."""

from __future__ import annotations

import torch
from torch import nn

from snn_energy.errors import UsageError
from snn_energy.models.spiking_cnn import SpikingCNN


def fold(model: SpikingCNN) -> SpikingCNN:
    """Return a copy in eval mode with every batch norm folded: w' = w g, b' = beta - mean g, g = gamma/sigma.

    The original is left as it is. Computed in float64 and rounded once, so the currents agree with the
    unfolded network's to float32 rounding. Errors: UsageError when the model is folded already.
    """
    if model.folded:
        raise UsageError("fold: the model is folded already; fold a model built with folded=False")
    with torch.device("meta"):  # no weights are drawn, so no random numbers are used
        copy = type(model)(**{**model.constructor_args(), "folded": True})
    state = {}
    with torch.no_grad():
        for i, block in enumerate(model.blocks):
            norm, conv = block.norm, block.conv
            assert isinstance(norm, nn.BatchNorm2d)
            assert isinstance(conv, nn.Conv2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
            bias = norm.bias.double() - norm.running_mean.double() * gain
            state[f"blocks.{i}.conv.weight"] = (conv.weight.double() * gain[:, None, None, None]).float()
            state[f"blocks.{i}.conv.bias"] = bias.float()
    state |= {f"head.{name}": value.clone() for name, value in model.head.state_dict().items()}
    copy.load_state_dict(state, assign=True)
    return copy.eval()
