"""ONNX operators that work element by element or reduce: each charged by the row of the operator it is in torch."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from snn_energy.counting.onnxgraph.node import CHARGED, MOVES, Node, charges, refuse_duplicate
from snn_energy.counting.tags import Origin

SAME_ROW: dict[str, str] = {
    # ONNX operator -> torch's operator with the same operands
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "PRelu": "prelu",
    "Elu": "elu",
    "Selu": "elu",
    "Celu": "celu",
    "Gelu": "gelu",
    "Mish": "mish",
    "Swish": "silu",
    "Softplus": "softplus",
    "HardSigmoid": "hardsigmoid",
    "HardSwish": "hardswish",
    "ThresholdedRelu": "threshold",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Erf": "erf",
    "Sin": "sin",
    "Cos": "cos",
    "Tan": "tan",
    "Asin": "asin",
    "Acos": "acos",
    "Atan": "atan",
    "Sinh": "sinh",
    "Cosh": "cosh",
    "Asinh": "exp",
    "Acosh": "exp",
    "Atanh": "exp",
    "Neg": "neg",
    "Abs": "abs",
    "Sign": "sign",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "IsNaN": "isnan",
    "IsInf": "isinf",
    "Equal": "eq",
    "Greater": "gt",
    "GreaterOrEqual": "ge",
    "Less": "lt",
    "LessOrEqual": "le",
    "Mod": "remainder",
    "BitShift": "bitwise_left_shift",
    "CumSum": "cumsum",
    "TopK": "topk",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceProd": "prod",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceL2": "linalg_vector_norm",
    "ReduceLogSumExp": "logsumexp",
    "Bernoulli": "bernoulli",
    "RandomNormal": "normal",
    "RandomNormalLike": "randn_like",
    "RandomUniform": "uniform",
    "RandomUniformLike": "rand_like",
}


def _same_row(name: str) -> Any:
    def charge(node: Node) -> None:
        tensors = node.tensors
        node.by_row(name, *(tensors if name in _BINARY else tensors[:1]))

    return charge


_BINARY = {"add", "sub", "mul", "div", "eq", "gt", "ge", "lt", "le", "remainder", "prelu", "bitwise_left_shift"}

for _name, _row in SAME_ROW.items():
    refuse_duplicate(_name)
    CHARGED[_name] = _same_row(_row)


@charges("Sum", "Max", "Min")
def of_several(node: Node) -> None:
    """One addition or comparison for each result and each operand after the first."""
    kind, rate = {"Sum": ("add", (1, 0, 0, 0)), "Max": ("maximum", (0, 0, 1, 0)), "Min": ("minimum", (0, 0, 1, 0))}[
        node.op
    ]
    node.charge(kind, rate, (len(node.tensors) - 1) * node.result.numel())


@charges("Mean")
def mean_of_several(node: Node) -> None:
    """The sum of the operands, times one constant."""
    node.charge("mean", (len(node.tensors) - 1, 1, 0, 0))


@charges("Pow")
def power(node: Node) -> None:
    """A whole constant exponent is multiplications, any other a special."""
    exponent = node.inputs[1]
    constant = exponent.numel() == 1 and node.recorder.origin(exponent) is not Origin.DATA
    node.by_row("pow", node.x, exponent.item() if constant else exponent)


@charges("Clip")
def clip(node: Node) -> None:
    """One comparison for each bound."""
    bounds = sum(node.operand(i) is not None for i in (1, 2)) + sum(node.get(name) is not None for name in _BOUNDS)
    node.charge("clamp", (0, 0, bounds, 0))


_BOUNDS = ("min", "max")


@charges("Softsign")
def softsign(node: Node) -> None:
    """x / (1 + |x|)."""
    node.charge("softsign", (1, 0, 1, 1))


@charges("ReduceL1", "ReduceSumSquare", "ReduceLogSum")
def reduced(node: Node) -> None:
    """A function of each element or of each result, and a sum."""
    before, after = {"ReduceL1": (2, 0), "ReduceSumSquare": (1, 0), "ReduceLogSum": (0, 1)}[node.op]
    elements, results = node.x.numel(), node.result.numel()
    node.recorder.arithmetic(
        node.op,
        adds=elements - results,
        muls=elements if before == 1 else 0,
        compares=elements if before == 2 else 0,
        specials=after * results,
    )
    node.recorder.note("counted", f"onnx::{node.op}")


@charges("ScatterElements", "ScatterND", "Scatter")
def scattered(node: Node) -> None:
    """A write is free; reductions cost one operation for each update."""
    reduction = node.get("reduction", "none")
    if reduction == "none":
        node.recorder.note("free", f"onnx::{node.op}", reason="copy: values are moved, not changed")
        return
    rate = {"add": (1, 0, 0, 0), "mul": (0, 1, 0, 0)}.get(reduction, (0, 0, 1, 0))
    node.charge("scatter_add" if reduction == "add" else "scatter_reduce", rate, node.inputs[2].numel())


@charges("QuantizeLinear")
def quantise(node: Node) -> None:
    """Scale, round, shift by the zero point if there is one, clip at both ends."""
    if _is_cast(node):
        return
    node.charge("quantise", (_shift(node.operand(2)), 1, 3, 0))


@charges("DequantizeLinear")
def dequantise(node: Node) -> None:
    """Shift by the zero point if there is one, scale."""
    if _is_cast(node):
        return
    node.charge("dequantise", (_shift(node.operand(2)), 1, 0, 0))


@charges("DynamicQuantizeLinear")
def quantise_dynamically(node: Node) -> None:
    """The range of the data first: two comparisons for each element more than to quantise."""
    node.charge("quantise", (1, 1, 5, 0))


def _is_cast(node: Node) -> bool:
    """With scale 1 and no zero point, whole numbers that fit are only written in another type, as spikes are."""
    same = bool((node.inputs[1] == 1).all()) and not _shift(node.operand(2))
    if not same or not bool((node.result.double() == node.x.double()).all()):
        return False
    node.recorder.note("free", f"onnx::{node.op}", reason="copy: whole numbers in another type, scale 1")
    return True


def _shift(zero: Any) -> int:
    return int(isinstance(zero, Tensor) and bool((zero != 0).any()))


def _free(reason: str, names: str, *, keeps_values: bool = False) -> None:
    for name in names.split():
        refuse_duplicate(name)
        MOVES[name] = (reason, keeps_values)


_free(
    "copy: values are moved, not changed",
    "Slice Split Gather GatherElements GatherND Tile DepthToSpace SpaceToDepth ReverseSequence Compress Concat "
    "SplitToSequence SequenceAt SequenceConstruct SequenceInsert SequenceErase ConcatFromSequence SequenceLength",
    keeps_values=True,
)
_free(
    "copy: values are moved, not changed",
    "Where Cast CastLike Trilu OneHot NonZero Unique Optional OptionalGetElement OptionalHasElement SequenceEmpty",
)
_free("constant: made without data", "Constant ConstantOfShape EyeLike Range")
_free("bookkeeping: sizes, types and scalars read by the program", "Shape Size")
_free("spikes or flags combined by logic gates", "And Or Xor Not BitwiseAnd BitwiseOr BitwiseXor BitwiseNot")
