"""snnTorch 1.0.0: snntorch.readthedocs.io, class documentation. One call is one time step."""

from __future__ import annotations

from typing import Any

from snn_energy.counting.neurons import NeuronRow, Test, Variant, holds_weights, register_neuron
from snn_energy.counting.simulators.options import absent, is_any, one

LEFT_OUT = {
    "abstract": "snntorch._neurons.neurons.SpikingNeuron snntorch._neurons.neurons.LIF",
    "all time steps as one convolution or scan, without a reset: no equation of one update": (
        "snntorch._neurons.stateleaky.StateLeaky snntorch._neurons.linearleaky.LinearLeaky "
        "snntorch._neurons.associative.AssociativeLeaky snntorch._neurons.leakyparallel.LeakyParallel "
        "snntorch._neurons.leakykernel.LeakyKernel snntorch._neurons.leakyunroll.LeakyParallel"
    ),
    "part of a neuron, which is charged for it": (
        "snntorch._neurons.rleaky.RecurrentOneToOne snntorch._neurons.rsynaptic.RecurrentOneToOne"
    ),
    "an LSTM whose state is compared with a threshold": (
        "snntorch._neurons.slstm.SLSTM snntorch._neurons.sconv2dlstm.SConv2dLSTM"
    ),
}

_METHODS = (
    "forward",
    "fire",
    "fire_inhibition",
    "mem_reset",
    "_base_state_function",
    "_base_state_reset_zero",
    "_base_sub",
    "_base_zero",
    "_base_int",
)
_SUBTRACT = Variant(attribute="reset_mechanism", test=is_any("subtract"), soft_reset_adds=1)
_INHIBITION = Variant(attribute="inhibition", test=is_any(True), compares=1)  # the largest membrane is searched for
_NO_LEAK = Variant(attribute="beta", test=one, muls=-1)  # how snnTorch writes an integrate-and-fire neuron
_ALL_TO_ALL = Variant(attribute="all_to_all", test=is_any(True), adds=1)
_ONE_TO_ONE = Variant(attribute="all_to_all", test=is_any(False), soft_reset_adds=1)  # V, for each spike fed back
_NO_QUANTISER = ("state_quant", absent)


def _state_stays_inside(module: Any) -> bool:
    return bool(module.init_hidden and not module.output)


def _feeds_all(module: Any) -> bool:
    return bool(module.all_to_all)


def _row(name: str, kind: str, equation: str, adds: int, muls: int, states: int, **options: Any) -> None:
    weights: Test = holds_weights  # a decay for each neuron of a map has several axes, too
    defaults: dict[str, Any] = {
        "variants": (_SUBTRACT, _INHIBITION),
        "requires": (_NO_QUANTISER,),
        "compares": 1,
        "weights": weights,
    }
    options = defaults | options
    hidden = Variant(attribute="", test=_state_stays_inside, returned_states=-states)
    register_neuron(
        NeuronRow(
            qualified_name=f"snntorch._neurons.{name}",
            kind=kind,
            equation=equation,
            adds=adds,
            muls=muls,
            state_variables=states,
            returned_states=states,
            methods=_METHODS,
            variants=(*options.pop("variants"), hidden),
            **options,
        )
    )


_row(
    "leaky.Leaky",
    "lif",
    "U <- beta U + I; S = 1[U > threshold]; reset",
    1,
    1,
    1,
    variants=(_SUBTRACT, _INHIBITION, _NO_LEAK),
)
_row("lapicque.Lapicque", "lif", "U <- (1 - T/RC) U + (T/C) I; S = 1[U > threshold]; reset", 1, 2, 1)
_row("synaptic.Synaptic", "cuba-lif", "I <- alpha I + X; U <- beta U + I; S = 1[U > threshold]; reset", 2, 2, 2)
_row(
    "alpha.Alpha",
    "alpha",
    "E <- alpha E + X; N <- beta N - X; U = tau (E + N); S = 1[U > threshold]; reset of E and N to 0",
    3,
    3,
    3,
    variants=(_INHIBITION,),
    requires=(_NO_QUANTISER, ("reset_mechanism", is_any("zero", "none"))),  # "subtract" has no published equation
)
_row(
    "rleaky.RLeaky",
    "recurrent-lif",
    "U <- beta U + I + V S; S = 1[U > threshold]; reset",
    1,
    1,
    1,
    variants=(_SUBTRACT, _INHIBITION, _NO_LEAK, _ALL_TO_ALL, _ONE_TO_ONE),
    weights=_feeds_all,
)
_row(
    "rsynaptic.RSynaptic",
    "recurrent-cuba-lif",
    "I <- alpha I + X + V S; U <- beta U + I; S = 1[U > threshold]; reset",
    2,
    2,
    2,
    variants=(_SUBTRACT, _INHIBITION, _ALL_TO_ALL, _ONE_TO_ONE),
    weights=_feeds_all,
)
_row(
    "deltaleaky.DeltaLeaky",
    "delta-lif",
    "U' = beta U + I; S = 1[U' - U > threshold] or 1[U - U' > threshold]; U <- U'; no reset",
    2,
    1,
    1,
    compares=2,
    variants=(_NO_LEAK,),
)
