"""The deeper reference networks: the sizes their papers state, their equations, and time in either order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snn_energy as se
from snn_energy.errors import DataError, UsageError
from snn_energy.models import SEWResNet, SpikingRecurrent, SpikingTransformer, SpikingVGG, build, model_names
from snn_energy.models.clock import Clock
from snn_energy.models.sew_resnet import JOINS
from snn_energy.models.sew_resnet import STAGES as SEW
from snn_energy.models.spiking_transformer import SpikingSelfAttention
from snn_energy.models.spiking_vgg import STAGES as VGG
from snn_energy.models.units import Style

SMALL: dict[str, dict[str, Any]] = {
    "spiking-vgg": {"in_channels": 2, "classes": 3, "image_size": 8, "stages": [[4], [6, 6]]},
    "sew-resnet": {"in_channels": 2, "classes": 3, "image_size": 8, "stages": [[4, 1], [6, 1]]},
    "spiking-transformer": {
        "in_channels": 2,
        "classes": 3,
        "image_size": 8,
        "dim": 8,
        "depth": 1,
        "heads": 2,
        "patch_widths": [4],
        "patch_pools": 1,
        "scale": 0.5,
    },
    "spiking-recurrent": {"inputs": 6, "classes": 3, "widths": [8, 5], "threshold": 0.25},
}
each_network = pytest.mark.parametrize("name", SMALL)
on_images = pytest.mark.parametrize("name", [name for name in SMALL if name != "spiking-recurrent"])


def network(name: str, **more: Any) -> nn.Module:
    torch.manual_seed(0)
    return build(name, **SMALL[name], **more)


def inputs(name: str, n: int = 3) -> Tensor:
    torch.manual_seed(1)
    return (torch.rand(12, n, 6) < 0.5).float() if name == "spiking-recurrent" else torch.rand(n, 2, 8, 8)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# ---------------------------------------------------------------- sizes, from the papers and by hand


@pytest.mark.parametrize(("depth", "published"), [(18, 11_689_512), (34, 21_797_672)])
def test_sew_resnet_has_the_parameters_of_resnet(depth: int, published: int) -> None:
    """He et al.'s ImageNet networks; element-wise joins and neurons add none."""
    assert parameters(SEWResNet(3, 1000, 224, SEW[depth], stem="7x7")) == published


def test_the_small_resnet_has_the_parameters_of_the_paper() -> None:
    """0.27 million (He et al., Table 6)."""
    assert parameters(SEWResNet(3, 10, 32, SEW[20])) == pytest.approx(0.27e6, rel=0.02)


@pytest.mark.parametrize(
    ("dim", "heads", "widths", "published"), [(256, 8, (32, 64, 128), 4.15e6), (384, 12, (48, 96, 192), 9.32e6)]
)
def test_spikformer_has_the_parameters_of_the_paper(dim: int, heads: int, widths: Any, published: float) -> None:
    """Zhou et al., Table 4: Spikformer-4-256 and -4-384 have 4.15 and 9.32 million."""
    model = SpikingTransformer(3, 10, 32, dim=dim, heads=heads, patch_widths=widths)
    assert parameters(model) == pytest.approx(published, rel=2e-3)


def test_resnet_19_has_the_layers_of_its_paper() -> None:
    """128-256-512 channels, 3 + 3 + 2 blocks, linear 256: 19 layers besides the two 1x1 shortcuts."""
    model = build("sew-resnet", in_channels=3, classes=10, image_size=32, depth=19, time_steps=1)
    weighted = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    shortcuts = [module for module in weighted if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)]
    assert (len(weighted), len(shortcuts)) == (19 + 2, 2)
    pairs = [(3, 128), *[(128, 128)] * 6, (128, 256), *[(256, 256)] * 5, (256, 512), *[(512, 512)] * 3]
    convs = sum(9 * a * b for a, b in pairs) + 128 * 256 + 256 * 512
    norms = 2 * (sum(b for _, b in pairs) + 256 + 512 + 256)
    assert parameters(model) == convs + norms + 512 * 256 + 256 * 10 + 10


