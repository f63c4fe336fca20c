"""Recurrent layers, whose kernels hide their products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from snn_energy.selftest.pieces import Fn, held, linear, real, spikes
from snn_energy.selftest.rows import Said, trap
from snn_energy.selftest.traps.tools import FLOP_COUNTER, NEUROBENCH, SPIKINGJELLY, SYOPS

FOLDED = {"batch_axis": 1}
"""Data are `t n ...`."""


def stepped(m: Any, x: Tensor) -> Tensor:
    """Call a layer once for each time step."""
    return torch.stack([m.fc(step) for step in x])


def packed(m: Any, x: Tensor) -> Any:
    """Two sequences of 3 and 1 steps."""
    return m.lstm(pack_padded_sequence(x, torch.tensor([3, 1])))[1]


trap(
    "T5d-lstm", "LSTM", lambda: nn.LSTM(8, 8, bias=False), lambda: real(4, 1, 8),
    "4 steps x 4 gates x 8 x (8 inputs + 8 states)", dense_macs=2048, connections=2048, macs=2048, options=FOLDED,
    said=(
        Said(SYOPS, {"acs": 0, "macs": 0}), Said(FLOP_COUNTER, {"dense_macs": 0}), Said(SPIKINGJELLY, {"macs": 0}),
    ),
)  # fmt: skip
trap(
    "T7-lstm", "LSTM fed with spikes", lambda: nn.LSTM(10, 10, bias=False), lambda: torch.ones(2, 1, 10),
    "2 steps x 40 x 20; 2 x 10 spikes x 40; from the second step on 10 real states x 40",
    dense_macs=1600, connections=1600, acs=800, macs=800, events=1200, options=FOLDED,
    said=(Said(NEUROBENCH, "0: Benchmark.run swallows the exception"),),
)  # fmt: skip
trap(
    "T9d", "LSTMCell, state of zeros", lambda: nn.LSTMCell(4, 4), lambda: torch.ones(1, 4), "4 gates x 4 x (4 + 4)",
    dense_macs=128, connections=128, said=(Said(NEUROBENCH, "72"),),
)  # fmt: skip
trap(
    "T13", "LSTM and a Linear behind it",
    lambda: Fn(lambda m, x: m.fc(m.lstm(x)[0]), lstm=nn.LSTM(8, 8, bias=False), fc=nn.Linear(8, 2, bias=False)),
    lambda: real(4, 1, 8), "2048 as T5d-lstm, and 4 x 8 x 2",
    dense_macs=2112, connections=2112, macs=2112, options=FOLDED, said=(Said(SPIKINGJELLY, {"macs": 64}),),
)  # fmt: skip

trap(
    "N60", "LSTM, both directions, projected states",
    lambda: nn.LSTM(8, 6, proj_size=3, bidirectional=True, bias=False), lambda: real(4, 1, 8),
    "2 directions x 4 steps x (24 x 8 + 24 x 3 + 3 x 6)", dense_macs=2256, connections=2256, options=FOLDED,
)  # fmt: skip
trap(
    "N61", "GRU", lambda: nn.GRU(8, 5, bias=False), lambda: real(4, 1, 8), "4 steps x 3 gates x 5 x (8 + 5)",
    dense_macs=780, connections=780, options=FOLDED,
)  # fmt: skip
trap(
    "N62", "two layers of LSTM", lambda: nn.LSTM(8, 8, num_layers=2, bias=False), lambda: real(4, 1, 8),
    "2 x 4 x 32 x 16", dense_macs=4096, connections=4096, options=FOLDED,
)  # fmt: skip
trap(
    "N63", "packed sequences of two lengths", lambda: Fn(packed, lstm=nn.LSTM(8, 8, bias=False)), lambda: real(3, 2, 8),
    "3 + 1 steps x 32 x 16; padding is not run", dense_macs=2048, connections=2048, options=FOLDED,
)  # fmt: skip
trap(
    "N64", "plain RNN on spikes", lambda: nn.RNN(10, 5, bias=False), lambda: torch.eye(10)[:4, None],
    "4 steps x 5 x (10 + 5); one spike x 5 in each step", dense_macs=300, connections=300, acs=20, options=FOLDED,
)  # fmt: skip
trap(
    "N66", "learned initial state",
    lambda: Fn(lambda m, x: m.rnn(x, m.start), rnn=nn.RNN(10, 5, bias=False), start=nn.Parameter(held(1, 1, 5))),
    lambda: real(4, 1, 10), "4 steps x 5 x (10 + 5): the first state is an operand like every other",
    dense_macs=300, connections=300, macs=300, options=FOLDED,
)  # fmt: skip
trap(
    "N65", "a layer called once for each time step", lambda: Fn(stepped, fc=linear()),
    lambda: _staircase(), "0 + 1 + 2 + 3 + 4 spikes x 10",
    dense_macs=500, **spikes(100), calls=5, options={**FOLDED, "time_steps": 5},
)  # fmt: skip


def _staircase() -> Tensor:
    """`t=5 n=1 f=10`: t spikes in step t."""
    return (torch.arange(10) < torch.arange(5)[:, None]).float()[:, None]
