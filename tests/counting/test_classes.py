"""Operand classes: a lattice joined over everything a projection ever saw, never decided per batch."""

from __future__ import annotations

import brute
import pytest
import torch
from agree import only, same_class, trace
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

# Dyadic numbers with a common step are exact in every float type and their ratios stay small.
dyadic = st.sampled_from((0.0, 0.0, 0.25, -0.25, 0.5, -0.5, 0.75, 1.0, -1.0, 1.5, 2.0))
vectors = st.lists(st.lists(dyadic, min_size=3, max_size=3), min_size=1, max_size=4)


def layer() -> nn.Linear:
    return nn.Linear(3, 2, bias=False)


@given(vectors)
def test_the_class_of_the_union(rows: list[list[float]]) -> None:
    net, values = layer(), [value for one in rows for value in one]
    together = only(trace(net, torch.tensor(rows)))
    apart = only(trace(net, [torch.tensor([one]) for one in rows]))
    merged = trace(net, torch.tensor(rows[:1]))
    for one in rows[1:]:
        merged = merged + trace(net, torch.tensor([one]))
    for got in (together, apart, only(merged)):
        same_class(got, values)
        assert str(got.operand) == str(together.operand)


@pytest.mark.parametrize(
    ("batches", "kind", "scale"),
    [
        ([[0, 0, 0]], "silent", None),
        ([[0, 1, 1], [0, 0, 0]], "binary", 1),
        ([[0, 0.3, 0.3]], "binary", 0.3),
        ([[0, 1, 1], [-1, 0, 0]], "ternary", 1),
        ([[0.3, 0, 0], [-0.3, 0, 0]], "ternary", 0.3),
        ([[1, 0, 0], [2, 0, 0]], "integer", 1),
        ([[2, 0, 0], [4, 0, 0], [-6, 0, 0]], "integer", 2),
        ([[0.5, 0, 0], [0.75, 0, 0]], "integer", 0.25),
        ([[0, 1, 1], [0.123456, 0, 0]], "real", None),
        ([[0.7310586, 0, 0], [0.2689414, 0, 0], [0.5, 0, 0]], "real", None),
    ],
)
def test_classes_by_hand(batches: list[list[float]], kind: str, scale: float | None) -> None:
    got = only(trace(layer(), [torch.tensor([batch], dtype=torch.float32) for batch in batches])).operand
    assert got.kind == kind
    if scale is not None:
        assert abs(got.scale) == pytest.approx(scale)


@pytest.mark.parametrize("window", [2, 3, 4, 5])
def test_average_pooled_spikes_are_integers(window: int) -> None:
    """A window of w² spikes gives n/w², which no float holds exactly for w = 3 and 5."""
    x = (torch.rand(8, 1, 60, 60, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    net = nn.Sequential(nn.AvgPool2d(window), nn.Conv2d(1, 2, 3, bias=False)).eval()
    got = only(trace(net, x)).operand
    assert got.kind == "integer"
    assert got.scale == pytest.approx(1 / window**2)


def test_average_pooled_scaled_spikes_are_integers() -> None:
    """Spikes of height 0.3, averaged over four: multiples of 0.075, as rounded by float32."""
    x = 0.3 * (torch.rand(8, 1, 20, 20, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    got = only(trace(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 2, 3)).eval(), x)).operand
    assert got.kind == "integer"
    assert got.scale == pytest.approx(0.075)


def test_a_residual_sum_of_spikes_is_an_integer() -> None:
    a, b = (torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
    assert only(trace(layer(), a + b)).operand.kind == "integer"


@pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh, F.gelu, torch.sin])
def test_real_activations_are_real(function: object) -> None:
    x = function(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
    assert only(trace(layer(), x)).operand.kind == "real"


@given(st.integers(0, 10**6))
def test_uniform_noise_is_real(seed: int) -> None:
    """Four random floats have no common step that a spike count could explain."""
    x = torch.rand(2, 3, generator=torch.Generator().manual_seed(seed))
    assert only(trace(layer(), x)).operand.kind == "real"


def test_a_mean_subtracted_spike_train_is_two_valued_and_no_longer_sparse() -> None:
    """{1 - m, -m}: every element is an event, and the class follows from the values alone."""
    x = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) - 1 / 3
    got = only(trace(layer(), x))
    assert got.events == got.connections
    same_class_or_tolerant = {"integer", "real"}  # 2/3 and -1/3 are multiples of 1/3 up to rounding
    assert got.operand.kind in same_class_or_tolerant


def test_negative_spikes_alone_have_one_scale() -> None:
    got = only(trace(layer(), torch.tensor([[-1.0, 0.0, -1.0]])))
    assert got.operand.kind in ("binary", "ternary")
    assert got.acs == got.events == 4


def test_the_oracle_class_covers_every_kind() -> None:
    kinds = {brute.operand_class(values)[0] for values in ([0], [1], [1, -1], [1, 2], [0.1, 0.7234])}
    assert kinds == {"silent", "binary", "ternary", "integer", "real"}
