"""Products of two activations (spiking attention), seen above autograd so that gradients pass."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from snn_energy.tuning.levels import levels, occupied
from snn_energy.tuning.survey import SynapseRule

_PRODUCTS = {
    torch.matmul, torch.bmm, torch.mm, Tensor.matmul, Tensor.bmm, Tensor.mm, Tensor.__matmul__,
}  # fmt: skip
_NOT_THE_CALLER = (str(Path(__file__).parent), str(Path(torch.__file__).parent))

Report = Callable[[str, Tensor], None]
"""Takes the name of a row and the count of one call, a differentiable scalar."""


class PairWatcher(TorchFunctionMode):
    """Counts products of two activations while a model runs.

    A product is told apart by the module it runs in and by the caller's instruction, and named as the tracer names it:
    `path.matmul`, `path.matmul#2`, in order of first appearance.
    """

    def __init__(self, rules: Mapping[str, SynapseRule], path: Callable[[], str], report: Report) -> None:
        super().__init__()
        self.rules, self.path, self.report = rules, path, report
        self._names: dict[tuple[str, object], str] = {}
        self._numbers: dict[str, int] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _PRODUCTS and len(args) == 2 and not any(isinstance(x, torch.nn.Parameter) for x in args):
            a, b = args
            if isinstance(a, Tensor) and isinstance(b, Tensor) and a.dim() > 1 and b.dim() > 1:
                rule = self.rules.get(name := self._name())
                if rule is not None and rule.partner is not None:
                    self.report(name, pair_count(a, b, rule))
        return func(*args, **(kwargs or {}))

    def _name(self) -> str:
        path = self.path()
        key = (path, _site())
        name = self._names.get(key)
        if name is None:
            stem = f"{path}.matmul" if path else "matmul"
            number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
            name = self._names[key] = stem if number == 1 else f"{stem}#{number}"
        return name


def pair_count(a: Tensor, b: Tensor, rule: SynapseRule) -> Tensor:
    """Events, or units, of a[... m k] @ b[... k n]: sum over k of column sums of a times row sums of b."""
    assert rule.partner is not None
    left_count = levels if rule.units and rule.first_units else occupied
    right_count = levels if rule.units and not rule.first_units else occupied
    left = left_count(a, rule.values).sum(-2, dtype=torch.float32)
    right = right_count(b, rule.partner).sum(-1, dtype=torch.float32)
    return (left * right).sum()


def _site() -> tuple[str, int, int]:
    """The caller's instruction: file, line and place in its code."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_CALLER):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno, frame.f_lasti
