"""The pure variant of the windowed CNN: what it takes, what it counts, its equations, its twin."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import brute
import pytest
import torch
from networks import settle
from torch import Tensor, nn

import snn_energy as se
from snn_energy.errors import DataError, UsageError
from snn_energy.exporting import export_onnx
from snn_energy.models import PureCNN, build, fold, snap
from snn_energy.models.operands import Sum
from snn_energy.models.windowed import Condense, GroupLIF, Projection, WindowGrid
from snn_energy.models.windowed.pure_units import PureUnit, membrane_bounds

TINY: dict[str, Any] = {
    "in_channels": 2,
    "classes": 3,
    "image_size": 8,
    "widths": (4, 6),
    "depths": (2, 1),
    "mlp_ratio": 2,
}


def network(**more: Any) -> PureCNN:
    """A tiny network whose norms have the statistics of the data; its neurons fire."""
    torch.manual_seed(0)
    model = PureCNN(**{**TINY, **more})
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.bias, 0.0, 0.5)
    settled = settle(model, images(16))
    assert isinstance(settled, PureCNN)
    return settled


def images(n: int, seed: int = 1) -> Tensor:
    return torch.randint(0, 256, (n, 2, 8, 8), generator=torch.Generator().manual_seed(seed)).float() / 256


# ---------------------------------------------------------------- what it counts


@pytest.mark.parametrize("time_steps", [1, 3])
@pytest.mark.parametrize("folded", [False, True])
def test_only_the_stem_takes_real_values(folded: bool, time_steps: int) -> None:
    model = network(time_steps=time_steps)
    trace = se.trace(fold(model) if folded else model, images(4), strict=True)
    assert trace.coverage.complete
    operands = {layer.name: str(layer.operand) for layer in trace.layers}
    assert operands.pop("stem.conv") == "real"
    assert len(operands) == 3 * 5 + 2  # three blocks of five layers, the merging and the head
    assert set(operands.values()) == {"binary"}
    assert trace.macs == trace.layers[0].connections == 4 * 4 * 16 * (2 * 4)  # once, whatever T is: n, k, map, channels
    assert trace.acs > 0
    assert trace.acs == sum(layer.events for layer in trace.layers[1:])


def window_connections(side: int, starts: int, size: int) -> int:
    """Pairs of positions that a 3x3 convolution connects, over all windows of `size`, each by itself."""
    assert size <= side
    inside = 0
    for y in range(size):
        for x in range(size):
            inside += sum(0 <= y + dy < size and 0 <= x + dx < size for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    return starts * inside


def test_connections_by_hand() -> None:
    """Maps of 4 and 2; the second block of the first stage is dilated: windows of 3 instead of 2."""
    trace = se.trace(fold(network()), images(1))
    connections = {layer.name: layer.connections for layer in trace.layers}
    expected = {"stem.conv": 2 * 4 * 4 * 16, "merges.0.merge.linear": 16 * 6 * 4, "head": 6 * 3 * 4}
    for path, width, side, size in (("0.0", 4, 4, 2), ("0.1", 4, 4, 3), ("1.0", 6, 2, 1)):
        for conv in ("first", "second"):
            expected[f"stages.{path}.unit.{conv}.conv"] = width * width * window_connections(side, 4, size)
        expected[f"stages.{path}.fc.linear"] = width * width * side**2
        expected[f"stages.{path}.fc1.linear"] = expected[f"stages.{path}.fc2.linear"] = 2 * width * width * side**2
    assert connections == expected


def test_events_by_nested_loops() -> None:
    """Every product of two samples and two time steps, from the operands that plain hooks catch."""
    model = fold(network(time_steps=2))
    fed: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_pre_hook(lambda _m, args, path=path: fed.__setitem__(path, args[0]))
    trace = se.trace(model, images(2))
    assert [layer.name for layer in trace.layers] == list(fed)
    for layer in trace.layers:
        module, operand = model.get_submodule(layer.name), fed[layer.name].tolist()
        if isinstance(module, nn.Conv2d):
            geometry: dict[str, Any] = {"stride": module.stride, "padding": [(p, p) for p in module.padding]}
            want = brute.conv(operand, module.weight.tolist(), dilation=(1, 1), groups=1, **geometry)
        else:
            want = brute.linear(operand, module.weight.tolist())
        for fact in ("dense_macs", "connections", "events", "effective_events"):
            assert getattr(layer, fact) == getattr(want, fact), (layer.name, fact)


def test_the_full_size_has_the_paper_s_macs() -> None:
    """246,992,640 of the windowed CNN, and the head at all four positions of its last map instead of at their mean."""
    model = PureCNN(3, 10, 32, folded=True).eval()
    trace = se.trace(model, torch.zeros(1, 3, 32, 32))
    assert trace.dense_macs == 246_992_640 + 3 * 384 * 10


@pytest.mark.parametrize("stem", [(2, 2), (3, 1), (3, 2), (4, 2), (4, 4)])
def test_stems(stem: tuple[int, int]) -> None:
    model = PureCNN(**{**TINY, "image_size": 16, "stem": stem, "dilated": [[], []]}).eval()
    seen = []
    model.stem.register_forward_hook(lambda _m, _i, out: seen.append(out.shape[-1]))
    with torch.no_grad():
        assert model(torch.rand(2, 2, 16, 16)).shape == (2, 3)
    assert seen == [16 // stem[1]]


# ---------------------------------------------------------------- equations


@pytest.mark.parametrize(
    ("side", "parts", "dilated"), [(4, 2, False), (4, 2, True), (8, 2, True), (12, 3, True), (6, 3, False)]
)
def test_or_condense_by_nested_loops(side: int, parts: int, dilated: bool) -> None:
    grid = WindowGrid(side, parts, dilated)
    rng = torch.Generator().manual_seed(0)
    windows = (torch.rand(parts**2, 2, 3, grid.size, grid.size, 4, generator=rng) < 0.3).float()
    joined = Condense(grid, "or")(windows)
    step = (side - grid.size) / (parts - 1)
    assert joined.shape == (2, 3, side, side, 4)
    for t in range(2):
        for n in range(3):
            for y in range(side):
                for x in range(side):
                    for c in range(4):
                        spike = 0.0
                        for k in range(parts**2):
                            row, column = y - int(k // parts * step), x - int(k % parts * step)
                            if 0 <= row < grid.size and 0 <= column < grid.size:
                                spike = spike or float(windows[k, t, n, row, column, c])
                        assert joined[t, n, y, x, c] == spike


@pytest.mark.parametrize("projection", ["mean", "sum", "cosine"])
def test_the_unit_is_its_equations_window_by_window(projection: str) -> None:
    torch.manual_seed(0)
    unit = PureUnit(3, lambda: GroupLIF(0.5, 0.5), Projection(projection), folded=False).double()
    for conv in (unit.first, unit.second):
        nn.init.uniform_(conv.norm.running_mean, -0.2, 0.2)
        nn.init.uniform_(conv.norm.running_var, 0.05, 0.2)
    unit.eval()
    windows = (torch.rand(4, 1, 2, 3, 3, 3) < 0.5).double()  # k t n h w c
    join = {
        "mean": lambda a, b: (a + b) / 2,
        "sum": lambda a, b: a + b,
        "cosine": lambda a, b: 2 * torch.sin(torch.pi / 4 * a * torch.cos(torch.pi / 4 * b)),
    }[projection]
    with torch.no_grad():
        out = unit(windows)
        u1 = u2 = torch.zeros(2, 3, 3, 3, dtype=torch.float64)
        for k in range(4):
            before = u1
            u1 = 0.5 * u1 + unit.first(windows[k, 0].permute(0, 3, 1, 2))
            s1 = (u1 > 0.5).double()
            u2 = 0.5 * join(before, u2) + unit.second(s1)
            assert torch.equal(out[k, 0].permute(0, 3, 1, 2), (u2 > 0.5).double()), k
            assert 0 < out[k].mean() < 1


def test_membranes_are_bounded_by_hand() -> None:
    """Four windows, decay 1/2, all currents 1: U1 = 1, 1.5, 1.75, 1.875, and U2 takes a quarter of U1 + U2 before."""
    assert membrane_bounds(4, 0.5, "mean") == {
        "neuron1": Sum({"first": 1.875}, 3),
        "neuron2": Sum({"first": 0.546875, "second": 1.328125}, 6),
    }
    assert membrane_bounds(4, 0.25, "sum")["neuron2"].fraction_bits == 6
    assert membrane_bounds(4, 0.0, "cosine")["neuron2"] == Sum({"first": 0.0, "second": 1.0}, 0)
    assert membrane_bounds(4, 0.5, "cosine")["neuron2"].fraction_bits == float("inf")


# ---------------------------------------------------------------- time, gradients, twin


def test_an_image_is_shown_at_every_step() -> None:
    model = network(time_steps=3)
    x = images(4)
    with torch.no_grad():
        torch.testing.assert_close(model(x.expand(3, *x.shape)), model(x))
        once = copy.deepcopy(model)
        once.time_steps = 1
        assert not torch.equal(once(x), model(x))


def test_every_weight_learns() -> None:
    model = network(time_steps=2).train()
    model(images(16)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_twin_is_the_ann_of_this_shape() -> None:
    """Every product in full, ReLU where neurons were, a maximum where windows overlap, no membranes."""
    model = fold(network(time_steps=3))
    twin = se.ann_twin(model)
    assert twin.time_steps == 1
    assert not any(isinstance(module, (GroupLIF, se.models.LIF, Projection)) for module in twin.modules())
    facts, other = se.trace(model, images(2)), se.trace(twin, images(2), strict=True)
    assert (
        other.connections
        == other.macs
        == facts.layers[0].connections + sum(layer.connections for layer in facts.layers[1:]) // 3
    )
    x = images(2)
    with torch.no_grad():
        current = model.stem(x).permute(0, 2, 3, 1)
        block = model.stages[0][1]
        windows = torch.relu(block.grid.cut(current[None]))
        out = twin.stages[0][1].condense(windows)
        for y, x_ in ((0, 0), (1, 2), (3, 3)):
            over = [
                windows[k, 0, :, y - row, x_ - column]
                for k, (row, column) in enumerate(block.grid.corners)
                if 0 <= y - row < 3 and 0 <= x_ - column < 3
            ]
            assert torch.equal(out[0, :, y, x_], torch.stack(over).amax(0))


def test_branches_start_small_against_the_stream() -> None:
    model = PureCNN(**TINY, branch_gain=0.25)
    for path, module in model.named_modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            expected = 0.25 if path.endswith((".fc.norm", ".fc2.norm")) else 1.0
            assert torch.equal(module.weight, torch.full_like(module.weight, expected)), path


def test_constructor_args_build_it_again() -> None:
    model = network(stem=(3, 1), dilated=[[0], []], projection="sum", decay=0.25)
    again = build("pure-cnn", **model.constructor_args())
    assert again.constructor_args() == model.constructor_args()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(images(2)), model(images(2)))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"depths": (2,)}, "widths and depths need one number for each stage"),
        ({"widths": (4, 0)}, r"widths\[1\] must be an integer >= 1 \(got 0\)"),
        ({"stem": (1, 2)}, r"stem must be a kernel and a stride no larger, like \(3, 1\) \(got \(1, 2\)\)"),
        ({"stem": (2, 1)}, "the stem must leave 1/1 of it"),
        ({"image_size": 10}, "image_size must be a multiple of 4"),
        ({"dilated": [[2], []]}, "dilated must hold, for each of the 2 stages"),
        ({"projection": "sine"}, "unknown projection 'sine'"),
        ({"reset": "none"}, "unknown reset 'none'"),
    ],
)
def test_bad_arguments(args: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PureCNN(**{**TINY, **args})


def test_bad_shapes() -> None:
    with pytest.raises(DataError, match=r"pure-cnn: expected images \[N, 2, 8, 8\]"):
        network()(torch.zeros(1, 3, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize("time_steps", [1, 2])
def test_onnx_computes_the_snapped_network_bit_for_bit(tmp_path: Path, time_steps: int) -> None:
    model = snap(fold(network(time_steps=time_steps)))
    exported = export_onnx(model, images(2), tmp_path / "pure.onnx", verify=images(8, seed=2))
    assert exported.agreement is not None
    trace = se.trace(model, images(8, seed=2))
    again = se.trace(str(exported.path), images(8, seed=2))
    for fact in ("dense_macs", "connections", "events", "acs", "macs"):
        assert getattr(again, fact) == getattr(trace, fact), fact
