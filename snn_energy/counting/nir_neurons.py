"""The neurons of an imported NIR graph; see `nirgraph.neurons` and, for the equations, `nirgraph.conventions`.

A LIF neuron whose input has the factor 1 and whose leak and reset potentials are 0 costs what our own does.
"""

from __future__ import annotations

from typing import Any

from snn_energy.counting.neurons import NeuronRow, Variant, register_neuron
from snn_energy.counting.simulators.options import is_any, one

_HOME = "snn_energy.nirgraph.neurons"


def _not_one(value: Any) -> bool:
    return value is not None and not one(value)


_OPTIONS = (
    Variant(attribute="stepped", test=is_any(False), time_axis=0),
    Variant(attribute="stepped", test=is_any(True), returned_states=1),
    Variant(attribute="gain", test=_not_one, muls=1),
    Variant(attribute="gain_syn", test=_not_one, muls=1),
    Variant(attribute="offset", test=lambda offset: offset is not None, adds=1),
    Variant(attribute="reset_rule", test=is_any("subtract"), soft_reset_adds=1),
)


def _row(name: str, kind: str, equation: str, adds: int, muls: int, states: int, *, spiking: bool = True) -> None:
    register_neuron(
        NeuronRow(
            qualified_name=f"{_HOME}.{name}",
            kind=kind,
            equation=equation,
            adds=adds,
            muls=muls,
            compares=int(spiking),
            state_variables=states,
            spiking=spiking,
            binary_scale=1.0 if spiking else None,
            methods=("forward", "_step"),
            variants=_OPTIONS if spiking else _OPTIONS[:-1],
        )
    )


_FIRE = "S = 1[V > threshold]; V <- V_reset, or V - threshold S"
_LEAK = "V <- decay V + gain I + (1 - decay) V_leak"
_SYNAPSE = "I <- decay_syn I + gain_syn X"
_row("NirIF", "if", f"V <- V + gain I; {_FIRE}", 1, 0, 1)
_row("NirLIF", "lif", f"{_LEAK}; {_FIRE}", 1, 1, 1)
_row("NirCubaLIF", "cuba-lif", f"{_SYNAPSE}; {_LEAK}; {_FIRE}", 2, 2, 2)
_row("NirI", "integrator", "V <- V + gain I", 1, 0, 1, spiking=False)
_row("NirLI", "li", _LEAK, 1, 1, 1, spiking=False)
_row("NirCubaLI", "cuba-li", f"{_SYNAPSE}; {_LEAK}", 2, 2, 2, spiking=False)
register_neuron(
    NeuronRow(
        qualified_name=f"{_HOME}.NirThreshold",
        kind="threshold",
        equation="S = 1[X > threshold]",
        adds=0,
        muls=0,
        compares=1,
        state_variables=0,
        binary_scale=1.0,
        methods=("forward", "_step"),
        variants=_OPTIONS[:2],
    )
)
