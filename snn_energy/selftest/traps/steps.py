"""Samples, batches, time steps and neurons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.models.neurons import IF, LIF
from snn_energy.selftest.pieces import Fn, linear, real, reals, row, spikes
from snn_energy.selftest.rows import Said, trap
from snn_energy.selftest.traps.tools import FIRING_NUM, NEUROBENCH, SINABS, SPIKINGJELLY, SYOPS


def a_pipeline_with_layers() -> Iterator[Tensor]:
    """Two batches that a layer outside the network has made."""
    probe = nn.Conv1d(4, 4, 1)
    for _ in range(2):
        yield probe(torch.rand(2, 4, 5)).detach()


def zeroed_in_place(m: Any, x: Tensor) -> Tensor:
    """Fire, then take half of the spikes back in place."""
    spikes_out: Tensor = m.neuron(x)
    spikes_out[..., 5:] = 0
    return m.fc(spikes_out)  # type: ignore[no-any-return]


def scaled_in_inference_mode(m: Any, x: Tensor) -> Tensor:
    """Halve the spikes of the first step in place, where tensors keep no count of writes."""
    with torch.inference_mode():
        z = m.lif(x)
        z[0] *= 0.5
        return m.fc(z)  # type: ignore[no-any-return]


trap(
    "T3", "time steps in front, T = 4", linear, lambda: torch.ones(4, 1, 10), "4 steps x 10 spikes x 10, one sample",
    **spikes(400), samples=1, time_steps=4, options={"samples": 1, "time_steps": 4},
    said=(Said(SYOPS, "100 for one image"),),
)  # fmt: skip
trap(
    "T9c-together", "a spiking and a real sample in one batch", linear, lambda: torch.cat([row(1.0), real(1, 10)]),
    "the operand is real-valued, so both samples cost 100 MACs; 10 + 100 of the operands are not 0",
    acs=0, macs=200, events=110, effective_macs=110, effective_acs=0,
)  # fmt: skip
trap(
    "T9c-apart", "the same two samples in two batches", linear, lambda: [row(1.0), real(1, 10)],
    "as T9c-together: batches are bookkeeping", acs=0, macs=200, events=110, effective_macs=110, effective_acs=0,
    said=(Said(NEUROBENCH, {"effective_acs": 10, "effective_macs": 100}),),
)  # fmt: skip
trap(
    "T11", "under inference_mode", linear, lambda: real(1, 10), "10 x 10, whichever mode", **reals(100),
    around=torch.inference_mode, said=(Said(SPIKINGJELLY, {"acs": 0, "macs": 0}),),
)  # fmt: skip
trap(
    "T18", "four updates of ten IF neurons", IF, lambda: torch.full((4, 1, 10), 0.6),
    "4 steps x 10 neurons; 0.6 crosses 1 in steps 2 and 4", updates=40, time_steps=4, neuron_spikes=20,
    state_elements=10, adds=0, muls=0, options={"samples": 1},
    said=(Said(SPIKINGJELLY, "4 accumulates an update; the number depends on the backend"),),
)  # fmt: skip
trap(
    "T18-lif", "four updates of ten LIF neurons", lambda: LIF(decay=0.5), lambda: torch.full((4, 1, 10), 0.6),
    "4 x 10; the membrane goes 0.6, 0.9, 1.05: one spike, in step 3", updates=40, time_steps=4, neuron_spikes=10,
    state_elements=10, options={"samples": 1},
)  # fmt: skip
trap(
    "T19", "a batch of two", linear, lambda: torch.ones(2, 10),
    "2 samples x 100: twice the total, for twice the samples",
    **spikes(200), samples=2, said=(Said(SPIKINGJELLY, "an energy twice that of one sample"),),
)  # fmt: skip
trap(
    "T20b", "one spike in each of four steps", linear, lambda: torch.eye(10)[[0] * 4][None], "4 x 1 spike x 10",
    **spikes(40), spikes=4, elements=40, options={"samples": 1, "time_steps": 4},
    said=(Said(SINABS, "40 for one time step"),),
)  # fmt: skip
trap(
    "T26", "a rate over several batches", linear, lambda: [row(1.0), row(1.0, 1.0), row(), row(1.0)],
    "4 spikes of 40 elements: 0.1, no N / (N - 1)", spikes=4, elements=40, samples=4, acs=40,
    said=(Said(FIRING_NUM, "rates x N / (N - 1); N = 1 divides by zero", "read"),),
)  # fmt: skip

trap(
    "R6", "layers in the data pipeline", lambda: nn.Linear(5, 3), a_pipeline_with_layers,
    "2 batches x 2 samples x 4 rows x 5 x 3; the pipeline's convolution is not the network's", connections=240,
    layers=1, options={"strict": True, "on_output": lambda out: nn.Linear(3, 3, device=out.device)(out)},
)  # fmt: skip
trap(
    "R7", "spikes rescaled in place under inference_mode",
    lambda: Fn(scaled_in_inference_mode, lif=LIF(), fc=nn.Linear(4, 3)), lambda: torch.full((2, 1, 4), 2.0),
    "0.5 in step 1, 1 in step 2: integers of unit 0.5", operand="integer x 0.5", events=24, unit_events=36,
    options={"batch_axis": 1},
)  # fmt: skip

trap(
    "N70", "batch made by expand", linear, lambda: torch.ones(1, 10).expand(4, 10), "4 x 10 x 10, one row in memory",
    **spikes(400), elements=40, samples=4,
)  # fmt: skip
trap(
    "N71", "a batch of nothing", linear, lambda: [torch.ones(1, 10), torch.ones(0, 10)], "the second has no rows",
    **spikes(100), samples=1,
)  # fmt: skip
trap(
    "N72", "half of the batch is silent", linear, lambda: torch.cat([torch.ones(1, 10), torch.zeros(1, 10)]),
    "10 spikes x 10; 2 x 100 connections", connections=200, **spikes(100), samples=2,
)  # fmt: skip
trap(
    "N73", "time on the last axis", lambda: Fn(lambda m, x: m.fc(x.transpose(1, 2)), fc=linear()),
    lambda: torch.ones(2, 10, 3), "2 samples x 3 steps x 10 x 10", **spikes(600),
    options={"time_steps": 3}, samples=2, time_steps=3,
)  # fmt: skip
trap(
    "N74", "model left in training mode", lambda: nn.Sequential(nn.Dropout(0.5), linear()).train(),
    lambda: torch.ones(1, 10), "inference drops nothing: 10 x 10", **spikes(100),
)  # fmt: skip
trap(
    "N75", "spikes zeroed in place", lambda: Fn(zeroed_in_place, neuron=IF(), fc=linear()),
    lambda: torch.ones(1, 1, 10), "10 neurons fire, 5 spikes are left: 5 x 10", **spikes(50), neuron_spikes=10,
    options={"batch_axis": 1},
)  # fmt: skip
trap(
    "N76", "the same counts a second time", linear, lambda: row(1.0), "nothing is left behind by the first count",
    dense_macs=100, connections=100, **spikes(10), before=(linear, lambda: row(1.0)),
)  # fmt: skip
trap(
    "N77", "soft reset keeps the surplus", lambda: IF(reset="soft"), lambda: torch.full((4, 1, 10), 0.75),
    "0.75, 1.5 (spike, 0.5 left), 1.25 (spike, 0.25 left), 1.0 (spike): 3 x 10", updates=40, neuron_spikes=30,
    options={"samples": 1},
)  # fmt: skip
trap(
    "N78", "a network that loops over time itself",
    lambda: Fn(lambda m, x: torch.stack([m.fc(m.neuron(x[None])[0]) for _ in range(4)]).mean(0), neuron=IF(),
               fc=linear()),
    lambda: torch.ones(2, 10), "4 steps x 2 samples x 10 spikes x 10", **spikes(800), updates=80,
)  # fmt: skip
