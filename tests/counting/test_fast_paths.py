"""Shortcuts must not be seen: with and without them, every count is the same. And the cases in which they were not."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import brute
import pytest
import torch
from agree import trace
from hypothesis import given
from hypothesis import strategies as st
from networks import BATCH_AXIS, NETWORKS
from torch import Tensor, nn
from torch.nn import functional as F

import snn_energy as se
from snn_energy.counting import dispatch, feedback, later, modules, recorder, sights, sums, watching
from snn_energy.counting.tags import ATTRIBUTE
from snn_energy.errors import TraceError
from snn_energy.models import IF
from snn_energy.models.cells import ALIFCell, LIFCell
from snn_energy.models.spiking_recurrent import RecurrentLayer


@contextmanager
def without_shortcuts() -> Iterator[None]:
    """Every operator goes through dispatch, every operand is looked at, at once and closely."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "HELD_INPUT", -1)
        for name in list(modules.SHORTCUTS):
            patch.delitem(modules.SHORTCUTS, name)
        for name in list(dispatch._KEEPS_GRID):
            patch.delitem(dispatch._KEEPS_GRID, name)
        patch.setattr(dispatch, "_common_grid", lambda *_: None)
        patch.setattr(dispatch.CountingMode, "_quick_view", lambda *_: None)
        patch.setattr(sights.Sight, "serves", lambda *_: False)
        patch.setattr(recorder.Recorder, "grid", lambda *_: None)
        yield


# -- random programs -----------------------------------------------------------------------------------------------

CHANNELS, SIDE = 4, 4


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def image(x: Tensor) -> Tensor:
    return x.transpose(1, 2).reshape(x.shape[0], CHANNELS, SIDE, SIDE)


def written(x: Tensor, y: Tensor) -> Tensor:
    z = x.clone()
    z[:, :2].add_(y[:, :2])
    return z


def attention(x: Tensor, y: Tensor, alpha: float) -> Tensor:
    q, k = tokens(x), tokens(y)
    nothing = q.new_zeros(()).expand(len(q), q.shape[1], q.shape[1])
    return image(torch.baddbmm(nothing, q, k.transpose(1, 2), beta=0, alpha=alpha) @ k)


def prune(net: Program, i: int) -> None:
    weight = net.products(i).weight
    weight.mul_((torch.arange(weight.numel()) % 3 != i % 3).view(weight.shape))


def put(net: Program, i: int) -> None:
    weight = net.products(i).weight
    weight.data = torch.where(torch.arange(weight.numel()).view(weight.shape) % 3 == i % 3, 0, weight.data)


def toggle(net: Program, i: int) -> None:
    net.norms[i % 2].training = not net.norms[i % 2].training


Step = Callable[["Program", Tensor, Tensor, int], Tensor | None]

STEPS: dict[str, Step] = {
    "conv": lambda net, x, _, i: net.convs[i % 2](x),
    "the same conv": lambda net, x, _, i: net.again(x),
    "linear": lambda net, x, _, i: image(net.linears[i % 2](tokens(x))),
    "norm": lambda net, x, _, i: net.norms[i % 2](x),
    "max pool": lambda net, x, _, i: net.max_pool(x),
    "mean pool": lambda net, x, _, i: F.avg_pool2d(F.pad(x, (1, 0, 1, 0)), 2, 1),
    "spikes": lambda net, x, _, i: net.neurons[i % 2](x[None])[0],
    "spikes over rows": lambda net, x, _, i: net.neurons[i % 2](x),
    "add": lambda net, x, y, i: x + y,
    "subtract": lambda net, x, y, i: torch.add(x, y, alpha=(2, -1, 0.5)[i % 3]),
    "add in place": lambda net, x, y, i: x.clone().add_(y) if i % 2 else written(x, y),
    "scale": lambda net, x, _, i: x * (0.5, 2, 0.25, 0.3, -1, 1, 3)[i % 7],
    "scale in place": lambda net, x, _, i: x.clone().mul_((0.5, 2, 0.3)[i % 3]),
    "heights": lambda net, x, _, i: x * net.heights,
    "gate": lambda net, x, y, i: x * y,
    "levels": lambda net, x, _, i: x.floor().clamp(0, 4) if i % 2 else x.relu(),
    "join": lambda net, x, y, i: torch.cat([x[:, :2], y[:, 2:]], 1) if i % 2 else torch.stack([x, y], 1).sum(1),
    "attend": lambda net, x, y, i: attention(x, y, (1, 0.25, 0.3)[i % 3]),
    "choose": lambda net, x, y, i: torch.where(x > 0, x, y),
    "turn": lambda net, x, _, i: x.roll(1, 1) if i % 2 else x.permute(0, 1, 3, 2).contiguous(),
    "into": lambda net, x, y, i: torch.add(x, y, out=x.clone()) if i % 2 else torch.mul(x, 0.3, out=x.clone()),
    "prune": lambda net, x, _, i: prune(net, i),
    "put": lambda net, x, _, i: put(net, i),
    "toggle": lambda net, x, _, i: toggle(net, i),
}


