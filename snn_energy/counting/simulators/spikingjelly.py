"""SpikingJelly 2.0.0: spikingjelly.readthedocs.io, class documentation. `step_mode` decides where time is."""

from __future__ import annotations

from typing import Any

from snn_energy.counting.neurons import NeuronRow, Variant, holds_weights, register_neuron
from snn_energy.counting.simulators.options import is_any, nonzero, one

_HOME = "spikingjelly.activation_based.neuron"


def _names(*names: str) -> str:
    return " ".join(f"{_HOME}.{name}" for name in names)


LEFT_OUT = {
    "abstract": _names(
        "base_node.SimpleBaseNode", "base_node.BaseNode", "base_node.NonSpikingBaseNode", "adapt.AdaptBaseNode",
        "mpbn.MPBNBaseNode", "inter_layer_connection.ILCBaseNode", "noisy.NoisyBaseNode", "noisy.NoisyILCBaseNode",
        "noisy.NoisyNonSpikingBaseNode", "online_learning._OnlineLIFNode",
    ),
    "its equation is a function of its user": _names("flexsn.FlexSN", "lif_variants.LIAFNode"),
    "batch normalisation of the membrane, whose cost depends on how it was folded": _names("mpbn.MPBNLIFNode"),
    "a sigmoid for each spike beside that of each update": _names("lif_variants.ComplementaryLIFNode"),
    "draws noise": _names("noisy.NoisyCUBALIFNode", "noisy.NoisyILCCUBALIFNode", "noisy.NoisyNonSpikingIFNode"),
    "writes its recurrent current into its input": _names(
        "inter_layer_connection.ILCIFNode", "inter_layer_connection.ILCLIFNode", "inter_layer_connection.ILCCUBALIFNode"
    ),
    "approximates a function by a table of thresholds; keeps no state between time steps": _names(
        "few_spike.FewSpikeNode", "few_spike.OutlierAwareThresholdNode", "few_spike.HGNode"
    ),
    "weighs the last inputs element by element: a sum over time, not an update": _names("psn.SlidingPSN"),
}  # fmt: skip

_METHODS = (
    "forward",
    "single_step_forward",
    "multi_step_forward",
    "single_step_functional_forward",
    "multi_step_functional_forward",
    "neuronal_charge",
    "neuronal_fire",
    "neuronal_reset",
)
_MULTI_STEP = Variant(attribute="step_mode", test=is_any("m"), time_axis=0)
_SOFT = Variant(attribute="v_reset", test=is_any(None), soft_reset_adds=1)
_RESTS_ELSEWHERE = Variant(attribute="v_reset", test=nonzero, adds=1)
_DECAY_INPUT = Variant(attribute="decay_input", test=is_any(True), muls=1)
_SPIKING = ("surrogate_function.spiking", is_any(True, None))  # False: the output is the surrogate itself, no spike


def _row(
    name: str, kind: str, equation: str, adds: int, muls: int, *more: Variant, compares: int = 1, **options: Any
) -> None:
    defaults: dict[str, Any] = {
        "state_variables": 1,
        "variants": (_MULTI_STEP, _SOFT, *more),
        "requires": (_SPIKING,),
        "weights": holds_weights,  # constants for each channel and time step have several axes, too
    }
    register_neuron(
        NeuronRow(
            qualified_name=f"{_HOME}.{name}",
            kind=kind,
            equation=equation,
            adds=adds,
            muls=muls,
            compares=compares,
            methods=_METHODS,
            **defaults | options,
        )
    )


_IF = "V <- V + X; S = 1[V >= threshold]; reset"
_LIF = "V <- V - (V - V_reset) / tau + X, or X / tau with decay_input; S = 1[V >= threshold]; reset"
# An offset of the threshold for each channel, as ActivationAwareIFNode has, folds into the threshold.
for _name in ("IFNode", "SimpleIFNode", "HalfThresholdIFNode", "ActivationAwareIFNode"):
    _row(f"integrate_and_fire.{_name}", "if", _IF, 1, 0)
for _name in ("lif.LIFNode", "lif.SimpleLIFNode", "online_learning.OTTTLIFNode", "online_learning.SLTTLIFNode"):
    _row(_name, "lif", _LIF, 1, 1, _DECAY_INPUT, _RESTS_ELSEWHERE)  # the last two differ in how they learn
