"""Matrix products by module, by function and by hand; weights that are pruned, re-parametrised or written."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from snn_energy.selftest.pieces import (
    WEIGHT,
    Fn,
    held,
    kept_columns,
    level,
    linear,
    real,
    reals,
    row,
    spike,
    spikes,
    wired,
)
from snn_energy.selftest.rows import Said, trap
from snn_energy.selftest.traps.tools import CALFLOPS, NEUROBENCH, PTFLOPS, SPIKINGJELLY, TORCHINFO


class FirstColumns(nn.Module):
    """A parametrisation that keeps three columns of a weight."""

    def forward(self, weight: Tensor) -> Tensor:
        """Zero the other columns."""
        return weight * (kept_columns(3) > 0).to(weight)


def pruned(*amounts: float, remove: bool = False) -> nn.Module:
    """The 10x10 layer with `amounts` of its weights pruned, one after the other."""
    layer = nn.Linear(10, 10, bias=False)
    for amount in amounts:
        prune.l1_unstructured(layer, "weight", amount=amount)  # type: ignore[no-untyped-call]
    if remove:
        prune.remove(layer, "weight")  # type: ignore[no-untyped-call]
    return layer


def parametrised() -> nn.Module:
    """The 10x10 layer of ones behind a mask."""
    layer = linear()
    parametrize.register_parametrization(layer, "weight", FirstColumns())
    return layer


def written(m: Any, x: Tensor) -> Tensor:
    """Use a weight, write zeros over most of it, use it again."""
    first = F.linear(x, m.w)
    m.w[:, 3:] = 0
    return first + F.linear(x, m.w)


def thinned() -> nn.Module:
    """30 of 100 weights are not 0: three in each row, among the first seven columns."""
    columns = [(r % 7, (r + 2) % 7, (r + 4) % 7) for r in range(10)]
    return wired([[WEIGHT * (c in three) for c in range(10)] for three in columns])


trap(
    "T6", "bare Linear", linear, lambda: row(1.0), "one spike x 10 outputs; dense 10 x 10",
    dense_macs=100, connections=100, **spikes(10), said=(Said(NEUROBENCH, "0 ACs, 0 dense, unless in a Sequential"),),
)  # fmt: skip
trap(
    "T6-wrapped", "Linear called by a module's own forward", lambda: Fn(lambda m, x: m.inner(x), inner=linear()),
    lambda: row(1.0), "as T6", dense_macs=100, connections=100, **spikes(10),
)  # fmt: skip
trap(
    "T7-keyword", "Linear called with input=", lambda: Fn(lambda m, x: m.fc(input=x), fc=linear()), lambda: row(1.0),
    "as T6", dense_macs=100, connections=100, **spikes(10), said=(Said(NEUROBENCH, "0: the exception is swallowed"),),
)  # fmt: skip
trap(
    "T8", "pruned, mask in place", lambda: pruned(0.9), lambda: torch.ones(1, 10),
    "10 of 100 weights are left; every input is 1",
    dense_macs=100, connections=100, events=100, effective_events=10, acs=100, effective_acs=10,
    said=(Said(NEUROBENCH, {"effective_acs": -1, "connections": -1}),),
)  # fmt: skip
trap(
    "T8-removed", "pruned, mask made permanent", lambda: pruned(0.9, remove=True), lambda: torch.ones(1, 10),
    "as T8", dense_macs=100, connections=100, events=100, effective_events=10, acs=100, effective_acs=10,
)  # fmt: skip
trap(
    "T8b", "weight norm", lambda: parametrizations.weight_norm(nn.Linear(10, 10, bias=False)), lambda: row(1.0),
    "as T6",
    dense_macs=100, connections=100, **spikes(10), said=(Said(NEUROBENCH, {"effective_acs": 0, "connections": 0}),),
)  # fmt: skip
trap(
    "T14", "strict on a plain Linear", linear, lambda: row(1.0),
    "one spike x 10; a transposed view of the weights costs nothing", **spikes(10), options={"strict": True},
    said=(Said(SPIKINGJELLY, "strict=True raises on aten.t"),),
)  # fmt: skip
trap(
    "T18d", "70 % zero weights, 7 spikes", thinned, lambda: row(*[1.0] * 7),
    "7 x 10 connections; all 30 weights lie in the first 7 columns",
    events=70, effective_events=30, acs=70, effective_acs=30,
)  # fmt: skip
trap(
    "T23", "Linear on three axes", linear, lambda: real(4, 3, 10), "4 x 3 vectors x 10 x 10",
    dense_macs=1200, **reals(1200), options={"samples": 3, "time_steps": 4},
    said=(Said(TORCHINFO, {"dense_macs": 400}), Said(PTFLOPS, "300 for one image")),
)  # fmt: skip
trap(
    "T24", "after a model without parameters", linear, lambda: real(1, 10), "10 x 10, whatever ran before",
    dense_macs=100, **reals(100), before=(nn.ReLU, lambda: real(1, 10)),
    said=(Said(CALFLOPS, "StopIteration, then 200, 300, ..."),),
)  # fmt: skip
trap(
    "T28", "twice the spikes", linear, lambda: row(1.0, 1.0), "2 spikes x 10, twice the work of one", **spikes(20),
    said=(Said("SpikeSim", "the same energy", "read"),),
)  # fmt: skip

trap(
    "R1-transposed", "a weight and its transpose",
    lambda: Fn(lambda m, x: F.linear(x, m.w) + F.linear(x, m.w.t()),
               w=nn.Parameter(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))),
    lambda: torch.tensor([[1.0, 0.0]]), "column 0 holds one weight that is not 0, and so does row 0",
    events=4, effective_events=2,
)  # fmt: skip
trap(
    "R1-masked", "one parameter under two masks",
    lambda: Fn(lambda m, x: F.linear(x, m.w * m.a) + F.linear(x, m.w * m.b), w=nn.Parameter(held(2, 2)),
               a=nn.Buffer(torch.zeros(2, 2)), b=nn.Buffer(held(2, 2))),
    lambda: torch.tensor([[1.0, 0.0]]), "0 weights under the first mask, 2 under the second", effective_events=2,
)  # fmt: skip
trap(
    "R1-halves", "two slices of one parameter",
    lambda: Fn(lambda m, x: F.linear(x, m.w[:, :1]) + F.linear(x, m.w[:, 1:]),
               w=nn.Parameter(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))),
    lambda: torch.ones(1, 1), "column 0 has one weight that is not 0, column 1 has two", effective_events=3,
)  # fmt: skip
trap(
    "R2", "einsum over axes of size one",
    lambda: Fn(lambda m, x: torch.einsum("bi,io->bo", x, m.w), w=nn.Parameter(held(1, 5))),
    lambda: real(2, 1), "2 x 1 x 5 multiply-accumulates, no element-wise product",
    connections=10, layers=1, adds=0, muls=0,
)  # fmt: skip

trap(
    "N20", "pruned twice", lambda: pruned(0.5, 0.5), lambda: torch.ones(1, 10), "half of half of 100 weights is left",
    events=100, effective_events=25, acs=100, effective_acs=25,
)  # fmt: skip
trap(
    "N21", "masked by a parametrisation", parametrised, lambda: torch.ones(1, 10), "3 of 10 columns are left",
    events=100, effective_events=30, acs=100, effective_acs=30,
)  # fmt: skip
trap(
    "N22", "functional_call with other weights",
    lambda: Fn(lambda m, x: torch.func.functional_call(m.fc, {"weight": m.other}, (x,)), fc=linear(),
               other=nn.Buffer(kept_columns(3))),
    lambda: torch.ones(1, 10), "the weights put in have 3 columns that are not 0",
    events=100, effective_events=30, acs=100, effective_acs=30,
)  # fmt: skip
trap(
    "N23", "weights written between two uses",
    lambda: Fn(written, w=nn.Buffer(held(10, 10))), lambda: torch.ones(1, 10),
    "100 weights at first, then 3 columns of 10", events=200, effective_events=130, acs=200, effective_acs=130,
)  # fmt: skip
trap(
    "N23-learned", "learned weights written between two uses",
    lambda: Fn(written, w=nn.Parameter(held(10, 10))), lambda: torch.ones(1, 10),
    "as N23", events=200, effective_events=130, acs=200, effective_acs=130,
)  # fmt: skip
trap(
    "N24", "low-rank adapter",
    lambda: Fn(lambda m, x: F.linear(x, m.w + m.b @ m.a), w=nn.Parameter(held(10, 10)),
               a=nn.Parameter(held(2, 10)), b=nn.Parameter(held(10, 2))),
    lambda: row(1.0), "weights times weights is done once, at load time; the spike meets 10 sums",
    connections=100, **spikes(10),
)  # fmt: skip
trap(
    "N25", "weights made from data",
    lambda: Fn(lambda m, x, z: F.linear(x, m.gen(z).view(10, 10)), gen=linear(1, 100)),
    lambda: (row(1.0), torch.ones(1, 1)), "1 x 100 to make them, then one spike against 10 of them, none of which is 0",
    connections=200, events=110, acs=110,
)  # fmt: skip
trap(
    "N26", "spectral norm", lambda: parametrizations.spectral_norm(linear()), lambda: row(1.0),
    "dividing the weights by their norm is done at load time", connections=100, **spikes(10),
)  # fmt: skip
trap(
    "N27", "layer in a plain Python list",
    lambda: Fn(lambda m, x: F.linear(x, m.hidden[0].weight.to(x.device)), hidden=[linear()]), lambda: row(1.0),
    "as T6: it is not registered, but it runs", dense_macs=100, **spikes(10),
)  # fmt: skip
trap(
    "N28", "bilinear form", lambda: level(nn.Bilinear(3, 4, 5, bias=False)),
    lambda: (row(1.0, width=3), row(1.0, 1.0, width=4)), "1 x 2 pairs of spikes x 5 outputs; dense 3 x 4 x 5",
    dense_macs=60, connections=60, **spikes(10),
)  # fmt: skip
trap(
    "N29", "a vector without a batch", linear, lambda: row(1.0)[0], "as T6",
    dense_macs=100, **spikes(10), options={"samples": 1},
)  # fmt: skip
trap(
    "N30", "addmm by hand",
    lambda: Fn(lambda m, x: torch.addmm(m.b, x, m.w), w=nn.Parameter(held(10, 10)),
               b=nn.Parameter(held(10))),
    lambda: row(1.0), "as T6, and 10 additions of the bias", connections=100, bias_adds=10, **spikes(10),
)  # fmt: skip
trap(
    "N31", "einsum with three axes",
    lambda: Fn(lambda m, x: torch.einsum("tnd,df->tnf", x, m.w), w=nn.Parameter(held(10, 10))),
    lambda: torch.ones(4, 2, 10), "8 vectors x 10 x 10", dense_macs=800, **spikes(800),
    options={"samples": 2, "time_steps": 4},
)  # fmt: skip
trap(
    "N32", "every second feature, a strided view", lambda: Fn(lambda m, x: m.fc(x[..., ::2]), fc=linear(5, 10)),
    lambda: row(1.0, 1.0, 1.0), "features 0, 2, 4, ...: two spikes x 10", **spikes(20), connections=50,
)  # fmt: skip
trap(
    "N33", "matrix-vector product",
    lambda: Fn(lambda m, x: torch.mv(m.w, x), w=nn.Parameter(held(10, 10))), lambda: row(1.0)[0],
    "as T6", dense_macs=100, **spikes(10), options={"samples": 1},
)  # fmt: skip
trap(
    "N34", "activation checkpointing",
    lambda: Fn(lambda m, x: torch.utils.checkpoint.checkpoint(m.fc, x, use_reentrant=False), fc=linear()),
    lambda: row(1.0), "run once in the forward pass: as T6", dense_macs=100, **spikes(10), calls=1,
)  # fmt: skip
trap(
    "N35", "a hook of the user's that hides spikes", lambda: _with_mask(linear()), lambda: torch.ones(1, 10),
    "the layer gets 3 of the 10 spikes: 3 x 10", **spikes(30),
)  # fmt: skip
trap(
    "N36", "a hook of the user's that silences a layer", lambda: _silenced(), lambda: torch.ones(1, 10),
    "100 in the first layer; the hook turns its output into zeros, so nothing reaches the second",
    connections=200, of={"0: events": 100, "1: events": 0},
)  # fmt: skip
trap(
    "N37", "token embedding in front", lambda: nn.Sequential(level(nn.Embedding(7, 4)), linear(4, 5)),
    lambda: torch.tensor([[1, 2, 3]]), "a table lookup is no product: 3 tokens x 4 x 5",
    dense_macs=60, connections=60, events=60, of={"1: connections": 60},
)  # fmt: skip
trap(
    "N39", "weights of one", lambda: wired([[1.0] * 10] * 10), lambda: real(1, 10),
    "real values times weights that look like spikes: still 10 x 10 multiply-accumulates", dense_macs=100, **reals(100),
)  # fmt: skip
trap(
    "N38", "one spike through 1x1 convolution and Linear alike",
    lambda: nn.Sequential(level(nn.Conv2d(4, 6, 1, bias=False)), nn.Flatten(), linear(6, 3)),
    lambda: spike(0, 0, 0, shape=(1, 4, 1, 1)), "1 x 6 accumulates make 6 equal values, which make 6 x 3",
    dense_macs=42, connections=42, **spikes(24),
)  # fmt: skip


def _with_mask(layer: nn.Module) -> nn.Module:
    layer.register_forward_pre_hook(lambda _, args: (args[0] * row(1.0, 1.0, 1.0).to(args[0]),))
    return nn.Sequential(layer)


def _silenced() -> nn.Module:
    net = nn.Sequential(linear(), linear())
    net[0].register_forward_hook(lambda _module, _args, out: out * 0)
    return net
