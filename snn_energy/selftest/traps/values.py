"""What the operand's values are: scales, signs, small integers, pooled spikes, norms in between."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snn_energy.models.neurons import IF
from snn_energy.selftest.pieces import Fn, conv, linear, row, spike, spikes
from snn_energy.selftest.rows import Said, trap
from snn_energy.selftest.traps.tools import SINABS, SPIKINGJELLY, SYOPS


def fifteen(height: float) -> Callable[[], Tensor]:
    """`4 10` with 15 spikes of one height."""
    return lambda: height * (torch.arange(40) < 15).float().view(4, 10)


def three_spikes() -> Tensor:
    """`1 1 8 8` with spikes at (0, 0), (0, 1) and (3, 3)."""
    return spike(0, 0) + spike(0, 1) + spike(3, 3)


def zero_norm() -> nn.Module:
    """conv - batch norm of scale 0 - conv."""
    net = nn.Sequential(conv(1, 2), nn.BatchNorm2d(2), conv(2, 4))
    nn.init.zeros_(net[1].weight)  # type: ignore[arg-type]
    return net


def behind_a_neuron(pool: nn.Module) -> nn.Module:
    """neuron - pool - conv, one time step."""
    return Fn(lambda m, x: m.conv(m.pool(m.neuron(x[None])[0])), neuron=IF(), pool=pool, conv=conv())


POOLED = "pixels (0, 0) and (1, 1) of 4 x 4 are not 0; they lie in 4 and 9 windows: 13 x 16 channels = 208"

trap(
    "T5b", "five inputs of 0.25", linear, lambda: row(*[0.25] * 5), "one constant folds into the weights: 5 x 10",
    **spikes(50), said=(Said(SYOPS, {"acs": 12.5}),),
)  # fmt: skip
trap(
    "T5c-two", "one input of 2", linear, lambda: row(2.0), "0 or 2 is a spike of height 2: 10",
    events=10, acs=10, effective_acs=10, macs=0, effective_macs=0,
    operand="binary x 2", said=(Said(SYOPS, {"macs": 100}), Said(SPIKINGJELLY, {"macs": 100})),
)  # fmt: skip
trap(
    "T5c-minus-one", "one input of -1", linear, lambda: row(-1.0), "the sign makes it a subtraction: 10",
    **spikes(10), operand="binary x -1", said=(Said(SYOPS, {"macs": 100}), Said(SPIKINGJELLY, {"macs": 100})),
)  # fmt: skip
trap(
    "T15c-quarter", "one input of 0.25", linear, lambda: row(0.25), "as T5c-two", **spikes(10),
    operand="binary x 0.25", said=(Said(SPIKINGJELLY, {"macs": 100}),),
)  # fmt: skip
trap(
    "T15-average", "average pool in front of a convolution", lambda: nn.Sequential(nn.AvgPool2d(2), conv()),
    three_spikes, POOLED + "; 2/4 and 1/4 are 2 and 1 units of 1/4: (2 x 4 + 1 x 9) x 16",
    events=208, graded_events=208, unit_events=272, operand="integer x 0.25",
    acs=0, macs=0, said=(Said(SPIKINGJELLY, {"macs": 2304}),),
)  # fmt: skip
trap(
    "T15-adaptive", "adaptive average pool in front", lambda: nn.Sequential(nn.AdaptiveAvgPool2d(4), conv()),
    three_spikes, "as T15-average", events=208, graded_events=208, unit_events=272, operand="integer x 0.25",
)  # fmt: skip
trap(
    "T15-max", "max pool in front of a convolution", lambda: nn.Sequential(nn.MaxPool2d(2), conv()), three_spikes,
    POOLED, **spikes(208), operand="binary",
)  # fmt: skip
trap(
    "T15-neuron-max", "max pool behind a neuron", lambda: behind_a_neuron(nn.MaxPool2d(2)), three_spikes,
    POOLED + ", out of currents of 1, which make spikes of 1", **spikes(208), operand="binary", neuron_spikes=3,
)  # fmt: skip
trap(
    "T15-neuron-average", "average pool behind a neuron", lambda: behind_a_neuron(nn.AvgPool2d(2)), three_spikes,
    "as T15-average", events=208, graded_events=208, unit_events=272, operand="integer x 0.25", neuron_spikes=3,
)  # fmt: skip
trap(
    "T15-third", "average pool of 3 x 3", lambda: nn.Sequential(nn.AvgPool2d(3), conv()), three_spikes,
    "8 pools to 2 x 2: 2/9 at (0, 0), 1/9 at (1, 1), each in all 4 windows: 8 x 16 events, (2 + 1) x 4 x 16 units",
    events=128, graded_events=128, unit_events=192,
)  # fmt: skip
trap(
    "T15b", "spikes times 0.5", linear, fifteen(0.5), "15 spikes x 10", **spikes(150), operand="binary x 0.5",
    said=(Said(SPIKINGJELLY, {"acs": 0, "macs": 400}),),
)  # fmt: skip
trap(
    "T18b", "residual addition of spikes", lambda: Fn(lambda m, a, b: a + b),
    lambda: (row(*[1.0] * 6), row(*[1.0] * 6)), "10 additions, none of them a synapse's",
    dense_macs=0, acs=0, macs=0, adds=10, said=(Said(SPIKINGJELLY, "12 accumulates"),),
)  # fmt: skip
trap(
    "T20", "one +1 and one -1", linear, lambda: row(1.0, -1.0), "two spikes x 10; they do not cancel", **spikes(20),
    operand="ternary", said=(Said(SINABS, {"unit_events": 0}),),
)  # fmt: skip
trap(
    "T20e", "a full pooling window", lambda: nn.Sequential(nn.AvgPool2d(2), conv()),
    lambda: F.pad(torch.ones(1, 1, 2, 2), (0, 14, 0, 14)), "one pixel of 1 in the corner: 4 x 16", **spikes(64),
    said=(Said(SINABS, "256 in the layer's statistics, 64 in the model's"),),
)  # fmt: skip
trap(
    "T20e-adaptive", "a full adaptive window", lambda: nn.Sequential(nn.AdaptiveAvgPool2d(8), conv()),
    lambda: F.pad(torch.ones(1, 1, 2, 2), (0, 14, 0, 14)), "as T20e", **spikes(64),
)  # fmt: skip

trap(
    "N80", "spikes of -0.5", linear, fifteen(-0.5), "15 spikes x 10", **spikes(150), operand="binary x -0.5",
)  # fmt: skip
trap(
    "N81", "neighbours of opposite sign", conv, lambda: spike(3, 3) - spike(3, 4), "two spikes in 9 windows each, x 16",
    **spikes(288), operand="ternary",
)  # fmt: skip
trap(
    "N82", "negative zeros", linear, lambda: -row(0.0), "-0.0 is zero", connections=100, **spikes(0), operand="silent",
)  # fmt: skip
trap(
    "N83", "spikes times a learned threshold",
    lambda: Fn(lambda m, x: m.fc(x * m.threshold), fc=linear(), threshold=nn.Parameter(torch.tensor(0.3))),
    fifteen(1.0), "one constant, learned or not, folds into the weights: 150", **spikes(150),
)  # fmt: skip
trap(
    "N84", "element-wise sum of two spike trains", lambda: Fn(lambda m, a, b: m.fc(a + b), fc=linear()),
    lambda: (row(*[1.0] * 6), row(*[1.0] * 3)), "2 2 2 1 1 1: 6 x 10 events, 9 x 10 units", events=60,
    graded_events=60, unit_events=90, operand="integer",
)  # fmt: skip
trap(
    "N85", "integer spikes", linear, lambda: row(4.0, 2.0, 1.0), "three spikes x 10; 4 + 2 + 1 units x 10",
    events=30, graded_events=30, unit_events=70, operand="integer",
)  # fmt: skip
trap(
    "N86", "batch norm of scale zero", zero_norm, lambda: torch.ones(1, 1, 4, 4),
    "100 connections x 2 into the norm, which lets nothing through; 100 x 2 x 4 behind it",
    connections=1000, of={"0: events": 200, "2: events": 0},
)  # fmt: skip
trap(
    "N87", "spikes and zeros concatenated",
    lambda: Fn(lambda m, x: m.fc(torch.cat([x, x * 0], 1)), fc=linear(20, 10)), lambda: torch.ones(1, 10),
    "10 of 20 inputs fire: 10 x 10", connections=200, **spikes(100),
)  # fmt: skip
trap(
    "N88", "integer tensor", lambda: Fn(lambda m, x: m.fc(x.float()), fc=linear()),
    lambda: torch.tensor([[1, 0, 1, 0, 0, 0, 0, 0, 0, 0]]), "two spikes x 10", **spikes(20),
)  # fmt: skip
trap(
    "N89", "integer matrix product",
    lambda: Fn(lambda m, x: x @ m.w, w=nn.Buffer(torch.full((3, 4), 3, dtype=torch.int32))),
    lambda: torch.ones(2, 3, dtype=torch.int32), "6 spikes x 4", dense_macs=24, **spikes(24),
    cpu_only="torch multiplies integer matrices on the CPU alone",
)  # fmt: skip
trap(
    "N90", "boolean spikes", lambda: Fn(lambda m, x: m.fc(x.float()), fc=linear()), lambda: row(1.0, 1.0).bool(),
    "two spikes x 10", **spikes(20),
)  # fmt: skip
trap(
    "N91", "spikes compared, not fired", lambda: Fn(lambda m, x: m.fc((x > 0.5).float()), fc=linear()),
    lambda: torch.linspace(0, 1, 10)[None], "5 of 0, 1/9, ..., 1 lie above one half: 5 x 10", **spikes(50),
)  # fmt: skip
trap(
    "N92", "max pool over negative spikes", lambda: nn.Sequential(nn.MaxPool2d(2), conv()),
    lambda: -torch.ones(1, 1, 8, 8), "the maximum of -1s is -1; 4 x 4 pixels in (2 + 3 + 3 + 2)^2 windows x 16",
    **spikes(1600), operand="binary x -1",
)  # fmt: skip
trap(
    "N93", "average pool that counts its padding", lambda: nn.Sequential(nn.AvgPool2d(2, padding=1, stride=2), conv()),
    lambda: torch.ones(1, 1, 6, 6),
    "4 x 4 windows, of 1, 2 or 4 ones: 1/4 in the 4 corners, 1/2 on the 8 edges, 1 in the 4 inner pixels, in 4, 6 and "
    "9 sums each: 100 x 16 events, (4 x 1 x 4 + 8 x 2 x 6 + 4 x 4 x 9) x 16 units",
    events=1600, graded_events=1600, unit_events=4096, operand="integer x 0.25",
)  # fmt: skip
