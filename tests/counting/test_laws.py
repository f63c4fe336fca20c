"""Laws that hold for any network and any data: what must not change a count, and what must."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from agree import COUNTS, EVERYTHING, Call, filled, only, pick, trace
from hypothesis import given
from hypothesis import strategies as st
from state import flags, snapshot
from strategies import DTYPES, KINDS, Spikes, fill, seeds, spikes
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import snn_energy as se
from snn_energy.errors import SnnEnergyError

NO_WEIGHTS = tuple(name for name in EVERYTHING if name not in ("weights", "zero_weights"))


class Step(nn.Module):
    """A spike function without state, so that any order of batches gives the same spikes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x > 0).to(x.dtype)


def network(seed: int, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """All sorts of projection on a [n 1 6 6] image: border, stride, groups, scaled integers, spikes, bias."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        Step(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1, stride=2, groups=2),
        Step(),
        nn.Flatten(),
        nn.Linear(16, 5, bias=False),
        Step(),
        nn.Linear(5, 3),
    )
    filled(net, seed, fill)
    return net.to(dtype)


def image(s: Spikes, n: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return s.tensor(n, 1, 6, 6, dtype=dtype)


def facts(traced: Any, names: tuple[str, ...] = EVERYTHING) -> list[dict[str, Any]]:
    """Everything recorded per layer but its name and the number of calls."""
    return [pick(layer, names) | {"operand": str(layer.operand)} for layer in traced.layers]


def totals(traced: Any) -> dict[str, int]:
    return pick(traced, (*COUNTS, "acs", "macs"))


# ---------------------------------------------------------------- batches and time


@given(st.integers(2, 5), st.integers(1, 4), spikes(), seeds, st.randoms(use_true_random=False))
def test_batch_split_and_order(n: int, size: int, s: Spikes, seed: int, rng: Any) -> None:
    net, x = network(seed), image(s, n)
    whole = trace(net, x)
    parts = list(x.split(size))
    rng.shuffle(parts)
    split = trace(net, parts)
    assert facts(split) == facts(whole)
    assert split.samples == whole.samples == n
    assert [layer.calls for layer in split.layers] == [len(parts)] * len(split.layers)


@given(spikes(), spikes(), seeds)
def test_the_class_never_depends_on_the_batch(s1: Spikes, s2: Spikes, seed: int) -> None:
    """A spiking sample and a real one: together they are real, in whatever batches they come."""
    layer = filled(nn.Linear(10, 3), seed, fill)
    x = torch.cat([s1.tensor(2, 10), s2.tensor(2, 10)])
    together = facts(trace(layer, x))
    for size in (1, 2, 3):
        assert facts(trace(layer, list(x.split(size)))) == together
        assert facts(trace(layer, list(x.flip(0).split(size)))) == together


@given(st.integers(1, 3), st.integers(1, 3), spikes(), seeds)
def test_time_as_one_tensor_or_as_a_loop(steps: int, n: int, s: Spikes, seed: int) -> None:
    net = network(seed)

    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x.flatten(0, 1))

    class Loop(Folded):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([self.net(frame) for frame in x])

    class LoopSecond(Folded):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([self.net(x[:, t]) for t in range(x.shape[1])])

    x = s.tensor(steps, n, 1, 6, 6)
    one = facts(trace(Folded().eval(), x, samples=n))
    assert facts(trace(Loop().eval(), x, samples=n)) == one
    assert facts(trace(Folded().eval(), x.transpose(0, 1), samples=n)) == one
    assert facts(trace(LoopSecond().eval(), x.transpose(0, 1), samples=n)) == one
    linear = filled(nn.Linear(36, 2), seed, fill)
    flat = x.flatten(2)
    assert facts(trace(linear, flat, samples=n)) == facts(trace(linear, flat.transpose(0, 1), samples=n))
    assert facts(trace(linear, flat, samples=n)) == facts(trace(linear, list(flat)))


@given(st.integers(1, 4), spikes(), seeds)
def test_every_form_of_data(n: int, s: Spikes, seed: int) -> None:
    class Named(nn.Sequential):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image)

    net, x = Named(*network(seed)).eval(), image(s, n)
    want = facts(trace(net, x))
    forms: tuple[Callable[[], Any], ...] = (
        lambda: (x,),
        lambda: {"image": x},
        lambda: [x],
        lambda: [(x,)],
        lambda: [{"image": x}],
        lambda: iter([x]),
        lambda: (part for part in x.split(1)),
        lambda: torch.utils.data.DataLoader(x, batch_size=2),
    )
    for form in forms:
        traced = trace(net, form())
        assert facts(traced) == want
        assert traced.samples == n


# ---------------------------------------------------------------- autograd, dtype, compiled


@given(spikes(), seeds)
def test_gradient_modes(s: Spikes, seed: int) -> None:
    net, x = network(seed), image(s, 2)
    want = facts(trace(net, x))
    for mode in (torch.no_grad, torch.enable_grad, torch.inference_mode):
        with mode():
            assert facts(trace(net, x)) == want
    with torch.inference_mode():
        inference_tensor = x.clone()
    assert facts(trace(net, inference_tensor)) == want
    assert facts(trace(net, x.clone().requires_grad_())) == want


@pytest.mark.parametrize("decorator", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_decorated_forward(decorator: Callable[[], Any]) -> None:
    """A forward that enters inference_mode itself hides its operators from a dispatch mode."""
    net, x = network(3), image(Spikes("binary", 0.5, 1), 2)

    class Decorated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        @decorator()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

    class Inside(Decorated):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with decorator():
                return self.net(x)

    want = facts(trace(net, x))
    assert facts(trace(Decorated().eval(), x)) == want
    assert facts(trace(Inside().eval(), x)) == want


@pytest.mark.parametrize("dtype", DTYPES)
@given(s=spikes(KINDS[:-1]), seed=seeds)
def test_dtype(dtype: torch.dtype, s: Spikes, seed: int) -> None:
    """Small integers and dyadic fractions are exact in every type: the same spikes, the same counts."""
    assert facts(trace(network(seed, dtype), image(s, 2, dtype))) == facts(trace(network(seed), image(s, 2)))


def test_autocast() -> None:
    net, x = network(3), image(Spikes("binary", 0.5, 1), 2)
    want = facts(trace(net, x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert facts(trace(net, x)) == want


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled() -> None:
    net, x = network(3), image(Spikes("binary", 0.5, 1), 2)
    want = facts(trace(net, x))
    assert facts(trace(torch.compile(net, backend="eager"), x)) == want


def test_scripted_traced_and_vmapped_modules() -> None:
    """Transformed modules run the same operators: exact, or refused, never fewer."""
    net, x = filled(nn.Linear(6, 3), 1, fill), Spikes("binary", 0.5, 1).tensor(4, 6)
    want = totals(trace(net, x))
    mapped = Call(lambda x: torch.func.vmap(net)(x))
    mapped.net = net
    stateless = Call(lambda x: torch.func.functional_call(net, dict(net.named_parameters()), (x,)))
    stateless.net = net
    for model in (mapped, stateless):
        assert totals(trace(model, x)) == want


# ---------------------------------------------------------------- how the network is written


@given(spikes(), seeds)
def test_names_subclasses_nesting_and_functional_calls(s: Spikes, seed: int) -> None:
    class MyLinear(nn.Linear):
        pass

    class MyConv(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    class Written(nn.Module):
        def __init__(self, conv: nn.Module, linear: nn.Module) -> None:
            super().__init__()
            self.a, self.z = conv, linear

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = (F.conv2d(x, self.a.weight, self.a.bias, padding=1) > 0).float()
            return y.flatten(1) @ self.z.weight.t()

    conv, linear = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(72, 3, bias=False)
    plain = filled(nn.Sequential(conv, Step(), nn.Flatten(), linear), seed, fill)
    my_conv, my_linear = MyConv(1, 2, 3, padding=1), MyLinear(72, 3, bias=False)
    my_conv.load_state_dict(conv.state_dict())
    my_linear.load_state_dict(linear.state_dict())
    subclassed = nn.Sequential(my_conv, Step(), nn.Flatten(), my_linear)
    nested = nn.Sequential(
        nn.ModuleDict({"x": nn.Identity()})["x"],
        nn.Sequential(nn.Sequential(conv), Step()),
        nn.Sequential(nn.Flatten(), nn.Sequential(nn.Sequential(linear))),
    )
    x = image(s, 2)
    names = tuple(name for name in EVERYTHING if name != "bias_adds")
    want = facts(trace(plain, x), names)
    for net in (subclassed, nested, Written(conv, linear)):
        assert facts(trace(net.eval(), x), names) == want


def test_modules_are_named_by_their_path() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.Flatten(), nn.Linear(32, 2))).eval()
    traced = trace(net, torch.ones(1, 1, 6, 6))
    assert [layer.name for layer in traced.layers] == ["0", "1.1"]
    assert only(trace(nn.Linear(2, 2), torch.ones(1, 2))).name == "(model)"


def test_a_method_called_past_the_hooks_still_counts() -> None:
    """`layer.forward(x)` runs no hooks; the arithmetic happens all the same."""
    layer = nn.Linear(4, 3)
    net = Call(lambda x: layer.forward(x))
    net.layer = layer
    assert trace(net.eval(), torch.ones(2, 4)).connections == 24


# ---------------------------------------------------------------- values


@given(st.sampled_from((0.5, -1.0, 4.0, -0.125)), spikes(KINDS[:-1]), seeds)
def test_a_constant_scale_folds_into_the_weights(scale: float, s: Spikes, seed: int) -> None:
    layer = filled(nn.Linear(8, 4), seed, fill)
    scaled = copy.deepcopy(layer)
    with torch.no_grad():
        scaled.weight.mul_(scale)
    x = s.tensor(3, 8)
    assert pick(only(trace(layer, x * scale)), EVERYTHING) == pick(only(trace(scaled, x)), EVERYTHING)


@given(st.integers(1, 3), spikes(), seeds)
def test_a_zero_spike_changes_no_event(extra: int, s: Spikes, seed: int) -> None:
    layer = filled(nn.Linear(5, 4), seed, fill)
    wider = filled(nn.Linear(5 + extra, 4), seed + 1, fill)
    with torch.no_grad():
        wider.weight[:, :5] = layer.weight
    x = s.tensor(3, 5)
    names = ("events", "effective_events", "unit_events", "spikes", "acs", "graded_events")
    assert pick(only(trace(wider, F.pad(x, (0, extra)))), names) == pick(only(trace(layer, x)), names)


@given(st.integers(1, 3), spikes(), seeds)
def test_a_zero_weight_changes_no_effective_event(extra: int, s: Spikes, seed: int) -> None:
    layer = filled(nn.Linear(5, 4), seed, fill)
    wider = nn.Linear(5 + extra, 4)
    with torch.no_grad():
        wider.weight.zero_()
        wider.weight[:, :5] = layer.weight
    x = s.tensor(3, 5 + extra)
    want, got = only(trace(layer, x[:, :5])), only(trace(wider, x))
    assert got.effective_events == want.effective_events
    assert got.zero_weights == want.zero_weights + 4 * extra


@given(st.sampled_from(KINDS), seeds, seeds)
def test_rate_zero_and_rate_one(kind: str, draw: int, seed: int) -> None:
    for layer, shape in (
        (nn.Linear(6, 3), (2, 6)),
        (nn.Conv2d(1, 2, 3, padding=1, stride=2), (2, 1, 4, 5)),
        (nn.ConvTranspose2d(1, 2, 3, padding=1, stride=2), (2, 1, 4, 5)),
    ):
        filled(layer, seed, fill)
        silent = only(trace(layer, Spikes(kind, 0.0, draw).tensor(*shape)))
        assert silent.operand.kind == "silent"
        names = ("events", "effective_events", "unit_events", "acs", "macs", "spikes")
        assert pick(silent, names) == dict.fromkeys(names, 0)
        assert silent.connections > 0
        full = only(trace(layer, Spikes(kind, 1.0, draw).tensor(*shape)))
        assert full.events == full.connections == silent.connections
        assert full.spike_rate == 1.0


def test_negative_zero_is_no_spike() -> None:
    assert only(trace(nn.Linear(3, 2), torch.tensor([[-0.0, 0.0, 1.0]]))).events == 2


def test_subnormals_are_spikes() -> None:
    """A tiny value is not zero: flushing it would hide an event."""
    x = torch.tensor([[1e-42, 0.0, 1.0, 0.5]])
    got = only(trace(nn.Linear(4, 2), x))
    assert (got.spikes, got.events) == (3, 6)


def test_cancelling_spikes_do_not_cancel() -> None:
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    assert only(trace(nn.Linear(2, 3), x)).events == 12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_counts_do_not_saturate_in_half_precision(dtype: torch.dtype) -> None:
    """Half precision cannot count to 2049 (float16) or 257 (bfloat16)."""
    x = torch.ones(70, 40, 41, dtype=dtype)
    got = only(trace(nn.Linear(41, 3, bias=False).to(dtype), x))
    assert (got.spikes, got.events) == (70 * 40 * 41, 3 * 70 * 40 * 41)


def test_counts_do_not_saturate_in_single_precision() -> None:
    """Single precision cannot count to 2^24 + 1, neither within a batch nor over batches."""
    n = 2**24
    for data in (torch.ones(n + 1, 1), [torch.ones(n, 1), torch.ones(1, 1)]):
        got = only(trace(nn.Linear(1, 1), data))
        assert (got.spikes, got.events, got.unit_events) == (n + 1, n + 1, n + 1)


def test_magnitudes_do_not_saturate_in_single_precision() -> None:
    n = 2**19 + 3
    x = torch.full((n, 1), 63.0)
    x[::3], x[1::3] = 1.0, 62.0
    thirds = [len(range(start, n, 3)) for start in range(3)]
    want = thirds[0] + 62 * thirds[1] + 63 * thirds[2]
    assert want > 2**24
    got = only(trace(nn.Linear(1, 1), [x, torch.ones(1, 1)]))
    assert (got.operand.kind, got.unit_events) == ("integer", want + 1)


# ---------------------------------------------------------------- adding up


@given(spikes(), seeds)
def test_repeated_traces_agree(s: Spikes, seed: int) -> None:
    net, x = network(seed), image(s, 2)
    first = trace(net, x)
    assert all(facts(trace(net, x)) == facts(first) for _ in range(2))


@given(spikes(), spikes(), spikes(), seeds)
def test_merged_traces_are_one_trace(s1: Spikes, s2: Spikes, s3: Spikes, seed: int) -> None:
    net = network(seed)
    parts = [image(s, n + 1) for n, s in enumerate((s1, s2, s3))]
    a, b, c = (trace(net, part) for part in parts)
    whole = trace(net, parts)
    for merged in (a + b + c, a + (b + c), c + a + b):
        assert facts(merged) == facts(whole)
        assert merged.samples == whole.samples == 6
        assert totals(merged) == totals(whole)
        assert merged.coverage.complete


def test_traces_of_different_models_do_not_merge() -> None:
    a = trace(nn.Linear(3, 2), torch.ones(1, 3))
    b = trace(nn.Linear(3, 4), torch.ones(1, 3))
    with pytest.raises(SnnEnergyError):
        a + b


@given(spikes(), seeds)
def test_layers_add_up_to_the_totals(s: Spikes, seed: int) -> None:
    traced = trace(network(seed), image(s, 2))
    for name in (*COUNTS, "acs", "macs"):
        assert getattr(traced, name) == sum(getattr(layer, name) for layer in traced.layers)
    for layer in traced.layers:
        assert layer.dense_macs >= layer.connections >= layer.events >= layer.effective_events >= 0
        assert layer.elements >= layer.spikes
        assert layer.spike_rate == layer.spikes / layer.elements


def test_records_are_frozen() -> None:
    traced = trace(nn.Linear(3, 2), torch.ones(1, 3))
    with pytest.raises(AttributeError):
        traced.layers[0].events = 0
    assert isinstance(traced.layers, tuple)
    assert hash(traced.layers[0].operand) == hash(copy.deepcopy(traced.layers[0].operand))


# ---------------------------------------------------------------- nothing is left behind


class BoomError(Exception):
    """A user's own error in the middle of a forward."""


class Everything(nn.Module):
    """One of each thing that tracing must treat specially; optionally fails at the end."""

    def __init__(self, fail: bool) -> None:
        super().__init__()
        self.fail = fail
        self.stem = nn.Sequential(nn.Conv1d(4, 8, 3, padding=1), nn.BatchNorm1d(8), nn.Dropout(0.5))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.frozen = nn.Linear(8, 2).requires_grad_(False)
        self.lstm.eval()  # a mixed model: flags must come back one by one
        self.stem[0].register_forward_hook(lambda *_: None)
        self.stem[0].register_forward_pre_hook(lambda *_: None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.lstm(self.encoder(self.stem(x).transpose(1, 2)))[0]
        if self.fail:
            raise BoomError
        return self.frozen(y)


@pytest.mark.parametrize("fastpath", [True, False])
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("fail", [False, True])
def test_nothing_is_left_behind(fail: bool, mode: Callable[[], Any], fastpath: bool) -> None:
    net, x = Everything(fail), torch.rand(2, 4, 5)
    before_flag = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fastpath)
    try:
        with mode():
            before = snapshot(net)
            if fail:
                with pytest.raises((BoomError, SnnEnergyError)):
                    se.trace(net, x)
            else:
                se.trace(net, x)
            assert snapshot(net) == before
    finally:
        torch.backends.mha.set_fastpath_enabled(before_flag)


def test_a_failing_data_source_leaves_nothing_behind() -> None:
    net = Everything(False)

    def batches() -> Iterator[torch.Tensor]:
        yield torch.rand(1, 4, 5)
        raise BoomError

    before = snapshot(net)
    with pytest.raises((BoomError, SnnEnergyError)):
        se.trace(net, batches())
    assert snapshot(net)["hooks"] == before["hooks"]
    assert snapshot(net)["training"] == before["training"]
    assert flags()["fastpath"] == before["fastpath"]


def test_tracing_after_a_failed_trace() -> None:
    net, x = Everything(True), torch.rand(2, 4, 5)
    with pytest.raises((BoomError, SnnEnergyError)):
        se.trace(net, x)
    net.fail = False
    fresh = Everything(False)
    fresh.load_state_dict(net.state_dict())
    assert facts(trace(net, x)) == facts(trace(fresh, x))


def test_outputs_are_those_of_the_untraced_model() -> None:
    """Tracing must not change the numbers it observes."""
    net = network(5)
    seen: list[torch.Tensor] = []
    x = image(Spikes("real", 1.0, 2), 2)
    handle = net.register_forward_hook(lambda module, args, out: seen.append(out.clone()))
    trace(net, x)
    handle.remove()
    assert torch.equal(seen[0], net(x))


def test_inside_another_dispatch_mode() -> None:
    net, x = network(5), image(Spikes("binary", 0.5, 2), 2)
    want = facts(trace(net, x))
    with FlopCounterMode(display=False):
        assert facts(trace(net, x)) == want


def test_the_input_is_not_touched() -> None:
    net, x = network(5), image(Spikes("real", 1.0, 2), 2)
    before, version = x.clone(), x._version
    trace(net, x)
    assert torch.equal(x, before)
    assert x._version == version


def test_in_place_modules_do_not_disturb_the_counts() -> None:
    """An operand overwritten after its use (ReLU in place) must have been read before."""
    x = torch.tensor([[-1.0, 1.0, -1.0, 1.0]])

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.clone()
            out = self.linear(y)
            y.zero_()
            return out + self.linear(y)

    got = only(trace(Net().eval(), x))
    assert (got.spikes, got.events, got.calls) == (4, 8, 2)


def _overwrite(weight: torch.Tensor, value: float) -> None:
    with torch.no_grad():
        weight.fill_(value)


def test_weights_changed_between_calls() -> None:
    """Fast weights: every call meets the weights of its own moment, or the change is refused."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2, bias=False)
            nn.init.ones_(self.linear.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            _overwrite(self.linear.weight, 1.0)
            out = self.linear(x)
            _overwrite(self.linear.weight, 0.0)
            return out + self.linear(x)

    try:
        got = only(se.trace(Net().eval(), torch.ones(1, 4)))
    except SnnEnergyError:
        return
    assert got.effective_events == 8
