"""Single-step neurons: the multi-step ones step by step, and adaptive neurons against plain Python."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import snn_energy as se
from snn_energy.errors import UsageError
from snn_energy.models import IF, LIF, ALIFCell, IFCell, LIFCell

resets = st.sampled_from(("hard", "soft"))


@given(seed=st.integers(0, 1000), reset=resets, decay=st.sampled_from((0.0, 0.3, 0.5, 1.0)))
def test_a_cell_is_the_neuron_step_by_step(seed: int, reset: str, decay: float) -> None:
    current = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(seed)) + 0.5
    for whole, cell in ((LIF(decay, reset=reset), LIFCell(decay, reset=reset)), (IF(reset=reset), IFCell(reset=reset))):
        membrane, steps = None, []
        for now in current:
            spikes, membrane = cell(now, membrane)
            steps.append(spikes)
        assert torch.equal(torch.stack(steps), whole(current))


@given(seed=st.integers(0, 1000), threshold=st.floats(0.2, 2), adaptation=st.floats(0.1, 2), rho=st.floats(0, 1))
def test_the_adaptive_neuron_by_hand(seed: int, threshold: float, adaptation: float, rho: float) -> None:
    current = torch.randn(12, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.8
    cell, state, got = ALIFCell(0.5, threshold, adaptation, rho), None, []
    for now in current:
        spikes, state = cell(now, state)
        got.append(spikes.item())
    volt = raised = 0.0
    want = []
    for now in current.flatten().tolist():
        volt = 0.5 * volt + now
        barrier = threshold + raised
        fired = float(volt >= barrier)
        volt -= barrier * fired
        raised = rho * raised + adaptation * fired
        want.append(fired)
    assert got == want
    assert state is not None
    assert [part.item() for part in state] == pytest.approx([volt, raised])


class OneNeuron(torch.nn.Module):
    def __init__(self, cell: torch.nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, steps = None, []
        for now in x:
            spikes, state = self.cell(now, state)
            steps.append(spikes)
        return torch.stack(steps)


@pytest.mark.parametrize(
    ("cell", "kind", "adds", "muls", "per_spike", "variables"),
    [
        (LIFCell(), "lif", 1, 1, 0, 1),
        (LIFCell(reset="soft"), "lif", 1, 1, 1, 1),
        (IFCell(), "if", 1, 0, 0, 1),
        (IFCell(reset="soft"), "if", 1, 0, 1, 1),
        (ALIFCell(), "alif", 2, 2, 2, 2),
    ],
)
def test_what_a_cell_is_charged(
    cell: torch.nn.Module, kind: str, adds: int, muls: int, per_spike: int, variables: int
) -> None:
    """decay V + I; threshold + A; rho A; one comparison; and for each spike what its reset subtracts or adds."""
    torch.manual_seed(0)
    x = torch.rand(7, 2, 3) + 0.3
    net = OneNeuron(cell)
    (counts,) = se.trace(net, x, batch_axis=1).neurons
    spikes = int(net(x).sum())
    assert 0 < spikes < 42
    assert (counts.name, counts.kind, counts.calls, counts.updates) == ("cell", kind, 7, 42)
    assert (counts.spikes, counts.time_steps, counts.state_elements) == (spikes, 7, 3 * variables)
    assert (counts.adds, counts.muls, counts.compares) == (42 * adds + per_spike * spikes, 42 * muls, 42)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"decay": 2}, r"decay must be between 0 and 1 \(got 2\)"),
        ({"adaptation_decay": -1}, r"adaptation_decay must be between 0 and 1 \(got -1\)"),
        ({"threshold": 0}, r"threshold must be a finite number > 0 \(got 0\)"),
        ({"adaptation": float("inf")}, r"adaptation must be a finite number > 0 \(got inf\)"),
        ({"surrogate": "nope"}, "unknown surrogate 'nope'"),
    ],
)
def test_bad_constants(args: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ALIFCell(**args)
