"""Neuron layers: updates, state and spikes by meaning, against plain loops."""

from __future__ import annotations

import pytest
import torch
from agree import trace
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from snn_energy.models.neurons import IF, LIF

small = st.integers(1, 4)


def simulated(current: list, decay: float, threshold: float, reset: str) -> list[int]:
    """Spikes per time step of independent neurons; current: [t][neuron]."""
    membrane = [0.0] * len(current[0])
    fired = []
    for step in current:
        count = 0
        for i, drive in enumerate(step):
            membrane[i] = decay * membrane[i] + drive
            if membrane[i] >= threshold:
                count += 1
                membrane[i] = 0.0 if reset == "hard" else membrane[i] - threshold
        fired.append(count)
    return fired


@pytest.mark.parametrize("kind", ["LIF", "IF"])
@pytest.mark.parametrize("reset", ["hard", "soft"])
@given(steps=small, n=small, width=small, seed=st.integers(0, 999))
def test_updates_state_and_spikes(kind: str, reset: str, steps: int, n: int, width: int, seed: int) -> None:
    neuron: nn.Module = LIF(decay=0.5, reset=reset) if kind == "LIF" else IF(reset=reset)
    # Multiples of 1/8: every membrane is exact, so the loop and the tensor code must agree to the spike.
    rng = torch.Generator().manual_seed(seed)
    current = torch.randint(-4, 12, (steps, n, width), generator=rng) / 8
    (got,) = trace(nn.Sequential(neuron), current, samples=n).neurons
    want = simulated(current.flatten(1).tolist(), 0.5 if kind == "LIF" else 1.0, 1.0, reset)
    assert got.name == "0"
    assert got.kind.lower() == kind.lower()
    assert got.updates == steps * n * width
    assert got.spikes == sum(want)
    assert tuple(got.spikes_per_step) == tuple(want)
    assert got.time_steps == steps
    assert all(type(value) is int for value in (got.updates, got.state_elements, got.spikes))


def test_batches_add_up() -> None:
    net = nn.Sequential(LIF(decay=0.5))
    x = torch.rand(4, 6, 3, generator=torch.Generator().manual_seed(1)) * 1.5
    (whole,) = trace(net, x, samples=6).neurons
    (split,) = trace(net, list(x.split(2, dim=1)), samples=6).neurons
    assert (whole.updates, whole.spikes, whole.spikes_per_step) == (
        split.updates,
        split.spikes,
        split.spikes_per_step,
    )
    a, b = (trace(net, part, samples=3) for part in x.split(3, dim=1))
    (merged,) = (a + b).neurons
    assert (merged.updates, merged.spikes, merged.calls) == (whole.updates, whole.spikes, 2)


def test_a_neuron_is_no_projection_and_leaves_the_trace_complete() -> None:
    traced = trace(nn.Sequential(IF()), torch.rand(2, 1, 3), samples=1)
    assert traced.layers == ()
    assert traced.dense_macs == 0


def test_neurons_between_layers() -> None:
    net = nn.Sequential(nn.Linear(3, 5), LIF(decay=0.5), nn.Linear(5, 2), IF()).eval()
    traced = trace(net, torch.rand(4, 2, 3), samples=2)
    assert [neuron.name for neuron in traced.neurons] == ["1", "3"]
    assert traced.layers[1].spikes == traced.neurons[0].spikes
    assert traced.layers[1].operand.kind in ("silent", "binary")
