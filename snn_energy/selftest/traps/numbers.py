"""Number formats too short for the counts, and counts too long for them."""

from __future__ import annotations

import torch
from torch import nn

from snn_energy.selftest.pieces import Fn, conv, level, linear, row, spikes
from snn_energy.selftest.rows import Said, trap
from snn_energy.selftest.traps.tools import NEUROBENCH, SPIKINGJELLY

PATCHES = "62 x 62 outputs x 9 taps x 3 x 8 channels"


def tall() -> torch.Tensor:
    """`300001 1`: two integer spikes of 64, the rest of 63."""
    x = torch.full((300_001, 1), 63.0)
    x[:2] = 64
    return x


trap(
    "T9", "half precision", lambda: conv(3, 8, padding=0).half(), lambda: torch.ones(1, 3, 64, 64).half(), PATCHES,
    dense_macs=830304, connections=830304, **spikes(830304),
    said=(Said(NEUROBENCH, "0: Benchmark.run swallows an OverflowError"),),
)  # fmt: skip
trap(
    "T9b-bf16", "bfloat16", lambda: conv(3, 8, padding=0).bfloat16(), lambda: torch.ones(1, 3, 64, 64).bfloat16(),
    PATCHES, dense_macs=830304, connections=830304, **spikes(830304),
    said=(Said(NEUROBENCH, {"effective_acs": 831488}),),
)  # fmt: skip
trap(
    "T9b-past-2^31", "more than 2^31 events in one layer", lambda: linear(4097, 4099),
    lambda: (torch.arange(190 * 4097) >= 60).float().view(190, 4097), "(190 x 4097 - 60) x 4099",
    **spikes(3190538630), said=(Said(NEUROBENCH, "3,190,538,496"),),
)  # fmt: skip
trap(
    "T18c", "bfloat16 sums above 256", lambda: Fn(lambda m, a, b: a @ b),
    lambda: (torch.ones(4, 257).bfloat16(), torch.ones(257, 4).bfloat16()), "4 x 257 x 4", events=4112, acs=4112,
    said=(Said(SPIKINGJELLY, {"acs": 4096}),),
)  # fmt: skip

trap(
    "N100", "an odd number above 2^24 in one layer", lambda: linear(4099, 4097), lambda: torch.ones(1, 4099),
    "4099 x 4097 = 4098^2 - 1", dense_macs=16793603, **spikes(16793603),
)  # fmt: skip
trap(
    "N101", "bfloat16 spikes into bfloat16 weights", lambda: linear(301, 301).bfloat16(),
    lambda: torch.ones(1, 301).bfloat16(), "301 x 301", dense_macs=90601, **spikes(90601),
)  # fmt: skip
trap(
    "N102", "half-precision sums past 65,504", lambda: linear(70, 1).half(), lambda: torch.ones(1000, 70).half(),
    "1000 x 70", dense_macs=70000, **spikes(70000),
)  # fmt: skip
trap(
    "N103", "double precision", lambda: linear().double(), lambda: row(1.0).double(), "as T6", dense_macs=100,
    **spikes(10),
)  # fmt: skip
trap(
    "N104", "autocast",
    lambda: Fn(lambda m, x: _autocast(m.fc, x), fc=linear()), lambda: row(1.0), "as T6: casts are free",
    dense_macs=100, **spikes(10),
)  # fmt: skip
trap(
    "N105", "sums of integer spikes past 2^24", lambda: level(nn.Linear(1, 1, bias=False)), tall,
    "2 x 64 + 299,999 x 63, an odd number that single precision cannot hold",
    dense_macs=300001, events=300001, graded_events=300001, unit_events=18900065,
)  # fmt: skip


def _autocast(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast(x.device.type, torch.bfloat16):
        return layer(x)  # type: ignore[no-any-return]
