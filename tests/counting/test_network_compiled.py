"""A compiled network counts as its eager self, in every floating-point type, whatever compiled it and how."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from exact_networks import PLANS, data, exact
from on_networks import facts, trace
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")  # the compiler's own

ONE_SECOND = [name for name in PLANS if name != "recurrent"]  # a hundred steps, unrolled, take several
FLOATS = (torch.float32, torch.bfloat16, torch.float16)
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs g++")


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def check(name: str, backend: str, dtype: torch.dtype, steps: int | None = None) -> None:
    """The compiled network really runs compiled, gives the eager one's output, and traces as it does."""
    net, x = exact(name, 1).to(dtype), data(name, 2, "binary", 2, dtype=dtype)[:steps]
    want = facts(trace(name, net, x))
    compiled = torch.compile(net, backend=backend)
    assert facts(trace(name, compiled, x)) == want  # before its first run
    with torch.no_grad():
        assert torch.equal(compiled(x), net(x))
    assert facts(trace(name, compiled, x)) == want  # after it


@pytest.mark.parametrize("name", ONE_SECOND)
def test_dynamo(name: str) -> None:
    check(name, "eager", torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_backends_without_code_generation(name: str, dtype: torch.dtype, backend: str) -> None:
    check(name, backend, dtype)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_inductor(name: str, dtype: torch.dtype) -> None:
    check(name, "inductor", dtype, steps=10 if name == "recurrent" else None)  # unrolled, a hundred take a minute


class Counting:
    """A backend that runs the graph as it is and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            self.runs += 1
            return graph(*args)

        return run


def in_place(net: nn.Module, backend: Any) -> nn.Module:
    net.compile(backend=backend)
    return net


def a_part(net: nn.Module, backend: Any) -> nn.Module:
    net.blocks[0].first.compile(backend=backend)
    return net


def a_function(net: nn.Module, backend: Any) -> nn.Module:
    net.logits = torch.compile(net.logits, backend=backend)
    return net


@pytest.mark.parametrize("compile_it", [in_place, a_part, a_function])
def test_however_it_is_compiled(compile_it: Callable[[nn.Module, Any], nn.Module]) -> None:
    """In place, one part, or one method; tracing runs the eager code, and the compiled code is back afterwards."""
    name = "sew-resnet"
    want = facts(trace(name, exact(name, 1), data(name, 2, "binary", 2)))
    backend, x = Counting(), data(name, 2, "binary", 2)
    net = compile_it(exact(name, 1), backend)
    with torch.no_grad():
        net(x)
        once = backend.runs
        assert once > 0
        assert facts(trace(name, net, x)) == want
        assert backend.runs == once
        net(x)
        assert backend.runs == 2 * once
