"""RNN, LSTM, GRU and their cells: the input and the recurrent product of every layer and direction."""

from __future__ import annotations

from typing import Any

import brute
import pytest
import torch
from agree import Call, filled, same, trace
from brute import RecurrentWeights, Tally
from hypothesis import given
from hypothesis import strategies as st
from strategies import Spikes, fill, fill_nonnegative, seeds
from torch import nn

small = st.integers(1, 3)
KINDS = ("tanh", "relu", "lstm", "gru")
SEQUENCE = {"tanh": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELL = {"tanh": nn.RNNCell, "relu": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def options_of(kind: str) -> dict[str, Any]:
    return {"nonlinearity": kind} if kind in ("tanh", "relu") else {}


def weights_of(module: nn.Module, suffix: str = "") -> RecurrentWeights:
    def read(name: str) -> Any:
        value = getattr(module, name + suffix, None)
        return None if value is None else value.tolist()

    return RecurrentWeights(
        w_ih=read("weight_ih"),
        w_hh=read("weight_hh"),
        b_ih=read("bias_ih"),
        b_hh=read("bias_hh"),
        w_hr=read("weight_hr"),
    )


def layers_of(module: nn.RNNBase) -> list[list[RecurrentWeights]]:
    ways = ("", "_reverse") if module.bidirectional else ("",)
    return [[weights_of(module, f"_l{level}{way}") for way in ways] for level in range(module.num_layers)]


@st.composite
def recurrent_cases(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    hidden = draw(small)
    return {
        "steps": draw(small),
        "n": draw(small),
        "ins": draw(small),
        "hidden": hidden,
        "layers": draw(st.integers(1, 2)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "start": draw(st.booleans()),
        "projection": draw(st.integers(0, hidden - 1)) if kind == "lstm" else 0,
        "rate": draw(st.sampled_from((0.0, 0.3, 0.7, 1.0))),
        "seed": draw(seeds),
    }


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_sequence_modules(kind: str, data: st.DataObject) -> None:
    c = data.draw(recurrent_cases(kind))
    module = SEQUENCE[kind](
        c["ins"],
        c["hidden"],
        c["layers"],
        bias=c["bias"],
        batch_first=c["batch_first"],
        bidirectional=c["bidirectional"],
        **options_of(kind),
        **({"proj_size": c["projection"]} if kind == "lstm" else {}),
    )
    # Integers are exact in a ReLU network, so signs may cancel; elsewhere they must not.
    filled(module, c["seed"], fill if kind == "relu" and c["steps"] < 3 else fill_nonnegative)
    x = Spikes("binary", c["rate"], c["seed"]).tensor(c["steps"], c["n"], c["ins"])
    args: tuple[Any, ...] = (x.transpose(0, 1) if c["batch_first"] else x,)
    h0 = c0 = None
    if c["start"]:
        rows = c["layers"] * (1 + c["bidirectional"])
        h0 = Spikes("binary", 0.5, c["seed"] + 1).tensor(rows, c["n"], c["projection"] or c["hidden"])
        c0 = Spikes("binary", 0.5, c["seed"] + 2).tensor(rows, c["n"], c["hidden"])
        args = (*args, (h0, c0) if kind == "lstm" else h0)
    want = brute.recurrent(
        kind,
        x.tolist(),
        layers_of(module),
        None if h0 is None else h0.tolist(),
        c0.tolist() if c0 is not None and kind == "lstm" else None,
    )
    traced = trace(module, args, samples=c["n"])
    same(traced, brute.total(want.values()))
    assert len([layer for layer in traced.layers if layer.connections]) == len(want)
    for name, one in want.items():
        rows = [layer for layer in traced.layers if layer.name.endswith(name)]
        assert len(rows) == 1, (name, [layer.name for layer in traced.layers])
        same(rows[0], one)


@pytest.mark.parametrize("kind", KINDS)
@given(n=small, ins=small, hidden=small, steps=small, start=st.booleans(), seed=seeds)
def test_cells_in_a_loop(kind: str, n: int, ins: int, hidden: int, steps: int, start: bool, seed: int) -> None:
    cell = filled(CELL[kind](ins, hidden, **options_of(kind)), seed, fill_nonnegative)
    x = Spikes("binary", 0.4, seed).tensor(steps, n, ins)
    h0 = Spikes("binary", 0.5 * start, seed + 1).tensor(n, hidden)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
            state: Any = ((h, h) if kind == "lstm" else h) if start else None
            for frame in x:
                state = self.cell(frame, state)
            return state[0] if kind == "lstm" else state

    h = [h0.tolist()]
    want = brute.recurrent(kind, x.tolist(), [[weights_of(cell)]], h, h)
    same(trace(Net().eval(), (x, h0), samples=n), brute.total(want.values()))


def test_unbatched_sequence() -> None:
    module = filled(nn.LSTM(3, 2), 1, fill_nonnegative)
    x = Spikes("binary", 0.5, 3).tensor(4, 3)
    want = brute.recurrent("lstm", x.unsqueeze(1).tolist(), layers_of(module))
    same(trace(module, x, samples=1), brute.total(want.values()))


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
def test_packed_sequences_count_only_their_steps(kind: str) -> None:
    module = filled(SEQUENCE[kind](3, 2, **options_of(kind)), 1, fill_nonnegative)
    x = Spikes("binary", 0.5, 3).tensor(4, 2, 3)
    lengths = [4, 2]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rnn(nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths)))[0].data

    want = Tally()
    for n, length in enumerate(lengths):
        part = x[:length, n : n + 1].tolist()
        want += brute.total(brute.recurrent(kind, part, layers_of(module)).values())
    same(trace(Net().eval(), x, samples=2), want)


def test_input_and_recurrent_products_are_classified_apart() -> None:
    """Spikes in, real hidden state: the input product accumulates, the recurrent one multiplies."""
    torch.manual_seed(0)
    lstm = nn.LSTM(4, 3).eval()
    x = Spikes("binary", 0.5, 1).tensor(5, 2, 4)
    traced = trace(lstm, x, samples=2)
    kinds = {layer.name.rsplit("weight_", 1)[-1]: layer.operand.kind for layer in traced.layers}
    assert kinds == {"ih_l0": "binary", "hh_l0": "real"}
    assert traced.acs == 12 * int(x.sum())
    assert traced.macs == 5 * 2 * 12 * 3


def test_shared_recurrent_module_adds_up() -> None:
    module = filled(nn.GRU(2, 2), 1, fill_nonnegative)
    x = Spikes("binary", 0.5, 3).tensor(3, 2, 2)
    net = Call(lambda x: module(x)[0] + module(x)[0])
    net.module = module
    once = brute.total(brute.recurrent("gru", x.tolist(), layers_of(module)).values())
    same(trace(net.eval(), x, samples=2), once.times(2))