class Program(nn.Module):
    """A random network: each step takes two of the newest tensors and may leave one."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        torch.manual_seed(rng.randrange(1 << 30))
        self.convs = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, k, padding=k // 2, bias=k > 1) for k in (3, 1))
        self.again = self.convs[0]
        self.linears = nn.ModuleList(nn.Linear(CHANNELS, CHANNELS, bias=bias) for bias in (True, False))
        self.norms = nn.ModuleList(nn.BatchNorm2d(CHANNELS) for _ in range(2))
        self.max_pool = nn.MaxPool2d(3, 1, 1)
        self.neurons = nn.ModuleList(IF() for _ in range(2))
        self.register_buffer("heights", torch.tensor([1.0, 0.5, 2.0, 0.3]).view(1, CHANNELS, 1, 1))
        for parameter in self.parameters():
            parameter.data = torch.randint(-1, 3, parameter.shape) / 2
        self.steps = [
            (rng.choice(list(STEPS)), rng.randrange(60), rng.randrange(60)) for _ in range(rng.randint(4, 12))
        ]
        self.loops = rng.choice((1, 1, 2, 3))

    def products(self, i: int) -> Any:
        return (*self.convs, *self.linears)[i % 4]

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.loops):
            pool = [x, (x > 0).to(x.dtype)]
            for name, which, i in self.steps:
                out = STEPS[name](self, pool[-1 - which % min(len(pool), 3)], pool[-1 - which % min(len(pool), 4)], i)
                if out is not None:
                    pool.append(out)
        return pool[-1]


def batch(rng: random.Random, size: int) -> Tensor:
    shape = (size, CHANNELS, SIDE, SIDE)
    kinds: tuple[Callable[[], Tensor], ...] = (
        lambda: (torch.rand(shape) < 0.3).float(),
        lambda: (torch.rand(shape) < 0.3) * 0.5,
        lambda: torch.randint(0, 4, shape).float(),
        lambda: torch.randint(-1, 2, shape).float(),
        lambda: torch.rand(shape),
        lambda: torch.zeros(shape),
    )
    return rng.choice(kinds)()


def everything(net: nn.Module, data: list[Tensor]) -> dict[tuple[str, ...], Any]:
    """All records by name; repeated connections are a lower bound, which may depend on what was noticed."""
    try:
        got = se.trace(copy.deepcopy(net), [x.clone() for x in data])
    except TraceError:  # the program overflowed
        return {("refused",): True}
    return {
        **{("layer", layer.name): replace(layer, repeated_connections=0) for layer in got.layers},
        **{("neuron", neuron.name): neuron for neuron in got.neurons},
        **{("arithmetic", record.name, record.kind): record for record in got.elementwise},
        **{("uncounted", record.name): record.bound for record in got.coverage.uncounted},
    }


@given(seed=st.integers(0, 1 << 20))
def test_shortcuts_change_no_count(seed: int) -> None:
    rng = random.Random(seed)
    net = Program(rng).eval()
    dtype = rng.choice((torch.float32, torch.float32, torch.bfloat16, torch.float64))
    size = rng.choice((1, 2, 4))
    data = [batch(rng, size).to(dtype) for _ in range(rng.choice((1, 1, 2, 3)))]
    net = net.to(dtype)
    with without_shortcuts():
        slow = everything(net, data)
    assert everything(net, data) == slow


# -- what was found ------------------------------------------------------------------------------------------------


class Net(nn.Module):
    """Some modules and a function of them; with a neuron among them it is not taken for one itself, and not watched."""

    def __init__(self, run: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)
        self.eval()

    def forward(self, *x: Tensor) -> Any:
        return self.run(self, *x)


def linear(weight: Tensor, bias: bool = False) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def records(got: Any, name: str) -> dict[str, tuple[int, int, int]]:
    """Additions, multiplications and comparisons of one module, by kind."""
    return {e.kind: (e.adds, e.muls, e.compares) for e in got.elementwise if e.name == name}


def test_a_scaled_product_is_no_multiple_of_its_factors() -> None:
    """The scores are 0.75 times 0 to 3: integers of that unit, not binary spikes of height 1."""
    q = torch.tensor([[[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]])

    def run(net: Net, x: Tensor) -> Tensor:
        spikes = net.neuron(x[None])[0]
        nothing = torch.zeros(1, 2, 2)
        return torch.baddbmm(nothing, spikes, spikes.transpose(1, 2), beta=0, alpha=0.75) @ spikes

    scores = trace(Net(run, neuron=IF()), q).layers[1]
    values = [0.75 * n for n in (3, 1, 1, 1)]
    found = scores.values.operand_class
    assert (found.kind, found.scale) == brute.operand_class(values)
    pairs = [(level, x) for levels in ((3, 1), (1, 1)) for level, row in zip(levels, q[0], strict=True) for x in row]
    assert scores.events == sum(x.item() != 0 for _, x in pairs)
    assert scores.operand_units == sum(level * int(x.item()) for level, x in pairs)


class Around(nn.Linear):
    """A linear layer whose product another one makes."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def test_a_product_counted_from_the_site_is_a_product_that_was_seen() -> None:
    got = trace(nn.Sequential(Around(), IF()), [torch.ones(2, 4)] * 3)
    assert [(layer.name, layer.connections) for layer in got.layers] == [("0.inner", 3 * 2 * 16)]


