"""Attention: scaled dot product, nn.MultiheadAttention and the encoder layer, in the shapes users write."""

from __future__ import annotations

import brute
import pytest
import torch
from agree import Call, filled, pick, same, trace
from brute import Tally
from hypothesis import given
from hypothesis import strategies as st
from strategies import Spikes, fill_nonnegative, seeds, spikes
from torch import nn
from torch.nn import functional as F

small = st.integers(1, 3)
HEADS = 2


def drawn_mask(seed: int, *shape: int) -> torch.Tensor:
    """True where looking is allowed; every query may look at the first key."""
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("masking", ["none", "boolean", "additive", "causal"])
@given(n=small, length=small, keys=small, e=small, d=small, s=spikes(), seed=seeds)
def test_scaled_dot_product(masking: str, n: int, length: int, keys: int, e: int, d: int, s: Spikes, seed: int) -> None:
    q, k = s.tensor(n, HEADS, length, e), Spikes(s.kind, 0.5, seed).tensor(n, HEADS, keys, e)
    v = Spikes("binary", 0.5, seed + 1).tensor(n, HEADS, keys, d)
    allowed = torch.ones(length, keys, dtype=torch.bool)
    options: dict[str, object] = {}
    if masking == "causal":
        allowed, options = allowed.tril(), {"is_causal": True}
    elif masking == "boolean":
        allowed = drawn_mask(seed, length, keys)
        options = {"attn_mask": allowed}
    elif masking == "additive":
        allowed = drawn_mask(seed, length, keys)
        options = {"attn_mask": torch.zeros(length, keys).masked_fill(~allowed, float("-inf"))}
    net = Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options))
    counts, _ = brute.attention(*(x.flatten(0, 1).tolist() for x in (q, k, v)), [allowed.tolist()] * (n * HEADS))
    same(trace(net, (q, k, v)), brute.total(counts.values()))


@given(n=small, length=small, keys=small, seed=seeds)
def test_grouped_queries(n: int, length: int, keys: int, seed: int) -> None:
    """enable_gqa: four query heads share two key heads; every query head still meets its keys."""
    q = Spikes("binary", 0.6, seed).tensor(n, 4, length, 2)
    k, v = (Spikes("binary", 0.6, seed + i).tensor(n, 2, keys, 2) for i in (1, 2))
    net = Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True))
    k4, v4 = (x.repeat_interleave(2, 1).flatten(0, 1).tolist() for x in (k, v))
    counts, _ = brute.attention(q.flatten(0, 1).tolist(), k4, v4, torch.ones(4 * n, length, keys).tolist())
    same(trace(net, (q, k, v)), brute.total(counts.values()))


def test_unmasked_half_attends_to_itself_only() -> None:
    q = torch.ones(1, 1, 3, 2)
    traced = trace(Call(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True)), q)
    # Both products are dense as arithmetic; of the second, only the six allowed probabilities are non-zero.
    assert (traced.connections, traced.events) == (18 + 18, 18 + 12)


def mha_oracle(
    mha: nn.MultiheadAttention,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    allowed: torch.Tensor,
) -> Tally:
    if mha.in_proj_weight is not None:
        wq, wk, wv = mha.in_proj_weight.chunk(3)
    else:
        wq, wk, wv = mha.q_proj_weight, mha.k_proj_weight, mha.v_proj_weight
    bq, bk, bv = mha.in_proj_bias.chunk(3) if mha.in_proj_bias is not None else (None, None, None)
    counts = brute.multihead(
        q.tolist(),
        k.tolist(),
        v.tolist(),
        wq=wq.tolist(),
        wk=wk.tolist(),
        wv=wv.tolist(),
        wo=mha.out_proj.weight.tolist(),
        bq=None if bq is None else bq.tolist(),
        bk=None if bk is None else bk.tolist(),
        bv=None if bv is None else bv.tolist(),
        heads=mha.num_heads,
        allowed=allowed.tolist(),
    )
    return brute.total(counts.values())


@st.composite
def attention_cases(draw: st.DrawFn) -> dict[str, object]:
    return {
        "form": draw(st.sampled_from(("self", "memory", "cross"))),
        "batch_first": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "need_weights": draw(st.booleans()),
        "odd_dims": draw(st.booleans()),
        "masking": draw(st.sampled_from(("none", "attn", "padding", "both"))),
        "n": draw(small),
        "length": draw(small),
        "keys": draw(small),
        "seed": draw(seeds),
    }


