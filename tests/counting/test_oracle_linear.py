"""Linear maps however they are written, shared, pruned or parametrised: the core against the nested loops."""

from __future__ import annotations

from collections.abc import Callable

import brute
import pytest
import torch
from agree import COUNTS, FACTS, Call, filled, only, pick, same, same_class, trace
from hypothesis import given
from hypothesis import strategies as st
from strategies import Spikes, fill, seeds, spikes
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

widths = st.integers(1, 5)
leads = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@given(leads, widths, widths, st.booleans(), spikes(), seeds)
def test_linear_of_any_rank(lead: tuple[int, ...], ins: int, outs: int, bias: bool, s: Spikes, seed: int) -> None:
    layer = filled(nn.Linear(ins, outs, bias=bias), seed, fill)
    x = s.tensor(*lead, ins)
    traced = trace(layer, x, samples=1)
    got = only(traced)
    same(got, brute.linear(x.tolist(), layer.weight.tolist()), FACTS)
    same_class(got, x.flatten().tolist())
    assert got.weights == ins * outs
    assert got.zero_weights == int((layer.weight == 0).sum())
    assert got.spike_rate == pytest.approx(got.spikes / got.elements)


@given(leads, widths, spikes(), seeds)
def test_sliced_permuted_and_expanded_operands(lead: tuple[int, ...], ins: int, s: Spikes, seed: int) -> None:
    """Views have odd strides; the values that meet the weights are what counts."""
    layer = filled(nn.Linear(ins, 3, bias=False), seed, fill)
    x = s.tensor(*lead, ins, 2)
    views = {
        "strided": x[..., 0],
        "permuted": x.transpose(-1, -2),
        "expanded": x[..., 0].unsqueeze(0).expand(3, *lead, ins),
    }
    for view in views.values():
        got = only(trace(layer, view, samples=1))
        same(got, brute.linear(view.tolist(), layer.weight.tolist()), FACTS)


WRITTEN: dict[str, Callable[..., torch.Tensor]] = {
    "F.linear": lambda x, w: F.linear(x, w),
    "x @ w.T": lambda x, w: x @ w.T,
    "x @ w.mT": lambda x, w: x @ w.mT,
    "matmul": lambda x, w: torch.matmul(x, w.t()),
    "einsum": lambda x, w: torch.einsum("...i,oi->...o", x, w),
    "einsum swapped": lambda x, w: torch.einsum("oi,...i->...o", w, x),
    "w on the left": lambda x, w: (w @ x.transpose(-1, -2)).transpose(-1, -2),
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([-1], [1])),
    "inner": lambda x, w: torch.inner(x, w),
    "one by one convolution": lambda x, w: F.conv1d(x.transpose(-1, -2), w.unsqueeze(-1)).transpose(-1, -2),
    "computed weight": lambda x, w: F.linear(x, (w * 2.0).contiguous()),
    "detached weight": lambda x, w: F.linear(x, w.detach()),
    "cloned weight": lambda x, w: F.linear(x, w.clone().t().contiguous().t()),
}


@pytest.mark.parametrize("name", WRITTEN)
@given(n=st.integers(1, 3), length=st.integers(1, 3), s=spikes(), seed=seeds)
def test_a_weight_is_a_weight_however_it_is_applied(name: str, n: int, length: int, s: Spikes, seed: int) -> None:
    weight = torch.empty(3, 4)
    fill(weight, seed)
    x = s.tensor(n, length, 4)
    got = only(trace(Call(lambda x, weight: WRITTEN[name](x, weight), weight=weight), x, samples=1))
    same(got, brute.linear(x.tolist(), weight.tolist()))
    same_class(got, x.flatten().tolist())


@given(st.integers(1, 3), widths, widths, seeds)
def test_addmm_and_baddbmm(n: int, ins: int, outs: int, seed: int) -> None:
    weight, bias = torch.empty(ins, outs), torch.ones(outs)
    fill(weight, seed)
    x = Spikes("binary", 0.4, seed).tensor(n, ins)
    want = brute.linear(x.tolist(), weight.t().tolist())
    net = Call(lambda x, weight, bias: torch.addmm(bias, x, weight), weight=weight, bias=bias)
    same(only(trace(net, x)), want)
    batched = Call(
        lambda x, weight, bias: torch.baddbmm(bias.expand(1, n, outs), x[None], weight[None]),
        weight=weight,
        bias=bias,
    )
    same(only(trace(batched, x)), want)