@pytest.mark.parametrize("layer", [nn.Linear(4, 4, bias=False), nn.Conv2d(4, 4, 1, bias=False)], ids=["linear", "conv"])
@pytest.mark.parametrize("inside", [True, False], ids=["by the model", "between batches"])
def test_data_of_a_parameter_replaced(layer: nn.Module, inside: bool) -> None:
    """The first two of three batches meet 16 weights each, the third only the 4 of one output."""
    layer = copy.deepcopy(layer)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    fewer = torch.zeros_like(layer.weight)
    fewer[0] = 1.0
    x = torch.ones(1, 4) if isinstance(layer, nn.Linear) else torch.ones(1, 4, 1, 1)

    def put(number: int) -> None:
        if number == 2:
            layer.weight.data = fewer.clone()

    def run(net: Net, x: Tensor) -> Tensor:
        if inside:
            put(net.batch)
        net.batch += 1
        return net.layer(x * 1.0)

    def data() -> Iterator[Tensor]:
        for number in range(3):
            if not inside:
                put(number)
            yield x

    got = trace(Net(run, layer=layer, batch=0), data())
    assert [(found.name, found.events, found.effective_events) for found in got.layers] == [("layer", 48, 36)]
    assert got.layers[0].zero_weights == 12


def test_weights_written_while_the_model_does_not_run_are_refused() -> None:
    net = Net(lambda net, x: net.layer(x * 1.0), layer=linear(torch.ones(4, 4)))

    def data(value: float) -> Iterator[Tensor]:
        for _ in range(3):
            yield torch.ones(1, 4)
            with torch.no_grad():
                net.layer.weight.fill_(value)

    with pytest.raises(TraceError, match="layer 'layer': its weights, some of them zero, were written"):
        se.trace(net, data(0.0))
    net = Net(lambda net, x: net.layer(x * 1.0), layer=linear(torch.ones(4, 4)))
    assert trace(net, data(2.0)).effective_events == 48  # without a zero, the values do not matter


