"""Cases in which an earlier state of the core was wrong, found by a review: each with the number counted by hand."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

import snn_energy as se
from snn_energy.counting.tags import ATTRIBUTE
from snn_energy.errors import TraceError
from snn_energy.models.neurons import LIF


class Fn(nn.Module):
    def __init__(self, function, **parts) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def test_data_from_elsewhere_is_never_free() -> None:
    """fc2 once went free, because its input was computed from a tensor that no operator had produced."""
    parts = {"fc1": nn.Linear(4, 5), "fc2": nn.Linear(5, 6)}
    x = torch.rand(2, 4)
    detour = Fn(lambda m, x: m.fc2(torch.relu(m.fc1(torch.from_numpy(x.numpy().copy())))), **parts)
    noise = Fn(lambda m, x: m.fc2(torch.relu(m.fc1(torch.randn(2, 4) + 0 * x.sum()))), **parts)
    nested = Fn(lambda m, flag, xs: m.fc2(torch.relu(m.fc1(xs["x"]))), **parts)
    for net, args in ((detour, x), (noise, x), (nested, (torch.ones(1), {"x": x}))):
        assert [layer.connections for layer in se.trace(net.eval(), args, samples=2).layers] == [40, 60]


def test_data_written_into_a_learned_token() -> None:
    def forward(m, x):
        tokens = m.token.expand(2, 3, 4).clone()
        tokens[:, 1:] = x
        return m.fc(tokens)

    net = Fn(forward, token=nn.Parameter(torch.ones(1, 1, 4)), fc=nn.Linear(4, 5))
    assert se.trace(net.eval(), torch.rand(2, 2, 4)).connections == 2 * 3 * 4 * 5


def test_different_weights_of_one_parameter_keep_their_own_zeros() -> None:
    w = nn.Parameter(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
    x = torch.tensor([[1.0, 0.0]])
    transposed = Fn(lambda m, x: F.linear(x, m.w) + F.linear(x, m.w.t()), w=w)
    assert se.trace(transposed, x).effective_events == 1 + 1
    masked = Fn(lambda m, x: F.linear(x, m.w * m.a) + F.linear(x, m.w * m.b), w=nn.Parameter(torch.ones(2, 2)))
    masked.a, masked.b = torch.zeros(2, 2), torch.ones(2, 2)
    assert se.trace(masked, x).effective_events == 2
    halves = Fn(lambda m, x: F.linear(x, m.w[:, :1]) + F.linear(x, m.w[:, 1:]), w=w)
    assert se.trace(halves, torch.ones(1, 1)).effective_events == 1 + 2


@pytest.mark.parametrize("layer", [nn.Conv1d(4, 3, 1), nn.Linear(5, 3), LIF()], ids=["conv", "linear", "neuron"])
def test_another_thread_does_not_disturb(layer: nn.Module) -> None:
    stop, failures = threading.Event(), []

    def other() -> None:
        while not stop.is_set():
            try:
                layer(torch.rand(2, 4, 5))
            except BaseException as error:  # noqa: BLE001  whatever it is, the test must see it
                failures.append(error)
                return

    net, x = nn.Sequential(nn.Conv1d(4, 4, 1), nn.Flatten(), nn.Linear(20, 2)).eval(), torch.rand(2, 4, 5)
    expected = se.trace(net, x)
    worker = threading.Thread(target=other)
    worker.start()
    try:
        assert all(se.trace(net, x) == expected for _ in range(20))
    finally:
        stop.set()
        worker.join()
    assert failures == []
    assert _get_current_dispatch_mode_stack() == []


def test_modules_in_the_data_pipeline_and_in_callbacks() -> None:
    probe = nn.Conv1d(4, 4, 1)
    net = nn.Linear(5, 3).eval()

    def data():
        for _ in range(2):
            yield probe(torch.rand(2, 4, 5)).detach()

    traced = se.trace(net, data(), strict=True, on_output=lambda out: nn.Linear(3, 3)(out))
    assert traced.connections == 2 * 2 * 4 * 15


@pytest.mark.parametrize("where", ["conv", "neuron", "cell"])
def test_an_interrupt_leaves_nothing_behind(where: str) -> None:
    class Stops(nn.LSTMCell if where == "cell" else nn.Module):
        def forward(self, *args):
            raise KeyboardInterrupt

    inner = Stops(4, 4) if where == "cell" else Stops()
    outer: nn.Module = nn.Sequential(nn.Conv1d(4, 4, 1), inner)
    if where == "neuron":
        outer = nn.Sequential(LIF(), inner)
    mkldnn = torch._C._get_mkldnn_enabled()
    with pytest.raises(KeyboardInterrupt):
        se.trace(outer, torch.rand(2, 4, 4))
    assert torch._C._get_mkldnn_enabled() == mkldnn
    assert _get_current_dispatch_mode_stack() == []
    assert se.trace(nn.Linear(4, 2), torch.rand(1, 4)).connections == 8


def test_tags_do_not_outlive_the_trace() -> None:
    kept = []

    def forward(m, x):
        m.memory = m.fc(x)
        return m.memory

    net = Fn(forward, fc=nn.Linear(4, 2))
    net.memory = None
    se.trace(net.eval(), torch.rand(2, 4), on_output=kept.append)
    assert not hasattr(net.memory, ATTRIBUTE)
    assert not hasattr(kept[0], ATTRIBUTE)


@pytest.mark.parametrize(
    ("layers", "x", "folds"),
    [
        ([nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)], torch.rand(2, 1, 5, 5), True),
        ([nn.Conv2d(1, 2, 3), nn.Flatten(), nn.BatchNorm1d(18)], torch.rand(2, 1, 5, 5), False),
        ([nn.Linear(4, 3), nn.BatchNorm1d(3)], torch.rand(2, 4), True),
        ([nn.Linear(4, 3), nn.BatchNorm1d(5)], torch.rand(2, 5, 4), False),
        ([nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3)], torch.rand(2, 4), False),
    ],
    ids=["conv", "flattened conv", "linear", "tokens", "behind a ReLU"],
)
def test_a_batch_norm_folds_only_where_it_can(layers, x, folds) -> None:
    traced = se.trace(nn.Sequential(*layers).eval(), x)
    kinds = {record.kind for record in traced.elementwise}
    assert ("batch_norm (folded)" in kinds) is folds
    assert ("batch_norm" in kinds) is not folds


def test_one_projection_takes_in_one_batch_norm() -> None:
    def forward(m, x):
        return m.first(m.conv(x)) + m.second(m.conv(x))

    net = Fn(forward, conv=nn.Conv2d(1, 2, 1), first=nn.BatchNorm2d(2), second=nn.BatchNorm2d(2)).eval()
    charged = {r.name: (r.kind, r.adds, r.muls) for r in se.trace(net, torch.rand(1, 1, 3, 3)).elementwise}
    assert charged["first"] == ("batch_norm (folded)", 0, 0)
    assert charged["second"] == ("batch_norm", 18, 18)


X = torch.rand(100, 4)
INDEX = torch.zeros(100, dtype=torch.long)


@pytest.mark.parametrize(
    ("function", "adds", "muls", "compares", "specials"),
    [
        (lambda x: torch.zeros(2, 4).index_add(0, INDEX, x), 400, 0, 0, 0),
        (lambda x: torch.zeros(100, 4).scatter_add(0, INDEX[:1, None].expand(1, 4), x[:1]), 4, 0, 0, 0),
        (lambda x: torch.zeros(2, 4).index_put((INDEX,), x, accumulate=True), 400, 0, 0, 0),
        (lambda x: F.adaptive_avg_pool2d(x[:5, :1].expand(5, 5)[None, None], 3), 40 - 9 + 0, 9, 0, 0),
        (lambda x: torch.sub(x[0], x[1], alpha=2), 4, 4, 0, 0),
        (lambda x: torch.linalg.vector_norm(x[0]), 3, 4, 0, 1),
        (lambda x: x[0].logsumexp(0), 6, 0, 3, 5),
        (lambda x: x[0].mean(), 3, 1, 0, 0),
        (lambda x: x[0] / 4, 0, 4, 0, 0),
        (lambda x: x[0] / x[1], 0, 0, 0, 4),
        (lambda x: x[0] ** 2, 0, 4, 0, 0),
    ],
    ids="index_add scatter_add index_put adaptive sub norm logsumexp mean by_constant div square".split(),
)
def test_elementwise_arithmetic_by_hand(function, adds, muls, compares, specials) -> None:
    traced = se.trace(Fn(lambda m, x: function(x)), X)
    if function(X).shape == (1, 1, 3, 3):  # windows of 5 -> 3 are 2, 3, 2 long: 7 x 7 elements in all
        adds = 49 - 9
    totals = [sum(getattr(r, n) for r in traced.elementwise) for n in ("adds", "muls", "compares", "specials")]
    assert totals == [adds, muls, compares, specials]


def test_a_stale_proof_of_spikes_under_inference_mode() -> None:
    def forward(m, x):
        with torch.inference_mode():
            z = m.lif(x)
            z[0] *= 0.5
            return m.fc(z)

    traced = se.trace(Fn(forward, lif=LIF(), fc=nn.Linear(4, 3)), torch.full((2, 1, 4), 2.0), batch_axis=1)
    assert str(traced.layers[0].operand) == "integer x 0.5"


def test_a_product_that_failed_did_not_happen() -> None:
    def forward(m, x):
        try:
            return m.fc(x.double())
        except RuntimeError:
            return m.fc(x)

    assert se.trace(Fn(forward, fc=nn.Linear(4, 3)), torch.rand(2, 4)).connections == 24


def test_attention_over_lengths_is_one_row_a_product() -> None:
    net = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    short, long = ((torch.rand(1, n, 8),) * 3 for n in (4, 6))
    both = se.trace(net, [short, long])
    assert [r.name for r in both.layers] == [r.name for r in se.trace(net, short).layers]
    assert both.connections == se.trace(net, short).connections + se.trace(net, long).connections


def test_time_steps_merge_in_any_order() -> None:
    a, b, c = (se.Trace(samples=1, time_steps=t) for t in (4, 4, 8))
    assert (a + b) + c == a + (b + c) == (c + a) + b


def test_einsum_over_unit_axes_is_a_layer() -> None:
    net = Fn(lambda m, x: torch.einsum("bi,io->bo", x, m.w), w=nn.Parameter(torch.rand(1, 5)))
    traced = se.trace(net, torch.rand(2, 1))
    assert (traced.connections, traced.elementwise) == (10, ())


@pytest.mark.parametrize("layer", [nn.Linear(4, 3), nn.Conv1d(2, 3, 1)], ids=["linear", "conv"])
def test_nan_weights_are_refused(layer: nn.Module) -> None:
    with torch.no_grad():
        layer.weight.view(-1)[1] = float("nan")
    with pytest.raises(TraceError, match="weights hold NaN"):
        se.trace(layer, torch.rand(1, 2, 4))


def test_a_self_stepping_model_has_a_twin_of_one_step() -> None:
    def forward(m, x):
        return torch.stack([m.fc(m.lif(x[None])[0]) for _ in range(m.T)]).mean(0)

    net = Fn(forward, lif=LIF(), fc=nn.Linear(4, 4))
    net.T = 4
    assert se.trace(net, torch.rand(1, 4)).connections == 4 * se.trace(se.ann_twin(net), torch.rand(1, 4)).connections


def test_a_traced_convolution_of_a_learned_input_is_free() -> None:
    """TorchScript's convolution has a name of its own; the products' table and their factors once disagreed on it."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.conv = nn.Parameter(torch.rand(1, 1, 5, 5)), nn.Conv2d(1, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.token) + x.sum()

    x = torch.rand(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.trace(Net().eval(), x)
    assert se.trace(script, x).coverage.complete
