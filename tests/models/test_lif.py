"""The neurons against a scalar loop in plain Python, and against autograd through the unrolled definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_energy.errors import DataError, UsageError
from snn_energy.models import IF, LIF

RESETS = ["hard", "soft"]


def scalar_neuron(currents, decay, threshold, reset):
    """One neuron, one current after the other, as the docstring of neurons.py defines it."""
    membrane, spikes = 0.0, []
    for current in currents:
        charged = decay * membrane + current
        fired = 1.0 if charged >= threshold else 0.0
        membrane = charged * (1.0 - fired) if reset == "hard" else charged - threshold * fired
        spikes.append(fired)
    return spikes


# Multiples of 1/16: exact in float64 over eight steps, so equality is equality.
sixteenths = st.integers(-40, 40).map(lambda n: n / 16)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    columns=st.lists(st.lists(sixteenths, min_size=3, max_size=3), min_size=1, max_size=8),
    decay=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    threshold=st.sampled_from([0.5, 1.0, 2.0]),
    reset=st.sampled_from(RESETS),
)
def test_equals_the_scalar_loop(columns, decay, threshold, reset):
    current = torch.tensor(columns, dtype=torch.float64)  # t n
    neuron = LIF(decay, threshold, reset)
    expected = torch.tensor(
        [scalar_neuron(c, decay, threshold, reset) for c in current.T.tolist()], dtype=torch.float64
    ).T
    assert torch.equal(neuron(current), expected)
    assert torch.equal(neuron(current), expected), "no state may be left over from the first call"
    graded = current.clone().requires_grad_()
    assert torch.equal(neuron(graded).detach(), expected)
    assert torch.equal(neuron._unrolled(current), expected)
    membrane, stepped = torch.zeros(3, dtype=torch.float64), []
    for now in current:
        spikes, membrane = neuron.step(now, membrane)
        stepped.append(spikes)
    assert torch.equal(torch.stack(stepped), expected)
    if decay == 1.0:
        assert torch.equal(IF(threshold, reset)(current), expected)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", ["arctan", "sigmoid", "triangular", "rectangular"])
def test_fused_gradient_equals_the_unrolled_one(reset, surrogate):
    torch.manual_seed(0)
    neuron = LIF(0.75, 1.0, reset, surrogate)
    fused = torch.randn(5, 4, 3, dtype=torch.float64).requires_grad_()
    unrolled = fused.detach().clone().requires_grad_()
    weight = torch.randn(5, 4, 3, dtype=torch.float64)
    (neuron(fused) * weight).sum().backward()
    (neuron._unrolled(unrolled) * weight).sum().backward()
    torch.testing.assert_close(fused.grad, unrolled.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reset", RESETS)
def test_gradient_by_hand_over_two_steps(reset):
    # V1 = 0.8, no spike; V2 = 0.5 * 0.8 + 0.2 = 0.6. dS2/dI1 = d(0.6 - 1) * decay; the loss is S2 alone.
    current = torch.tensor([[0.8], [0.2]], dtype=torch.float64, requires_grad=True)
    LIF(0.5, 1.0, reset, "triangular")(current)[1].sum().backward()
    assert current.grad.flatten().tolist() == pytest.approx([0.6 * 0.5, 0.6])
    # V1 = 1.25 fires. Hard: the path from step 1 is cut; soft: it stays.
    current = torch.tensor([[1.25], [0.5]], dtype=torch.float64, requires_grad=True)
    LIF(0.5, 1.0, reset, "triangular")(current)[1].sum().backward()
    slope = {"hard": 0.5, "soft": 0.625}[reset]
    assert current.grad.flatten().tolist() == pytest.approx([0.0 if reset == "hard" else slope * 0.5, slope])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_spikes_are_zero_or_one_in_the_dtype_of_the_current(dtype):
    spikes = LIF()(torch.randn(4, 2, 3, 5, 5, generator=torch.Generator().manual_seed(0)).to(dtype) * 2)
    assert spikes.dtype == dtype
    assert set(spikes.unique().tolist()) == {0.0, 1.0}


def test_input_is_left_alone_also_when_it_is_one_step_repeated():
    step = torch.full((2, 3), 0.6)
    current = step.expand(4, 2, 3)
    spikes = LIF(decay=1.0)(current)
    assert spikes[:, 0, 0].tolist() == [0, 1, 0, 1]
    assert torch.equal(step, torch.full((2, 3), 0.6))


def test_reaching_the_threshold_is_enough():
    assert LIF(threshold=1.0)(torch.tensor([[1.0]])).item() == 1
    assert LIF(threshold=1.0)(torch.tensor([[1.0 - 2**-24]])).item() == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LIF(decay=1.5), "LIF: decay must be between 0 and 1 \\(got 1.5\\)"),
        (lambda: LIF(threshold=0.0), "LIF: threshold must be a finite number > 0 \\(got 0.0\\)"),
        (lambda: IF(threshold=float("nan")), "IF: threshold must be a finite number > 0 \\(got nan\\)"),
        (lambda: LIF(reset="sof"), "unknown reset 'sof': did you mean 'soft'\\?"),
        (lambda: IF(surrogate="atan"), "unknown surrogate 'atan'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("current", [torch.zeros(0, 3), torch.tensor(1.0)])
def test_no_time_step_is_refused(current):
    with pytest.raises(DataError, match=r"expected a current \[T, N, ...\] with T >= 1"):
        LIF()(current)


def test_constants_can_be_read():
    neuron = LIF(0.25, 2.0, "soft", "sigmoid")
    assert (neuron.decay, neuron.threshold, neuron.reset, neuron.surrogate) == (0.25, 2.0, "soft", "sigmoid")
    assert repr(neuron) == "LIF(decay=0.25, threshold=2, reset=soft, surrogate=sigmoid)"
    assert IF().decay == 1.0
    assert [f"{c.__module__}.{c.__qualname__}" for c in (LIF, IF)] == [
        "snn_energy.models.neurons.LIF",
        "snn_energy.models.neurons.IF",
    ]
