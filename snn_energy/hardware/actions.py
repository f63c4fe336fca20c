"""The price list's vocabulary: the actions a hardware profile can price."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "mac": "one multiply-accumulate: a real operand times a weight, added to a sum",
        "ac": "one accumulate: a weight added to a sum because a spike arrived",
        "add": "one addition or subtraction outside a weighted sum",
        "mul": "one multiplication outside a weighted sum",
        "compare": "one comparison: a potential with its threshold, one step of a maximum",
        "special": "one exponential, tanh, sigmoid, division or root of one element",
        "neuron_update": "one update of one neuron, whatever its model; where a profile prices it, "
        "it replaces the sum of the neuron's add, mul and compare",
        "time_step": "one time step of one inference, whatever happens in it; charged where a profile prices it",
        "inference": "one inference, whatever happens in it; charged where a profile prices it",
    }
)
"""Action name -> what one unit of it is. A new action is one new row here."""
