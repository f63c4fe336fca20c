"""Cases in which an earlier state of the core was wrong, found by a review; those of counts are trap rows R1 to R13."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

import snn_energy as se
from snn_energy.counting.tags import ATTRIBUTE
from snn_energy.models.neurons import LIF


class Fn(nn.Module):
    def __init__(self, function, **parts) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


@pytest.mark.parametrize("layer", [nn.Conv1d(4, 3, 1), nn.Linear(5, 3), LIF()], ids=["conv", "linear", "neuron"])
def test_another_thread_does_not_disturb(layer: nn.Module) -> None:
    stop, failures = threading.Event(), []

    def other() -> None:
        while not stop.is_set():
            try:
                layer(torch.rand(2, 4, 5))
            except BaseException as error:  # noqa: BLE001  whatever it is, the test must see it
                failures.append(error)
                return

    net, x = nn.Sequential(nn.Conv1d(4, 4, 1), nn.Flatten(), nn.Linear(20, 2)).eval(), torch.rand(2, 4, 5)
    expected = se.trace(net, x)
    worker = threading.Thread(target=other)
    worker.start()
    try:
        assert all(se.trace(net, x) == expected for _ in range(20))
    finally:
        stop.set()
        worker.join()
    assert failures == []
    assert _get_current_dispatch_mode_stack() == []


@pytest.mark.parametrize("where", ["conv", "neuron", "cell"])
def test_an_interrupt_leaves_nothing_behind(where: str) -> None:
    class Stops(nn.LSTMCell if where == "cell" else nn.Module):
        def forward(self, *args):
            raise KeyboardInterrupt

    inner = Stops(4, 4) if where == "cell" else Stops()
    outer: nn.Module = nn.Sequential(nn.Conv1d(4, 4, 1), inner)
    if where == "neuron":
        outer = nn.Sequential(LIF(), inner)
    mkldnn = torch._C._get_mkldnn_enabled()
    with pytest.raises(KeyboardInterrupt):
        se.trace(outer, torch.rand(2, 4, 4))
    assert torch._C._get_mkldnn_enabled() == mkldnn
    assert _get_current_dispatch_mode_stack() == []
    assert se.trace(nn.Linear(4, 2), torch.rand(1, 4)).connections == 8


def test_tags_do_not_outlive_the_trace() -> None:
    kept = []

    def forward(m, x):
        m.memory = m.fc(x)
        return m.memory

    net = Fn(forward, fc=nn.Linear(4, 2))
    net.memory = None
    se.trace(net.eval(), torch.rand(2, 4), on_output=kept.append)
    assert not hasattr(net.memory, ATTRIBUTE)
    assert not hasattr(kept[0], ATTRIBUTE)


def test_time_steps_merge_in_any_order() -> None:
    a, b, c = (se.Trace(samples=1, time_steps=t) for t in (4, 4, 8))
    assert (a + b) + c == a + (b + c) == (c + a) + b


def test_a_self_stepping_model_has_a_twin_of_one_step() -> None:
    def forward(m, x):
        return torch.stack([m.fc(m.lif(x[None])[0]) for _ in range(m.T)]).mean(0)

    net = Fn(forward, lif=LIF(), fc=nn.Linear(4, 4))
    net.T = 4
    assert se.trace(net, torch.rand(1, 4)).connections == 4 * se.trace(se.ann_twin(net), torch.rand(1, 4)).connections
