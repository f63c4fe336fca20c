"""Windows, condense, encoders, projection and the group-wise neuron, each against its equation in plain Python."""

from __future__ import annotations

import math
import warnings
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from snn_energy.errors import UsageError
from snn_energy.models.surrogate import SURROGATES
from snn_energy.models.windowed import (
    Condense,
    GroupLIF,
    Projection,
    ProjectionWarning,
    SpikeEncoder,
    WindowedCNN,
    WindowGrid,
    projection_range,
    use_encoder,
)

GRIDS = [
    WindowGrid(4, 1),
    WindowGrid(2, 2),
    WindowGrid(8, 2),
    WindowGrid(4, 2, dilated=True),
    WindowGrid(16, 2, dilated=True),
    WindowGrid(6, 3),
    WindowGrid(12, 3, dilated=True),
    WindowGrid(16, 4, dilated=True),
]
each_grid = pytest.mark.parametrize("grid", GRIDS, ids=str)


def over(grid: WindowGrid, row: int, column: int) -> list[int]:
    """The windows over a position, one by one."""
    size = grid.size
    return [k for k, (top, left) in enumerate(grid.corners) if top <= row < top + size and left <= column < left + size]


# ---------------------------------------------------------------- windows


@pytest.mark.parametrize("side", [4, 8, 12, 16, 32])
@pytest.mark.parametrize("dilated", [False, True])
def test_windows_of_the_paper(side: int, dilated: bool) -> None:
    """Four parts in reading order; dilated: twice as large, with the same centre, clipped at the edge."""
    half, found = side // 2, []
    for top, left in product((0, half), (0, half)):
        spans = []
        for start in (top, left):
            first, end = (start - half // 2, start + half + half // 2) if dilated else (start, start + half)
            spans.append((max(0, first), min(side, end)))
        found.append(tuple(spans))
    grid = WindowGrid(side, 2, dilated)
    assert grid.size == (3 * side // 4 if dilated else side // 2)
    assert [((top, top + grid.size), (left, left + grid.size)) for top, left in grid.corners] == found


@each_grid
def test_cut_takes_every_window(grid: WindowGrid) -> None:
    x = torch.arange(2 * grid.side**2 * 3).reshape(2, grid.side, grid.side, 3)
    windows = grid.cut(x)
    assert windows.shape == (grid.windows, 2, grid.size, grid.size, 3)
    for k, (top, left) in enumerate(grid.corners):
        for row, column in product(range(grid.size), repeat=2):
            assert torch.equal(windows[k, :, row, column], x[:, top + row, left + column])


@each_grid
def test_every_position_lies_in_one_two_or_four_windows(grid: WindowGrid) -> None:
    for row, column in product(range(grid.side), repeat=2):
        n = len(over(grid, row, column))
        assert n in ((1, 2, 4) if grid.dilated else (1,))
        assert n == grid.cover[row] * grid.cover[column]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((6, 4), "a map 6 wide cannot be cut into 4 x 4 equal windows"),
        ((2, 2, True), r"3/2 of a plain one \(got plain windows 1 wide"),
        ((4, 1, True), "a single window has nothing to overlap with"),
    ],
)
def test_maps_that_cannot_be_cut(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        WindowGrid(*arguments)


# ---------------------------------------------------------------- condense


@each_grid
@pytest.mark.parametrize("rule", ["average", "or"])
def test_condense_by_hand(grid: WindowGrid, rule: str) -> None:
    torch.manual_seed(0)
    windows = (torch.rand(grid.windows, 2, grid.size, grid.size, 3) < 0.3).float()
    joined = Condense(grid, rule)(windows)
    assert joined.shape == (2, grid.side, grid.side, 3)
    for row, column in product(range(grid.side), repeat=2):
        covering = over(grid, row, column)
        total = torch.zeros(2, 3)
        for k in covering:
            top, left = grid.corners[k]
            total += windows[k, :, row - top, column - left]
        average = total / len(covering)
        want = average if rule == "average" else (average > 0.2).float()
        assert torch.equal(joined[:, row, column], want)


@each_grid
@pytest.mark.parametrize("rule", ["average", "or"])
def test_the_gradient_of_condense_is_the_average_s(grid: WindowGrid, rule: str) -> None:
    torch.manual_seed(0)
    windows = torch.rand(grid.windows, grid.size, grid.size, 2).requires_grad_()
    weight = torch.rand(grid.side, grid.side, 2)
    (Condense(grid, rule)(windows) * weight).sum().backward()
    want = torch.zeros_like(windows)
    for k, (top, left) in enumerate(grid.corners):
        for row, column in product(range(grid.size), repeat=2):
            want[k, row, column] = weight[top + row, left + column] / len(over(grid, top + row, left + column))
    torch.testing.assert_close(windows.grad, want)


def test_an_unknown_rule() -> None:
    with pytest.raises(UsageError, match="unknown condense rule 'means'"):
        Condense(GRIDS[0], "means")


# ---------------------------------------------------------------- encoders


def test_the_deterministic_encoder() -> None:
    x = torch.tensor([-1.0, 0.0, 0.5, 0.5000001, 1.0, 7.0])
    encoder = SpikeEncoder().eval()
    assert encoder(x).tolist() == [0, 0, 0, 1, 1, 1]
    assert encoder(x.double()).dtype is torch.float64


def test_the_bernoulli_encoder_draws_with_the_feature_as_rate() -> None:
    torch.manual_seed(0)
    rates = torch.tensor([-0.5, 0.0, 0.25, 0.75, 1.0, 1.5])
    spikes = SpikeEncoder().train()(rates.expand(20_000, 6))
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    mean = spikes.mean(0)
    assert mean[[0, 1, 4, 5]].tolist() == [0, 0, 1, 1]
    # five standard deviations of 20,000 draws
    assert mean[2:4].tolist() == pytest.approx([0.25, 0.75], abs=5 * math.sqrt(0.25 * 0.75 / 20_000))


def test_the_form_follows_the_mode() -> None:
    x = torch.full((1000,), 0.4)
    encoder = SpikeEncoder()
    assert 0 < encoder.train()(x).sum() < 1000
    assert encoder.eval()(x).sum() == 0
    use_encoder(encoder, "bernoulli")
    assert 0 < encoder(x).sum() < 1000
    assert SpikeEncoder("deterministic").train()(x).sum() == 0


def test_no_gradient_passes_an_encoder() -> None:
    x = torch.rand(5, requires_grad=True)
    assert not SpikeEncoder()(x).requires_grad


def test_bad_encoders() -> None:
    with pytest.raises(UsageError, match="unknown encoder 'bernouli': did you mean 'bernoulli'"):
        SpikeEncoder("bernouli")
    with pytest.raises(UsageError, match="unknown encoder 'poisson'"):
        use_encoder(SpikeEncoder(), "poisson")
    with pytest.raises(UsageError, match="Linear has no spike encoder"):
        use_encoder(torch.nn.Linear(1, 1), "deterministic")


# ---------------------------------------------------------------- projection

FORMULAS = {
    "cosine": lambda a, b, theta: 2 * math.sin(theta * a * math.cos(theta * b)),
    "product": lambda a, b, theta: 2 * math.sin(theta * a) * math.cos(theta * b),
    "mean": lambda a, b, theta: (a + b) / 2,
    "sum": lambda a, b, theta: a + b,
}


@given(a=st.floats(-3, 3), b=st.floats(-3, 3), theta=st.floats(0.1, 3), variant=st.sampled_from(sorted(FORMULAS)))
def test_the_projection_is_its_formula(a: float, b: float, theta: float, variant: str) -> None:
    pair = [torch.tensor(value, dtype=torch.float64) for value in (a, b)]
    assert Projection(variant, theta)(*pair).item() == pytest.approx(FORMULAS[variant](a, b, theta), abs=1e-12)


def settled(variant: str, theta: float, decay: float, start: float) -> float:
    """Where u <- decay Omega(u, u) goes from `start`."""
    u = torch.tensor(start, dtype=torch.float64)
    omega = Projection(variant, theta)
    for _ in range(2000):
        u = decay * omega(u, u)
    return float(u)


def test_over_activation_at_half_pi() -> None:
    """The membrane sustains itself at 0.378 without input; at the paper's pi/4 it dies out."""
    assert settled("cosine", math.pi / 2, 0.4, 0.5) == pytest.approx(0.378, abs=5e-4)
    found = projection_range(theta=math.pi / 2)
    assert found.sustained == pytest.approx(settled("cosine", math.pi / 2, 0.4, 0.5), abs=1e-9)
    assert not found.stable
    assert abs(settled("cosine", math.pi / 4, 0.4, 0.5)) < 1e-12
    assert projection_range().sustained == 0


@pytest.mark.parametrize("variant", sorted(FORMULAS))
@pytest.mark.parametrize("theta", [0.3, 0.5, math.pi / 4, 1.2, 1.3])
@pytest.mark.parametrize("decay", [0.0, 0.4, 0.6])
def test_the_range_by_measurement(variant: str, theta: float, decay: float) -> None:
    """Gain by a difference quotient, stability by letting a small membrane run."""
    found = projection_range(variant, theta, decay)
    assert found.gain == pytest.approx(FORMULAS[variant](1e-6, 1e-6, theta) / 1e-6, rel=1e-6)
    assert found.leaks_twice == (FORMULAS[variant](1e-3, 1e-3, theta) < 1e-3 * (1 - 1e-5))
    assert found.stable == (abs(settled(variant, theta, decay, 1e-3)) < 1e-3)
    assert (found.sustained > 0) == (not found.stable)


@pytest.mark.parametrize("decay", [0.4, 0.5])
def test_the_band_of_theta(decay: float) -> None:
    """Stable below 1 / (2 decay), no extra leak from 1/2 on."""
    edge = 1 / (2 * decay)
    assert projection_range(theta=edge - 1e-9, decay=decay).stable
    assert not projection_range(theta=edge + 1e-9, decay=decay).stable
    assert not projection_range(theta=0.5, decay=decay).leaks_twice
    assert projection_range(theta=0.5 - 1e-9, decay=decay).leaks_twice


TINY = {"in_channels": 1, "classes": 2, "image_size": 4, "widths": (2,), "depths": (1,)}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"theta": math.pi / 2}, "membranes sustain themselves at 0.378 without any input .*from 0.5 to below 1.25"),
        ({"theta": 0.4}, "its gain 0.8 < 1 leaks on top of the neuron's leak; use theta from 0.5"),
        ({"projection": "sum", "decay": 0.5}, "'sum' .*sustain themselves at inf .*use 'cosine', or a smaller decay"),
        ({"theta": 1.0, "decay": 0.5}, "sustain themselves"),
        ({"theta": 0.3, "decay": 0.0}, "use theta from 0.5$"),
    ],
)
def test_a_network_outside_the_band_warns(more: dict[str, object], message: str) -> None:
    with pytest.warns(ProjectionWarning, match=message):
        WindowedCNN(**TINY, **more)


