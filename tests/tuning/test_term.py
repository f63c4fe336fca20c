"""The energy term: its value is the price of a trace, its gradient the fan-out times the price of an event."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import BATCH_AXIS, NETWORKS
from torch import nn
from torch.nn import functional

import snn_energy as se
from snn_energy.errors import TraceError, UncountedError, UsageError
from snn_energy.hardware import load_hardware
from snn_energy.models import IF, LIF, build
from snn_energy.models.folding import fold
from snn_energy.models.snapping import snapped_parameters
from snn_energy.tuning import EnergyTerm, energy_penalty

FP32, INT8 = load_hardware("horowitz-45nm-fp32"), load_hardware("horowitz-45nm-int8")
AC, MAC, ADD = 0.9, 4.6, 0.9
GRADED = replace(FP32, integer_spikes="graded-mac")


def energy(model, x, samples, hardware=FP32, **options):
    """Energy per inference in pJ of one pass, with its graph."""
    term = EnergyTerm(hardware, **options)
    with term.watching(model):
        model(x)
        return term.energy_pj(samples)


def spikes(*shape, rate=0.4):
    return (torch.rand(*shape) < rate).float()


@pytest.mark.parametrize("hardware", [FP32, INT8, GRADED], ids=["fp32", "int8", "graded"])
@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_value_is_the_price_of_the_trace(name, stepped, hardware):
    model, x = NETWORKS[name]("small", stepped)
    samples = x.shape[BATCH_AXIS[name]]
    traced = se.price(se.trace(model, x, batch_axis=BATCH_AXIS[name]), hardware)
    found = energy(model, x, samples, hardware)
    assert found.requires_grad
    assert float(found.detach()) == pytest.approx(traced.energy_per_inference_pj, rel=1e-6)


@pytest.mark.parametrize("time_steps", [1, 2])
@pytest.mark.parametrize("name", ["windowed-cnn", "windowed-rnn", "pure-cnn"])
def test_the_value_on_networks_of_windows(name, time_steps):
    arguments = {"in_channels": 1, "classes": 3, "image_size": 8, "widths": [4, 8], "depths": [2, 1]}
    model, x = build(name, **arguments, time_steps=time_steps).eval(), torch.rand(2, 1, 8, 8)
    found = energy(model, x, 2)
    assert found.requires_grad
    assert float(found.detach()) == pytest.approx(se.profile(model, x).energy_per_inference_pj, rel=1e-6)


class Fed(nn.Module):
    """A layer fed with what `make` makes of the spikes of a neuron."""

    def __init__(self, layer, make=lambda s: s, neuron=None):
        super().__init__()
        self.neuron, self.layer, self.make = neuron or IF(0.5), layer, make

    def forward(self, x):
        return self.layer(self.make(self.neuron(x[None])[0]))


LAYERS = {
    "conv1d, same, dilated": (nn.Conv1d(4, 6, 4, padding="same", dilation=2), (3, 4, 9)),
    "conv2d, stride, groups": (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2), (3, 4, 7, 5)),
    "conv2d, circular": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 2, 5, 4)),
    "conv2d, 1x1": (nn.Conv2d(3, 5, 1), (2, 3, 4, 4)),
    "conv3d": (nn.Conv3d(1, 2, 2, padding=1), (2, 1, 3, 4, 3)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), (2, 3, 4, 3)),
    "transposed, groups": (nn.ConvTranspose1d(4, 6, 3, groups=2, dilation=2), (2, 4, 5)),
    "linear on tokens": (nn.Linear(5, 7), (2, 6, 5)),
}
MAKERS = {
    "spikes": lambda s: s,
    "scaled": lambda s: 0.25 * s,
    "negative": lambda s: -s,
    "ternary": lambda s: s - s.flip(0),
    "integers": lambda s: s + s.flip(0),
    "signed integers": lambda s: 2 * s - s.flip(0),
    "real": lambda s: s * 0.3 + 0.1234567,
}


@pytest.mark.parametrize("hardware", [FP32, GRADED], ids=["units", "graded"])
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_and_every_class_of_operand(layer, make, hardware):
    made, shape = LAYERS[layer]
    model, x = Fed(made, MAKERS[make]).eval(), torch.rand(*shape)
    traced = se.profile(model, x, hardware=hardware)
    found = energy(model, x.requires_grad_(), shape[0], hardware)
    assert float(found.detach()) == pytest.approx(traced.energy_per_inference_pj, rel=1e-6)
    if make == "real":
        assert not found.requires_grad


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_of_torch(kind):
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.cell = IF(0.5), kind(5, 4, num_layers=2, bidirectional=True, batch_first=True)

        def forward(self, x):
            return self.cell(self.neuron(x[None])[0])[0]

    model, x = First().eval(), torch.rand(3, 6, 5, requires_grad=True)
    found = energy(model, x, 3)
    assert found.requires_grad
    traced = se.profile(model, x.detach()).energy_per_inference_pj
    assert float(found.detach()) == pytest.approx(traced, rel=1e-6)


def test_soft_resets_cost_an_addition_for_each_spike():
    model, x = Fed(nn.Linear(6, 3), neuron=LIF(reset="soft", threshold=0.5)).eval(), torch.rand(4, 6)
    fired = (x >= 0.5).sum().item()
    updates = 4 * 6 * (1 * ADD + 3.7 + 0.9)  # one multiplication, one addition and one comparison each
    expected = updates + fired * ADD + fired * 3 * AC + 4 * 3 * ADD
    x.requires_grad_()
    found = energy(model, x, 4)
    assert float(found.detach()) == pytest.approx(expected / 4)
    # Where the surrogate slopes, a spike is worth its reset and its three connections.
    (slope,) = torch.autograd.grad(found, x)
    bump = 1 / (1 + (torch.pi * (x.detach() - 0.5)) ** 2)
    torch.testing.assert_close(slope, bump * (3 * AC + ADD) / 4)


def fan_out(size, kernel, stride, padding, outputs):
    """Connections of each position along one axis, output by output and tap by tap."""
    fan = [0] * size
    for o in range(outputs):
        for k in range(kernel):
            place = o * stride - padding + k
            if 0 <= place < size:
                fan[place] += 1
    return torch.tensor(fan, dtype=torch.float32)


def test_the_gradient_of_a_convolution_is_its_fan_out():
    conv, x = nn.Conv2d(2, 6, 3, stride=2, padding=1, groups=2), spikes(3, 2, 6, 5).requires_grad_()
    (slope,) = torch.autograd.grad(energy(conv, x, 3), x)
    fan = 3 * fan_out(6, 3, 2, 1, 3)[:, None] * fan_out(5, 3, 2, 1, 3)  # 3 output channels for each group
    torch.testing.assert_close(slope, (fan * AC / 3).expand_as(x))


def test_the_gradient_reaches_zeros_and_scales_with_the_height():
    layer, x = nn.Linear(4, 7), (0.5 * spikes(5, 4)).requires_grad_()
    (slope,) = torch.autograd.grad(energy(layer, x, 5), x)
    torch.testing.assert_close(slope, torch.full_like(x, 7 * AC / 0.5 / 5))


class Attention(nn.Module):
    def forward(self, q, k, v):
        return (q @ k.transpose(-1, -2)) @ v


def test_attention_products_and_their_gradient():
    model = Attention()
    q, k, v = (spikes(2, 3, 4).requires_grad_() for _ in range(3))
    scores = (q @ k.transpose(-1, -2)).detach()
    places = [(b, i, j, e) for b in range(2) for i in range(3) for j in range(3) for e in range(4)]
    pairs = sum(bool(q[b, i, e]) and bool(k[b, j, e]) for b, i, j, e in places)
    outer = sum(bool(scores[b, i, j]) and bool(v[b, j, e]) for b, i, j, e in places)
    term = EnergyTerm(FP32)
    with term.watching(model):
        model(q, k, v)
        found = term.energy_pj(2)
    assert float(found.detach()) == pytest.approx((pairs + outer) * AC / 2)
    (slope,) = torch.autograd.grad(found, v)
    # v[b, j, e] meets every score of column j that is not zero.
    torch.testing.assert_close(slope, (scores != 0).float().sum(-2)[..., None].expand_as(v) * AC / 2)


@settings(max_examples=10)
@given(a=st.floats(0, 100), b=st.floats(0, 100), seed=st.integers(0, 1000))
def test_linear_in_the_profile(a, b, seed):
    def mixed(a, b):
        prices = {
            action: replace(price, value_pj=a * price.value_pj + b * INT8.energy_pj[action].value_pj, range_pj=None)
            for action, price in FP32.energy_pj.items()
        }
        return replace(FP32, energy_pj=prices)

    torch.manual_seed(seed)
    model, x = Fed(nn.Conv2d(2, 3, 3, padding=1)).eval(), torch.rand(2, 2, 5, 5, requires_grad=True)
    both, one, other = (energy(model, x, 2, mixed(*factors)) for factors in ((a, b), (1, 0), (0, 1)))
    torch.testing.assert_close(both, a * one + b * other, rtol=1e-5, atol=1e-3)
    slopes = [torch.autograd.grad(value, x)[0] for value in (both, one, other)]
    torch.testing.assert_close(slopes[0], a * slopes[1] + b * slopes[2], rtol=1e-5, atol=1e-3)


@settings(max_examples=10)
@given(widths=st.lists(st.integers(1, 6), min_size=2, max_size=4), seed=st.integers(0, 1000))
def test_additive_over_layers(widths, seed):
    """Layers side by side on the same spikes cost what they cost one by one."""

    class Side(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.layers = nn.ModuleList(layers)

        def forward(self, x):
            return [layer(x) for layer in self.layers]

    torch.manual_seed(seed)
    layers = [nn.Linear(5, width) for width in widths]
    x = spikes(3, 5).requires_grad_()
    whole, parts = energy(Side(layers), x, 3), [energy(layer, x, 3) for layer in layers]
    torch.testing.assert_close(whole, torch.stack(parts).sum())
    slopes = [torch.autograd.grad(value, x)[0] for value in (whole, *parts)]
    torch.testing.assert_close(slopes[0], torch.stack(slopes[1:]).sum(0))


def test_silence_costs_no_accumulate():
    model, x = Fed(nn.Linear(4, 3), neuron=LIF(threshold=9.0)).eval(), torch.rand(2, 4)
    # 8 updates of one multiplication, addition and comparison; 6 biases.
    assert float(energy(model, x, 2)) == pytest.approx((8 * (3.7 + 0.9 + 0.9) + 6 * ADD) / 2)


def test_a_layer_that_was_silent_when_surveyed_counts_its_first_spikes():
    model, term = Fed(nn.Linear(4, 3)).eval(), EnergyTerm(FP32)
    with term.watching(model):
        model(torch.zeros(2, 4, requires_grad=True))
        silent = float(term.energy_pj(2).detach())
        model(torch.ones(2, 4, requires_grad=True))
        awake = term.energy_pj(2)
    assert float(awake.detach()) - silent == pytest.approx(4 * 3 * AC)
    assert awake.requires_grad


def test_losses_by_their_formulas():
    layer, x = nn.Linear(10, 10, bias=False), torch.eye(10)[:2]  # one spike, ten connections of 100
    assert float(energy(layer, x, 2)) == pytest.approx(10 * AC)

    def loss(**options):
        term = EnergyTerm(FP32, **options)
        with term.watching(layer):
            layer(x)
            return float(term.loss(2))

    assert loss(weight=2.0) == pytest.approx(2 * 0.1)
    assert loss(weight=3.0, reference_uj=1e-6) == pytest.approx(3 * 9.0)
    assert loss(target_uj=6e-6) == pytest.approx(9 / 6 - 1)
    assert loss(target_uj=6e-6, weight=4.0) == pytest.approx(4 * (9 / 6 - 1))
    assert loss(target_uj=10e-6) == 0.0
    assert loss(weight=0.0) == 0.0


def test_the_record_is_the_mean_over_samples():
    layer, term = nn.Linear(10, 10, bias=False), EnergyTerm(FP32)
    assert term.record() == {"energy_uj": None}
    with term.watching(layer):
        for x in (torch.eye(10)[:2], torch.eye(10)[:4] + torch.eye(10)[4:8]):
            layer(x)
            term.loss(len(x))
        with torch.no_grad():
            layer(torch.ones(1, 10))  # not a training pass
        assert term.record()["energy_uj"] == pytest.approx((2 * 9 + 4 * 18) / 6 * 1e-6)
    assert term.to_plain() == {
        "hardware": FP32.name, "weight": 1.0, "target_uj": None, "reference_uj": None,
    }  # fmt: skip


def test_options_of_the_command_line():
    assert energy_penalty("horowitz-45nm-int8") is None
    assert energy_penalty("horowitz-45nm-int8", weight=0.5).to_plain()["weight"] == 0.5
    both = energy_penalty("horowitz-45nm-int8", target_uj=2.0).to_plain()
    assert (both["weight"], both["target_uj"], both["hardware"]) == (1.0, 2.0, "horowitz-45nm-int8")


def cnn(**options):
    arguments = {"in_channels": 1, "classes": 3, "image_size": 8, "widths": (4, 6), "time_steps": 2}
    return build("spiking-cnn", **arguments | options)


def test_the_model_and_the_random_numbers_are_left_alone():
    model, x, term = cnn(), torch.rand(4, 1, 8, 8), EnergyTerm(FP32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, modes = torch.get_rng_state(), [m.training for m in model.modules()]
    with term.watching(model):
        plain = model(x)
        term.loss(4)
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [m.training for m in model.modules()]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    fresh = cnn()
    fresh.load_state_dict(before)
    assert torch.equal(fresh(x), plain)
    after, expected = model.state_dict(), fresh.state_dict()
    assert all(torch.equal(after[name], expected[name]) for name in after)  # one pass of batch statistics, not three


def test_hooks_are_gone_after_an_error():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.broken = False

        def forward(self, x):
            out = self.fc(x)
            if self.broken:
                raise ValueError("on purpose")
            return out

    model, term = Fails(), EnergyTerm(FP32)
    with pytest.raises(ValueError, match="on purpose"), term.watching(model):
        [model(spikes(2, 3)), setattr(model, "broken", True), model(spikes(2, 3))]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    model.broken = False
    with term.watching(model):
        model(torch.ones(2, 3))
        assert float(term.energy_pj(2)) == pytest.approx(3 * 2 * AC + 2 * ADD)


def test_weight_zero_trains_the_same_weights():
    def trained(term):
        torch.manual_seed(3)
        model, x, y = cnn(), torch.rand(8, 1, 8, 8), torch.arange(8) % 3
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with nullcontext() if term is None else term.watching(model):
            for _ in range(3):
                loss = functional.cross_entropy(model(x), y)
                if term is not None:
                    loss = loss + term.loss(8)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return model.state_dict()

    plain, measured, pulled = (trained(t) for t in (None, EnergyTerm(FP32, weight=0.0), EnergyTerm(FP32)))
    assert all(torch.equal(plain[name], value) for name, value in measured.items())
    assert not all(torch.equal(plain[name], value) for name, value in pulled.items())


def test_snapped_weights_in_place_of_the_models_own():
    model = fold(cnn().eval())
    x = torch.rand(3, 1, 8, 8)
    snapped, term = snapped_parameters(model, 4), EnergyTerm(FP32)
    with term.watching(model):
        torch.func.functional_call(model, snapped, (x,))
        found = term.energy_pj(3)
    with torch.no_grad():
        for name, value in snapped.items():
            model.get_parameter(name).copy_(value)
    assert float(found.detach()) == pytest.approx(se.profile(model, x).energy_per_inference_pj, rel=1e-6)


def test_half_precision_forward_passes_are_counted_in_single():
    model, x = Fed(nn.Linear(300, 300, bias=False)).eval(), torch.ones(40, 300, requires_grad=True)
    term = EnergyTerm(FP32)
    with term.watching(model), torch.autocast("cpu", torch.bfloat16):
        model(x)
        found = term.energy_pj(40)
    assert float(found.detach()) == pytest.approx(300 * 300 * AC + 300 * (0.9 + 0.9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "weight must be a finite number >= 0"),
        ({"weight": float("nan")}, "weight must be a finite number >= 0"),
        ({"target_uj": 0.0}, "target_uj must be a finite number > 0"),
        ({"target_uj": True}, "target_uj must be a finite number > 0"),
        ({"target_uj": 1.0, "reference_uj": 1.0}, "leave reference_uj out"),
        ({"hardware": "horowitz-45nm-fp33"}, "horowitz-45nm-fp32"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(UsageError, match=message):
        EnergyTerm(**options)


def test_a_target_below_what_no_spike_can_save():
    model, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), torch.rand(2, 4)
    term = EnergyTerm(FP32, target_uj=1e-5)
    with term.watching(model):
        model(x)
        with pytest.raises(
            UsageError, match=r"cannot be reached on horowitz-45nm-fp32: .* needed without a single spike"
        ):
            term.loss(2)


def test_products_that_no_hook_sees_are_refused():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3, 4))

        def forward(self, x):
            return functional.linear(x, self.weight)

    model = Hidden()
    with (
        EnergyTerm(FP32).watching(model),
        pytest.raises(TraceError, match="hooks found 0 events where the trace counted"),
    ):
        model(spikes(2, 4))


def test_uncounted_work_is_refused():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.fft.fft(x).real

    model, term = Odd(), EnergyTerm(FP32)
    with term.watching(model), pytest.raises(UncountedError, match="energy term: 1 operator"):
        model(torch.rand(2, 3))


def test_a_profile_that_does_not_price_spikes():
    bare = replace(FP32, energy_pj={k: v for k, v in FP32.energy_pj.items() if k != "ac"}, unpriced={"ac": "secret"})
    model, term = nn.Linear(3, 2), EnergyTerm(bare)
    with term.watching(model), pytest.raises(UsageError, match=r"does not price 'ac'.*secret"):
        model(spikes(2, 3))


def test_misuse_is_told():
    model, term = nn.Linear(3, 2), EnergyTerm(FP32)
    with pytest.raises(UsageError, match="no model is watched"):
        term.loss(2)
    with term.watching(model):
        with pytest.raises(UsageError, match="did not run"):
            term.loss(2)
        with pytest.raises(UsageError, match="watches a model already"), term.watching(model):
            pass
        model(spikes(2, 3))
        with pytest.raises(UsageError, match="samples must be"):
            term.loss(0)
        term.loss(2)
        with pytest.raises(UsageError, match="did not run"):
            term.loss(2)


@pytest.mark.parametrize("name", ["sew-resnet", "spiking-transformer"])
def test_an_interrupted_epoch_goes_on_exactly(name, tmp_path):
    model, x = NETWORKS[name]("small")
    shares = [x[:1], x[1:2] * 0.5, x[2:]]
    whole, first, second = (EnergyTerm(FP32, weight=2.0) for _ in range(3))
    with whole.watching(model):
        expected = [(model(share), float(whole.loss(1).detach()))[1] for share in shares]
    with first.watching(model):
        found = [(model(share), float(first.loss(1).detach()))[1] for share in shares[:1]]
        torch.save(first.state_dict(), tmp_path / "state.pt")
    assert first.state_dict() == {}
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    with second.watching(model):
        found += [(model(share), float(second.loss(1).detach()))[1] for share in shares[1:]]
    assert found == expected
    assert second.record() == whole.record()
    with second.watching(model):  # the next epoch begins anew
        model(x)
        second.loss(3)
    assert second.record()["energy_uj"] * 1e6 == pytest.approx(se.profile(model, x).energy_per_inference_pj, rel=1e-6)
