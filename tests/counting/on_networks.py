"""Laws held on the six networks: a few examples of each in the default run, many in the slow one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from agree import EVERYTHING, pick
from agree import trace as checked
from exact_networks import INPUTS, PLANS, batch_axis, data, exact
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

FEW, MANY = 4, 30
DEFAULT_EXAMPLES = 80  # of the profile that FEW and MANY are meant for

seeds = st.integers(0, 2**16)
kinds = st.sampled_from(INPUTS)
samples = st.integers(1, 4)


def on_networks(
    names: Iterable[str] = tuple(PLANS), few: int = FEW, many: int = MANY, **strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hold `check(name, **drawn)` on each network; a hundred time steps cost more, so they get half the examples."""

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        @pytest.mark.parametrize("name", names)
        @pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.slow)], ids=["few", "many"])
        def test(name: str, examples: int) -> None:
            share = max(1, examples * settings.default.max_examples // DEFAULT_EXAMPLES)

            @settings(max_examples=max(1, share // 2) if name == "recurrent" else share)
            @given(**strategies)
            def example(**drawn: Any) -> None:
                check(name, **drawn)

            example()

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


def trace(name: str, net: nn.Module, x: Any, **options: Any) -> Any:
    """A complete trace of one network, samples on its own axis."""
    return checked(net, x, **{"batch_axis": batch_axis(name)} | options)


def facts(traced: Any) -> dict[str, Any]:
    """All that a trace says but the number of calls, by name; the class of every operand with its values."""
    return {
        "layers": {
            layer.name: pick(layer, EVERYTHING)
            | {"operand": str(layer.operand), "values": (layer.values, layer.partner_values), "kind": layer.kind}
            for layer in traced.layers
        },
        "neurons": {
            neuron.name: (
                neuron.kind,
                *pick(neuron, ("updates", "state_elements", "spikes", "adds", "muls", "compares")).values(),
                neuron.spikes_per_step,
            )
            for neuron in traced.neurons
        },
        "other": {
            (record.name, record.kind): tuple(pick(record, ("adds", "muls", "compares", "specials")).values())
            for record in traced.elementwise
        },
        "samples": traced.samples,
        "time steps": traced.time_steps,
        "never called": traced.coverage.never_called,
    }


def example(name: str, seed: int, kind: str, n: int = 2, **options: Any) -> tuple[nn.Module, torch.Tensor]:
    """An exact network and n samples for it."""
    return exact(name, seed, **options), data(name, n, kind, seed + 1)
