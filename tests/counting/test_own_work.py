"""The tracer's own operators are never charged to the model, whichever way a layer is counted."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.models.neurons import LIF

IMAGES = (torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)), "real")
SPIKES = ((IMAGES[0] > 0.5).float(), "binary")
LEVELS = ((IMAGES[0] * 3).round(), "integer")


class Twice(nn.Module):
    """Runs the layer twice, so that the second call takes the short way."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.layer(x)
        return self.layer(x)


@pytest.mark.parametrize(("x", "kind"), [IMAGES, SPIKES, LEVELS], ids=["real", "binary", "integer"])
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.Conv2d(3, 4, 3, padding="same", bias=False),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular", bias=False),
        nn.ConvTranspose2d(3, 4, 3, bias=False),
        nn.Linear(8, 4, bias=False),
        nn.Bilinear(8, 8, 4, bias=False),
    ],
    ids=["conv", "same", "circular", "transposed", "linear", "bilinear"],
)
def test_a_projection_alone_is_no_elementwise_work(layer: nn.Module, x: torch.Tensor, kind: str) -> None:
    args = (x, x) if isinstance(layer, nn.Bilinear) else x
    net = layer if isinstance(layer, nn.Bilinear) else Twice(layer)
    traced = se.trace(net.eval(), args)
    assert traced.layers[0].operand.kind == kind
    assert traced.elementwise == ()


def test_pools_norms_and_neurons_are_charged_once() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), LIF(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 1)
    ).eval()
    net[2].register_forward_pre_hook(lambda module, args: (args[0][None],))
    net[2].register_forward_hook(lambda module, args, out: out[0])
    traced = se.trace(net, IMAGES[0])
    charged = {(r.name, r.kind): (r.adds, r.muls, r.compares, r.specials) for r in traced.elementwise}
    assert charged == {
        ("1", "batch_norm (folded)"): (2 * 4 * 64, 0, 0, 0),
        ("3", "max_pool"): (0, 0, 2 * 4 * 16 * 3, 0),
    }
    assert traced.neurons[0].updates == 2 * 4 * 64
