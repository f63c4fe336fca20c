"""Where no number is right: an error that says so, or an exception that goes on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.selftest.pieces import Fn, linear, real, row
from snn_energy.selftest.rows import Promise, Said, trap
from snn_energy.selftest.traps.tools import NEUROBENCH

NAN = float("nan")


def with_nan(layer: nn.Module) -> nn.Module:
    """The layer with one weight that is not a number."""
    with torch.no_grad():
        next(layer.parameters()).view(-1)[1] = NAN
    return layer


def second_try(m: Any, x: Tensor) -> Tensor:
    """Fail in the wrong number format, then do it right."""
    try:
        return m.fc(x.double())  # type: ignore[no-any-return]
    except RuntimeError:
        return m.fc(x)  # type: ignore[no-any-return]


trap(
    "R12-linear", "NaN among the weights of a Linear", lambda: with_nan(nn.Linear(4, 3)), lambda: real(1, 2, 4),
    "such a network computes nothing", promise=Promise.REFUSED, refusal="weights hold NaN",
)  # fmt: skip
trap(
    "R12-conv", "NaN among the weights of a convolution", lambda: with_nan(nn.Conv1d(2, 3, 1)), lambda: real(1, 2, 4),
    "such a network computes nothing", promise=Promise.REFUSED, refusal="weights hold NaN",
)  # fmt: skip
trap(
    "R13", "a product that failed", lambda: Fn(second_try, fc=nn.Linear(4, 3)), lambda: real(2, 4),
    "the first attempt raised, so it did not happen: 2 x 4 x 3", connections=24,
)  # fmt: skip
trap(
    "T7-error", "an input of the wrong width", linear, lambda: torch.ones(1, 11), "the caller's mistake is not 0 MACs",
    promise=Promise.REFUSED, refusal="RuntimeError", said=(Said(NEUROBENCH, "0: the exception is swallowed"),),
)  # fmt: skip
trap(
    "N130", "NaN in the data", linear, lambda: row(NAN), "NaN is neither zero nor a spike",
    promise=Promise.REFUSED, refusal="NaN or infinity",
)  # fmt: skip
trap(
    "N131", "infinity in the data", linear, lambda: row(float("inf"), 1.0), "infinity is no height of a spike",
    promise=Promise.REFUSED, refusal="NaN or infinity",
)  # fmt: skip
trap(
    "N132", "an empty data set", linear, lambda: torch.ones(0, 10), "no sample, no energy per sample",
    promise=Promise.REFUSED, refusal="the data are empty",
)  # fmt: skip
trap(
    "N133", "data without a tensor", linear, lambda: ("x",), "nothing to run on",
    promise=Promise.REFUSED, refusal="holds no tensor",
)  # fmt: skip
