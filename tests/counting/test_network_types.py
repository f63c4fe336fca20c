"""Laws of whole networks: the same counts in every floating-point type, eager and compiled."""

from __future__ import annotations

from typing import Any

import torch
from catching import caught
from hypothesis import strategies as st
from on_networks import example, facts, on_networks, seeds, trace
from torch import nn

HALVES = (torch.bfloat16, torch.float16)
FLOATS = (torch.float32, *HALVES)


def typed(traced: Any) -> dict[str, Any]:
    """Facts without the rounding step of the type, which a class remembers of its values."""
    found = facts(traced)
    for layer in found["layers"].values():
        layer["values"] = [v and (v.magnitudes, v.positive, v.negative, v.many) for v in layer["values"]]
    return found


def short(name: str) -> dict[str, Any]:
    """Arguments that keep the numbers short: an adapting threshold needs more bits with every step."""
    return {"neuron": "lif"} if name == "recurrent" else {}


def spikes_of(net: nn.Module, x: torch.Tensor) -> dict[str, list[Any]]:
    with caught(net) as (_, spikes, _):
        net(x)
    return {name: [step.tolist() for step in steps] for name, steps in spikes.items()}


@on_networks(seed=seeds, kind=st.sampled_from(("binary", "integer")), stepped=st.booleans())
def test_every_type_counts_the_same(name: str, seed: int, kind: str, stepped: bool) -> None:
    """Networks whose sums fit 8 bits spike alike in every type; then every count is the same."""
    net, x = example(name, seed, kind, stepped=stepped, **short(name))
    net, x = net.double(), x.double()
    want, spikes = typed(trace(name, net, x)), spikes_of(net, x)
    for dtype in FLOATS:
        net, x = net.to(dtype), x.to(dtype)
        assert spikes_of(net, x) == spikes
        assert typed(trace(name, net, x)) == want


@on_networks(seed=seeds, kind=st.sampled_from(("binary", "integer")), dtype=st.sampled_from(HALVES))
def test_autocast_counts_the_same(name: str, seed: int, kind: str, dtype: torch.dtype) -> None:
    net, x = example(name, seed, kind, **short(name))
    want = typed(trace(name, net, x))
    with torch.autocast("cpu", dtype=dtype):
        assert typed(trace(name, net, x)) == want
