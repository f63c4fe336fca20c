"""The six networks that laws and benchmarks are held on, small for laws and realistic for benchmarks.

`NETWORKS[name](size, stepped)` builds (model in eval mode, input). Images and latents are `n c h w`; the events of the
recurrent network are `t n c` (see `BATCH_AXIS`). Every neuron layer fires at between 2 % and 60 % (a test asserts it):
batch norms take over the statistics of the input, and the recurrent network's weights are scaled to its events.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from snn_energy.models import SEWResNet, SpikingRecurrent, SpikingTransformer, SpikingVGG
from snn_energy.models.clock import Clock, run
from snn_energy.models.units import ConvUnit, Style

SIZES = ("small", "bench")


class Builder(Protocol):
    """Builds (model, input) of one network."""

    def __call__(self, size: str = "small", stepped: bool = False) -> tuple[nn.Module, Tensor]: ...


class SpikingDecoder(nn.Module):
    """Latents to images: ConvTranspose2d(3, stride 2, output_padding 1) - batch norm - LIF units, then a convolution.

    Shapes: latents `n c h w` (shown at every step) or frames `t n c h w` -> images `n 3 h' w'`, the mean over time.
    """

    def __init__(self, widths: Sequence[int], time_steps: int = 4, *, folded: bool = False, stepped: bool = False):
        super().__init__()
        style = Style(folded=folded, stepped=stepped)
        self.units = nn.ModuleList(
            ConvUnit(
                nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1, bias=folded),
                nn.Identity() if folded else nn.BatchNorm2d(b),
                style.neuron(),
            )
            for a, b in pairwise(widths)
        )
        self.head = nn.Conv2d(widths[-1], 3, 3, padding=1)
        self.time_steps, self.stepped = time_steps, stepped

    def images(self, x: Tensor, clock: Clock) -> Tensor:
        for unit in self.units:
            x = unit(x, clock)
        return self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        frames = x if x.dim() == 5 else x.expand(self.time_steps, *x.shape)
        return run(self.images, frames, stepped=self.stepped).mean(0)


def settle(model: nn.Module, x: Tensor) -> nn.Module:
    """Give every batch norm the statistics of `x`, so that currents are normal and layers fire; eval mode."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def _like(folded: nn.Module, stepped: nn.Module) -> nn.Module:
    """The stepped network with the weights and statistics of the folded one."""
    stepped.load_state_dict(folded.state_dict())
    return stepped.eval()


def _settled(build: type[nn.Module], arguments: dict[str, object], x: Tensor, stepped: bool) -> nn.Module:
    # Settled with time folded: one step at a time, batch norms would see the last step alone.
    model = settle(build(**arguments), x)
    return _like(model, build(**arguments, stepped=True)) if stepped else model


_CIFAR = {"in_channels": 3, "classes": 10, "image_size": 32, "time_steps": 4}
_TINY = {"in_channels": 2, "classes": 3, "image_size": 8, "time_steps": 3}


def _images(size: str) -> tuple[dict[str, object], Tensor]:
    torch.manual_seed(0)
    return (dict(_CIFAR), torch.rand(16, 3, 32, 32)) if size == "bench" else (dict(_TINY), torch.rand(3, 2, 8, 8))


def vgg(size: str = "small", stepped: bool = False) -> tuple[nn.Module, Tensor]:
    """VGG-11, or three stages of a few channels."""
    arguments, x = _images(size)
    if size == "small":
        arguments["stages"] = ((4,), (6, 6), (8,))
    return _settled(SpikingVGG, arguments, x, stepped), x


def sew_resnet(size: str = "small", stepped: bool = False) -> tuple[nn.Module, Tensor]:
    """SEW-ResNet-18 with ADD, or three blocks of a few channels."""
    arguments, x = _images(size)
    if size == "small":
        arguments["stages"] = ((4, 2), (6, 1))
    return _settled(SEWResNet, arguments, x, stepped), x


def spiking_transformer(size: str = "small", stepped: bool = False) -> tuple[nn.Module, Tensor]:
    """Four blocks of 256 channels on 64 tokens, or one block of 8 on 16."""
    arguments, x = _images(size)
    # Random q, k and v coincide more often the larger the heads and the more the tokens: the scale makes up for it.
    arguments["scale"] = 0.03125
    if size == "small":
        arguments |= {
            "dim": 8,
            "depth": 1,
            "heads": 2,
            "mlp_ratio": 2,
            "patch_widths": (),
            "patch_pools": 1,
            "scale": 0.5,
        }
    return _settled(SpikingTransformer, arguments, x, stepped), x


def recurrent(size: str = "small", stepped: bool = False) -> tuple[nn.Module, Tensor]:
    """SHD-style, T = 100: 700-128-128-20 with LIF and then adaptive neurons, or 12-8-6-3."""
    torch.manual_seed(0)
    inputs, widths, classes, samples, rate = (700, (128, 128), 20, 16, 0.02)
    if size == "small":
        inputs, widths, classes, samples, rate = (12, (8, 6), 3, 3, 0.3)
    model = SpikingRecurrent(inputs, classes, widths, neuron="alif", stepped=stepped)
    with torch.no_grad():
        for layer in model.layers:
            ins = layer.input.in_features
            layer.input.weight.normal_(0.02, 0.5 / (ins * rate) ** 0.5)
            layer.recurrent.weight.normal_(0, 0.4 / (layer.recurrent.in_features * 0.1) ** 0.5)
            rate = 0.1
    return model.eval(), (torch.rand(100, samples, inputs) < (0.02 if size == "bench" else 0.3)).float()


def decoder(size: str = "small", stepped: bool = False) -> tuple[nn.Module, Tensor]:
    """128 channels of 8x8 up to 32x32, or 4 channels of 3x3 up to 12x12."""
    torch.manual_seed(0)
    widths, x = ((128, 128, 64), torch.rand(16, 128, 8, 8)) if size == "bench" else ((4, 4, 3), torch.rand(3, 4, 3, 3))
    return _settled(SpikingDecoder, {"widths": widths}, x, stepped), x


def pruned(size: str = "small", stepped: bool = False) -> tuple[nn.Module, Tensor]:
    """The VGG, its convolutions pruned: half the weights of each, and a quarter of every other one's channels."""
    arguments, x = _images(size)
    if size == "small":
        arguments["stages"] = ((4,), (6, 6), (8,))

    def build(**more: object) -> nn.Module:
        model = SpikingVGG(**arguments, **more)
        convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
        for i, conv in enumerate(convs):
            prune.l1_unstructured(conv, "weight", amount=0.5)
            if i % 2:
                prune.ln_structured(conv, "weight", amount=0.25, n=2, dim=0)
        return model

    model = settle(build(), x)
    return (_like(model, build(stepped=True)) if stepped else model), x


NETWORKS: dict[str, Builder] = {
    "vgg": vgg,
    "sew-resnet": sew_resnet,
    "spiking-transformer": spiking_transformer,
    "recurrent": recurrent,
    "decoder": decoder,
    "pruned": pruned,
}

BATCH_AXIS = dict.fromkeys(NETWORKS, 0) | {"recurrent": 1}
"""Axis of the samples in each network's input, for `trace(..., batch_axis=)`."""
