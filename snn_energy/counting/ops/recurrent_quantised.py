"""Dynamically quantised recurrent layers: torch runs a whole sequence in one operator, so its states are replayed here.

The states between the steps are operands, and nobody else sees them. They are computed by the very operators that the
fused kernel calls: the input product once for the whole sequence, the recurrent one at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from snn_energy.counting.ops.quantised import DYNAMIC, charge, delegate, real_operand, real_weight
from snn_energy.counting.ops.registry import READS_QUANTISED, After, Call, multiplies
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.tags import Origin, Tag, hang_tag

Step = Callable[[Tensor, Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""Gates of the input, gates of the state, state -> next state."""


def _lstm(x: Tensor, h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    i, f, g, o = (x + h).chunk(4, -1)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def _gru(x: Tensor, h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), h.chunk(3, -1)
    new = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
    return ((state[0] - new) * torch.sigmoid(xz + hz) + new,)


def _plain(x: Tensor, h: Tensor, _state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (torch.tanh(x + h),)


KINDS: dict[str, tuple[int, tuple[int, int, int, int], Step]] = {
    # gates; additions, multiplications, comparisons, specials of one hidden element and step; equation
    "lstm": (4, (5, 3, 0, 5), _lstm),
    "gru": (3, (5, 2, 0, 3), _gru),
    "rnn_tanh": (1, (1, 0, 0, 1), _plain),
    "rnn_relu": (1, (1, 0, 1, 0), _plain),
}


class _Packed:
    """One packed product of a recurrent layer: runs it as torch does, and counts it."""

    def __init__(self, packed: Any, name: str, *, half: bool, reduce_range: bool) -> None:
        self.packed, self.name, self.half, self.reduce_range = packed, name, half, reduce_range

    def run(self, x: Tensor) -> Tensor:
        """The product, with its bias."""
        if self.half:
            return torch.ops.quantized.linear_dynamic_fp16(x, self.packed)  # type: ignore[no-any-return]
        return torch.ops.quantized.linear_dynamic(x, self.packed, self.reduce_range)  # type: ignore[no-any-return]

    def count(self, recorder: Recorder, call: Call, x: Tensor) -> None:
        """Count the product of x [..., i]."""
        quantised = torch.ops.quantized
        weight, bias = (quantised.linear_unpack_fp16 if self.half else quantised.linear_unpack)(self.packed)
        operand = real_operand(recorder, x, dynamic=not self.half, reduce_range=self.reduce_range)
        operand = operand.reshape(-1, x.shape[-1])
        hang_tag(operand, Tag(recorder.token, Origin.DATA, bits=32 if self.half else 8))
        numbers = real_weight(recorder, weight, self.name, half=self.half)
        columns = numbers.t()
        hang_tag(columns, recorder.tag(numbers) or Tag(recorder.token, Origin.WEIGHT))
        row = "mm" if bias is None else "addmm"
        delegate(recorder, call, row, operand, columns, biased=bias is not None)(x)
        if not self.half:
            charge(recorder, "quantise", DYNAMIC, x.numel())


def _parts(cell: Any, suffix: str) -> tuple[_Packed, _Packed]:
    """The two packed products of one layer and direction, read off the state that the cell would be saved with."""
    (form, _, _, numbers, packed), _ = cell.__getstate__()
    half = form == "quantized_fp16"
    reduce_range = bool(numbers[0]) if numbers and not half else False
    first, second = (
        _Packed(one, f"{name}_{suffix}", half=half, reduce_range=reduce_range)
        for one, name in zip(packed, ("weight_ih", "weight_hh"), strict=True)
    )
    return first, second


def _replay(
    recorder: Recorder,
    call: Call,
    kind: str,
    x: Tensor,
    states: Sequence[Tensor],
    cells: Sequence[Any],
    *,
    both_ways: bool,
) -> None:
    """Count every product of x [t, n, i] through all layers; `states` [layer*direction, n, h] are the first ones."""
    _, rate, step = KINDS[kind]
    ways = 2 if both_ways else 1
    for level in range(len(cells) // ways):
        outputs = []
        for way in range(ways):
            row = level * ways + way
            from_input, from_state = _parts(cells[row], f"l{level}" + ("_reverse" if way else ""))
            from_input.count(recorder, call, x)
            gates = from_input.run(x)
            state = tuple(part[row] for part in states)
            seen: list[Tensor] = []
            order = range(len(x)) if not way else range(len(x) - 1, -1, -1)
            for t in order:
                from_state.count(recorder, call, state[0])
                state = step(gates[t], from_state.run(state[0]), state)
                seen.append(state[0])
                charge(recorder, kind, rate, state[0].numel())
            outputs.append(torch.stack(seen if not way else seen[::-1]))
        x = torch.cat(outputs, -1)


def _sequence(kind: str) -> Callable[[Recorder, Call], After]:
    def row(recorder: Recorder, call: Call) -> After | None:
        x, states, cells = call.args[0], call.args[1], call.args[2]
        if not isinstance(cells[0], torch.ScriptObject) or not isinstance(call.args[3], bool):
            recorder.note("uncounted", f"{call.name} (packed sequence)", bound=_bound(call))
            return None
        both_ways, batch_first = bool(call.args[7]), bool(call.args[8])
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        _replay(recorder, call, kind, x.transpose(0, 1) if batch_first else x, states, cells, both_ways=both_ways)
        return None

    return row  # type: ignore[return-value]


def _bound(call: Call) -> int:
    """Every input and state element against every weight: more than any step of any layer can need."""
    numbers = sum(tensor.numel() for tensor in call.tensors)
    cells = next(value for value in call.args if isinstance(value, (list, tuple)) and _holds_cells(value))
    packed = [one for cell in cells for one in cell.__getstate__()[0][4]]
    shapes: list[list[int]] = [list(torch.ops.quantized.linear_unpack(one)[0].shape) for one in packed]
    return numbers * sum(prod(shape) for shape in shapes)


def _holds_cells(value: Sequence[Any]) -> bool:
    return bool(value) and isinstance(value[0], torch.ScriptObject)


def _cell(kind: str) -> Callable[[Recorder, Call], After]:
    def row(recorder: Recorder, call: Call) -> None:
        x, state, packed_ih, packed_hh = call.args[:4]
        hidden = state[0] if isinstance(state, (list, tuple)) else state
        for packed, name, operand in ((packed_ih, "weight_ih", x), (packed_hh, "weight_hh", hidden)):
            _Packed(packed, name, half=False, reduce_range=False).count(recorder, call, operand)
        charge(recorder, kind, KINDS[kind][1], hidden.numel())

    return row  # type: ignore[return-value]


for _kind, _name in (("lstm", "quantized_lstm"), ("gru", "quantized_gru")):
    multiplies(_name, factors=(0,))(_sequence(_kind))
    READS_QUANTISED.add(_name)
for _kind in KINDS:
    multiplies(f"quantized::quantized_{_kind}_cell_dynamic", factors=(0,))(_cell(_kind))
