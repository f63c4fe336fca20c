"""Surrogate gradients against their published closed forms."""

import math

import pytest
import torch

from snn_energy.errors import UsageError
from snn_energy.models.surrogate import SURROGATES, find_surrogate

# Written out in plain Python from the papers named in surrogate.py, independent of the tensor code.
CLOSED_FORMS = {
    "rectangular": lambda x: 1.0 if abs(x) < 0.5 else 0.0,
    "triangular": lambda x: max(0.0, 1.0 - abs(x)),
    "sigmoid": lambda x: 4.0 * math.exp(-4.0 * x) / (1.0 + math.exp(-4.0 * x)) ** 2,
    "arctan": lambda x: 1.0 / (1.0 + (math.pi * x) ** 2),
}
POINTS = [-3.0, -1.0, -0.75, -0.5, -0.25, 0.0, 0.125, 0.49, 0.5, 0.9, 1.0, 2.0]


def test_every_surrogate_has_a_closed_form():
    assert set(CLOSED_FORMS) == set(SURROGATES)


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_gradient_is_the_closed_form_times_the_incoming_one(name):
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    spikes = find_surrogate(name).spike(x)
    assert spikes.tolist() == [float(p >= 0) for p in POINTS]
    weight = torch.arange(1.0, len(POINTS) + 1, dtype=torch.float64)
    (spikes * weight).sum().backward()
    expected = [w * CLOSED_FORMS[name](p) for p, w in zip(POINTS, weight.tolist(), strict=True)]
    assert x.grad.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_primitive_has_the_derivative_and_runs_from_0_to_1(name):
    surrogate = SURROGATES[name]
    x = torch.linspace(-2.03, 2.03, 101, dtype=torch.float64)
    step = 1e-6
    slope = (surrogate.primitive(x + step) - surrogate.primitive(x - step)) / (2 * step)
    torch.testing.assert_close(slope, surrogate.derivative(x), atol=1e-5, rtol=1e-5)
    assert surrogate.primitive(torch.tensor([-1e6, 0.0, 1e6], dtype=torch.float64)).tolist() == pytest.approx(
        [0, 0.5, 1], abs=1e-6
    )


def test_unknown_surrogate_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="unknown surrogate 'arctn': did you mean 'arctan'\\?"):
        find_surrogate("arctn")
