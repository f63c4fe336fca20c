"""Convolutions: borders, strides, dilation, groups, transposition, and every way of padding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snn_energy.selftest.pieces import Fn, conv, held, level, real, reals, spike, spikes
from snn_energy.selftest.rows import Said, trap
from snn_energy.selftest.traps.tools import NORSE, SATA_SIM, SINABS, SPIKINGJELLY, SYOPS, THOP, TORCHINFO


class SubclassedConv(nn.Conv2d):
    """A class of one's own, as libraries derive them."""


class MultiStepConv(nn.Conv2d):
    """The multi-step convolution of a spiking library: `t n c h w`, time folded into the batch."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve all steps at once."""
        out = super().forward(x.flatten(0, 1))
        return out.view(*x.shape[:2], *out.shape[1:])


BORDERS = "outputs touch 2, 3, ..., 3, 2 of 8 inputs on each axis, 22 in all; 22 x 22 x 16 channels = 7744"

trap(
    "T2", "convolution, all ones", conv, lambda: torch.ones(1, 1, 8, 8), BORDERS,
    dense_macs=9216, connections=7744, **spikes(7744),
)  # fmt: skip
trap(
    "T2-subclass", "subclass of Conv2d, all ones",
    lambda: level(SubclassedConv(1, 16, 3, padding=1, bias=False)), lambda: torch.ones(1, 1, 8, 8), BORDERS,
    dense_macs=9216, connections=7744, **spikes(7744), said=(Said(SYOPS, {"acs": 0}),),
)  # fmt: skip
trap(
    "T4", "one spike in the corner", conv, lambda: spike(0, 0),
    "a corner pixel lies in 2 x 2 windows: 4 x 16 channels = 64; dense: 64 pixels x 9 taps x 16 = 9216",
    dense_macs=9216, **spikes(64), said=(Said(SYOPS, {"acs": 144}),),
)  # fmt: skip
trap(
    "T4b", "one spike, stride 2", lambda: conv(stride=2), lambda: spike(4, 4),
    "windows start at odd pixels -1, 1, 3, 5: pixel 4 is the middle of one on each axis; 1 x 16 channels",
    **spikes(16), said=(Said(SYOPS, {"acs": 36}), Said(NORSE, "144", "read")),
)  # fmt: skip
trap(
    "T5", "transposed convolution",
    lambda: level(nn.ConvTranspose2d(1, 1, 2, stride=2, bias=False)), lambda: torch.ones(1, 1, 4, 4),
    "each of 16 pixels is spread over 2 x 2 outputs of its own: 64",
    dense_macs=64, **spikes(64),
    said=(Said(SYOPS, {"acs": 256}), Said(THOP, {"dense_macs": 256}), Said(TORCHINFO, {"dense_macs": 256})),
)  # fmt: skip
trap(
    "T16", "real input, padded convolution", conv, lambda: real(1, 1, 8, 8), BORDERS + "; padding counted: 9216",
    dense_macs=9216, **reals(7744), said=(Said(SPIKINGJELLY, {"macs": 9216}),),
)  # fmt: skip
trap(
    "T19b", "two spikes on a stride-2 lattice", lambda: conv(stride=2), lambda: spike(0, 0) + spike(4, 4),
    "pixel 0 and pixel 4 are each read by one window on each axis: 2 x 16",
    **spikes(32), said=(Said("SpikingJelly 2.0.0, Lemaire's model", "64 for each inner spike"),),
)  # fmt: skip
trap(
    "T20c-same", "padding='same'", lambda: conv(padding="same"), lambda: spike(0, 0),
    "as padding 1: the corner lies in 2 x 2 windows, x 16",
    **spikes(64), said=(Said(SINABS, "TypeError"),),
)  # fmt: skip
trap(
    "T20c-circular", "circular padding", lambda: conv(padding_mode="circular"), lambda: spike(0, 0),
    "on a torus there is no border: 9 windows x 16",
    **spikes(144), said=(Said(SINABS, {"unit_events": 64}),),
)  # fmt: skip
trap(
    "T20d-nested", "convolution inside nested containers",
    lambda: nn.Sequential(nn.Sequential(nn.Sequential(conv()))), lambda: spike(0, 0), "as T4: 4 x 16", **spikes(64),
)  # fmt: skip
trap(
    "T20d-conv1d", "Conv1d", lambda: level(nn.Conv1d(1, 16, 3, padding=1, bias=False)),
    lambda: spike(0, shape=(1, 1, 8)), "the first of 8 lies in 2 windows: 2 x 16",
    **spikes(32), said=(Said(SINABS, {"unit_events": 0}),),
)  # fmt: skip
trap(
    "T20d-transposed", "ConvTranspose1d", lambda: level(nn.ConvTranspose1d(1, 16, 3, padding=1, bias=False)),
    lambda: spike(0, shape=(1, 1, 8)), "input 0 is spread over outputs -1, 0, 1, of which padding cuts off -1: 2 x 16",
    **spikes(32), said=(Said(SINABS, {"unit_events": 0}),),
)  # fmt: skip
trap(
    "T23b", "multi-step convolution, T = 4", lambda: level(MultiStepConv(1, 16, 3, padding=1, bias=False)),
    lambda: torch.ones(4, 1, 1, 8, 8), "four times T2: 4 x 9216 dense, 4 x 7744 inside the image",
    dense_macs=36864, connections=30976, **spikes(30976), options={"samples": 1, "time_steps": 4},
    said=(Said(TORCHINFO, "589,824 for SpikingJelly's multi-step layer"),),
)  # fmt: skip
trap(
    "T27", "padding wider than the kernel's half", lambda: level(nn.Conv2d(1, 1, 3, padding=2, bias=False)),
    lambda: torch.ones(1, 1, 4, 4),
    "6 outputs on each axis, dense 6 x 6 x 9 = 324; every input lies in all 3 windows, (4 x 3)^2 = 144",
    dense_macs=324, connections=144, **spikes(144), said=(Said(SATA_SIM, "output size as if padding were 1", "read"),),
)  # fmt: skip