@given(st.integers(1, 3), widths, seeds)
def test_matrix_times_vector(n: int, ins: int, seed: int) -> None:
    vector = torch.empty(ins)
    fill(vector, seed)
    x = Spikes("binary", 0.4, seed).tensor(n, ins)
    for apply in (lambda x, v: x @ v, lambda x, v: torch.mv(x, v), lambda x, v: v @ x.t()):
        got = only(trace(Call(lambda x, v, apply=apply: apply(x, v), v=vector), x))
        same(got, brute.linear(x.tolist(), [vector.tolist()]))


@given(st.integers(1, 3), widths, widths, widths, spikes(), spikes(), seeds)
def test_bilinear(n: int, a: int, b: int, outs: int, s1: Spikes, s2: Spikes, seed: int) -> None:
    layer = filled(nn.Bilinear(a, b, outs), seed, fill)
    x1, x2 = s1.tensor(n, a), s2.tensor(n, b)
    same(trace(layer, (x1, x2)), brute.bilinear(x1.tolist(), x2.tolist(), layer.weight.tolist()))


@pytest.mark.parametrize(
    ("left", "right", "field"),
    [("binary", "binary", "acs"), ("scaled", "ternary", "acs"), ("real", "binary", "macs")],
)
def test_bilinear_class_is_that_of_the_products(left: str, right: str, field: str) -> None:
    layer = nn.Bilinear(4, 5, 2)
    x1, x2 = Spikes(left, 0.7, 1).tensor(3, 4), Spikes(right, 0.7, 2).tensor(3, 5)
    traced = trace(layer, (x1, x2))
    expected = {"acs": 0, "macs": 0} | {field: traced.events if field == "acs" else traced.connections}
    assert pick(traced, expected) == expected


