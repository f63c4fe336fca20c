"""Each recognised class against its equation: the same spikes, and the arithmetic that its row charges."""

from __future__ import annotations

import pytest
import torch
from equations import CASES, NEURONS, STEPS
from metered import Meter, Num
from torch import Tensor, nn

import snn_energy as se
from snn_energy.counting.neurons import neuron_row

pytestmark = pytest.mark.peer


class Run(nn.Module):
    """A neuron layer through time: current `t n` -> spikes `t n`, as one sample."""

    def __init__(self, neuron: nn.Module, time_axis: int | None, trailing: int = 0) -> None:
        super().__init__()
        self.neuron = neuron
        self.time_axis = time_axis
        self.trailing = trailing

    def forward(self, current: Tensor) -> Tensor:
        current = current.unsqueeze(1)
        if self.time_axis is not None:
            current = current.reshape(*current.shape, *(1,) * self.trailing)
            out = self.neuron(current.movedim(0, self.time_axis))
            out = out[0] if isinstance(out, tuple) else torch.stack(out) if isinstance(out, list) else out
            return out.movedim(self.time_axis, 0).flatten(1)
        state, spikes = (), []
        for now in current:
            out = self.neuron(now, *state)
            if isinstance(out, tuple):
                out, *state = out
            spikes.append(out)
        return torch.cat(spikes)


@pytest.mark.parametrize("name", CASES)
def test_spikes_and_arithmetic(name: str) -> None:
    case = CASES[name]
    neuron = case.make(pytest.importorskip(case.simulator)).eval()
    row = neuron_row(neuron)
    assert row is not None
    current = 3 * torch.rand(STEPS, NEURONS, generator=torch.Generator().manual_seed(3)) - 0.6
    meter = Meter()
    states = [[value if isinstance(value, bool) else Num(value, meter) for value in case.state] for _ in range(NEURONS)]
    want = [
        [case.step(state, Num(x, meter), meter) for state, x in zip(states, now, strict=True)]
        for now in current.tolist()
    ]

    got: list[Tensor] = []
    run = Run(neuron, row.time_axis, case.trailing)
    counts = se.trace(run, current, samples=1, strict=True, on_output=got.append)
    if case.spiking:
        assert got[0].tolist() == want
        fired = sum(value != 0 for step in want for value in step)
        assert 0 < fired < STEPS * NEURONS
    else:
        torch.testing.assert_close(got[0], torch.tensor(want))
        fired = 0
    (neurons,) = counts.neurons
    assert neurons.spiking is case.spiking
    assert (neurons.updates, neurons.spikes, neurons.time_steps) == (STEPS * NEURONS, fired, STEPS)
    assert neurons.state_elements == NEURONS * row.state_variables
    assert neurons.state_reads == neurons.state_writes == STEPS * NEURONS * row.state_variables
    assert (meter.adds, meter.muls, meter.compares, meter.specials) == (
        neurons.updates * neurons.update_adds,
        neurons.muls,
        neurons.compares,
        neurons.specials,
    )
    unpaid = case.late if type(case.late) is int else case.late * neurons.spike_adds
    assert meter.spike_adds == neurons.spike_adds * fired - unpaid * sum(value != 0 for value in want[-1])
    assert neurons.adds == neurons.updates * row.adds + fired * row.soft_reset_adds
    assert not [item for item in counts.elementwise if "neuron" in item.name]
