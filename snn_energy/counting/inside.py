"""Inside a recurrent neuron: its products are projections, all else belongs to the equation that its row charges.

What a backend multiplies there is not always what the equation says: some compute one product twice, and some compute
one more after the last time step, which feeds nothing. Both are told apart here, so that every backend gives one count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snn_energy.counting.neurons import NeuronRow
from snn_energy.counting.tags import tensors_in, version_of

if TYPE_CHECKING:
    from snn_energy.counting.ops.registry import Product


class NeuronScope:
    """One call of a neuron that multiplies by weights of its own."""

    def __init__(self, module: nn.Module, row: NeuronRow, args: Any) -> None:
        self.module, self.row = module, row
        self.seen: dict[tuple[object, ...], tuple[Tensor, ...]] = {}
        """Products of this time step, by their factors, which are kept alive so that no other takes their place."""
        self._last = getattr(module, row.unused_after_last, None) if row.unused_after_last else None
        self._left = _steps(row, args) if self._last is not None else 0
        self.past_end = False
        """True while a product runs that goes into no time step."""

    def enter(self, module: nn.Module) -> None:
        """Note that a module below the neuron starts."""
        if module is self._last:
            self._left -= 1
            self.past_end = self._left == 0

    def leave(self, module: nn.Module) -> None:
        """Note that a module below the neuron is through."""
        if module is self._last:
            self.past_end = False

    def repeats(self, name: str, product: Product, args: tuple[Any, ...]) -> bool:
        """True if this very product, of the same numbers, ran before in this call of a single-step neuron."""
        if self.row.time_axis is not None:
            return False
        factors = tuple(args[i] for i in product.factors)
        key = (name, *(part for factor in factors for part in _identity(factor)))
        known = key in self.seen
        self.seen[key] = factors
        return known

    def operands(self, product: Product, args: tuple[Any, ...], constant: tuple[bool, ...]) -> tuple[Any, ...]:
        """The arguments as the equation has them: what is fed back past the end is nothing."""
        if not self.past_end:
            return args
        nothing = {
            i: torch.zeros_like(args[i]) for i, fixed in zip(product.factors, constant, strict=True) if not fixed
        }
        return tuple(nothing.get(i, value) for i, value in enumerate(args))


def _identity(x: Tensor) -> tuple[object, ...]:
    return (x.data_ptr(), tuple(x.shape), x.stride(), x.dtype, version_of(x))


def _steps(row: NeuronRow, args: Any) -> int:
    first = next(tensors_in(args), None)
    axis = row.time_axis
    return 0 if first is None or axis is None or first.dim() <= axis else first.shape[axis]
