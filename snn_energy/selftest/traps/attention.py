"""Products of two activations: attention in all its spellings."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snn_energy.selftest.pieces import Fn, linear, real, reals
from snn_energy.selftest.rows import Said, trap
from snn_energy.selftest.traps.tools import FLOP_COUNTER, NEUROBENCH, SPIKINGJELLY, SYOPS


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence with itself: 8 features, 2 heads."""

    def __init__(self, *, need_weights: bool = False, **options: Any) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, **options)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        return self.attn(x, x, x, need_weights=self.need_weights)[0]  # type: ignore[no-any-return]


def attend(**options: Any) -> nn.Module:
    """Scaled-dot-product attention as a module."""
    return Fn(lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v, **options))


def three(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of one shape."""
    return real(*shape), real(*shape).flip(-1), real(*shape).flip(-2)


def bits(text: str) -> Tensor:
    """256 spikes, written as 64 hexadecimal digits, `heads=2 tokens=16 d=8`."""
    return torch.tensor([float(bit) for bit in f"{int(text, 16):0256b}"]).view(2, 16, 8)


SSA_Q = "0d1018800101883240011240000a0c0040010404e34401401400289086580308"
SSA_K = "4061400508014451041800000500848021d0006250060894003019a001108080"
SSA_V = "830a42c4210802100d00a456188c4800834a2004200018a04290000084540125"

SDPA = "2 heads x (4 x 4 x 8 scores + 4 x 4 x 8 sums) = 512"
MHA = "4 tokens x 8 x 24 for q, k, v; 2 heads x 4 x 4 x 4, twice; 4 x 8 x 8 out: 768 + 256 + 256"

trap(
    "T9f", "q @ q transposed behind a Linear",
    lambda: Fn(lambda m, x: (lambda q: q @ q.transpose(-1, -2))(m.fc(x)), fc=linear(8, 8)), lambda: torch.ones(1, 4, 8),
    "4 x 8 x 8 + 4 x 8 x 4", dense_macs=384, connections=384, said=(Said(NEUROBENCH, {"connections": 256}),),
)  # fmt: skip
trap(
    "T12", "scaled-dot-product attention", attend, lambda: three(1, 2, 4, 8), SDPA, dense_macs=512, **reals(512),
    said=(Said(SPIKINGJELLY, {"acs": 0, "macs": 0}), Said(FLOP_COUNTER, {"dense_macs": 0})),
)  # fmt: skip
trap(
    "T12-mha", "multi-head attention in eval mode", lambda: SelfAttention(batch_first=True), lambda: real(1, 4, 8), MHA,
    dense_macs=1280, connections=1280, macs=1280,
    said=(Said(SPIKINGJELLY, {"macs": 0}), Said(FLOP_COUNTER, {"dense_macs": 0}), Said(SYOPS, {"acs": 0, "macs": 0})),
)  # fmt: skip
trap(
    "T12b", "transformer encoder layer in eval mode",
    lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), lambda: real(1, 4, 8),
    MHA + " = 1280; feed-forward 4 x (8 x 16 + 16 x 8) = 1024", dense_macs=2304, macs=2304,
    said=(Said(SPIKINGJELLY, {"macs": 0}), Said(FLOP_COUNTER, {"dense_macs": 0})),
)  # fmt: skip
trap(
    "T17", "spiking self-attention (q k^T) v",
    lambda: Fn(lambda m, q, k, v: (q @ k.transpose(-1, -2)) @ v), lambda: (bits(SSA_Q), bits(SSA_K), bits(SSA_V)),
    "pairs of which both are not 0, counted with a loop over the 3 x 256 spikes: 153 and 206",
    events=359, acs=359, said=(Said(SPIKINGJELLY, {"acs": 1081}),),
)  # fmt: skip
trap(
    "R5", "attention over sequences of two lengths", lambda: nn.MultiheadAttention(8, 2, batch_first=True, bias=False),
    lambda: [(real(1, n, 8),) * 3 for n in (4, 6)],
    "L x 8 x 24 + 2 x 2 x L x L x 4 + L x 8 x 8: 1280 for L = 4, 2112 for L = 6; the rows are the same four",
    connections=3392, layers=4,
)  # fmt: skip

trap(
    "N50", "multi-head attention that returns its weights", lambda: SelfAttention(need_weights=True, bias=False),
    lambda: real(4, 1, 8), MHA, dense_macs=1280, connections=1280, macs=1280, options={"batch_axis": 1},
)  # fmt: skip
trap(
    "N51", "causal attention", lambda: attend(is_causal=True), lambda: three(1, 4, 8),
    "a dense machine makes 4 x 4 scores and sums over all; 10 of 16 weights are not 0: 128 + 10 x 8",
    dense_macs=256, events=208,
)  # fmt: skip
trap(
    "N52", "attention under a boolean mask",
    lambda: Fn(lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=m.mask),
               mask=nn.Buffer(torch.eye(4, dtype=torch.bool))),
    lambda: three(1, 4, 8), "each token attends to itself: 128 + 4 x 8 events", dense_macs=256, events=160,
)  # fmt: skip
trap(
    "N53", "grouped queries", lambda: attend(enable_gqa=True),
    lambda: (real(1, 4, 4, 8), real(1, 2, 4, 8).flip(-1), real(1, 2, 4, 8)),
    "4 heads x 2 x 4 x 4 x 8, though there are 2 heads of keys", dense_macs=1024, **reals(1024),
)  # fmt: skip
trap(
    "N54", "cross attention, 2 queries and 5 keys",
    lambda: Fn(lambda m, x, y: m.attn(x, y, y, need_weights=False)[0],
               attn=nn.MultiheadAttention(8, 2, batch_first=True, bias=False)),
    lambda: (real(1, 2, 8), real(1, 5, 8)), "2 x 64 + 2 x 5 x 64 + 2 heads x 2 x 5 x 4, twice + 2 x 64",
    dense_macs=1056, connections=1056, macs=1056,
)  # fmt: skip
trap(
    "N55", "attention in einsum",
    lambda: Fn(lambda m, q, k, v: torch.einsum("bqk,bkd->bqd", torch.einsum("bqd,bkd->bqk", q, k).softmax(-1), v)),
    lambda: three(1, 4, 8), "4 x 4 x 8, twice", dense_macs=256, **reals(256),
)  # fmt: skip
trap(
    "N56", "linear-order attention q (k^T v) on spikes",
    lambda: Fn(lambda m, q, k, v: q @ (k.transpose(-1, -2) @ v)),
    lambda: (torch.eye(4)[None], torch.eye(4)[None], torch.ones(1, 4, 4)),
    "k^T v: 4 spikes x 4; their product is all ones, of which q picks 4 x 4", dense_macs=128, events=32, acs=32,
)  # fmt: skip
trap(
    "N57", "spike-driven attention: masks and sums",
    lambda: Fn(lambda m, q, k, v: q * (k * v).sum(-2, keepdim=True)),
    lambda: (torch.ones(1, 4, 8), torch.ones(1, 4, 8), torch.ones(1, 4, 8)),
    "no matrix product at all: two masks of 32, and 3 x 8 additions", dense_macs=0, acs=0, adds=24,
)  # fmt: skip
trap(
    "N58", "one sparse factor, one dense",
    lambda: Fn(lambda m, a, b: a @ b), lambda: (torch.eye(4)[None], real(1, 4, 6)),
    "4 spikes, each against 6 real values: accumulates, for one factor is a spike",
    dense_macs=96, events=24, acs=24, macs=0,
)  # fmt: skip
trap(
    "N59", "token mixing: transposed Linear", lambda: Fn(lambda m, x: m.fc(x.transpose(1, 2)), fc=linear(4, 4)),
    lambda: torch.eye(4)[None, :, :3].contiguous(), "3 spikes x 4 outputs; 3 features x 4 x 4",
    dense_macs=48, events=12, acs=12,
)  # fmt: skip
