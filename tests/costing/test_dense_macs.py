"""Published MACs of dense architectures, counted here by tracing the architecture: rows `arch_macs`.

The published numbers leave out biases, norms and pooling, and count padding taps, as `Trace.dense_macs` does. A trace
needs shapes alone for that, so the networks run on zeros with weights of zero.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

import snn_energy as se

CASES = [
    case
    for case in json.loads((Path(__file__).parent / "published_cases.json").read_text(encoding="utf-8"))
    if case["formula"] == "arch_macs"
]


def conv(c_in, c_out, kernel, stride=1, groups=1):
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)


class Residual(nn.Module):
    """The convolutions of a block beside its shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, c_in, c_out, stride, *layers):
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.shortcut = nn.Identity() if (c_in, stride) == (c_out, 1) else conv(c_in, c_out, 1, stride)

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


def basic(c_in, width, stride):
    return Residual(c_in, width, stride, conv(c_in, width, 3, stride), conv(width, width, 3)), width


def bottleneck(c_in, width, stride):
    out = 4 * width
    layers = conv(c_in, width, 1), conv(width, width, 3, stride), conv(width, out, 1)
    return Residual(c_in, out, stride, *layers), out


def stages(c, block, widths, depths):
    layers = []
    for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for j in range(depth):
            made, c = block(c, width, 2 if i and not j else 1)
            layers.append(made)
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()], c


def resnet(block, depths):
    layers, c = stages(64, block, (64, 128, 256, 512), depths)
    return nn.Sequential(conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *layers, nn.Linear(c, 1000))


def resnet_cifar(depth):
    """A 3x3 stem and three stages of (depth - 2) / 6 blocks; its classifier has ten classes."""
    layers, c = stages(16, basic, (16, 32, 64), ((depth - 2) // 6,) * 3)
    return nn.Sequential(conv(3, 16, 3), *layers, nn.Linear(c, 10))


VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(depth, *head):
    layers, c = [], 3
    for width, count in zip((64, 128, 256, 512, 512), VGG[depth], strict=True):
        for _ in range(count):
            layers.append(conv(c, width, 3))
            c = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), *(nn.Linear(a, b) for a, b in pairwise(head)))


def mobilenet_v2():
    """Inverted residuals (expansion, channels, blocks, first stride); additions cost no MACs and are left out."""
    layers, c = [conv(3, 32, 3, 2)], 32
    table = (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    for expansion, width, count, first in table:
        for i in range(count):
            hidden = c * expansion
            if expansion > 1:
                layers.append(conv(c, hidden, 1))
            layers += [conv(hidden, hidden, 3, first if not i else 1, groups=hidden), conv(hidden, width, 1)]
            c = width
    return nn.Sequential(*layers, conv(c, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


class Block(nn.Module):
    """Self-attention and a perceptron of four times the width; norms and additions cost no MACs and are left out."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.mlp(self.out((q @ k.mT @ v).transpose(1, 2).flatten(2)))


class Vit(nn.Module):
    """Patches of 16 x 16 and a class token through twelve blocks."""

    def __init__(self, width, heads):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.blocks, self.head = nn.Sequential(*(Block(width, heads) for _ in range(12))), nn.Linear(width, 1000)

    def forward(self, x):
        x = self.patches(x).flatten(2).mT
        return self.head(self.blocks(torch.cat([x[:, :1], x], 1))[:, 0])


BUILDERS = {
    "resnet18": lambda: resnet(basic, (2, 2, 2, 2)),
    "resnet34": lambda: resnet(basic, (3, 4, 6, 3)),
    "resnet50": lambda: resnet(bottleneck, (3, 4, 6, 3)),
    "resnet101": lambda: resnet(bottleneck, (3, 4, 23, 3)),
    "resnet152": lambda: resnet(bottleneck, (3, 8, 36, 3)),
    "mobilenet_v2": mobilenet_v2,
    "deit_tiny_patch16_224": lambda: Vit(192, 3),
    **{f"vit_base_patch16_{size}": lambda: Vit(768, 12) for size in (224, 384)},
    **{f"vgg{depth}": lambda depth=depth: vgg(depth, 25088, 4096, 4096, 1000) for depth in (11, 13, 16)},
    **{f"resnet{depth}_cifar": lambda depth=depth: resnet_cifar(depth) for depth in (20, 32, 44, 56)},
    **{f"vgg{depth}_bn_cifar": lambda depth=depth: vgg(depth, 512, 512, 512, 10) for depth in (13, 16, 19)},
}


def rows():
    for case in CASES:
        small = case["inputs"]["input"][1] == 32
        yield pytest.param(case, id=case["id"], marks=[] if small else pytest.mark.slow)


@pytest.mark.parametrize("case", list(rows()))
def test_dense_macs(case):
    with torch.device("meta"):
        model = BUILDERS[case["inputs"]["arch"]]()
    model = model.to_empty(device="cpu").eval()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    trace = se.trace(model, torch.zeros(1, *case["inputs"]["input"]))
    assert trace.dense_macs / 1e9 == pytest.approx(case["expected"]["gmacs"], **case["tolerance"])
    assert trace.dense_macs == case["inputs"]["macs_exact_derived"]  # worked out from the architecture by hand
    if "params" in case["inputs"]:
        convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert sum(m.weight.numel() for m in convolutions) <= case["inputs"]["params"]
