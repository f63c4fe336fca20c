"""What happened: the exact counting core."""

from snn_energy.counting.counts import (
    Coverage,
    ElementwiseCounts,
    LayerCounts,
    NeuronCounts,
    OperatorRecord,
    Trace,
)
from snn_energy.counting.values import OperandClass, ValueSet

__all__ = [
    "Coverage",
    "ElementwiseCounts",
    "LayerCounts",
    "NeuronCounts",
    "OperandClass",
    "OperatorRecord",
    "Trace",
    "ValueSet",
]
