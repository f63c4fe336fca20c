"""Small NIR graphs, and their equations in plain Python loops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from snn_energy.nirgraph import NirGraph, NirNode

DT = 1e-4


def numbers(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def chain(*nodes: tuple[str, NirNode], shape: tuple[int, ...], out: tuple[int, ...], extra: Any = ()) -> NirGraph:
    """Input -> nodes -> Output; `extra` are more edges."""
    names = ["input", *(name for name, _ in nodes), "output"]
    everything = {
        "input": NirNode("Input", {"shape": np.array(shape)}),
        **dict(nodes),
        "output": NirNode("Output", {"shape": np.array(out)}),
    }
    return NirGraph(everything, (*pairwise(names), *extra))


def stepped(node: NirNode, inputs: list[float]) -> list[float]:
    """What one neuron puts out by NIR's equations under forward Euler, in Python floats; parameters are numbers."""

    def read(name: str, default: float = 0.0) -> float:
        return float(np.asarray(node.fields.get(name, default)).item())

    kind, v, i, out = node.kind, read("v_leak") if "v_leak" in node.fields else read("v_reset"), 0.0, []
    for x in inputs:
        current = x
        if kind.startswith("Cuba"):
            i = i + DT / read("tau_syn") * (-i + read("w_in", 1.0) * x)
            current = i
        if kind in ("I", "IF"):
            v = v + DT * read("r") * current
        else:
            tau = read("tau_mem") if kind.startswith("Cuba") else read("tau")
            v = v + DT / tau * (read("v_leak") - v + read("r") * current)
        if "v_threshold" in node.fields:
            fires = v > read("v_threshold")
            v = read("v_reset") if fires else v
            out.append(float(fires))
        else:
            out.append(v)
    return out