@given(attention_cases())
def test_multihead_attention(case: dict) -> None:
    """Self, memory (k is v) and cross attention, packed or separate projections, either axis order."""
    n, length, seed = case["n"], case["length"], case["seed"]
    odd = case["odd_dims"] and case["form"] != "self"
    kdim, vdim = (3, 3 if case["form"] == "memory" else 5) if odd else (4, 4)
    mha = nn.MultiheadAttention(4, HEADS, bias=case["bias"], kdim=kdim, vdim=vdim, batch_first=case["batch_first"])
    filled(mha, seed, fill_nonnegative)
    q = Spikes("binary", 0.6, seed).tensor(n, length, 4)
    if case["form"] == "self":
        k = v = q
    else:
        k = Spikes("binary", 0.6, seed + 1).tensor(n, case["keys"], kdim)
        v = k if case["form"] == "memory" else Spikes("binary", 0.6, seed + 2).tensor(n, case["keys"], vdim)
    keys = k.shape[1]
    allowed = torch.ones(n, length, keys, dtype=torch.bool)
    options: dict[str, object] = {"need_weights": case["need_weights"]}
    if case["masking"] in ("attn", "both"):
        look = drawn_mask(seed, length, keys)
        options["attn_mask"] = ~look
        allowed = allowed & look
    if case["masking"] in ("padding", "both"):
        present = drawn_mask(seed + 1, n, keys)
        options["key_padding_mask"] = ~present
        allowed = allowed & present[:, None, :]
    want = mha_oracle(mha, q, k, v, allowed)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = mha

        def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            if case["form"] == "self":
                k = v = q
            elif case["form"] == "memory":
                v = k
            return self.attn(q, k, v, **options)[0]

    args = (q, k, v) if case["batch_first"] else tuple(x.transpose(0, 1) for x in (q, k, v))
    same(trace(Net().eval(), args, samples=n), want)


@pytest.mark.parametrize("need_weights", [True, False])
def test_unbatched_multihead_attention(need_weights: bool) -> None:
    mha = filled(nn.MultiheadAttention(4, HEADS), 3, fill_nonnegative)
    q = Spikes("binary", 0.6, 3).tensor(5, 4)
    net = Call(lambda q: mha(q, q, q, need_weights=need_weights)[0])
    net.mha = mha
    want = mha_oracle(mha, q[None], q[None], q[None], torch.ones(1, 5, 5))
    same(trace(net.eval(), q, samples=1), want)


def test_added_keys_are_counted() -> None:
    """add_bias_kv and add_zero_attn lengthen the keys by one each; no projection makes them."""
    mha = nn.MultiheadAttention(4, HEADS, add_bias_kv=True, add_zero_attn=True, batch_first=True).eval()
    net = Call(lambda q: mha(q, q, q)[0])
    net.mha = mha
    traced = trace(net.eval(), torch.rand(2, 3, 4))
    assert traced.connections == 2 * (3 * 4 * 4 * 4 + 2 * 3 * 5 * 4)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("masked", [False, True])
def test_encoder_layer(norm_first: bool, batch_first: bool, activation: str, masked: bool) -> None:
    """Eval mode would take the fused path, which hides every product inside one operator."""
    n, length, e, hidden = 2, 4, 8, 16
    layer = nn.TransformerEncoderLayer(
        e, HEADS, hidden, norm_first=norm_first, batch_first=batch_first, activation=activation
    ).eval()
    x = torch.randn(n, length, e) if batch_first else torch.randn(length, n, e)
    mask = torch.zeros(n, length, dtype=torch.bool)
    mask[:, -1] = masked
    options = {"src_key_padding_mask": mask} if masked else {}
    traced = trace(layer, {"src": x, **options}, samples=n)
    tokens = n * length
    want = tokens * (3 * e * e + e * e + 2 * e * hidden) + 2 * n * length * length * e
    assert pick(traced, ("dense_macs", "connections")) == {"dense_macs": want, "connections": want}
    assert traced.macs == want


def test_encoder_of_two_layers_and_padding() -> None:
    """The encoder's own fast path turns padded batches into nested tensors."""
    layer = nn.TransformerEncoderLayer(8, HEADS, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    mask = torch.tensor([[False] * 4, [False, False, True, True]])
    traced = trace(encoder, {"src": torch.randn(2, 4, 8), "src_key_padding_mask": mask}, samples=2)
    assert traced.connections == 2 * 2 * 2304


def test_decoder_layer() -> None:
    layer = nn.TransformerDecoderLayer(8, HEADS, 16, batch_first=True).eval()
    traced = trace(layer, (torch.randn(1, 3, 8), torch.randn(1, 5, 8)))
    self_attention = 3 * 4 * 64 + 2 * 3 * 3 * 8
    cross_attention = 3 * 64 + 2 * 5 * 64 + 3 * 64 + 2 * 3 * 5 * 8
    assert traced.connections == self_attention + cross_attention + 3 * 2 * 8 * 16


def test_spiking_attention_needs_both_spikes() -> None:
    q, k, v = (Spikes("binary", 0.3, i).tensor(2, HEADS, 4, 3) for i in range(3))
    net = Call(lambda q, k, v: (q @ k.transpose(-1, -2)) @ v * 0.125)
    scores = brute.matmul(q.tolist(), k.transpose(-1, -2).tolist())
    mix = brute.matmul((q @ k.transpose(-1, -2)).tolist(), v.tolist())
    traced = trace(net, (q, k, v))
    same(traced, scores + mix)
    assert (traced.acs, traced.macs) == (scores.events + mix.events, 0)
