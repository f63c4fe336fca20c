"""One node of an ONNX graph as the operator table sees it, and the table itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from snn_energy.counting.ops import COUNTED, PRODUCTS, Call
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.skeleton import Stage
from snn_energy.counting.tags import Origin, Tag, hang_tag
from snn_energy.errors import UsageError


class NotRead(Exception):  # noqa: N818  # caught by the graph, which lists the node as uncounted
    """A form of an operator that no row reads; its text says which."""


@dataclass(slots=True)
class Node:
    """One call of a node: its attributes, operands, and the results that onnxruntime gave for them."""

    op: str
    name: str
    path: str
    attributes: Mapping[str, Any]
    inputs: Sequence[Any]
    """None where an optional operand is left out."""
    results: Sequence[Any]
    opset: int
    recorder: Recorder
    stage: Stage

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def operand(self, position: int) -> Any:
        """An operand, or None if the node has none there."""
        return self.inputs[position] if position < len(self.inputs) else None

    @property
    def x(self) -> Tensor:
        """The first operand."""
        first: Tensor = self.inputs[0]
        return first

    @property
    def result(self) -> Tensor:
        """The first result."""
        first: Tensor = self.results[0]
        return first

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All operands that are tensors."""
        return tuple(value for value in self.inputs if isinstance(value, Tensor))

    def constant(self, position: int, attribute: str = "") -> list[Any] | None:
        """Numbers given as an operand or, in older operator sets, as an attribute; None if there are none."""
        value = self.operand(position)
        if isinstance(value, Tensor):
            if self.recorder.origin(value) is Origin.DATA:
                raise NotRead("its geometry depends on the data")
            return list(value.reshape(-1).tolist())
        found = self.attributes.get(attribute)
        return None if found is None else list(found) if isinstance(found, (list, tuple)) else [found]

    def by_row(self, name: str, *args: Any, out: Any = None, **kwargs: Any) -> None:
        """Charge the row of torch's operator `name`; its arguments are this node's operands unless given."""
        out = self.result if out is None else out
        tensors = tuple(value for value in args if isinstance(value, Tensor)) if args else self.tensors
        hang_tag(out, Tag(self.recorder.token, Origin.DATA))
        before = self.recorder.tag(tensors[0]) if tensors else None
        COUNTED[name](self.recorder, Call(name, args or tuple(self.inputs), kwargs, tensors, out, before))

    def product_by_row(self, name: str, *args: Any) -> None:
        """Charge the row of torch's product `name`, whose result is this node's, without running it."""
        tensors = tuple(value for value in args if isinstance(value, Tensor))
        after = PRODUCTS[name].row(self.recorder, Call(name, args, {}, tensors, None))
        hang_tag(self.result, Tag(self.recorder.token, Origin.DATA))
        if after is not None:
            after(self.result)

    def charge(self, kind: str, rate: tuple[int, int, int, int], elements: int | None = None) -> None:
        """Charge (additions, multiplications, comparisons, specials) for each element; default: of the result."""
        count = self.result.numel() if elements is None else elements
        adds, muls, compares, specials = (count * each for each in rate)
        self.recorder.arithmetic(kind, adds=adds, muls=muls, compares=compares, specials=specials)
        self.recorder.note("counted", kind)


Replay = Callable[[Node], Any]
"""Runs the node with torch under the dispatch mode and returns its results, which must equal onnxruntime's."""
Charge = Callable[[Node], None]
"""Charges the node from its operands and results, running nothing."""

REPLAYED: dict[str, Replay] = {}
CHARGED: dict[str, Charge] = {}
MOVES: dict[str, tuple[str, bool]] = {}
"""Free operators: the reason, and whether the result holds nothing but values of the operands."""


def replays(*names: str) -> Callable[[Replay], Replay]:
    """Register what runs these operators in torch."""

    def register(function: Replay) -> Replay:
        for name in names:
            refuse_duplicate(name)
            REPLAYED[name] = function
        return function

    return register


def charges(*names: str) -> Callable[[Charge], Charge]:
    """Register what charges these operators."""

    def register(function: Charge) -> Charge:
        for name in names:
            refuse_duplicate(name)
            CHARGED[name] = function
        return function

    return register


def refuse_duplicate(name: str) -> None:
    """One row for each operator."""
    if name in REPLAYED or name in CHARGED or name in MOVES:
        raise UsageError(f"ONNX table: {name!r} has a row already; keep one row for each operator")
