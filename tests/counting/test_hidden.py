"""Work that could escape a tracer: the right number, an incomplete certificate or a refusal, never zero."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from agree import Call
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import _disable_current_modes

import snn_energy as se
from snn_energy.errors import SnnEnergyError

LAYER = nn.Linear(4, 3).eval()
X = torch.ones(2, 4)


def in_a_thread(x: torch.Tensor) -> torch.Tensor:
    results: list[torch.Tensor] = []
    worker = threading.Thread(target=lambda: results.append(LAYER(x)))
    worker.start()
    worker.join()
    return results[0]


def without_modes(x: torch.Tensor) -> torch.Tensor:
    with _disable_current_modes():
        return LAYER(x)


def conditional(x: torch.Tensor) -> torch.Tensor:
    return torch.cond(x.sum() > 0, lambda y: LAYER(y), lambda y: LAYER(y) * 2.0, (x,))


def nested(layout: torch.layout) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return LAYER(torch.nested.nested_tensor([x, x[:1]], layout=layout)).to_padded_tensor(0.0)

    return forward


def fused(x: torch.Tensor) -> torch.Tensor:
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return scaled_dot_product_attention(x, x, x)


def frozen() -> nn.Module:
    with torch.no_grad():
        module = torch.jit.freeze(torch.jit.trace(nn.Sequential(LAYER).eval(), X))
        for _ in range(3):  # the third call runs the fused graph
            module(X)
    return module


def with_layer(function: Callable[..., Any]) -> nn.Module:
    net = Call(function)
    net.layer = LAYER
    return net.eval()


CASES: dict[str, tuple[Callable[[], nn.Module], torch.Tensor, int]] = {
    "thread": (lambda: with_layer(in_a_thread), X, 24),
    "modes switched off": (lambda: with_layer(without_modes), X, 24),
    "conditional": (lambda: with_layer(conditional), X, 24),
    "nested": (lambda: with_layer(nested(torch.strided)), X, 36),
    "jagged": (lambda: with_layer(nested(torch.jagged)), X, 36),
    "fused attention": (lambda: Call(fused), torch.ones(1, 1, 3, 2), 36),
    "flex attention": (lambda: Call(lambda x: flex_attention(x, x, x)), torch.ones(1, 1, 16, 16), 8192),
    "TorchScript": (lambda: torch.jit.trace(LAYER, X), X, 24),
    "frozen TorchScript": (frozen, X, 24),
    "symbolic trace": (lambda: torch.fx.symbolic_trace(nn.Sequential(LAYER)), X, 24),
    "custom autograd function": (lambda: with_layer(lambda x: Product.apply(x, LAYER.weight)), X, 24),
    "complex": (lambda: Call(lambda x: (x.cfloat() @ x.cfloat().t()).real), X, 16),
    "meta": (lambda: nn.Linear(4, 3, device="meta"), torch.ones(2, 4, device="meta"), 24),
}


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w.t()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_counted_listed_or_refused(name: str) -> None:
    build, x, connections = CASES[name]
    try:
        traced = se.trace(build(), x, samples=1)
    except SnnEnergyError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert "\n" not in refusal
    if refusal:
        return
    assert traced.connections == connections or not traced.coverage.complete


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("warm", [False, True])
def test_compiled_graphs_run_their_operators(warm: bool) -> None:
    """A compiled module called before, and so already one fused graph, must not hide its products."""
    net = torch.compile(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval(), backend="aot_eager")
    if warm:
        with torch.no_grad():
            net(X)
    assert se.trace(net, X).connections == 36
