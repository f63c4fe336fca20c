"""One weight in several places, one module under several names, data that look like weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from snn_energy.selftest.pieces import Fn, held, linear, real, row, spikes
from snn_energy.selftest.rows import Said, trap
from snn_energy.selftest.traps.tools import KERAS_SPIKING, NEUROBENCH


class TwoContainers(nn.Module):
    """One layer reachable by two paths and called once."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(linear())
        self.b = nn.ModuleList([self.a[0]])

    def forward(self, x: Tensor) -> Tensor:
        """Call it by the first path."""
        return self.a(x)  # type: ignore[no-any-return]


def two_names() -> nn.Module:
    """One layer under two names, called by both."""
    layer = linear()
    return Fn(lambda m, x: m.a(x) + m.b(x), a=layer, b=layer)


def tied() -> nn.Module:
    """Two layers with one parameter between them."""
    a, b = linear(), linear()
    b.weight = a.weight
    return Fn(lambda m, x: m.a(x) + m.b(x), a=a, b=b)


def with_token(m: Any, x: Tensor) -> Tensor:
    """Write the data behind a learned token."""
    tokens = m.token.expand(2, 3, 4).clone()
    tokens[:, 1:] = x
    return m.fc(tokens)  # type: ignore[no-any-return]


def two_layers(function: Any) -> nn.Module:
    """Layers of 4 to 5 and 5 to 6 features in a function."""
    return Fn(function, fc1=nn.Linear(4, 5), fc2=nn.Linear(5, 6))


trap(
    "T9e", "one layer in two containers, called once", TwoContainers, lambda: row(1.0), "one call, one spike: 10",
    dense_macs=100, connections=100, **spikes(10), said=(Said(NEUROBENCH, {"effective_acs": 20}),),
)  # fmt: skip
trap(
    "T21", "one layer called twice", lambda: Fn(lambda m, x, y: m.fc(x) + m.fc(y), fc=linear(10, 100)),
    lambda: (torch.ones(1, 10), torch.ones(1, 10)), "2 calls x 10 spikes x 100", **spikes(2000), calls=2,
    said=(Said(KERAS_SPIKING, "4,000", "read"),),
)  # fmt: skip

DETOUR = "2 samples x (4 x 5 + 5 x 6): the second layer's operand depends on the data"
trap(
    "R3-numpy", "detour through NumPy",
    lambda: two_layers(lambda m, x: m.fc2(torch.relu(m.fc1(torch.from_numpy(x.cpu().numpy().copy()).to(x.device))))),
    lambda: real(2, 4), DETOUR, connections=100, of={"fc1: connections": 40, "fc2: connections": 60},
)  # fmt: skip
trap(
    "R3-noise", "data mixed into noise",
    lambda: two_layers(lambda m, x: m.fc2(torch.relu(m.fc1(torch.randn_like(x) + 0 * x.sum())))),
    lambda: real(2, 4), DETOUR, connections=100, of={"fc2: connections": 60},
)  # fmt: skip
trap(
    "R3-nested", "data in a nested argument",
    lambda: two_layers(lambda m, flag, xs: m.fc2(torch.relu(m.fc1(xs["x"])))),
    lambda: (torch.ones(1), {"x": real(2, 4)}), DETOUR, connections=100, options={"samples": 2},
)  # fmt: skip
trap(
    "R4", "data written into a learned token",
    lambda: Fn(with_token, token=nn.Parameter(held(1, 1, 4)), fc=nn.Linear(4, 5)), lambda: real(2, 2, 4),
    "2 samples x 3 tokens x 4 x 5", connections=120,
)  # fmt: skip

trap(
    "N40", "one layer under two names, called by both", two_names, lambda: row(1.0), "2 calls x 10",
    dense_macs=200, connections=200, **spikes(20),
)  # fmt: skip
trap(
    "N41", "two layers that share a parameter", tied, lambda: row(1.0), "2 layers x 10",
    dense_macs=200, connections=200, **spikes(20),
)  # fmt: skip
trap(
    "N42", "tied autoencoder: weights and their transpose",
    lambda: Fn(lambda m, x: F.linear(m.fc(x), m.fc.weight.t()), fc=linear(10, 4)), lambda: row(1.0),
    "1 spike x 4, then 4 equal values x 10; dense 40 + 40", dense_macs=80, connections=80, **spikes(44),
)  # fmt: skip
trap(
    "N43", "wrapped by an averaged model", lambda: AveragedModel(nn.Sequential(linear())), lambda: row(1.0), "as T6",
    dense_macs=100, connections=100, **spikes(10),
)  # fmt: skip
trap(
    "N44", "operand overwritten behind the layer",
    lambda: Fn(lambda m, x: _used_and_cleared(m.fc, x.clone()), fc=linear()), lambda: torch.ones(1, 10),
    "10 spikes reach the layer; zeroing them afterwards takes nothing back", **spikes(100),
)  # fmt: skip


def _used_and_cleared(layer: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = layer(x)
    x.zero_()
    return out
