"""Repeated connections: rows of operands that an earlier row of the batch already was, found by comparing them.

The oracle knows nothing of tensors' memory: it runs the network outside any trace, notes every row of numbers that its
layer is given, and counts those it was given before. Values are drawn so that no two differ by accident only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import brute
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import snn_energy as se

T, N = 4, 3


class Net(nn.Module):
    """A convolution and a linear layer, used by a plain function of the network and its input."""

    def __init__(self, use: Callable[[Net, Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, stride=2)
        self.fc = nn.Linear(20, 3)
        self.use = use

    def forward(self, x: Tensor) -> Any:
        out = self.use(self, x)
        return out[-1] if isinstance(out, list) else out


def rows_seen_before(model: nn.Module, layer: nn.Module, batches: list[Tensor]) -> tuple[int, int]:
    """Rows that the layer is given, and how many of them it was given before in the same batch."""
    rows = before = 0
    with torch.no_grad():
        for batch in batches:
            seen: set[tuple[float, ...]] = set()  # shapes and numbers of rows
            given: list[Tensor] = []
            handle = layer.register_forward_pre_hook(lambda _, args, given=given: given.append(args[0].clone()))
            model(batch)
            handle.remove()
            for operand in given:
                own = operand.flatten(0, -2) if isinstance(layer, nn.Linear) else operand
                for row in own.tolist():
                    key = (*brute.shape(row), *brute.flat(row))
                    rows += 1
                    before += key in seen
                    seen.add(key)
    return rows, before


def expand(x: Tensor) -> Tensor:
    return x.unsqueeze(0).expand(T, *x.shape)


def repeat(x: Tensor) -> Tensor:
    return x.unsqueeze(0).repeat(T, 1, 1, 1, 1)


FOLDED: dict[str, Callable[[Net, Tensor], Any]] = {
    "expand": lambda m, x: m.conv(expand(x).flatten(0, 1)),
    "repeat": lambda m, x: m.conv(repeat(x).flatten(0, 1)),
    "repeat the rows": lambda m, x: m.conv(x.repeat(T, 1, 1, 1)),
    "tile": lambda m, x: m.conv(x.tile(T, 1, 1, 1)),
    "repeat_interleave": lambda m, x: m.conv(x.repeat_interleave(T, 0)),
    "stack": lambda m, x: m.conv(torch.stack([x] * T).flatten(0, 1)),
    "stack, samples first": lambda m, x: m.conv(torch.stack([x] * T, 1).flatten(0, 1)),
    "cat": lambda m, x: m.conv(torch.cat([x] * T)),
    "samples first": lambda m, x: m.conv(x.unsqueeze(1).repeat(1, T, 1, 1, 1).flatten(0, 1)),
    "transposed": lambda m, x: m.conv(repeat(x).transpose(0, 1).flatten(0, 1)),
    "permuted": lambda m, x: m.conv(expand(x).permute(1, 0, 2, 3, 4).contiguous().view(-1, 1, 5, 4)),
    "normalised": lambda m, x: m.conv((repeat(x).flatten(0, 1) - 0.5) * 2),
    "normalised by a tensor": lambda m, x: m.conv((repeat(x) / x.amax((0, 1), keepdim=True)).flatten(0, 1)),
    "in half precision and back": lambda m, x: m.conv(expand(x).flatten(0, 1).half().float()),
    "part of the steps": lambda m, x: m.conv(repeat(x)[1:].flatten(0, 1)),
    "part of the samples": lambda m, x: m.conv(repeat(x)[:, :1].flatten(0, 1)),
}
STEPPED: dict[str, Callable[[Net, Tensor], Any]] = {
    "the input itself": lambda m, x: [m.conv(x) for _ in range(T)],
    "expanded": lambda m, x: [m.conv(expand(x)[t]) for t in range(T)],
    "repeated": lambda m, x: [m.conv(step) for step in repeat(x)],
    "samples first": lambda m, x: [m.conv(y[:, t]) for y in [torch.stack([x] * T, 1)] for t in range(T)],
    "chunks": lambda m, x: [m.conv(step.flatten(0, 1)) for step in repeat(x).chunk(2)],
}
LINEAR: dict[str, Callable[[Net, Tensor], Any]] = {
    "expand": lambda m, x: m.fc(expand(x).flatten(2)),
    "expand, flat": lambda m, x: m.fc(expand(x).flatten(2).flatten(0, 1)),
    "samples first": lambda m, x: m.fc(x.flatten(1).unsqueeze(1).expand(-1, T, -1)),
    "loop": lambda m, x: [m.fc(x.flatten(1)) for _ in range(T)],
    "loop, with an axis of its own": lambda m, x: [m.fc(y) for y in [x.flatten(2)] for _ in range(T)],
    "loop over a copy": lambda m, x: [m.fc(step.flatten(1)) for step in repeat(x)],
}
NOTHING: dict[str, Callable[[Net, Tensor], Any]] = {
    "once": lambda m, x: m.conv(x),
    "grey to colour": lambda m, x: m.conv(x.expand(-1, 3, -1, -1)[:, :1] * 1.0),
    "written in between": lambda m, x: [m.conv(y.add_(1)) for y in [x.clone()] for _ in range(T)],
    "noise added": lambda m, x: m.conv((repeat(x) + torch.arange(T).view(T, 1, 1, 1, 1)).flatten(0, 1)),
    "the input written": lambda m, x: [m.conv(x.add_(1)) for _ in range(T)],
    "another shape": lambda m, x: [m.conv(x), m.conv(x.view(-1, 1, 4, 5))],
    "another order": lambda m, x: [m.conv(y) for z in [x[..., :4, :]] for y in (z, z.transpose(2, 3))],
    "a step written": lambda m, x: [m.conv(y[t].add_(t)) for y in [repeat(x)] for t in range(T)],
    "another step each": lambda m, x: [m.conv(step) for step in torch.stack([x + t for t in range(T)])],
}
NOTHING_LINEAR: dict[str, Callable[[Net, Tensor], Any]] = {
    "a sum of its own for each row": lambda m, x: m.fc(
        torch.addmm(torch.rand(T * len(x), 20), x.flatten(1).repeat(T, 1), torch.eye(20))
    ),
    "cuts of one tensor, copied to be flat": lambda m, x: [
        m.fc(y[:, t]) for y in [torch.rand(len(x), T, 2, 20)] for t in range(T)
    ],
    "two equal channels": lambda m, x: m.fc(nn.functional.avg_pool2d(x.repeat(1, 2, 1, 1), (1, 2)).flatten(1)),
    "halves of numbers": lambda m, x: m.fc(
        repeat(x[:1]).view(torch.int16).float().reshape(2, 4, 20)[:, :2][:1]  # two halves of the first image
    ),
}
CASES = [
    pytest.param(use, layer, id=f"{group}: {name}")
    for group, cases, layer in (
        ("folded", FOLDED, "conv"),
        ("stepped", STEPPED, "conv"),
        ("linear", LINEAR, "fc"),
        ("nothing", NOTHING, "conv"),
        ("nothing", NOTHING_LINEAR, "fc"),
    )
    for name, use in cases.items()
]


def connections_of_one_row(layer: nn.Module) -> int:
    if isinstance(layer, nn.Linear):
        return brute.linear([[1.0] * 20], [[1.0] * 20] * 3).connections
    weight = torch.ones(2, 1, 3, 3).tolist()
    return brute.conv(
        torch.ones(1, 1, 5, 4).tolist(), weight, stride=(2, 2), padding=[(1, 1), (1, 1)], dilation=(1, 1)
    ).connections


@pytest.mark.parametrize("split", [[N], [1, 2], [1, 1, 1]], ids=str)
@pytest.mark.parametrize(("use", "name"), CASES)
def test_rows_given_before(use, name, split):
    model = Net(use).eval()
    batches = list(torch.rand(N, 1, 5, 4).split(split))
    rows, before = rows_seen_before(model, getattr(model, name), batches)
    layer = next(layer for layer in se.trace(model, batches).layers if layer.name == name)
    one = connections_of_one_row(getattr(model, name))
    assert layer.repeated_connections == before * one
    if before:
        assert layer.connections == rows * one


def test_the_groups_are_what_they_say():
    """The table above would be hollow if the networks repeated nothing, or those that should not did."""
    x = torch.rand(N, 1, 5, 4)
    for use in (*FOLDED.values(), *STEPPED.values(), *LINEAR.values()):
        model = Net(use)
        assert sum(rows_seen_before(model, layer, [x])[1] for layer in (model.conv, model.fc)) > 0
    for use in (*NOTHING.values(), *NOTHING_LINEAR.values()):
        model = Net(use)
        assert sum(rows_seen_before(model, layer, [x])[1] for layer in (model.conv, model.fc)) == 0


@pytest.mark.parametrize("axis", [0, 1])
def test_an_input_that_is_one_image_over_time(axis):
    """Direct coding outside the model: the steps of the input share one memory."""
    image = torch.rand(N, 1, 5, 4)
    x = image.unsqueeze(axis).expand(T, *image.shape) if axis == 0 else image.unsqueeze(1).expand(N, T, 1, 5, 4)
    for use in (lambda m, x: m.conv(x.flatten(0, 1)), lambda m, x: [m.conv(step) for step in x.unbind(axis)]):
        layer = se.trace(Net(use), x, batch_axis=1 - axis).layers[0]
        assert layer.repeated_connections * T == layer.connections * (T - 1)


def test_samples_that_share_one_memory_are_not_time_steps():
    x = torch.rand(1, 1, 5, 4).expand(6, 1, 5, 4)
    once = lambda m, x: m.conv(x)  # noqa: E731
    assert se.trace(Net(once), x).repeated_connections == 0
    assert se.trace(Net(once), list(x.split(2))).repeated_connections == 0


def test_batches_do_not_repeat_one_another():
    x = torch.rand(2, 1, 5, 4)
    assert se.trace(Net(lambda m, x: m.conv(x)), [x, x]).repeated_connections == 0


def test_new_weights_make_the_same_input_new_work():
    def use(model, x):
        outs = []
        for _ in range(T):
            outs.append(model.conv(x))
            model.conv.weight.mul_(2)
        return outs

    assert se.trace(Net(use), torch.rand(2, 1, 5, 4)).repeated_connections == 0


def test_the_same_weights_in_another_way_are_other_work():
    class Bare(Net):
        def forward(self, x):
            return [torch.nn.functional.conv2d(x, self.conv.weight, padding=padding) for padding in (0, 1, 0)]

    (layer,) = se.trace(Bare(lambda *_: None), torch.rand(2, 1, 5, 4)).layers
    image, weight = torch.ones(2, 1, 5, 4).tolist(), torch.ones(2, 1, 3, 3).tolist()
    inner = brute.conv(image, weight, stride=(1, 1), padding=[(0, 0), (0, 0)], dilation=(1, 1)).connections
    assert layer.repeated_connections == inner


def test_a_second_layer_repeats_too_until_time_matters():
    """conv - batch norm - pool - conv without a neuron in between: every row of the second repeats as well."""

    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 1, bias=False)
            )
            self.noisy = nn.Conv2d(2, 1, 1)

        def forward(self, x):
            y = self.net(x.repeat(T, 1, 1, 1)).unflatten(0, (T, -1))
            return self.noisy((y + torch.rand(T, 1, 1, 1, 1)).flatten(0, 1))

    layers = {layer.name: layer for layer in se.trace(Deep(), torch.rand(2, 1, 8, 8)).layers}
    for name in ("net.0", "net.4"):
        assert layers[name].repeated_connections * T == layers[name].connections * (T - 1)
    assert layers["noisy"].repeated_connections == 0


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_layer_repeats_its_input_product_only(kind):
    net = kind(5, 4)
    image = torch.rand(2, 5)
    for x in (image.expand(T, 2, 5), image.repeat(T, 1, 1)):
        layers = se.trace(FirstResult(net), x, batch_axis=1).layers
        assert len(layers) == 2
        for layer in layers:
            repeats = "_ih_" in layer.name and x.stride(0) == 0  # a copy made outside the trace is not known to be one
            assert layer.repeated_connections * T == (layer.connections * (T - 1) if repeats else 0)


class FirstResult(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)[0]


# -- never more than is there: random chains of operators ------------------------------------------------------------

CHAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "new axis": lambda y: y.unsqueeze(0).expand(2, *y.shape),
    "inner axis": lambda y: y.unsqueeze(-2).expand(*y.shape[:-1], 2, y.shape[-1]),
    "repeat": lambda y: y.repeat(2, *[1] * (y.dim() - 1)),
    "repeat inside": lambda y: y.repeat(*[1] * (y.dim() - 1), 2),
    "interleave": lambda y: y.repeat_interleave(2, 0),
    "stack": lambda y: torch.stack([y, y], min(1, y.dim())),
    "stack two": lambda y: torch.stack([y, y + 1]),
    "cat": lambda y: torch.cat([y, y], -1),
    "cat two": lambda y: torch.cat([y, y * 3]),
    "flatten": lambda y: y.flatten(0, 1),
    "transpose": lambda y: y.transpose(0, 1),
    "last first": lambda y: y.movedim(-1, 0),
    "clone": lambda y: y.contiguous(),
    "scale": lambda y: y * 1.5,
    "centre": lambda y: y - y.mean(0, keepdim=True) / 2,
    "ramp": lambda y: y + torch.arange(y.shape[0]).view(-1, *[1] * (y.dim() - 1)),
    "ramp inside": lambda y: y + torch.arange(y.shape[-1]),
    "write": lambda y: _written(y.clone()),
    "write a view": lambda y: _written(y.contiguous().view(y.shape)),
    "first": lambda y: y[:1] if y.shape[0] > 1 else y,
    "last": lambda y: y[-1:] * 1 if y.shape[0] > 1 else y,
    "every other": lambda y: y[::2],
    "one of the second": lambda y: y[:, :1],
    "flip": lambda y: y.flip(0),
    "roll": lambda y: y.roll(1, -1),
    "relu": lambda y: y.relu(),
    "pairs": lambda y: _pairs(y),
    "halves": lambda y: y.contiguous().view(torch.int16).float(),
    "rows": lambda y: torch.mm(y.flatten(0, -2), torch.eye(y.shape[-1], 4) + 1),
    "rows and bias": lambda y: torch.addmm(torch.arange(3.0), y.flatten(0, -2), torch.ones(y.shape[-1], 3)),
    "rows and more": lambda y: _with_a_sum_of_its_own(y.flatten(0, -2)),
    "columns": lambda y: y.flatten(0, -2).t().contiguous(),
    "pool": lambda y: torch.nn.functional.avg_pool2d(y.flatten(0, -2)[:, None, None], (1, min(2, y.shape[-1])))[:, 0],
}


def _with_a_sum_of_its_own(y: Tensor) -> Tensor:
    return torch.addmm(torch.arange(y.shape[0] * 3.0).view(-1, 3), y, torch.ones(y.shape[-1], 3))


def _pairs(y: Tensor) -> Tensor:
    return y.reshape(-1, 2) if y.numel() % 2 == 0 else y.reshape(-1, 1).expand(-1, 2)


def _written(y: Tensor) -> Tensor:
    y[:1].add_(7)
    return y


class Chain(nn.Module):
    def __init__(self, names: list[str], stepped: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 3)
        self.names, self.stepped = names, stepped

    def forward(self, x: Tensor) -> Tensor:
        for name in self.names:
            x = CHAIN[name](x)
            if x.dim() < 2:
                x = x.unsqueeze(-1)
        return [self.fc(_pairs(part)) for part in (x if self.stepped else [x])][-1]


@given(st.lists(st.sampled_from(sorted(CHAIN)), max_size=6), st.booleans())
def test_no_more_is_claimed_than_repeats(names, stepped):
    model = Chain(names, stepped).eval()
    x = torch.rand(2, 3, 2)
    rows, before = rows_seen_before(model, model.fc, [x])
    layer = next(layer for layer in se.trace(model, x).layers if layer.name == "fc")
    assert layer.connections == rows * 6
    assert layer.repeated_connections <= before * 6
