"""Folding and snapping of every reference network with batch norms."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from snn_energy.errors import UsageError
from snn_energy.models import LIF, SpikingNeuron, build, fold, foldable, snap
from snn_energy.models.folding import is_folded
from snn_energy.models.operands import SPIKES, Operand
from snn_energy.models.snapping import (
    FINEST_CHANNEL_GRID,
    channel_exponents,
    grid_exponent,
    headroom_bits,
    snap_tensor,
    snapped_parameters,
)
from snn_energy.models.windowed import GroupLIF

_FRAME = {"in_channels": 2, "classes": 3, "image_size": 8}
NETWORKS: dict[str, dict[str, Any]] = {
    "spiking-cnn": {**_FRAME, "widths": [4, 6]},
    "spiking-vgg": {**_FRAME, "stages": [[4], [6, 6]]},
    "spiking-vgg, currents pooled": {**_FRAME, "stages": [[4], [6, 6]], "pool_currents": True},
    "sew-resnet": {**_FRAME, "stages": [[4, 2], [6, 1]], "hidden": 5},
    "spiking-transformer": {
        **_FRAME,
        "dim": 8,
        "depth": 2,
        "heads": 2,
        "mlp_ratio": 2,
        "patch_widths": [4],
        "patch_pools": 1,
        "scale": 0.5,
    },
    "pure-cnn": {**_FRAME, "widths": [4, 6], "depths": [2, 1], "mlp_ratio": 2},
}
each_network = pytest.mark.parametrize("name", NETWORKS)


def network(name: str, seed: int = 0, **more: Any) -> nn.Module:
    """A network whose norms have seen data and whose gains and offsets differ from channel to channel."""
    torch.manual_seed(seed)
    model = build(name.partition(",")[0], **{**NETWORKS[name], "time_steps": 2, **more})
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 2.0)
        nn.init.uniform_(norm.bias, 0.0, 1.0)
    with torch.no_grad():
        for _ in range(10):
            model.train()(images(16))
    return model.eval()


def images(n: int, seed: int = 1) -> Tensor:
    """Pixels as the shipped networks take them: multiples of 1/256 below 1."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 2, 8, 8), generator=rng).float() / 256


