"""Work that could escape a tracer: the right number, an incomplete certificate whose bound holds, or a refusal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import _disable_current_modes

from snn_energy.selftest.pieces import Fn, real
from snn_energy.selftest.rows import Build, Feed, Promise, trap


def in_a_thread(m: Any, x: Tensor) -> Tensor:
    """The layer runs in another thread."""
    results: list[Tensor] = []
    worker = threading.Thread(target=lambda: results.append(m.fc(x)))
    worker.start()
    worker.join()
    return results[0]


def without_modes(m: Any, x: Tensor) -> Tensor:
    """Every dispatch mode is switched off around the layer."""
    with _disable_current_modes():
        return m.fc(x)  # type: ignore[no-any-return]


def conditional(m: Any, x: Tensor) -> Any:
    """Both branches are bodies of a higher-order operator."""
    return torch.cond(x.sum() > 0, lambda y: m.fc(y), lambda y: m.fc(y) * 2.0, (x,))


def nested(layout: torch.layout) -> Callable[[Any, Tensor], Tensor]:
    """Two rows and one row in one nested tensor."""

    def forward(m: Any, x: Tensor) -> Tensor:
        ragged = torch.nested.nested_tensor([x, x[:1]], layout=layout)
        return m.fc(ragged).to_padded_tensor(0.0)  # type: ignore[no-any-return]

    return forward


def fused(m: Any, x: Tensor) -> Tensor:
    """Attention on a backend that the caller insists on."""
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return F.scaled_dot_product_attention(x, x, x)


def flexible(m: Any, x: Tensor) -> Any:
    """Attention as a higher-order operator."""
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention(x, x, x)


def frozen() -> nn.Module:
    """Frozen TorchScript after enough calls to run its fused graph."""
    x = real(2, 4)
    with torch.no_grad():
        module = torch.jit.freeze(torch.jit.trace(nn.Sequential(nn.Linear(4, 3, bias=False)).eval(), x))  # type: ignore[no-untyped-call]
        for _ in range(3):
            module(x)
    return module  # type: ignore[no-any-return]


def scripted() -> nn.Module:
    """TorchScript made by tracing."""
    return torch.jit.trace(nn.Linear(4, 3, bias=False).eval(), real(2, 4))  # type: ignore[no-untyped-call, no-any-return]


class Product(torch.autograd.Function):
    """A product inside a function with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        """Multiply."""
        return x @ w.t()


def _hidden(
    id: str, title: str, function: Callable[..., Any], feed: Feed, why: str, connections: int, cpu_only: str = ""
) -> None:
    _hidden_net(
        id, title, lambda: Fn(function, fc=nn.Linear(4, 3, bias=False)).eval(), feed, why, connections, cpu_only
    )


def _hidden_net(id: str, title: str, build: Build, feed: Feed, why: str, connections: int, cpu_only: str = "") -> None:
    trap(
        id, title, build, feed, why, promise=Promise.HONEST, options={"samples": 1}, cpu_only=cpu_only,
        connections=connections, dense_macs=connections,
    )  # fmt: skip


TWO = "2 rows x 4 x 3"
THREE = "3 rows x 4 x 3"


def _x() -> Tensor:
    return real(2, 4)


_hidden("H1", "a layer in another thread", in_a_thread, _x, TWO, 24)
_hidden("H2", "a layer with modes switched off", without_modes, _x, TWO, 24)
_hidden("H3", "torch.cond", conditional, _x, TWO, 24)
_hidden("H4", "nested tensors", nested(torch.strided), _x, THREE, 36)
_hidden("H5", "jagged tensors", nested(torch.jagged), _x, THREE, 36)
_hidden(
    "H6", "attention on one fused backend", fused, lambda: real(1, 1, 3, 2), "3 x 3 x 2, twice", 36,
    "other devices have no such kernel for float32",
)  # fmt: skip
_hidden("H7", "flex_attention", flexible, lambda: real(1, 1, 16, 16), "16 x 16 x 16, twice", 8192)
_hidden_net("H8", "TorchScript", scripted, _x, TWO, 24)
_hidden_net("H9", "frozen TorchScript", frozen, _x, TWO, 24, "frozen weights do not move")
_hidden_net(
    "H10", "symbolic trace", lambda: torch.fx.symbolic_trace(nn.Sequential(nn.Linear(4, 3, bias=False))), _x, TWO, 24
)
_hidden("H11", "custom autograd function", lambda m, x: Product.apply(x, m.fc.weight), _x, TWO, 24)  # type: ignore[no-untyped-call]
_hidden("H12", "complex product", lambda m, x: (x.cfloat() @ x.cfloat().t()).real, _x, "2 x 4 x 2 pairs", 16)
_hidden_net(
    "H13",
    "meta tensors",
    lambda: nn.Linear(4, 3, bias=False, device="meta"),
    lambda: torch.ones(2, 4, device="meta"),
    TWO,
    24,
)
_hidden("N120", "vmap", lambda m, x: torch.func.vmap(m.fc)(x), _x, TWO, 24)
_hidden(
    "N121", "sparse product", lambda m, x: torch.sparse.mm(m.fc.weight.to_sparse(), x.t()).t(), _x, TWO, 24
)  # fmt: skip
_hidden(
    "N122", "product in a backward pass of its own", lambda m, x: _inner_gradient(m.fc, x), _x,
    "2 x 4 x 3 forward; the gradient with respect to x takes as many", 48,
)  # fmt: skip
trap(
    "N123", "product by Fourier transform",
    lambda: Fn(lambda m, x: torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(m.w), 8), w=nn.Parameter(real(8))),
    lambda: real(1, 8), "no fast transform of 8 real numbers does with fewer than 8 additions, and there are two",
    work=16, promise=Promise.AT_LEAST,
)  # fmt: skip
trap(
    "N124", "solving equations",
    lambda: Fn(lambda m, x: torch.linalg.solve(x + 4 * m.eye, x), eye=nn.Buffer(torch.eye(4))),
    lambda: real(4, 4), "elimination on 4 x 4 takes at least 4 x 4 x 4 / 3 products", work=22,
    promise=Promise.AT_LEAST,
)  # fmt: skip
trap(
    "R11", "TorchScript convolution of a learned input",
    lambda: torch.jit.trace(LearnedInput().eval(), real(2, 3)),  # type: ignore[no-untyped-call]
    lambda: real(2, 3), "weights times weights is done once, at load time", connections=0, options={"strict": True},
)  # fmt: skip


def _inner_gradient(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        inner = x.detach().requires_grad_()
        return torch.autograd.grad(layer(inner).square().sum(), inner)[0]


class LearnedInput(nn.Module):
    """A convolution whose operand is a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.conv = nn.Parameter(real(1, 1, 5, 5)), nn.Conv2d(1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the parameter, add the data."""
        return self.conv(self.token) + x.sum()  # type: ignore[no-any-return]
