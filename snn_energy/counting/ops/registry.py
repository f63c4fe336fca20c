"""The operator table: one registered row for each operator, by the name it has in torch's schema.

An operator is a product (a row with code of its own), arithmetic (a row of operation counts), free, or unknown. The
in-place and overload variants of a name share its row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from snn_energy.errors import UsageError

if TYPE_CHECKING:
    from snn_energy.counting.recorder import Recorder
    from snn_energy.counting.tags import Tag


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator: its table name, arguments, tensor inputs, and what it returned."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: tuple[Tensor, ...]
    out: Any
    before: Tag | None = None
    """What was known of the first operand of an addition before it ran; an in-place one overwrites it."""

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or keyword."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    @property
    def result(self) -> Tensor:
        """The first tensor returned."""
        return self.out if isinstance(self.out, Tensor) else next(t for t in self.out if isinstance(t, Tensor))


Row = Callable[["Recorder", Call], None]
After = Callable[[Tensor], None]
ProductRow = Callable[["Recorder", Call], After | None]
R = TypeVar("R", bound=ProductRow)

COUNTED: dict[str, Row] = {}


@dataclass(frozen=True, slots=True)
class Product:
    """An operator that multiplies: its row, and the positions of its factors among the arguments.

    The row looks at the operands before the operator runs, while these are still in the cache (`Call.out` is None
    then). It returns what to do with the result, or None where nothing is left to do.
    """

    row: ProductRow
    factors: tuple[int, ...]


PRODUCTS: dict[str, Product] = {}
FREE: dict[str, str] = {}
VIEWS: set[str] = set()
"""Free operators whose result holds the values of their one input, zeros aside: what is known of them carries over."""


def counts(*names: str) -> Callable[[Row], Row]:
    """Register a function that counts these operators."""

    def register(row: Row) -> Row:
        for name in names:
            _refuse_duplicate(name)
            COUNTED[name] = row
        return row

    return register


def multiplies(*names: str, factors: tuple[int, ...]) -> Callable[[R], R]:
    """Register a function that counts these products before they run; `factors` are positions of arguments."""

    def register(row: R) -> R:
        for name in names:
            _refuse_duplicate(name)
            PRODUCTS[name] = Product(row, factors)
        return row

    return register


def free(reason: str, names: str, *, keeps_values: bool = False) -> None:
    """Declare operators that cost no arithmetic, and why."""
    for name in names.split():
        _refuse_duplicate(name)
        FREE[name] = reason
        if keeps_values:
            VIEWS.add(name)


def _refuse_duplicate(name: str) -> None:
    if name in COUNTED or name in PRODUCTS or name in FREE:
        raise UsageError(f"operator table: {name!r} has a row already; keep one row for each operator")


def table_name(func: torch._ops.OpOverload) -> str:
    """Name of the row: schema name without `aten::`, and without the underscore of in-place variants."""
    namespace, _, name = func._schema.name.partition("::")
    if namespace != "aten":
        return f"{namespace}::{name}"
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name