_PLIF = f"1 / tau = sigmoid(w), learned; {_LIF}"
_row("plif.ParametricLIFNode", "plif", _PLIF, 1, 1, _DECAY_INPUT, _RESTS_ELSEWHERE)
_row(
    "ilif.ILIFNode",
    "ilif",
    "V <- V - V / tau + X; S = V / threshold, rounded, at least 0 and at most a set number; V <- V - threshold S",
    1,
    1,
)
_row(
    "lif_variants.KLIFNode",
    "klif",
    "V <- relu(k (V - (V - V_reset) / tau + X, or X / tau with decay_input)), k learned; S = 1[V >= threshold]; "
    "reset, of V / k with scale_reset",
    1,
    2,
    _RESTS_ELSEWHERE,
    Variant(attribute="scale_reset", test=is_any(True), muls=1),
    compares=2,
)
_row(
    "lif_variants.GatedLIFNode",
    "glif",
    "V <- a(S) V + c X - d - f S, all four learned, c for each time step; S = 1[V >= threshold]",
    2,
    2,
    soft_reset_adds=1,  # f, for each spike
    variants=(_MULTI_STEP,),
)
_row(
    "lif_variants.CUBALIFNode",
    "cuba-lif",
    "C <- c_decay C + X; V <- v_decay V + C; S = 1[V >= threshold]; reset",
    2,
    2,
    state_variables=2,
)
_row(
    "resonate.RAFNode",
    "resonate",
    "U' = r cos(w) U - r sin(w) V + X; V <- r sin(w) U + r cos(w) V; U <- U'; S = 1[V >= threshold]; reset of V",
    3,
    4,
    state_variables=2,
)
_row(
    "nonlinear_if.QIFNode",
    "qif",
    "V <- V + (X + a0 (V - V_rest) (V - V_c)) / tau; S = 1[V >= threshold]; reset",
    3,
    3,
    Variant(attribute="v_rest", test=nonzero, adds=1),
)
_row(
    "nonlinear_if.EIFNode",
    "eif",
    "V <- V + (X - (V - V_rest) + delta_T exp((V - theta_rh) / delta_T)) / tau; S = 1[V >= threshold]; reset",
    2,
    4,
    Variant(attribute="v_rest", test=nonzero, adds=1),
    Variant(attribute="delta_T", test=one, muls=-1),
    specials=1,
)
_row(
    "adapt.IzhikevichNode",
    "izhikevich",
    "V <- V + (X + a0 (V - V_rest) (V - V_c) - W) / tau; W <- W + (a (V - V_rest) - W) / tau_w; "
    "S = 1[V >= threshold]; reset; W <- W + b S",
    5,
    5,
    Variant(attribute="v_rest", test=nonzero, adds=2),
    state_variables=2,
    soft_reset_adds=1,  # b, for each spike, whatever the reset
)
_TERNARY = "S = 1[V >= threshold] - 1[-V >= threshold]; reset"
_row("ternary.TernaryIFNode", "ternary-if", f"V <- V + X; {_TERNARY}", 1, 0, compares=2)
_row(
    "ternary.TernaryLIFNode",
    "ternary-lif",
    f"V <- V - (V - V_reset) / tau + X, or X / tau with decay_input; {_TERNARY}",
    1,
    1,
    _DECAY_INPUT,
    _RESTS_ELSEWHERE,
    compares=2,
)
_row(
    "spikezip.STBIFNode",
    "ternary-if",
    "Q <- Q + X / threshold; S = 1[Q >= 1][A < most] - 1[Q < 0][A > least]; A <- A + S; Q <- Q - S",
    1,
    1,
    compares=4,
    state_variables=2,
    soft_reset_adds=2,  # of Q and of A
    variants=(_MULTI_STEP, Variant(attribute="q_threshold", test=one, muls=-1)),
)
_DSR = "S = threshold 1[V >= alpha threshold]; V <- V - S"
for _name, _leak, _muls in (("DSRIFNode", "V <- V + X", 0), ("DSRLIFNode", "V <- beta V + (1 - beta) X", 2)):
    _row(
        f"dsr.{_name}",
        _name[3:-4].lower(),
        f"{_leak}; {_DSR}",
        1,
        _muls,
        soft_reset_adds=1,
        variants=(_MULTI_STEP,),
        requires=(),
    )
_PSN = "H = W X + b, over all time steps at once; S = 1[H >= 0]"
for _name in ("PSN", "MaskedPSN"):  # one product over time, the bias with it; what is left is the threshold
    _row(
        f"psn.{_name}",
        "psn",
        _PSN,
        0,
        0,
        state_variables=0,
        time_axis=0,
        variants=(),
        requires=(_SPIKING, ("step_mode", is_any("m", None))),  # step by step it weighs element by element
    )
for _name, _leak, _muls in (
    ("integrate_and_fire.NonSpikingIFNode", "V <- V + X", 0),
    ("lif.NonSpikingLIFNode", "V <- V + (X - V) / tau", 2),
):
    _row(
        _name,
        "integrator" if _muls == 0 else "leaky-integrator",
        _leak,
        1,
        _muls,
        compares=0,
        spiking=False,
        time_axis=0,
        shaped_by_input=True,  # it returns a list, or the last membrane
        variants=(),
        requires=(("decode", is_any(None, "last_mem")),),  # a maximum or a mean over time is work of its own
    )
