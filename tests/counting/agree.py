"""How the core is held against the oracle: integers, field by field, in one comparison that prints well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import brute
import torch
from torch import nn

import snn_energy as se

COUNTS = ("dense_macs", "connections", "events", "effective_events")
FACTS = (*COUNTS, "spikes", "elements")
EVERYTHING = (
    *FACTS,
    "unit_events",
    "graded_events",
    "acs",
    "macs",
    "bias_adds",
    "weights",
    "zero_weights",
)


class Call(nn.Module):
    """A module around a plain function of its inputs; parameters given by name are read as `self.p`."""

    def __init__(self, function: Callable[..., Any], **parameters: torch.Tensor) -> None:
        super().__init__()
        self.function = function
        self.p = nn.ParameterDict({name: nn.Parameter(value) for name, value in parameters.items()})

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs, **self.p) if len(self.p) else self.function(*inputs)


def pick(record: object, names: Iterable[str]) -> dict[str, int]:
    values = {name: getattr(record, name) for name in names}
    assert all(type(value) is int for value in values.values()), f"not exact integers: {values}"
    return values


def trace(model: nn.Module, data: Any, **options: Any) -> Any:
    """A complete trace: a test that meant to count something never passes because it was left out."""
    result = se.trace(model, data, **options)
    assert result.coverage.complete, f"uncounted: {result.coverage.uncounted}"
    layers = result.layers
    for name in (*COUNTS, "acs", "macs"):
        assert getattr(result, name) == sum(getattr(layer, name) for layer in layers), name
    return result


def only(traced: Any) -> Any:
    """The single layer of a trace."""
    assert len(traced.layers) == 1, [layer.name for layer in traced.layers]
    return traced.layers[0]


def same(record: object, tally: brute.Tally, names: Iterable[str] = COUNTS) -> None:
    assert pick(record, names) == pick(tally, names)


def same_class(layer: Any, values: Iterable[float]) -> None:
    """The operand class, and what follows from it: accumulates, multiply-accumulates or graded events."""
    kind, scale = brute.operand_class(values)
    assert layer.operand.kind == kind
    if scale is not None and layer.operand.scale is not None:
        assert abs(layer.operand.scale) == abs(scale)
    expected = {
        "acs": layer.events if kind in ("silent", "binary", "ternary") else 0,
        "macs": layer.connections if kind == "real" else 0,
        "graded_events": layer.events if kind == "integer" else 0,
    }
    assert pick(layer, expected) == expected


def filled(module: nn.Module, seed: int, fill: Callable[[torch.Tensor, int], None]) -> nn.Module:
    for index, parameter in enumerate(module.parameters()):
        fill(parameter, seed + index)
    return module.eval()
