"""One operator of our own: an activation of few levels, as a quantised network has it.

`snn_energy::levels(x, step, most)` rounds to the nearest multiple of `step` (halves up), not below 0 and not above
`most` steps. A machine keeps the number of steps: `step` folds into the weights behind it, as the height of a spike
does, so that one element costs one rounding and two comparisons, and takes bits for the levels 0 ... most.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, library

from snn_energy.counting.ops.registry import BITS, Call, counts
from snn_energy.counting.recorder import Recorder

NAME = "snn_energy::levels"

_LIBRARY: Any = library.Library("snn_energy", "FRAGMENT")  # type: ignore[no-untyped-call]
"""Keeps the operator alive."""
_LIBRARY.define("levels(Tensor x, float step, int most) -> Tensor")


def _levels(x: Tensor, step: float, most: int) -> Tensor:
    return x.div(step).add_(0.5).floor_().clamp_(0, most).mul_(step)


_LIBRARY.impl("levels", _levels, "CompositeExplicitAutograd")


def levels(x: Tensor, step: float, most: int) -> Tensor:
    """Values `...` -> the nearest of 0, step, ... most * step `...`, in the dtype of x."""
    rounded: Tensor = torch.ops.snn_energy.levels(x, step, most)
    return rounded


def _bits(args: tuple[Any, ...]) -> int:
    return int(args[2]).bit_length()


BITS[NAME] = _bits


@counts(NAME)
def count_levels(recorder: Recorder, call: Call) -> None:
    """A rounding, which costs what a comparison does, and two comparisons that clamp."""
    recorder.arithmetic("levels", compares=3 * call.result.numel())
    recorder.note("counted", "levels")
