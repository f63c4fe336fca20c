"""ONNX recurrent layers: their weights in torch's order, under torch's names, and the run by torch's own operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.onnxgraph.node import Node, NotRead, replays

GATES: dict[str, tuple[int, ...]] = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""Where torch's gates (LSTM: i f g o, GRU: r z n) lie among those of ONNX (i o f c, z r h)."""

_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}


@dataclass(frozen=True, slots=True)
class Weights:
    """Parameters of one node by torch's name, "weight_ih_l0" and so on, in the order that torch takes them."""

    by_name: Mapping[str, nn.Parameter]
    has_biases: bool


def weights_of(op: str, w: Tensor, r: Tensor, b: Tensor | None, level: int) -> Weights:
    """Torch's weights from w [d, g*h, i], r [d, g*h, h], b [d, 2*g*h], where d is the number of directions."""
    found: dict[str, nn.Parameter] = {}
    for way in range(w.shape[0]):
        end = f"_l{level}" + ("_reverse" if way else "")
        parts = {"weight_ih": w[way], "weight_hh": r[way]}
        if b is not None:
            parts["bias_ih"], parts["bias_hh"] = b[way].chunk(2)
        for name, part in parts.items():
            gates = part.chunk(len(GATES[op]))
            ordered = torch.cat([gates[i] for i in GATES[op]]).clone()
            found[name + end] = nn.Parameter(ordered, requires_grad=False)
    return Weights(found, b is not None)


def refuse_unread(node: Node, weights: Weights | None) -> Weights:
    """The weights, if torch has this form of the layer."""
    if weights is None:
        raise NotRead("its weights are no constants of the graph")
    forward = node.get("direction", "forward") != "reverse"
    plain = not node.get("clip") and not node.get("layout", 0) and not node.get("input_forget", 0) and forward
    if not plain or node.operand(4) is not None or node.operand(7) is not None:
        raise NotRead("an option that torch's layer does not have (clip, layout, sequence lengths, peepholes, ...)")
    if node.op == "GRU" and not node.get("linear_before_reset", 0):
        raise NotRead("a reset before the recurrent product")
    ways = 2 if node.get("direction") == "bidirectional" else 1
    wanted = _ACTIVATIONS.get(node.op)
    chosen = [_text(name) for name in node.get("activations") or []]
    if wanted is not None and chosen not in ([], wanted * ways):
        raise NotRead(f"activations {', '.join(chosen)}")
    if node.op == "RNN" and (chosen and (len(set(chosen)) > 1 or chosen[0] not in ("Tanh", "Relu"))):
        raise NotRead(f"activations {', '.join(chosen)}")
    return weights


@replays("LSTM", "GRU", "RNN")
def recurrent(node: Node) -> Any:
    """x [t, n, i] -> Y [t, d, n, h], Y_h [d, n, h], and Y_c for an LSTM."""
    weights = refuse_unread(node, node.get("weights"))
    x = node.x
    both = node.get("direction") == "bidirectional"
    ways, hidden = 2 if both else 1, node.get("hidden_size")
    state = node.operand(5)
    if state is None:
        state = torch.zeros(ways, x.shape[1], hidden, dtype=x.dtype)
    flat = list(weights.by_name.values())
    rest: Any = (flat, weights.has_biases, 1, 0.0, False, both, False)
    if node.op == "LSTM":
        cell = node.operand(6)
        if cell is None:
            cell = torch.zeros(ways, x.shape[1], hidden, dtype=x.dtype)
        out, *states = torch._VF.lstm(x, (state, cell), *rest)
    elif node.op == "GRU":
        out, *states = torch._VF.gru(x, state, *rest)
    else:
        first = _text((node.get("activations") or ["Tanh"])[0])
        run = torch._VF.rnn_relu if first == "Relu" else torch._VF.rnn_tanh
        out, *states = run(x, state, *rest)
    return (out.view(*out.shape[:-1], ways, hidden).transpose(1, 2), *states)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