def test_a_network_inside_the_band_does_not() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for more in ({}, {"theta": 0.5}, {"theta": 1.249}, {"projection": "mean"}, {"projection": "sum"}):
            WindowedCNN(**TINY, **more)


def test_bad_projections() -> None:
    with pytest.raises(UsageError, match="unknown projection 'cosin': did you mean 'cosine'"):
        Projection("cosin")
    for theta in (0.0, -1.0, math.nan, math.inf, True, "1"):
        with pytest.raises(UsageError, match="projection: theta must be a finite number > 0"):
            Projection(theta=theta)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="decay must be between 0 and 1"):
        projection_range(decay=2)


# ---------------------------------------------------------------- neuron


def steps(currents: list[float], start: float, decay: float, threshold: float) -> tuple[list[float], float]:
    volt, spike, out = start, 0.0, []
    for current in currents:
        volt = decay * volt * (1 - spike) + current
        spike = float(volt > threshold)
        out.append(spike)
    return out, volt


@given(
    currents=st.lists(st.integers(-8, 8), min_size=1, max_size=5),
    start=st.integers(-8, 8),
    decay=st.sampled_from((0.0, 0.5, 1.0)),
)
def test_the_neuron_by_hand(currents: list[int], start: int, decay: float) -> None:
    """On quarters, so that thresholds are met exactly: a membrane at the threshold does not fire."""
    quarters = [current / 4 for current in currents]
    spikes, membrane = GroupLIF(decay)(torch.tensor(quarters)[:, None], torch.tensor([start / 4]))
    want, volt = steps(quarters, start / 4, decay, 0.5)
    assert (spikes[:, 0].tolist(), membrane.item()) == (want, volt)
    again, rest = GroupLIF(decay)(torch.tensor(quarters)[:, None].requires_grad_())
    want, volt = steps(quarters, 0.0, decay, 0.5)
    assert (again[:, 0].tolist(), rest.item()) == (want, volt)