def outputs(model: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits, and the spikes of every neuron layer."""
    spikes: dict[nn.Module, list[Tensor]] = {}

    def note(module: nn.Module, _: Any, out: Any) -> None:
        spikes.setdefault(module, []).append(out[0] if isinstance(module, GroupLIF) else out)

    neurons = [module for module in model.modules() if isinstance(module, (SpikingNeuron, GroupLIF))]
    hooks = [neuron.register_forward_hook(note) for neuron in neurons]
    with torch.no_grad():
        logits = model(x)
    for hook in hooks:
        hook.remove()
    assert len(spikes) == len(neurons)
    return logits, [torch.cat([part.flatten() for part in spikes[neuron]]) for neuron in neurons]


# ---------------------------------------------------------------- folding


@each_network
def test_folded_equals_unfolded(name: str) -> None:
    model, x = network(name).double(), images(8).double()
    before = copy.deepcopy(model.state_dict())
    assert foldable(model)
    assert not is_folded(model)
    folded = fold(model)
    assert is_folded(folded)
    assert not foldable(folded)
    assert not any(isinstance(module, _BatchNorm) for module in folded.modules())
    assert type(folded) is type(model)
    assert folded.constructor_args() == {**model.constructor_args(), "folded": True}
    (logits, spikes), (own, others) = outputs(model, x), outputs(folded, x)
    torch.testing.assert_close(own, logits, rtol=1e-10, atol=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(spikes, others, strict=True))
    assert all(0 < layer.mean() < 1 for layer in spikes), "a silent layer would prove nothing"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_negative_gain_behind_a_pool_is_refused() -> None:
    model = network("spiking-vgg, currents pooled")
    with torch.no_grad():
        model.stages[0][0].norm.weight[1] = -0.5
    with pytest.raises(UsageError, match=r"fold: stages\.0\.0\.norm stands behind a max pool and has a negative gain"):
        fold(model)


def test_a_negative_gain_before_a_pool_folds() -> None:
    """The small network pools the spikes behind its neurons: there a gain may have any sign."""
    model = network("spiking-cnn").double()
    with torch.no_grad():
        model.blocks[0].norm.weight[1] = -0.5
    torch.testing.assert_close(fold(model)(images(8).double()), model(images(8).double()), rtol=1e-10, atol=1e-12)


def test_a_folded_weight_by_hand() -> None:
    """conv weight 3, norm with gamma 2, beta 5, mean 7, variance 4: gain 1, so y = 3x - 7 + 5."""
    model = build("spiking-vgg", in_channels=1, classes=1, image_size=2, stages=[[1]])
    unit = model.stages[0][0]
    with torch.no_grad():
        unit.conv.weight.fill_(3)
    unit.norm.load_state_dict(
        {
            "weight": torch.tensor([2.0]),
            "bias": torch.tensor([5.0]),
            "running_mean": torch.tensor([7.0]),
            "running_var": torch.tensor([4.0]),
            "num_batches_tracked": torch.tensor(0),
        }
    )
    unit.norm.eps = 0.0
    conv = fold(model).stages[0][0].conv
    assert torch.equal(conv.weight, torch.full((1, 1, 3, 3), 3.0))
    assert torch.equal(conv.bias, torch.tensor([-2.0]))


def test_folding_is_rounded_once() -> None:
    """float32 weights equal the float64 network's, rounded."""
    model = network("spiking-transformer")
    exact = fold(copy.deepcopy(model).double())
    assert all(
        torch.equal(own, other.float()) for own, other in zip(fold(model).parameters(), exact.parameters(), strict=True)
    )


def test_what_cannot_be_folded() -> None:
    recurrent = build("spiking-recurrent", inputs=3, classes=2, widths=[4])
    assert not foldable(recurrent)
    with pytest.raises(UsageError, match=r"fold: SpikingRecurrent has no batch norms"):
        fold(recurrent)
    folded = fold(network("sew-resnet"))
    with pytest.raises(UsageError, match="folded already"):
        fold(folded)
    own = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1))
    assert not foldable(own)
    with pytest.raises(UsageError, match=r"fold: Sequential cannot be built without its norms"):
        fold(own)
    stray = network("spiking-vgg")
    stray.extra = nn.BatchNorm2d(3)
    assert not foldable(stray)
    with pytest.raises(UsageError, match=r"fold: extra does not follow a convolution or linear layer"):
        fold(stray)


# ---------------------------------------------------------------- snapping


@each_network
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_snapped_network_is_exact(name: str, per_channel: bool) -> None:
    """float32 and float64 agree to the last bit, and the weights are 8-bit integers times a power of two."""
    snapped = snap(fold(network(name)), 8, per_channel)
    assert all(bits > 0 for bits in headroom_bits(snapped, 8, per_channel).values())
    (logits, spikes), (own, others) = (
        outputs(snapped, images(8)),
        outputs(copy.deepcopy(snapped).double(), images(8).double()),
    )
    assert torch.equal(logits.double(), own)
    assert all(torch.equal(a.double(), b) for a, b in zip(spikes, others, strict=True))
    assert 0 < spikes[-1].mean() < 1
    for key, value in snapped.named_parameters():
        rows = value.detach().double().flatten(1) if value.dim() > 1 and per_channel else value.detach()[None].double()
        for row in rows:
            if key.endswith("bias"):
                assert torch.equal((row * 2**12).round(), row * 2**12)
            else:
                assert any(
                    torch.equal((row * 2.0**k).round(), row * 2.0**k) and row.abs().max() * 2.0**k <= 127
                    for k in range(-10, FINEST_CHANNEL_GRID + 1)
                ), key


