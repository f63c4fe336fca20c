"""The quantised twin: levels, steps and zeros as nested loops find them, priced as a multi-bit network."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import brute
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import snn_energy as se
from snn_energy.baselines.quantised import QuantisedActivation, Quantiser, multibit, quantised_twin
from snn_energy.counting.ops.levels import levels
from snn_energy.errors import DataError, TraceError, UsageError
from snn_energy.models import IF, LIF, build

MAC, AC, ADD, COMPARE = 4.6, 0.9, 0.9, 0.9  # Horowitz 2014, 45 nm, 32-bit floating point, in pJ


class Net(nn.Module):
    """conv - LIF - linear - IF - linear, T steps of the same image."""

    def __init__(self, time_steps: int) -> None:
        super().__init__()
        self.conv, self.first = nn.Conv2d(1, 3, 3, padding=1), LIF()
        self.fc, self.second, self.head = nn.Linear(3 * 16, 6), IF(), nn.Linear(6, 2)
        self.time_steps = time_steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = self.first(self.conv(x).expand(self.time_steps, -1, -1, -1, -1))
        return self.head(self.second(self.fc(spikes.flatten(2)))).mean(0)


def exact_net(time_steps: int, seed: int) -> tuple[Net, torch.Tensor]:
    """Weights are multiples of 1/4 and pixels of 1/8, so that every sum is exact."""
    rng = torch.Generator().manual_seed(seed)
    net = Net(time_steps).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randint(-3, 5, parameter.shape, generator=rng) / 4)
    return net, torch.randint(0, 200, (3, 1, 4, 4), generator=rng) / 8


# -- the oracle: nothing but loops -------------------------------------------------------------------------------------


def loop_conv(x: Any, w: Any, b: list[float]) -> Any:
    """x [n 1 4 4], w [o 1 3 3], zeros around: [n o 4 4]."""
    return [
        [
            [
                [
                    b[o]
                    + sum(
                        sample[0][i + u - 1][j + v - 1] * w[o][0][u][v]
                        for u in range(3)
                        for v in range(3)
                        if 0 <= i + u - 1 < 4 and 0 <= j + v - 1 < 4
                    )
                    for j in range(4)
                ]
                for i in range(4)
            ]
            for o in range(len(w))
        ]
        for sample in x
    ]


BINNED = Fraction(105, 100)
"""What binning may add to the least loss: 64 bins to the octave against powers of two."""


def loop_loss(values: list[float], step: Fraction, most: int) -> Fraction:
    """What rounding to the levels takes away, exactly: the sum of squared differences."""
    return sum(
        ((Fraction(value) - Fraction(loop_level(value, step, most))) ** 2 for value in values if value > 0), Fraction(0)
    )


def least_loss(values: list[float], most: int) -> Fraction:
    """The least over all powers of two that come into question."""
    return min(loop_loss(values, Fraction(2) ** exponent, most) for exponent in range(-40, 30))


def loop_level(value: float, step: Fraction, most: int) -> float:
    """The nearest level, the higher one of two."""
    return float(min((abs(Fraction(value) - k * step), -k, k * step) for k in range(most + 1))[2])


def mapped(x: Any, function: Any) -> Any:
    return [mapped(part, function) for part in x] if isinstance(x, list) else function(x)


@pytest.mark.parametrize("time_steps", [1, 3, 4, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_counts_of_the_twin_are_those_of_nested_loops(time_steps: int, seed: int) -> None:
    net, x = exact_net(time_steps, seed)
    weights = {name: value.tolist() for name, value in net.state_dict().items()}
    image = x.tolist()

    # Steps: through the twin without levels.
    hidden = mapped(loop_conv(image, weights["conv.weight"], weights["conv.bias"]), lambda value: max(value, 0.0))
    flat = [brute.flat(sample) for sample in hidden]
    plain = mapped(brute.affine(flat, weights["fc.weight"], weights["fc.bias"]), lambda value: max(value, 0.0))

    twin = quantised_twin(net, x, time_steps)
    assert [step.name for step in twin.steps] == ["first", "second"]
    steps = [Fraction(step.step) for step in twin.steps]
    for step, each in zip(twin.steps, map(brute.flat, (hidden, plain))):
        lost = loop_loss(each, Fraction(step.step), time_steps)
        assert lost <= BINNED * least_loss(each, time_steps)
        assert step.lost == pytest.approx(float(lost / sum(Fraction(v) ** 2 for v in each if v > 0)), abs=0.02)
    assert [step.positive for step in twin.steps] == [sum(v > 0 for v in brute.flat(each)) for each in (hidden, plain)]
    assert twin.bits == math.ceil(math.log2(time_steps + 1))

    # Counts: with levels.
    rounded = [[loop_level(value, steps[0], time_steps) for value in sample] for sample in flat]
    sums = brute.affine(rounded, weights["fc.weight"], weights["fc.bias"])
    last = [[loop_level(value, steps[1], time_steps) for value in sample] for sample in sums]
    want = {
        "conv": brute.conv(image, weights["conv.weight"], stride=[1, 1], padding=[(1, 1)] * 2, dilation=[1, 1]),
        "fc": brute.linear(rounded, weights["fc.weight"]),
        "head": brute.linear(last, weights["head.weight"]),
    }
    facts = multibit(se.trace(twin.model, x), se.trace(se.ann_twin(net), x))
    for layer in facts.layers:
        tally = want[layer.name]
        for name in ("dense_macs", "connections", "events", "effective_events", "spikes", "elements"):
            assert getattr(layer, name) == getattr(tally, name), (layer.name, name)
    assert facts.coverage.complete

    # Prices: several bits are multiplied, one bit is added; three comparisons round and clamp each activation.
    real = {"conv"} | {
        name for name, values in (("fc", rounded), ("head", last)) if len({v for v in brute.flat(values) if v}) > 1
    }
    other = (
        3 * 3 * (48 + 6) * COMPARE + 3 * (48 + 6 + 2) * ADD + sum(record.muls for record in facts.elementwise) * 3.7
    )  # the mean over one time step
    for method, counted in (("arithmetic", "connections"), ("arithmetic-zero-skipping", "events")):
        energy = other + sum(
            getattr(tally, counted) * MAC if name in real else tally.events * AC for name, tally in want.items()
        )
        assert se.price(facts, method=method).energy_pj == pytest.approx(energy)
    for layer in facts.layers[1:]:
        if layer.name in real:
            highest = max(brute.flat(rounded if layer.name == "fc" else last)) / float(steps[layer.name == "head"])
            assert layer.operand_bits <= twin.bits
            assert layer.operand.kind == "real"
            assert 2**layer.operand_bits > highest >= 1 or layer.operand_bits == 1


def test_levels_are_the_nearest_ones() -> None:
    x = torch.tensor([-1.0, 0.0, 0.24, 0.25, 0.75, 1.2, 1.5, 1.74, 1.75, 9.0])
    assert levels(x, 0.5, 3).tolist() == [0, 0, 0, 0.5, 1.0, 1.0, 1.5, 1.5, 1.5, 1.5]


def test_an_activation_costs_three_comparisons_and_names_its_bits() -> None:
    trace = se.trace(
        nn.Sequential(QuantisedActivation(_settled(7)), nn.Linear(5, 2)), torch.rand(4, 5) * 9, strict=True
    )
    (record,) = trace.elementwise
    assert (record.name, record.compares, record.adds, record.muls, record.specials) == ("0", 60, 0, 0, 0)
    assert trace.layers[0].operand_bits == 3


def _settled(most: int) -> Quantiser:
    quantiser = Quantiser(most)
    quantiser(torch.tensor([float(most)]))
    quantiser.settle("0")
    return quantiser


@given(
    values=st.lists(st.just(0.0) | st.floats(2.0**-20, 1e4, width=32), max_size=40),
    most=st.integers(1, 40),
    cut=st.integers(0, 40),
)
def test_steps_depend_neither_on_batches_nor_on_order(values: list[float], most: int, cut: int) -> None:
    whole, parts = Quantiser(most), Quantiser(most)
    whole(torch.tensor(values))
    for part in (values[cut:][::-1], values[:cut]):
        parts(torch.tensor(part))
    double = Quantiser(most)
    double(torch.tensor(values, dtype=torch.float64))
    assert double.sizes == whole.sizes
    step = whole.settle("x")
    assert step == parts.settle("x")
    positive = [value for value in values if value > 0]
    assert step.positive == len(positive)
    assert math.frexp(step.step)[0] == 0.5  # a power of two
    if not positive:
        assert (step.step, step.lost) == (1.0, 0.0)
        return
    # Middles of bins stand for values: within 1/128 of them, which moves the loss by that share of the squares at most.
    squares = sum(Fraction(value) ** 2 for value in positive)
    lost = loop_loss(positive, Fraction(step.step), most)
    assert lost <= least_loss(positive, most) + squares / 30


def test_one_bit_of_evenly_spread_values() -> None:
    """Evenly from 0 to 1, one level s takes away 1/3 - s + s^2 - s^3 / 4: of powers of two, least at s = 1/2."""
    quantiser = Quantiser(1)
    quantiser(torch.arange(1, 4097) / 4096)
    step = quantiser.settle("x")
    assert step.step == 0.5
    exact = sum((k / 4096 - (0.5 if k / 4096 >= 0.25 else 0)) ** 2 for k in range(1, 4097))
    assert step.lost == pytest.approx(exact / sum((k / 4096) ** 2 for k in range(1, 4097)), rel=1e-2)


def test_the_baseline_is_the_price_of_its_counts() -> None:
    net, x = exact_net(4, 1)
    twin = quantised_twin(net, x, 4)
    facts = multibit(se.trace(twin.model, x), se.trace(se.ann_twin(net), x))
    baseline = se.quantised_baseline(net, x, 4, "horowitz-45nm-int8", "arithmetic-zero-skipping")
    assert baseline == se.price(facts, "horowitz-45nm-int8", "arithmetic-zero-skipping")
    own = se.profile(net, x, "horowitz-45nm-int8", "arithmetic-zero-skipping")
    assert se.compare(own, baseline).ratio == pytest.approx(baseline.energy_pj / own.energy_pj)
    with pytest.raises(UsageError, match="data must be there three times"):
        se.quantised_baseline(net, iter([x]), 4)


def test_one_time_step_is_one_bit_and_accumulates() -> None:
    net, x = exact_net(1, 0)
    twin = quantised_twin(net, x, 1)
    facts = multibit(se.trace(twin.model, x), se.trace(se.ann_twin(net), x))
    assert twin.bits == 1
    assert all(layer.operand.accumulates for layer in facts.layers[1:])


def test_small_integers_of_the_data_stay_what_they_are() -> None:
    """The pixels of `exact_net` are multiples of 1/8 up to 25: real; whole numbers up to 3 are not, on either side."""
    net, _ = exact_net(3, 0)
    x = torch.randint(0, 4, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    twin = quantised_twin(net, x, 3)
    facts = multibit(se.trace(twin.model, x), se.trace(se.ann_twin(net), x))
    assert [layer.operand.kind for layer in facts.layers] == ["integer", "real", "real"]


def test_encoders_and_units_of_windowed_networks_are_quantised_too() -> None:
    torch.manual_seed(0)
    model = build(
        "windowed-cnn", in_channels=1, classes=3, image_size=8, widths=[4, 8], depths=[1, 1], time_steps=2
    ).eval()
    x = torch.rand(2, 1, 8, 8)
    twin = quantised_twin(model, x, 2)
    neurons = {neuron.name for neuron in se.trace(model, x).neurons}
    assert neurons <= {step.name for step in twin.steps}
    encoders = {name for name, module in model.named_modules() if type(module).__name__ == "SpikeEncoder"}
    assert encoders
    assert encoders <= {step.name for step in twin.steps}
    assert se.trace(twin.model, x).coverage.complete


def test_the_network_is_left_as_it_was() -> None:
    net, x = exact_net(3, 0)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    quantised_twin(net, x, 3)
    assert net.time_steps == 3
    assert isinstance(net.first, LIF)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_cannot_be_quantised_is_named() -> None:
    net, x = exact_net(3, 0)
    with pytest.raises(UsageError, match=r"time_steps must be a whole number >= 1 \(got 0\)"):
        quantised_twin(net, x, 0)
    with pytest.raises(DataError, match="the data are empty"):
        quantised_twin(net, [], 3)
    with pytest.raises(TraceError, match="no spiking neuron recognised"):
        quantised_twin(nn.Linear(2, 2), torch.rand(1, 2), 3)