def test_what_is_handed_in_is_not_reset() -> None:
    """One step: a membrane above the threshold goes on with the leak alone."""
    spikes, membrane = GroupLIF()(torch.zeros(1, 1), torch.tensor([2.0]))
    assert (spikes.item(), membrane.item()) == (1.0, pytest.approx(0.8))


@pytest.mark.parametrize("name", sorted(SURROGATES))
@pytest.mark.parametrize("learned", [False, True])
def test_the_gradient_is_the_surrogate_s(name: str, learned: bool) -> None:
    """Two steps by the chain rule: dU2/dU1 = decay (1 - S1), as the reset is constant; the threshold's is negative."""
    volts = torch.tensor([0.1, 0.3, 0.55, 0.9, 1.4], dtype=torch.float64)
    current = torch.stack([volts, volts.flip(0)]).requires_grad_()
    neuron = GroupLIF(0.4, 0.5, name, learn_threshold=learned).double()
    spikes, membrane = neuron(current)
    a, b, c = torch.rand(3, 5, dtype=torch.float64).unbind()
    (spikes[0] * a + spikes[1] * b + membrane * c).sum().backward()
    slope = SURROGATES[name].derivative
    first = volts
    kept = 0.4 * (first <= 0.5)
    second = kept * first + volts.flip(0)
    to_second = slope(second - 0.5) * b + c
    torch.testing.assert_close(current.grad, torch.stack([slope(first - 0.5) * a + kept * to_second, to_second]))
    if learned:
        threshold = neuron.threshold
        assert isinstance(threshold, Tensor)
        want = -(slope(first - 0.5) * a + slope(second - 0.5) * b).sum()
        assert threshold.grad is not None
        torch.testing.assert_close(threshold.grad, want)


def test_bad_neurons() -> None:
    for arguments, message in (
        ({"decay": 1.5}, "decay must be between 0 and 1"),
        ({"threshold": 0}, "threshold must be a finite number > 0"),
        ({"surrogate": "arctg"}, "unknown surrogate 'arctg'"),
    ):
        with pytest.raises(UsageError, match=message):
            GroupLIF(**arguments)  # type: ignore[arg-type]
