"""Dense MACs cross-checked against fvcore, with every difference explained by operator."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from snn_energy.counting.counts import Trace
from snn_energy.counting.evaluating import evaluating

FAMILIES = {
    "conv": "conv",
    "linear": "matmul",
    "matmul": "matmul",
    "mm": "matmul",
    "addmm": "matmul",
    "bmm": "matmul",
    "einsum": "matmul",
}
"""fvcore's operators that multiply and accumulate, by family; its others count element-wise work, listed apart."""

_NOT_SEEN = {
    "lstm": "fvcore has no row for recurrent layers",
    "rnn": "fvcore has no row for recurrent layers",
    "gru": "fvcore has no row for recurrent layers",
    "bilinear": "fvcore has no row for bilinear forms",
    "matmul": "fvcore does not see inside scaled-dot-product attention",
}

_MULTIPLIERS = (
    "baddbmm", "addbmm", "addmv", "mv", "dot", "vdot", "inner", "outer", "tensordot", "chain_matmul",
    "linalg_multi_dot", "bilinear", "_convolution_mode", "scaled_dot_product_attention", "_native_multi_head_attention",
    "_transformer_encoder_layer_fwd",
)  # fmt: skip
"""Operators that multiply and accumulate, and that fvcore has no row for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionRow:
    """One family of operators: our dense MACs of one sample, fvcore's, and why they differ (empty where they agree)."""

    family: str
    ours: int
    fvcore: int
    explanation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondOpinion:
    """Dense MACs of one sample by both tools."""

    rows: tuple[OpinionRow, ...]
    elementwise_flops: int
    """What fvcore adds for element-wise operators (normalisation, pooling); not MACs, so not compared."""
    unsupported: tuple[str, ...]
    """Operators that fvcore says it skipped."""

    @property
    def ours(self) -> int:
        """Our total."""
        return sum(row.ours for row in self.rows)

    @property
    def fvcore(self) -> int:
        """fvcore's total over the same families."""
        return sum(row.fvcore for row in self.rows)

    @property
    def agrees(self) -> bool:
        """True when every family agrees to the last MAC."""
        return all(row.ours == row.fvcore for row in self.rows)


def second_opinion(model: nn.Module, args: tuple[Any, ...], trace: Trace) -> SecondOpinion:
    """Let fvcore count the dense MACs of `model` on `args` and set them beside a trace of the same call.

    Args:
        model: the network (usually the ANN twin); it runs in eval mode, and is left as it was.
        args: positional inputs of one call.
        trace: our trace of exactly that call.
    """
    with warnings.catch_warnings(), torch.no_grad(), evaluating(model):
        warnings.simplefilter("ignore")  # importing fvcore warns of torch.jit, and its tracer of Python control flow
        from fvcore.nn import FlopCountAnalysis

        logging.getLogger("fvcore").setLevel(logging.ERROR)  # it logs what `unsupported` lists
        analysis = FlopCountAnalysis(model, args).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = {name: int(flops) for name, flops in analysis.by_operator().items()}
        unsupported = tuple(sorted(analysis.unsupported_ops()))
    theirs: dict[str, int] = {}
    elementwise = 0
    for name, flops in by_operator.items():
        family = FAMILIES.get(name)
        if family is None:
            elementwise += flops
        else:
            theirs[family] = theirs.get(family, 0) + flops
    ours: dict[str, int] = {}
    kinds: dict[str, set[str]] = {}
    for layer in trace.layers:
        family = "conv" if layer.kind.startswith("conv") else "matmul"
        ours[family] = ours.get(family, 0) + layer.dense_macs
        kinds.setdefault(family, set()).add(layer.kind)
    rows = tuple(
        OpinionRow(
            family=family,
            ours=ours.get(family, 0),
            fvcore=theirs.get(family, 0),
            explanation=_explain(ours.get(family, 0), theirs.get(family, 0), kinds.get(family, set()), unsupported),
        )
        for family in sorted({*ours, *theirs})
    )
    return SecondOpinion(rows=rows, elementwise_flops=elementwise, unsupported=unsupported)


def _explain(ours: int, theirs: int, kinds: set[str], unsupported: tuple[str, ...]) -> str:
    if ours == theirs:
        return ""
    if ours > theirs:
        reasons = {reason for kind in kinds for name, reason in _NOT_SEEN.items() if kind.startswith(name)}
        reasons |= {
            f"fvcore has no row for {name}"
            for name in (operator.removeprefix("aten::") for operator in unsupported)
            if name in _MULTIPLIERS
        }
        return "; ".join(sorted(reasons)) or "fvcore skipped an operator: see `unsupported`"
    return "fvcore counts products of weights alone, or a call that our trace did not make"