@pytest.mark.parametrize(
    ("name", "depth", "weighted"),
    [("spiking-vgg", 11, 9), ("spiking-vgg", 16, 14), ("sew-resnet", 18, 21), ("sew-resnet", 20, 22)],
)
def test_published_depths_in_one_line(name: str, depth: int, weighted: int) -> None:
    """VGG: convolutions and one linear layer; ResNet: its depth and the 1x1 shortcuts, 3 or 2."""
    model = build(name, in_channels=3, classes=10, image_size=32, depth=depth, time_steps=1)
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in model.modules()) == weighted
    assert model.time_steps == 1
    again = build(name, **model.constructor_args())
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    with torch.no_grad():
        assert model.eval()(torch.rand(1, 3, 32, 32)).shape == (1, 10)


def test_no_such_depth() -> None:
    with pytest.raises(UsageError, match=r"spiking-vgg: depth must be one of 11, 16 \(got 13\); give stages"):
        SpikingVGG(3, 10, 32, depth=13)
    with pytest.raises(UsageError, match=r"sew-resnet: depth must be one of 18, 19, 20, 34 \(got True\)"):
        SEWResNet(3, 10, 32, depth=True)
    with pytest.raises(UsageError, match=r"sew-resnet: expected depth or stages \(got depth 18 and stages\)"):
        SEWResNet(3, 10, 32, stages=SEW[18], depth=18)
    with pytest.raises(UsageError, match=r"sew-resnet: hidden must be an integer >= 1 \(got -1\)"):
        SEWResNet(3, 10, 32, hidden=-1)


@pytest.mark.parametrize("depth", VGG)
def test_vgg_has_its_convolutions(depth: int) -> None:
    widths = [width for stage in VGG[depth] for width in stage]
    assert len(widths) == {11: 8, 16: 13}[depth]
    convs = sum(9 * a * b for a, b in pairwise((3, *widths)))
    model = SpikingVGG(3, 10, 32, VGG[depth])
    assert parameters(model) == convs + 2 * sum(widths) + 512 * 10 + 10


