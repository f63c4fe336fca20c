"""Work that could escape a tracer; the cases that take no compiler are trap rows H1 to H13."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snn_energy as se

X = torch.ones(2, 4)


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