trap(
    "N1", "dilation and stride at the border",
    lambda: level(nn.Conv2d(1, 1, 3, stride=2, padding=2, dilation=2, bias=False)), lambda: torch.ones(1, 1, 5, 5),
    "output o reads 2o-2, 2o, 2o+2: 2, 3 and 2 of them lie inside 0..4, 7 on each axis; dense 9 outputs x 9 taps",
    dense_macs=81, connections=49, **spikes(49),
)  # fmt: skip
trap(
    "N1-unread", "a spike between the taps",
    lambda: level(nn.Conv2d(1, 1, 3, stride=2, padding=2, dilation=2, bias=False)),
    lambda: spike(1, 1, shape=(1, 1, 5, 5)), "the taps of N1 only ever meet even pixels, so nobody reads pixel (1, 1)",
    connections=49, spikes=1, **spikes(0),
)  # fmt: skip
trap(
    "N2", "ceil_mode pooling in front", lambda: nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), conv(1, 1)),
    lambda: torch.ones(1, 1, 5, 5), "5 pools to 3, not 2; 3x3 with padding 1: (2 + 3 + 2)^2 = 49",
    dense_macs=81, connections=49, **spikes(49),
)  # fmt: skip
trap(
    "N3", "grouped transposed convolution",
    lambda: level(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False)),
    lambda: torch.ones(1, 4, 3, 3),
    "input i reaches 2i-1, 2i, 2i+1 of 0..4: 2 + 3 + 2 = 7 on each axis; 4 inputs x 3 outputs of their group x 49; "
    "dense 12 x 9 inputs x 9 taps",
    dense_macs=972, connections=588, **spikes(588),
)  # fmt: skip
trap(
    "N4", "depthwise convolution, one corner spike", lambda: conv(4, 4, groups=4),
    lambda: spike(0, 0, shape=(1, 4, 4, 4)),
    "2 x 2 windows of its own channel; dense 4 channels x 16 x 9 = 576, inside 4 x (2 + 3 + 3 + 2)^2 = 400",
    dense_macs=576, connections=400, **spikes(4),
)  # fmt: skip
trap(
    "N5", "Conv3d, one corner spike", lambda: level(nn.Conv3d(1, 2, 3, padding=1, bias=False)),
    lambda: spike(0, 0, 0, shape=(1, 1, 3, 3, 3)),
    "2^3 windows x 2 channels; dense 27 x 27 x 2 = 1458, inside (2 + 3 + 2)^3 x 2 = 686",
    dense_macs=1458, connections=686, **spikes(16),
)  # fmt: skip
trap(
    "N6", "even kernel, padding='same'", lambda: level(nn.Conv2d(1, 1, 2, padding="same", bias=False)),
    lambda: torch.ones(1, 1, 3, 3), "one zero behind each axis: windows meet 2, 2, 1 pixels: 5 x 5; dense 9 x 4",
    dense_macs=36, connections=25, **spikes(25),
)  # fmt: skip
trap(
    "N7", "kernel larger than the signal", lambda: level(nn.Conv1d(1, 1, 5, padding=2, bias=False)),
    lambda: torch.ones(1, 1, 2), "2 outputs, and both windows of 5 hold both inputs: 4; dense 10",
    dense_macs=10, connections=4, **spikes(4),
)  # fmt: skip
trap(
    "N8", "reflected spike", lambda: level(nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect", bias=False)),
    lambda: spike(1, shape=(1, 1, 4)),
    "reflection makes x1 x0 x1 x2 x3 x2: x1 is read by 3 windows in its own place and by 1 in front",
    dense_macs=12, connections=12, **spikes(4),
)  # fmt: skip
trap(
    "N9", "zeros padded on by F.pad", lambda: Fn(lambda m, x: m.conv(F.pad(x, (1, 1, 1, 1))), conv=conv(padding=0)),
    lambda: real(1, 1, 8, 8), BORDERS + ": who pads does not matter",
    dense_macs=9216, connections=7744,
)  # fmt: skip
trap(
    "N10", "output_padding",
    lambda: level(nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1, bias=False)),
    lambda: torch.ones(1, 1, 3), "6 outputs; inputs reach 2, 3 and 3 of them; dense 3 x 3",
    dense_macs=9, connections=8, **spikes(8),
)  # fmt: skip
trap(
    "N11", "pixels that the stride leaves over", lambda: level(nn.Conv2d(1, 1, 2, stride=2, bias=False)),
    lambda: spike(4, 4, shape=(1, 1, 5, 5)), "2 x 2 windows of 2 cover pixels 0..3; pixel 4 is read by none",
    dense_macs=16, connections=16, spikes=1, **spikes(0),
)  # fmt: skip
trap(
    "N12", "convolution as unfold and matmul",
    lambda: Fn(lambda m, x: m.w @ F.unfold(x, 3, padding=1), w=nn.Parameter(held(2, 9))),
    lambda: torch.ones(1, 1, 4, 4),
    "(2 + 3 + 3 + 2)^2 = 100 of the 9 x 16 patch elements are pixels, x 2 rows; the product itself is 2 x 9 x 16",
    dense_macs=288, **spikes(200),
)  # fmt: skip
trap(
    "N13", "functional convolution, weights in a buffer",
    lambda: Fn(lambda m, x: F.conv2d(x, m.w, padding=1), w=nn.Buffer(held(16, 1, 3, 3))), lambda: spike(0, 0),
    "as T4, though no parameter is in sight", dense_macs=9216, **spikes(64),
)  # fmt: skip
trap(
    "N14", "input without a batch axis", conv, lambda: spike(0, 0, shape=(1, 8, 8)), "as T4",
    dense_macs=9216, **spikes(64), options={"samples": 1},
)  # fmt: skip
trap(
    "N15", "channels-last memory", conv, lambda: spike(0, 0).to(memory_format=torch.channels_last), "as T4",
    dense_macs=9216, **spikes(64),
)  # fmt: skip
trap(
    "N16", "no spike at all", conv, lambda: torch.zeros(1, 1, 8, 8), "the synapses are there, nothing crosses them",
    dense_macs=9216, connections=7744, **spikes(0), operand="silent",
)  # fmt: skip
trap(
    "N17", "upsampled spike", lambda: nn.Sequential(nn.Upsample(scale_factor=2), conv()),
    lambda: spike(0, 0, shape=(1, 1, 4, 4)),
    "four spikes at (0..1, 0..1) with 2 or 3 windows on each axis: (2 + 3)^2 x 16", **spikes(400),
)  # fmt: skip
trap(
    "N18", "LazyConv2d", lambda: nn.LazyConv2d(16, 3, padding=1, bias=False), lambda: spike(0, 0),
    "as T4: the weights get their shape in the first call", dense_macs=9216, **spikes(64),
)  # fmt: skip
trap(
    "N19", "dilated transposed convolution",
    lambda: level(nn.ConvTranspose1d(1, 1, 3, padding=2, dilation=2, bias=False)), lambda: torch.ones(1, 1, 4),
    "output length 3 - 4 + 4 + 1 = 4; input i reaches i-2, i, i+2 of 0..3: two each; dense 4 x 3",
    dense_macs=12, connections=8, **spikes(8),
)  # fmt: skip