def test_pooling_currents_gives_the_spikes_of_pooling_spikes() -> None:
    """At T = 1 somebody in a window fires where and only where its largest current reaches the threshold."""
    stages = [[4], [6, 6]]
    frame = {"in_channels": 2, "classes": 3, "image_size": 8, "stages": stages, "time_steps": 1, "threshold": 0.1}
    behind, before = (build("spiking-vgg", **frame, pool_currents=pools).eval() for pools in (False, True))
    before.load_state_dict(behind.state_dict())
    x = 3 * torch.randn(8, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(before(x), behind(x))
    traces = [se.trace(model, x) for model in (behind, before)]
    assert traces[0].layers[2].spikes == traces[1].layers[2].spikes > 0
    updates = [[neuron.updates for neuron in trace.neurons] for trace in traces]
    assert updates == [[8 * 4 * 64, 8 * 6 * 16, 8 * 6 * 16], [8 * 4 * 16, 8 * 6 * 16, 8 * 6 * 4]]


def test_the_recurrent_network_has_its_weights() -> None:
    model = SpikingRecurrent()
    assert parameters(model) == (700 * 128 + 128) + 128**2 + (128 * 128 + 128) + 128**2 + 128 * 20


# ---------------------------------------------------------------- time


@each_network
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_time_folded_or_stepped(name: str, reset: str) -> None:
    """One call or one for each step: the same outputs, and the same gradients."""
    folded, stepped = network(name, reset=reset).eval(), network(name, reset=reset, stepped=True).eval()
    stepped.load_state_dict(folded.state_dict())
    x = inputs(name)
    for model in (folded, stepped):
        model(x).square().sum().backward()
    torch.testing.assert_close(stepped(x), folded(x))
    for own, other in zip(folded.parameters(), stepped.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def test_adaptive_neurons_in_either_order() -> None:
    folded = network("spiking-recurrent", neuron="alif")
    stepped = network("spiking-recurrent", neuron="alif", stepped=True)
    x = inputs("spiking-recurrent")
    with torch.no_grad():
        assert torch.equal(stepped(x), folded(x))


@on_images
@pytest.mark.parametrize("stepped", [False, True])
def test_an_image_is_shown_at_every_step(name: str, stepped: bool) -> None:
    model, x = network(name, time_steps=3, stepped=stepped).eval(), inputs(name)
    with torch.no_grad():
        assert torch.equal(model(x), model(torch.stack([x] * 3)))
        assert model(torch.stack([x] * 5)).shape == (3, 3)


@each_network
def test_nothing_is_kept_between_calls(name: str) -> None:
    model, x = network(name, stepped=True).eval(), inputs(name)
    with torch.no_grad():
        assert torch.equal(model(x), model(x))


@each_network
def test_every_weight_can_be_trained(name: str) -> None:
    model = network(name)
    model(inputs(name)).sum().backward()
    assert [path for path, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert all(p.grad.count_nonzero() for path, p in model.named_parameters() if path.endswith("weight"))


# ---------------------------------------------------------------- equations


def test_joins_are_those_of_the_paper() -> None:
    """g(A, S) of Fang et al., Table 1, on all pairs of spikes."""
    branch, shortcut = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 1.0, 0.0, 1.0])
    table = {"ADD": [0, 1, 1, 2], "AND": [0, 0, 0, 1], "IAND": [0, 1, 0, 0]}
    assert {name: join(branch, shortcut).tolist() for name, join in JOINS.items()} == table


@pytest.mark.parametrize(("join", "largest"), [("ADD", 3), ("AND", 1), ("IAND", 1)])
def test_residual_sums_alone_leave_the_spikes(join: str, largest: int) -> None:
    """ADD grows by one per block, AND and IAND stay binary: seen with neurons that fire often."""
    torch.manual_seed(0)
    model = SEWResNet(2, 3, 4, ((4, 2),), join=join, threshold=0.01)
    seen: list[Tensor] = []
    model.blocks[-1].register_forward_hook(lambda module, args, out: seen.append(out))
    with torch.no_grad():
        model(torch.rand(4, 2, 4, 4))
    assert set(seen[0].unique().tolist()) == set(range(largest + 1))


def test_attention_is_the_product_of_spikes() -> None:
    """q k^T v * scale, head by head, against a sum over indices."""
    torch.manual_seed(0)
    attention = SpikingSelfAttention(8, 2, scale=0.25, threshold=0.5, style=Style(threshold=0.2)).eval()
    steps, n, tokens = 2, 3, 5
    spikes: dict[str, Tensor] = {}
    currents: list[Tensor] = []
    for part in ("q", "k", "v"):
        attention.get_submodule(part).register_forward_hook(
            lambda module, args, out, part=part: spikes.update({part: out})
        )
    attention.neuron.register_forward_pre_hook(lambda module, args: currents.append(args[0]))
    with torch.no_grad():
        out = attention((torch.rand(steps * n, tokens, 8) < 0.5).float(), Clock(steps))
    assert set(out.unique().tolist()) <= {0.0, 1.0}
    q, k, v = (spikes[part].reshape(-1, tokens, 2, 4) for part in ("q", "k", "v"))
    want = torch.einsum("bihe,bjhe,bjhd->bihd", q, k, v) * 0.25
    assert want.count_nonzero() > 0
    assert torch.equal(currents[0], want.reshape(steps, n, tokens, 8))


def test_the_recurrent_network_by_hand() -> None:
    """Every neuron and step in plain Python: I = W x + R s + b, V = d V + I, spike, hard reset, leaky read-out."""
    model, x = network("spiking-recurrent").double(), inputs("spiking-recurrent", n=1).double()
    with torch.no_grad():
        out = model(x)[0].tolist()
    series = [frame[0].tolist() for frame in x]
    for layer in model.layers:
        w, b, r = layer.input.weight.tolist(), layer.input.bias.tolist(), layer.recurrent.weight.tolist()
        volts, spikes, fired = [0.0] * len(w), [0.0] * len(w), []
        for frame in series:
            currents = [
                b[i] + sum(a * c for a, c in zip(w[i], frame)) + sum(a * s for a, s in zip(r[i], spikes))
                for i in range(len(w))
            ]
            volts = [0.9375 * v + i for v, i in zip(volts, currents)]
            spikes = [float(v >= 0.25) for v in volts]
            volts = [v * (1 - s) for v, s in zip(volts, spikes)]
            fired.append(spikes)
        assert 0 < sum(map(sum, fired)) < len(fired) * len(w)
        series = fired
    values, peaks = [0.0] * 3, [-float("inf")] * 3
    for frame in series:
        currents = [sum(a * s for a, s in zip(row, frame)) for row in model.head.weight.tolist()]
        values = [0.9375 * v + i for v, i in zip(values, currents)]
        peaks = [max(p, v) for p, v in zip(peaks, values)]
    assert out == pytest.approx(peaks)


@on_images
def test_folded_networks_carry_a_bias_and_no_norm(name: str) -> None:
    model = network(name, folded=True)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert all(layer.bias is not None for layer in layers)


# ---------------------------------------------------------------- registry and errors


@each_network
def test_constructor_args_build_it_again(name: str) -> None:
    assert name in model_names()
    model = network(name, time_steps=7, stepped=True)
    args = model.constructor_args()
    assert args["time_steps"] == 7
    again = build(name, **args)
    assert again.constructor_args() == args
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("spiking-vgg", {"time_steps": 0}, r"spiking-vgg: time_steps must be an integer >= 1 \(got 0\)"),
        ("spiking-vgg", {"stages": [[4], []]}, "every stage needs a width"),
        ("spiking-vgg", {"stages": [[4], ["5"]]}, r"stages\[1\]\[0\] must be an integer >= 1 \(got '5'\)"),
        ("spiking-vgg", {"stages": [[4]] * 4}, "give at least 16 pixels, or fewer stages"),
        ("sew-resnet", {"join": "ADDS"}, "unknown join 'ADDS': did you mean 'ADD'"),
        ("sew-resnet", {"stem": "5x5"}, "unknown stem '5x5'"),
        ("sew-resnet", {"stages": [[4]]}, r"stages must be \(channels, blocks\) pairs"),
        ("sew-resnet", {"stages": [[4, 0]]}, r"stages\[0\]\[1\] must be an integer >= 1 \(got 0\)"),
        ("spiking-transformer", {"heads": 3}, r"dim must be a multiple of heads \(got dim 8, heads 3\)"),
        ("spiking-transformer", {"patch_pools": 3}, "at most the embedding's 2 convolutions"),
        ("spiking-transformer", {"patch_widths": [0]}, r"patch_widths\[0\] must be an integer >= 1 \(got 0\)"),
        ("spiking-recurrent", {"widths": []}, "widths is empty"),
        ("spiking-recurrent", {"neuron": "aliv"}, "unknown neuron 'aliv': did you mean 'alif'"),
        ("spiking-recurrent", {"reset": "non"}, "unknown reset 'non'"),
    ],
)
def test_bad_arguments(name: str, args: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, **{**SMALL[name], **args})


@each_network
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 2, 7, 8), (8, 8), (0, 2, 6)])
def test_bad_shapes(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=f"{name}: expected .*got \\[{', '.join(map(str, shape))}\\]"):
        network(name)(torch.zeros(shape))