def test_a_channel_has_its_own_grid() -> None:
    weight = torch.tensor([[127.0, 3.4], [0.5, 0.26], [0.0, 0.0], [2.0**-30, -(2.0**-16)]])
    assert channel_exponents(weight, 8) == [0, 7, 0, FINEST_CHANNEL_GRID]
    snapped = snap_tensor(weight, 8, per_channel=True)
    assert torch.equal(snapped, torch.tensor([[127.0, 3.0], [0.5, 33 / 128], [0.0, 0.0], [0.0, -0.0]]))
    assert grid_exponent(weight, 8) == 0
    assert torch.equal(snap_tensor(weight, 8), torch.tensor([[127.0, 3.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))


def test_gradients_pass_straight_through() -> None:
    model = fold(network("spiking-vgg"))
    for per_channel in (False, True):
        parameters = snapped_parameters(model, 4, per_channel)
        sum(value.sum() * (i + 1) for i, value in enumerate(parameters.values())).backward()
        for i, value in enumerate(model.parameters()):
            assert torch.equal(value.grad, torch.full_like(value, i + 1))
            value.grad = None


@each_network
def test_no_layer_takes_more_than_its_bound(name: str) -> None:
    """With every neuron firing, each layer takes its largest possible input, and the bound is reached."""
    model = fold(network(name))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.abs_()
                module.bias.abs_().add_(2)
    model.time_steps = 1
    seen: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_pre_hook(lambda _m, args, path=path: seen.__setitem__(path, args[0]))
    x = images(4)
    with torch.no_grad():
        model(x)
    bounds = model.operands()
    pixels = [path for path, operand in seen.items() if torch.equal(operand, x)]
    assert len(pixels) == 1
    assert bounds[pixels[0]] == Operand(1.0, 8)
    for path, operand in seen.items():
        if path not in pixels:
            assert operand.max() == bounds.get(path, SPIKES).largest, path


@each_network
def test_every_operand_has_the_bits_it_is_said_to_have(name: str) -> None:
    model = fold(network(name))
    bounds, seen = model.operands(), {}
    for path, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_pre_hook(lambda _m, args, path=path: seen.__setitem__(path, args[0]))
    with torch.no_grad():
        model(images(8))
    for path, operand in seen.items():
        units = operand * 2.0 ** bounds.get(path, SPIKES).fraction_bits
        assert torch.equal(units, units.round()), path
        assert operand.max() <= bounds.get(path, SPIKES).largest


def test_headroom_by_hand() -> None:
    """One conv 3x3 of weights 1 on pixels, bias 1: sums to 10, on a grid of 2^-(6+8); then a head on one spike."""
    model = build("spiking-vgg", in_channels=1, classes=1, image_size=2, stages=[[1]], folded=True)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
    assert grid_exponent(torch.ones(1), 8) == 6
    left = headroom_bits(model)
    assert left == pytest.approx({"stages.0.0.conv": 24 - math.log2(10) - 14, "head": 24 - 1 - 12})


def test_what_cannot_be_snapped() -> None:
    with pytest.raises(UsageError, match=r"fold it first"):
        snap(network("sew-resnet"))
    odd = fold(network("spiking-transformer", scale=0.3))
    with pytest.raises(UsageError, match=r"attention\.scale must be a power of two .* \(got 0\.3\)"):
        snap(odd)
    three = build("sew-resnet", in_channels=1, classes=2, image_size=3, stages=[[4, 1]], folded=True)
    with pytest.raises(UsageError, match=r"head takes a mean over a number of values that is no power of two"):
        snap(three)
    with pytest.raises(UsageError, match=r"layers\.0\.neuron\.decay must be a power of two"):
        snap(build("spiking-recurrent", inputs=3, classes=2, widths=[4]))
    with pytest.raises(UsageError, match=r"snap: 1 is a GELU \(approximate='none'\), whose results are rounded"):
        snap(nn.Sequential(nn.Linear(2, 2), nn.GELU()))
    with pytest.raises(UsageError, match=r"snap: 0 is a LSTM \(.*\), whose results are rounded"):
        snap(nn.Sequential(nn.LSTM(2, 2)))
    sine = fold(network("pure-cnn", projection="cosine"))
    with pytest.raises(
        UsageError, match=r"unit\.projection is a Projection \(cosine, theta=.*\), whose results are rounded"
    ):
        snap(sine)
    with pytest.raises(UsageError, match=r"headroom_bits: Linear does not tell what its layers take"):
        headroom_bits(nn.Linear(2, 2))


def test_snapping_takes_time_steps_of_any_number() -> None:
    snapped = snap(fold(network("spiking-cnn")))
    snapped.time_steps = 5
    logits, _ = outputs(snapped, images(2))
    assert logits.shape == (2, 3)
    assert isinstance(snapped.blocks[0].neuron, LIF)