def test_a_norm_that_changes_its_mode_is_charged_for_what_it_does() -> None:
    """Once with constant statistics (1 addition, 1 multiplication each), once with those of the data (4 and 3)."""

    def run(net: Net, x: Tensor) -> None:
        y = x * 1.0
        net.norm(y)
        net.norm.training = True
        net.norm(y)
        net.norm.training = False

    got = trace(Net(run, norm=nn.BatchNorm1d(4), neuron=IF()), [torch.ones(2, 4)] * 3)
    expected = {"batch_norm": (3 * (8 + 32), 3 * (8 + 24), 0), "add": (3, 0, 0)}  # batches are counted, too
    assert records(got, "norm") == expected


def test_a_pool_that_starts_to_return_indices() -> None:
    def run(net: Net, x: Tensor) -> None:
        y = x * 1.0
        net.pool(y)
        net.pool.return_indices = True
        net.pool(y)
        net.pool.return_indices = False

    got = trace(Net(run, pool=nn.MaxPool2d(2), neuron=IF()), [torch.ones(1, 1, 4, 4)] * 3)
    assert records(got, "pool") == {"max_pool": (0, 0, 3 * 2 * 4 * 3)}


def test_nan_behind_real_values_passes_whether_held_or_not() -> None:
    """Only before its layer is known to be real-valued it is an error, as it says in `trace`."""
    data = [torch.ones(1, 2), torch.tensor([[0.1234567, 0.7654321]]), torch.full((1, 2), torch.nan)]
    net = Net(lambda net, x: net.layer(x * 1.0), layer=linear(torch.ones(3, 2)))
    got = trace(net, data)
    assert (got.layers[0].operand.kind, got.macs) == ("real", 3 * 6)
    with pytest.raises(TraceError, match="layer 'layer': its operand holds NaN"):
        se.trace(net, [data[0], data[2], data[1]])


def test_a_sparse_input_after_a_dense_one_is_left_to_dispatch() -> None:
    def run(net: Net, x: Tensor) -> None:
        y = x * 1.0
        net.layer(y)
        net.layer(y.to_sparse())

    got = se.trace(Net(run, layer=linear(torch.ones(4, 4)), neuron=IF()), [torch.ones(2, 4)] * 3)
    assert got.layers[0].connections == 3 * 32
    assert "mm (sparse, quantised or complex)" in {record.name for record in got.coverage.uncounted}


@pytest.mark.parametrize("bias", [True, False])
def test_a_norm_behind_a_linear_layer_on_turned_tokens_folds(bias: bool) -> None:
    """By dispatch the bias is an addition of its own, behind which the channels must be known as well."""

    def run(net: Net, x: Tensor) -> Tensor:
        return net.norm(net.layer(x.transpose(1, 2)).transpose(1, 2))

    net = Net(run, layer=nn.Linear(3, 5, bias=bias), norm=nn.BatchNorm1d(5))
    expected = {"batch_norm (folded)": (0 if bias else 2 * 5 * 4, 0, 0)}
    assert records(trace(net, torch.ones(2, 3, 4)), "norm") == expected
    with without_shortcuts():
        assert records(trace(net, torch.ones(2, 3, 4)), "norm") == expected


def test_layers_fed_the_same_tensors_find_the_same_class() -> None:
    """The second layer has the look of the first; that the heights are nobody's constants holds for it as well."""
    x = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    y = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 1.0]])

    def run(net: Net, x: Tensor, y: Tensor) -> None:
        for z in (x, y * net.height):
            net.one(z)
            net.two(z)

    net = Net(run, one=linear(torch.ones(2, 2)), two=linear(torch.ones(2, 2)), height=nn.Parameter(torch.tensor(2.0)))
    one, two = trace(net, (x, y)).layers
    assert one.operand.kind == two.operand.kind == brute.operand_class([0.0, 1.0, 2.0])[0]
    assert one.values == two.values


def test_bits_of_spikes_read_as_other_numbers_are_no_spikes() -> None:
    one = 0x3F800000  # of 1.0 in single precision

    def run(net: Net, x: Tensor) -> Tensor:
        bits = net.neuron(x[None])[0].view(torch.int32)
        return bits @ bits.t()

    found = trace(Net(run, neuron=IF()), torch.ones(3, 4)).layers[0].values.operand_class
    assert (found.kind, found.scale) == ("binary", one)


