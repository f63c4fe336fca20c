"""Arithmetic of complex numbers, as the real arithmetic that it stands for (state-space models keep complex states)."""

from __future__ import annotations

from torch import Tensor

from snn_energy.counting.ops.registry import READS_COMPLEX, Call
from snn_energy.counting.recorder import Recorder

READS_COMPLEX.update({"add", "sub", "mul", "sum", "cumsum", "neg", "exp"})


def complex_arithmetic(recorder: Recorder, call: Call) -> bool:
    """Count a call on complex numbers; False if it has none, or if no rule is known.

    A product is 4 multiplications and 2 additions, by a real number 2 multiplications; a sum is 2 additions, with a
    real number 1; exp(a + bi) is e^a, cos b, sin b and 2 multiplications.
    """
    operands = [value for value in call.args[:2] if isinstance(value, (Tensor, int, float, complex))]
    parts = sum(_is_complex(value) for value in operands)
    if not parts:
        return False
    out = call.result.numel()
    steps = out
    if call.name == "sum":
        steps = max(0, call.tensors[0].numel() - out)
    elif call.name == "cumsum":
        axis = call.get(1, "dim", 0)
        steps = out - (out // call.result.shape[axis] if out and call.result.dim() else out)
    adds, muls, specials = {
        "mul": (2, 4, 0) if parts == 2 else (0, 2, 0),
        "add": (parts, 0, 0),
        "sub": (parts, 0, 0),
        "neg": (0, 0, 0),
        "sum": (2, 0, 0),
        "cumsum": (2, 0, 0),
        "exp": (0, 2, 3),
    }[call.name]
    compares = 2 * out if call.name == "neg" else 0
    recorder.arithmetic(
        f"complex {call.name}", adds=adds * steps, muls=muls * steps, compares=compares, specials=specials * steps
    )
    if call.name in ("add", "sub") and call.kwargs.get("alpha", 1) not in (1, -1):
        recorder.arithmetic("scaling", muls=2 * out)
    recorder.note("counted", call.name)
    return True


def _is_complex(value: Tensor | complex) -> bool:
    return value.is_complex() if isinstance(value, Tensor) else isinstance(value, complex)
