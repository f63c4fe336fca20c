"""The study as a library: what is changed is changed, and everything is as it was afterwards."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.errors import DataError
from snn_energy.hardware import load_hardware
from snn_energy.models import IF, build
from snn_energy.models.snapping import snap_tensor
from snn_energy.tuning import Study, sensitivity
from snn_energy.tuning.changes import rounded, scaled_thresholds, threshold_of
from snn_energy.tuning.study import profile_of, rate_slopes

FP32 = load_hardware("horowitz-45nm-fp32")


def cnn():
    torch.manual_seed(0)
    model = build("spiking-cnn", in_channels=1, classes=3, image_size=8, widths=(4, 6), time_steps=2, folded=True)
    return model.eval()


def batches():
    generator = torch.Generator().manual_seed(1)
    for n in (3, 2):
        yield torch.rand(n, 1, 8, 8, generator=generator) * 3, torch.arange(n) % 3


def changed(model, change):
    """Energy per inference in pJ and correct samples of a copy that `change` has been done to."""
    other = copy.deepcopy(model)
    change(other)
    xs, correct = [], 0
    with torch.no_grad():
        for x, labels in batches():
            xs.append(x)
            correct += int((other(x).argmax(1) == labels).sum())
    return se.profile(other, xs).energy_per_inference_pj, correct


def raise_threshold(layer, factor):
    def change(model):
        for i, block in enumerate(model.blocks):
            if layer in (i, None):
                block.neuron.threshold *= factor

    return change


def test_every_run_equals_a_network_changed_for_good():
    model = cnn()
    before = copy.deepcopy(model.state_dict())
    found = sensitivity(model, batches, step=0.2)
    measured = {(v.parameter, v.layer, v.setting): v.measured for v in (*found.thresholds, *found.steps)}
    assert measured.keys() == {
        *(("threshold", layer, f) for layer in ("blocks.0.neuron", "blocks.1.neuron", "(all)") for f in (0.8, 1.2)),
        *(("time_steps", "(all)", t) for t in (1, 2, 3, 4)),
    }
    for (parameter, layer, setting), one in measured.items():
        if parameter == "threshold":
            number = None if layer == "(all)" else int(layer.split(".")[1])
            expected = changed(model, raise_threshold(number, setting))
        else:
            expected = changed(model, lambda m, t=setting: setattr(m, "time_steps", t))
        assert (one.energy_pj, one.correct, one.samples) == (*expected, 5)
    assert len({one.energy_pj for one in measured.values()}) > 5
    for one in found.precisions:
        (name,) = [one.layer] if one.layer != "(all)" else [""]
        layers = [m for n, m in model.named_modules() if n == name or (not name and n and hasattr(m, "weight"))]
        assert layers

        def snap(other, name=name, datatype=one.setting):
            for n, m in other.named_modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)) and name in ("", n):
                    m.weight.data = {
                        "fp16": lambda w: w.half().float(),
                        "int8": lambda w: snap_tensor(w, 8),
                        "int4": lambda w: snap_tensor(w, 4),
                    }[datatype](m.weight.data)

        assert one.measured.correct == changed(model, snap)[1]
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (model.time_steps, [block.neuron.threshold for block in model.blocks]) == (2, [1.0, 1.0])


class Learned(nn.Module):
    """A neuron layer whose threshold is a parameter."""

    def __init__(self):
        super().__init__()
        self.v_threshold = nn.Parameter(torch.tensor(2.0))


def test_learned_thresholds_are_scaled_and_restored_also_after_an_error():
    learned, fixed, without = Learned(), IF(0.5), nn.ReLU()
    assert [threshold_of(m) for m in (learned, fixed, without)] == ["v_threshold", "threshold", None]
    seen: list[float] = []
    with pytest.raises(ZeroDivisionError), scaled_thresholds([learned, fixed, without], 0.75):
        seen.extend([float(learned.v_threshold.detach()), fixed.threshold, 1 / len(seen)])
    with scaled_thresholds([learned, fixed, without], 0.75):
        assert (float(learned.v_threshold.detach()), fixed.threshold) == (1.5, 0.375)
    assert (float(learned.v_threshold.detach()), fixed.threshold) == (2.0, 0.5)


def test_rounding_is_taken_back():
    layer = nn.Linear(3, 2)
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    with rounded([layer], "int2"):
        assert torch.equal(layer.weight, snap_tensor(weight, 2))
        assert not torch.equal(layer.weight, weight)
        assert torch.equal(layer.bias, bias)
    assert torch.equal(layer.weight, weight)


def test_slopes_are_connections_times_price():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False))
    (one,) = rate_slopes(se.profile(model, (torch.rand(4, 1, 5, 5) < 0.3).float()))
    assert one.slope_pj == pytest.approx(2 * (2 + 3 + 3 + 3 + 2) ** 2 * 0.9)
    # Every operand a spike: the energy is the slope, whatever the rate is weighted with.
    (full,) = rate_slopes(se.profile(model, torch.ones(4, 1, 5, 5)))
    assert full.energy_pj == pytest.approx(one.slope_pj)
    (twos,) = rate_slopes(se.profile(model, torch.tensor([1.0, 2.0])[torch.randint(2, (4, 1, 5, 5))]))
    assert twos.energy_pj == pytest.approx(twos.slope_pj)
    assert list(rate_slopes(se.profile(model, torch.rand(4, 1, 5, 5)))) == []


def test_profiles_of_the_same_technology():
    assert profile_of("int8", FP32).name == "horowitz-45nm-int8"
    assert profile_of("fp32", FP32) is FP32
    assert profile_of("int4", FP32) is None


def test_what_cannot_be_varied_is_said():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.fc = IF(0.5), nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(self.neuron(x[None])[0])

    study = Study(Plain(), lambda: [(torch.rand(2, 4), None)], FP32)
    found = study.run()
    assert study.runs == 2 + 3
    assert found.base.correct is None
    assert found.left_out == ("time steps: the network has no attribute time_steps; they come with its data",)
    with pytest.raises(DataError):
        Study(Plain(), list, FP32)