def test_a_result_in_a_buffer_that_was_written_since_is_no_result() -> None:
    """A norm folds into the projection right before it, but not over a rectifier in between."""

    def run(net: Net, x: Tensor) -> Tensor:
        torch.mm(x, net.layer.weight.t(), out=net.buffer)
        net.buffer.relu_()
        return net.norm(net.buffer)

    net = Net(run, layer=linear(torch.ones(4, 4)), norm=nn.BatchNorm1d(4))
    net.register_buffer("buffer", torch.zeros(2, 4))
    assert records(trace(net, torch.ones(2, 4)), "norm") == {"batch_norm": (8, 8, 0)}


def test_no_tag_stays_on_tensors_from_elsewhere() -> None:
    elsewhere = torch.zeros(2, 4)
    trace(Net(lambda net, x: x * elsewhere.add_(x)), torch.ones(2, 4))
    assert not hasattr(elsewhere, ATTRIBUTE)


# -- state that an earlier run left behind ---------------------------------------------------------------------------


class Recurrent(nn.Module):
    """A neuron by hand: it keeps its membrane, multiplies it by a learned leak, and feeds its spikes back."""

    def __init__(self, kept: str) -> None:
        super().__init__()
        self.kept = kept
        self.into, self.back = linear(torch.eye(3)), linear(torch.ones(3, 3))
        self.leak, self.threshold = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.tensor(1.0))
        self.scale, self.mask = nn.Parameter(torch.ones(3)), torch.tensor([1.0, 0.0, 1.0])
        if kept == "buffer":
            self.register_buffer("membrane", torch.zeros(2, 3))
        else:
            self.membrane = torch.zeros(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        spikes = (self.membrane > self.threshold).float()
        current = self.into(x * (self.scale * self.mask)) + self.back(spikes) * 1.0
        if self.kept == "in place":
            self.membrane.mul_(self.leak).add_(current)
        else:
            self.membrane = self.leak * self.membrane + current
        return self.membrane.clone()


@pytest.mark.parametrize("kept", ["attribute", "buffer", "in place"])
def test_work_on_state_is_counted_in_every_trace(kept: str) -> None:
    """Per batch of 2 x 3: the leak and two scales multiply, two additions, one comparison; the mask is free."""
    data = [torch.tensor([[1.0, 1.0, 2.0], [0.0, 1.0, 4.0]]) * n for n in (1, 2, 0)]
    membrane, events = torch.zeros(2, 3), 0
    for x in data:
        spikes = (membrane > 1).float()
        events += 3 * int(spikes.sum())
        membrane = 0.5 * membrane + x * torch.tensor([1.0, 0.0, 1.0]) + spikes.sum(1, keepdim=True)
    assert events > 0
    whole = trace(Recurrent(kept), data)
    one_by_one = Recurrent(kept)
    first, *others = [trace(one_by_one, x) for x in data]
    added = sum(others, first)
    for got in (whole, added):
        assert {layer.name: (layer.connections, layer.calls) for layer in got.layers} == {
            "into": (3 * 2 * 9, 3),
            "back": (3 * 2 * 9, 3),
        }
        assert next(layer for layer in got.layers if layer.name == "back").events == events
        assert sum(layer.bias_adds for layer in got.layers) == 0
        elementwise = {e.kind: (e.adds, e.muls, e.compares) for e in got.elementwise}
        assert elementwise == {"add": (3 * 12, 0, 0), "mul": (0, 3 * 18, 0), "lt": (0, 0, 3 * 6)}
    assert added.layers == whole.layers


def test_a_product_of_two_states_is_listed() -> None:
    """Both factors may be state: then nobody knows how often which product runs, and its bound is named."""

    def run(net: Net, x: Tensor) -> Tensor:
        both = (net.leak * net.one) @ (net.leak * net.two)
        net.one, net.two = x * 1.0, x * 2.0
        return both

    parts = {"one": torch.ones(2, 2), "two": torch.ones(2, 2), "leak": nn.Parameter(torch.tensor(0.5))}
    got = se.trace(Net(run, **parts), torch.ones(2, 2))
    assert [(record.name, record.bound > 8) for record in got.coverage.uncounted] == [
        ("mm (of state kept between calls)", True)
    ]


def test_products_of_masked_weights_stay_free() -> None:
    """A low-rank weight whose factors are masked is made once, at load time."""

    def run(net: Net, x: Tensor) -> Tensor:
        return F.linear(x, (net.a * net.mask) @ (net.b * net.mask))

    parts = {"a": nn.Parameter(torch.ones(2, 2)), "b": nn.Parameter(torch.ones(2, 2)), "mask": torch.eye(2)}
    got = trace(Net(run, **parts), torch.ones(3, 2))
    assert (got.connections, len(got.layers), got.elementwise) == (12, 1, ())


def test_a_product_from_the_left_looks_at_its_own_axis() -> None:
    """x W sums x over its rows, W x over its columns: what was found for one serves the other only by accident."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.right, self.left = nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.tensor([[1.0, 0, 1]] * 3))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x @ self.right, self.left @ x

    x = torch.tensor([[1.0, 1, 1], [0, 1, 0], [0, 0, 0]])
    layers = {layer.name: layer for layer in trace(Both(), x).layers}
    assert layers["right"].effective_events == 4 * 3
    assert layers["left"].effective_events == 3 * 3 + 0 * 1 + 3 * 0  # row k of x meets column k of the weights


@pytest.mark.parametrize("stepped", [False, True], ids=["folded", "stepped"])
@pytest.mark.parametrize("name", NETWORKS)
def test_large_operands_are_looked_at_like_small_ones(
    name: str, stepped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once and piece by piece, as operands of realistic size are, or copied and looked at together."""
    model, x = NETWORKS[name]("small", stepped)
    batches = [x, (torch.rand_like(x) < 0.4).to(x.dtype), x]
    expected = trace(model, batches, batch_axis=BATCH_AXIS[name])
    monkeypatch.setattr(modules, "HELD_INPUT", -1)
    monkeypatch.setattr(sums, "PIECE", 50)
    assert trace(model, batches, batch_axis=BATCH_AXIS[name]) == expected
    token = later.ALWAYS.set(True)
    try:
        assert trace(model, batches, batch_axis=BATCH_AXIS[name]) == expected
    finally:
        later.ALWAYS.reset(token)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2), (1, 0, 2, 3), (3, 2, 1, 0)])