@given(st.integers(1, 3), spikes(), seeds)
def test_shared_module_is_one_row(n: int, s: Spikes, seed: int) -> None:
    """One Linear called three times, under two names and through a functional call of its weight."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3, bias=False)
            self.again = self.first

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.first(x)
            return self.again(x[:1])

    net = filled(Net(), seed, fill)
    x = s.tensor(n, 3)
    got = only(trace(net, x))
    w = net.first.weight.tolist()
    same(got, brute.linear(x.tolist(), w) + brute.linear(x[:1].tolist(), w), FACTS)
    assert got.calls == 2
    assert got.weights == 9
    same_class(got, x.flatten().tolist())


def test_tied_weights_of_two_modules_are_counted_by_call() -> None:
    a, b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    b.weight = a.weight
    net = filled(nn.Sequential(a, nn.ReLU(), b), 0, lambda p, _: p.data.fill_(1.0))
    x = Spikes("binary", 0.5, 2).tensor(3, 4)
    assert trace(net, x).connections == 2 * 3 * 16


@pytest.mark.parametrize("removed", [False, True])
@given(st.integers(1, 3), st.floats(0.1, 0.9), spikes(), seeds)
def test_pruned_layer(removed: bool, n: int, amount: float, s: Spikes, seed: int) -> None:
    layer = filled(nn.Linear(4, 4, bias=False), seed, fill)
    prune.random_unstructured(layer, "weight", amount=amount)
    effective = (layer.weight_orig * layer.weight_mask).tolist()
    if removed:
        prune.remove(layer, "weight")
    x = s.tensor(n, 4)
    got = only(trace(layer.eval(), x))
    same(got, brute.linear(x.tolist(), effective), FACTS)
    assert got.zero_weights == sum(value == 0 for value in brute.flat(effective))


@given(spikes(), seeds)
def test_pruned_convolution(s: Spikes, seed: int) -> None:
    layer = filled(nn.Conv2d(2, 2, 3, padding=1), seed, fill)
    prune.ln_structured(layer, "weight", amount=1, n=1, dim=0)
    x = s.tensor(1, 2, 3, 3)
    want = brute.conv(
        x.tolist(),
        (layer.weight_orig * layer.weight_mask).tolist(),
        stride=(1, 1),
        padding=[(1, 1)] * 2,
        dilation=(1, 1),
    )
    same(only(trace(layer.eval(), x)), want, FACTS)


@pytest.mark.parametrize(
    "normalise", [parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal]
)
def test_parametrised_weights(normalise: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    for layer, shape in ((nn.Linear(5, 4), (3, 5)), (nn.Conv1d(5, 4, 1), (3, 5, 1))):
        x = Spikes("binary", 0.4, 3).tensor(*shape)
        net = normalise(layer).eval()
        weight = net.weight.reshape(4, 5).tolist()
        got = trace(nn.Sequential(net), x)
        want = brute.linear(x.reshape(3, 5).tolist(), weight)
        rows = [layer for layer in got.layers if layer.connections]
        assert len(rows) == 1, "computing a weight from parameters is not inference work"
        same(rows[0], want)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weight_norm_by_hook() -> None:
    layer = filled(nn.Linear(6, 3, bias=False), 3, fill)
    with torch.no_grad():
        layer.weight[:, 0] = 1.0  # no row may be all zero: its norm divides
    weight = layer.weight.tolist()
    x = Spikes("binary", 0.5, 3).tensor(4, 6)
    same(only(trace(nn.utils.weight_norm(layer).eval(), x)), brute.linear(x.tolist(), weight), FACTS)


def test_zeros_of_a_parametrised_weight_are_zero_weights() -> None:
    class Masked(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight.tril()

    layer = filled(nn.Linear(4, 4, bias=False), 0, lambda p, _: p.data.fill_(1.0))
    nn.utils.parametrize.register_parametrization(layer, "weight", Masked())
    got = only(trace(layer, torch.ones(2, 4)))
    assert (got.connections, got.events, got.effective_events, got.zero_weights) == (32, 32, 20, 6)


@given(st.integers(1, 4), seeds)
def test_embedding_is_a_lookup(n: int, seed: int) -> None:
    for layer in (nn.Embedding(7, 3), nn.EmbeddingBag(7, 3, mode="sum")):
        index = torch.randint(0, 7, (n, 2), generator=torch.Generator().manual_seed(seed))
        traced = trace(layer.eval(), index)
        assert pick(traced, (*COUNTS, "acs", "macs")) == dict.fromkeys((*COUNTS, "acs", "macs"), 0)


def test_embedding_then_linear() -> None:
    net = nn.Sequential(nn.Embedding(7, 3, padding_idx=0), nn.Linear(3, 2, bias=False)).eval()
    index = torch.tensor([[0, 1, 2, 0]])
    got = only(trace(net, index))
    assert (got.connections, got.events, got.spikes, got.elements) == (24, 12, 6, 12)


def test_integer_spikes_cost_their_magnitude() -> None:
    layer = filled(nn.Linear(3, 2, bias=False), 0, lambda p, _: p.data.fill_(1.0))
    x = torch.tensor([[0.5, -1.5, 0.0], [2.0, 0.5, 0.5]])
    got = only(trace(layer, x))
    taps = brute.linear_taps(x.tolist(), layer.weight.tolist())
    assert got.operand.kind == "integer"
    assert got.operand.scale == 0.5
    assert got.unit_events == brute.unit_events(taps, 0.5) == 20
    assert (got.acs, got.macs, got.graded_events) == (0, 0, got.events)


def test_unit_events_of_spikes_are_events() -> None:
    layer = nn.Linear(4, 2)
    for kind in ("binary", "scaled", "ternary"):
        got = only(trace(layer, Spikes(kind, 0.6, 4).tensor(5, 4)))
        assert got.unit_events == got.events == got.acs


def test_unit_events_respect_the_border() -> None:
    conv = nn.Conv2d(1, 2, 3, padding=1, bias=False)
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0], x[0, 0, 1, 1] = 3.0, -1.0
    got = only(trace(conv, x))
    assert (got.events, got.unit_events) == (2 * (4 + 9), 2 * (3 * 4 + 9))


def test_bias_adds_are_reported_apart() -> None:
    x = torch.ones(3, 4)
    with_bias = only(trace(nn.Linear(4, 2), x))
    without = only(trace(nn.Linear(4, 2, bias=False), x))
    assert (with_bias.bias_adds, without.bias_adds) == (6, 0)
    assert pick(with_bias, FACTS) == pick(without, FACTS)
    conv = only(trace(nn.Conv2d(1, 2, 3, padding=1), torch.ones(1, 1, 4, 4)))
    assert conv.bias_adds == 2 * 16
