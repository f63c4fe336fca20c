"""Nothing waits for the device while a model runs, and what is asked for later gives the same counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from networks import BATCH_AXIS, NETWORKS
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import snn_energy as se
from snn_energy.counting.later import ALWAYS
from snn_energy.errors import TraceError
from snn_energy.selftest import ROWS, run_rows

WAITS = {"_local_scalar_dense", "item", "equal", "unique", "_unique", "_unique2", "unique_dim", "unique_consecutive",
         "nonzero", "masked_select", "bincount", "is_nonzero"}  # fmt: skip
"""Operators for whose result the host has to wait."""


@contextmanager
def asked_later() -> Iterator[None]:
    token = ALWAYS.set(True)
    try:
        yield
    finally:
        ALWAYS.reset(token)


class Forbidding(TorchDispatchMode):
    """Lies below the trace's own mode, so that it sees the trace's own operators as well as the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::").rstrip("_")
        self.seen += self.running
        assert not (self.running and name in WAITS), f"{name} while the model runs"
        assert not (self.running and name == "_to_copy" and kwargs.get("device", torch.device("cpu")).type != "cpu")
        return func(*args, **(kwargs or {}))


class Running(nn.Module):
    """Tells the forbidding mode when the model runs."""

    def __init__(self, net: nn.Module, mode: Forbidding) -> None:
        super().__init__()
        self.net = net
        object.__setattr__(self, "mode", mode)

    def forward(self, x: Tensor) -> Any:
        self.mode.running = True
        try:
            return self.net(x)
        finally:
            self.mode.running = False


@pytest.mark.parametrize("stepped", [False, True], ids=["folded", "stepped"])
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_waits_for_the_device_inside_a_forward_pass(name: str, stepped: bool) -> None:
    model, x = NETWORKS[name]("small", stepped)
    other = (torch.rand_like(x) < 0.4).to(x.dtype)  # spikes where the first batch may have held real numbers
    mode = Forbidding()
    net = Running(model, mode)
    expected = se.trace(net, [x, other, x], batch_axis=BATCH_AXIS[name])
    with asked_later(), mode:
        found = se.trace(net, [x, other, x], batch_axis=BATCH_AXIS[name])
    assert mode.seen
    assert found == expected
    assert found.coverage.complete


def test_the_forbidding_mode_notices_a_question() -> None:
    mode = Forbidding()
    with mode, pytest.raises(AssertionError, match="while the model runs"):
        se.trace(Running(nn.Linear(3, 2), mode), torch.rand(4, 3))  # at once, on the CPU


def test_the_trap_suite_with_answers_asked_for_later() -> None:
    with asked_later():
        assert [result.row.id for result in run_rows(ROWS.values()) if not result.ok] == []


LEVELS: dict[str, Callable[[], Tensor]] = {
    "spikes": lambda: (torch.rand(6, 8) < 0.3).float(),
    "spikes of height 0.3": lambda: (torch.rand(6, 8) < 0.3) * 0.3,
    "ternary": lambda: torch.randint(-1, 2, (6, 8)).float(),
    "levels": lambda: torch.randint(0, 4, (6, 8)) * 0.25,
    "ninths": lambda: torch.randint(0, 10, (6, 8)) / 9,
    "signed levels": lambda: torch.randint(-5, 6, (6, 8)) * 0.1,
    "real": lambda: torch.rand(6, 8),
    "silence": lambda: torch.zeros(6, 8),
    "65 levels": lambda: torch.arange(1, 66).float()[torch.randint(0, 65, (6, 8))] * 1.0,
    "half precision": lambda: (torch.randint(0, 4, (6, 8)) * 0.25).half().float(),
}


class Products(nn.Module):
    """A layer, a layer on channels of their own heights, and a product of the data with themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 5), nn.Linear(8, 3)
        self.heights = nn.Parameter(torch.tensor([1.0, 0.5, 0.3, 2, 1, 1, 0.25, 3]))

    def forward(self, x: Tensor) -> Any:
        return self.first(x), self.second(x * self.heights), x @ x.t()


@pytest.mark.parametrize("second", LEVELS)
@pytest.mark.parametrize("first", LEVELS)
def test_every_class_is_found_later_as_at_once(first: str, second: str) -> None:
    batches = [LEVELS[first](), LEVELS[second](), LEVELS[first]()]
    net = Products()
    with torch.no_grad():
        net.second.weight[:, ::2] = 0
    expected = se.trace(net, batches)
    with asked_later():
        assert se.trace(net, batches) == expected


def test_levels_of_a_long_operand_are_whole() -> None:
    """Half a million times 9 units, each 3 rounding steps too high: in one sum they would be a level and a half off."""
    n = torch.tensor([1, 9]).repeat(500_000).view(-1, 1)
    x = torch.where(n == 9, 1 + 3 * torch.finfo(torch.float32).eps, 1 / 9)
    with asked_later():
        layer = se.trace(nn.Linear(1, 1), x).layers[0]
    assert layer.operand.kind == "integer"
    assert layer.operand_units == int(n.sum())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_operand_is_found_when_the_batch_is_through(bad: float) -> None:
    x = torch.ones(2, 3)
    x[1, 1] = bad
    with asked_later(), pytest.raises(TraceError, match="its operand holds NaN or infinity"):
        se.trace(nn.Linear(3, 2), x)


def test_bad_weights_are_found_when_the_batch_is_through() -> None:
    net = nn.Linear(3, 2)
    net.weight.data[0, 0] = float("nan")
    with asked_later(), pytest.raises(TraceError, match="its weights hold NaN"):
        se.trace(net, torch.ones(2, 3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("stepped", [False, True], ids=["folded", "stepped"])
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_waits_for_a_cuda_device(name: str, stepped: bool) -> None:
    model, x = NETWORKS[name]("small", stepped)
    expected = se.trace(model, x, batch_axis=BATCH_AXIS[name])

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model.cuda()

        def forward(self, x: Tensor) -> Any:
            torch.cuda.set_sync_debug_mode("error")
            try:
                return self.net(x)
            finally:
                torch.cuda.set_sync_debug_mode("default")

    found = se.trace(Watched(), x.cuda(), batch_axis=BATCH_AXIS[name])
    assert found.connections == expected.connections  # the spikes themselves may differ in rounding
    assert found.coverage.complete