def test_rows_add_up_however_they_lie_in_memory(axes: tuple[int, ...]) -> None:
    back = [axes.index(axis) for axis in range(4)]
    x = torch.randint(0, 5, (6, 3, 4, 5)).float().permute(axes).contiguous().permute(back)
    expected = [[[[sum(x[i, c, h, w].item() for i in range(6)) for w in range(5)] for h in range(4)] for c in range(3)]]
    assert sums.row_sum(x).tolist() == expected[0]
    there = (x != 0).long()
    assert sums.Nonzero(x).row_sum().tolist() == there.sum(0).tolist()
    assert sums.Nonzero(x).over(2).tolist() == there.sum(2).tolist()


class Steps(nn.Module):
    """A recurrent layer called step by step, in ways that a plain loop does not."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = RecurrentLayer(5, 4, neuron), nn.Linear(4, 2)

    def forward(self, events: Tensor) -> Tensor:
        carried: Any = (self.layer.at_rest(events[0]), None)
        for t, x in enumerate(events):
            current = self.layer.input(x)
            again, _ = self.layer(current, carried)  # the same spikes meet the same weights twice
            spikes, carried = self.layer(current + again if t == 2 else current, carried)
            if t == 3:
                carried = (spikes * 0.5, carried[1])
            if t == 4:
                self.layer.recurrent.weight.mul_(torch.tensor([1.0, 0, 1, 1]))
            if t == 5:
                spikes.mul_(2)  # what was fed back is no longer what was fired
        return self.head(spikes)


@pytest.mark.parametrize("neuron", [LIFCell, ALIFCell])
def test_steps_of_a_recurrent_layer_are_counted_as_their_parts(
    neuron: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Steps(neuron(threshold=0.3))
    batches = [(torch.rand(8, n, 5) < 0.5).float() for n in (2, 3, 2)]
    found = trace(copy.deepcopy(net), batches, batch_axis=1)
    monkeypatch.setattr(feedback, "FEEDBACK_LAYERS", {})
    monkeypatch.setattr(watching, "revisit", lambda *_: None)
    expected = trace(net, batches, batch_axis=1)
    assert found == expected
    assert any(layer.repeated_connections for layer in expected.layers)
