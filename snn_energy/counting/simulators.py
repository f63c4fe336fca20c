"""Spiking neurons of other simulators: what each class means, by qualified name, so that no simulator is imported.

One convention makes the counts of all simulators comparable: the published equation is written as sums of products
with every constant folded, and one update costs an addition for each term after the first, a multiplication for each
factor that is not 1, and a comparison for each threshold. How a class happens to compute it (a fused kernel, a
subtraction before the threshold, both branches of a reset) does not matter. A hard reset selects and costs nothing;
a soft one subtracts once for each spike. A leak, rest or reset potential of 0 is no term.

No row claims a spike height: every class here takes a spike function from its user, so the data decide.

Left out on purpose, and so counted operator by operator like any other module: classes that hold weights (RLeaky,
RSynaptic, the recurrent classes of Norse and Sinabs, PSN), classes with an exponential in their equation (EIF, AdEx),
and integrators that do not spike (LI, ExpLeak). Sinabs' Squeeze classes fold time into the batch axis, so that one
call of theirs is one time step here, of as many samples as there are frames.
"""

from __future__ import annotations

from typing import Any

import torch

from snn_energy.counting.neurons import NeuronRow, Test, Variant, register_neuron

# -- tests of an attribute ----------------------------------------------------------------------------------------


def _is(*values: Any) -> Test:
    """One of these texts, flags or None; never asks a tensor for its truth."""
    return lambda value: isinstance(value, str | bool | None) and value in values


def _given(value: Any) -> bool:
    return value is not None


def _nonzero(value: Any) -> bool:
    return value is not None and bool(torch.as_tensor(value).count_nonzero())


def _one(value: Any) -> bool:
    return value is not None and bool((torch.as_tensor(value) == 1).all())


def _absent(value: Any) -> bool:
    """No quantiser and the like: missing, None or False."""
    return value is None or value is False


def _named(*names: str) -> Test:
    """A class or a function of one of these names, or an instance of such a class."""
    return lambda value: getattr(value, "__name__", type(value).__name__) in names


# -- snnTorch 1.0.0: snntorch.readthedocs.io, class documentation. One call is one time step. ------------------------

_SNNTORCH_METHODS = (
    "forward",
    "fire",
    "fire_inhibition",
    "mem_reset",
    "_base_state_function",
    "_base_sub",
    "_base_zero",
    "_base_int",
)
_SUBTRACT = Variant(attribute="reset_mechanism", test=_is("subtract"), soft_reset_adds=1)
_INHIBITION = Variant(attribute="inhibition", test=_is(True), compares=1)  # the largest membrane is searched for
_NO_LEAK = Variant(attribute="beta", test=_one, muls=-1)  # how snnTorch writes an integrate-and-fire neuron
_NO_QUANTISER = ("state_quant", _absent)


def _state_stays_inside(module: Any) -> bool:
    return bool(module.init_hidden and not module.output)


def _snntorch(name: str, kind: str, equation: str, adds: int, muls: int, states: int, **options: Any) -> None:
    options = {"variants": (_SUBTRACT, _INHIBITION), "requires": (_NO_QUANTISER,)} | options
    hidden = Variant(attribute="", test=_state_stays_inside, returned_states=-states)
    register_neuron(
        NeuronRow(
            qualified_name=f"snntorch._neurons.{name}",
            kind=kind,
            equation=equation,
            adds=adds,
            muls=muls,
            compares=1,
            state_variables=states,
            returned_states=states,
            methods=_SNNTORCH_METHODS,
            variants=(*options.pop("variants"), hidden),
            **options,
        )
    )


_snntorch(
    "leaky.Leaky",
    "lif",
    "U <- beta U + I; S = 1[U > threshold]; reset",
    1,
    1,
    1,
    variants=(_SUBTRACT, _INHIBITION, _NO_LEAK),
)
_snntorch("lapicque.Lapicque", "lif", "U <- (1 - T/RC) U + (T/C) I; S = 1[U > threshold]; reset", 1, 2, 1)
_snntorch("synaptic.Synaptic", "cuba-lif", "I <- alpha I + X; U <- beta U + I; S = 1[U > threshold]; reset", 2, 2, 2)
_snntorch(
    "alpha.Alpha",
    "alpha",
    "E <- alpha E + X; N <- beta N - X; U = tau (E + N); S = 1[U > threshold]; reset of E and N to 0",
    3,
    3,
    3,
    variants=(_INHIBITION,),
    requires=(_NO_QUANTISER, ("reset_mechanism", _is("zero", "none"))),  # "subtract" has no published equation
)

# -- SpikingJelly 2.0.0: spikingjelly.readthedocs.io, class documentation. `step_mode` decides where time is. ---------

_SPIKINGJELLY_METHODS = (
    "forward",
    "single_step_forward",
    "multi_step_forward",
    "single_step_functional_forward",
    "multi_step_functional_forward",
    "neuronal_charge",
    "neuronal_fire",
    "neuronal_reset",
)
_MULTI_STEP = Variant(attribute="step_mode", test=_is("m"), time_axis=0)
_SOFT = Variant(attribute="v_reset", test=_is(None), soft_reset_adds=1)
_RESTS_ELSEWHERE = Variant(attribute="v_reset", test=_nonzero, adds=1)
_DECAY_INPUT = Variant(attribute="decay_input", test=_is(True), muls=1)
_SPIKING = ("surrogate_function.spiking", _is(True, None))  # False: the output is the surrogate itself, no spike


def _spikingjelly(
    name: str, kind: str, equation: str, adds: int, muls: int, *more: Variant, compares: int = 1, **options: Any
) -> None:
    register_neuron(
        NeuronRow(
            qualified_name=f"spikingjelly.activation_based.neuron.{name}",
            kind=kind,
            equation=equation,
            adds=adds,
            muls=muls,
            compares=compares,
            methods=_SPIKINGJELLY_METHODS,
            variants=(_MULTI_STEP, _SOFT, *more),
            requires=(_SPIKING,),
            **{"state_variables": 1} | options,
        )
    )


_IF = "V <- V + X; S = 1[V >= threshold]; reset"
_LIF = "V <- V - (V - V_reset) / tau + X, or X / tau with decay_input; S = 1[V >= threshold]; reset"
for _name in ("IFNode", "SimpleIFNode", "HalfThresholdIFNode"):
    _spikingjelly(f"integrate_and_fire.{_name}", "if", _IF, 1, 0)
for _name in ("LIFNode", "SimpleLIFNode"):
    _spikingjelly(f"lif.{_name}", "lif", _LIF, 1, 1, _DECAY_INPUT, _RESTS_ELSEWHERE)
_PLIF = f"1 / tau = sigmoid(w), learned; {_LIF}"
_spikingjelly("plif.ParametricLIFNode", "plif", _PLIF, 1, 1, _DECAY_INPUT, _RESTS_ELSEWHERE)
_spikingjelly(
    "lif_variants.CUBALIFNode",
    "cuba-lif",
    "C <- c_decay C + X; V <- v_decay V + C; S = 1[V >= threshold]; reset",
    2,
    2,
    state_variables=2,
)
_spikingjelly(
    "nonlinear_if.QIFNode",
    "qif",
    "V <- V + (X + a0 (V - V_rest) (V - V_c)) / tau; S = 1[V >= threshold]; reset",
    3,
    3,
    Variant(attribute="v_rest", test=_nonzero, adds=1),
)
_spikingjelly(
    "adapt.IzhikevichNode",
    "izhikevich",
    "V <- V + (X + a0 (V - V_rest) (V - V_c) - W) / tau; W <- W + (a (V - V_rest) - W) / tau_w; "
    "S = 1[V >= threshold]; reset; W <- W + b S",
    5,
    5,
    Variant(attribute="v_rest", test=_nonzero, adds=2),
    state_variables=2,
    soft_reset_adds=1,  # b, for each spike, whatever the reset
)
_TERNARY = "S = 1[V >= threshold] - 1[-V >= threshold]; reset"
_spikingjelly("ternary.TernaryIFNode", "ternary-if", f"V <- V + X; {_TERNARY}", 1, 0, compares=2)
_spikingjelly(
    "ternary.TernaryLIFNode",
    "ternary-lif",
    f"V <- V - (V - V_reset) / tau + X, or X / tau with decay_input; {_TERNARY}",
    1,
    1,
    _DECAY_INPUT,
    _RESTS_ELSEWHERE,
    compares=2,
)

# -- Norse 1.1.0: norse.github.io, functional documentation. Cells are one time step; layers hold time on axis 0. -----

_LEAKS_ELSEWHERE = Variant(attribute="p.v_leak", test=_nonzero, adds=1)
_NORSE_LIF = "J = I + X; V <- V + dt/tau_mem (V_leak - V + J); I <- J - dt/tau_syn J; S = 1[V > V_th]; reset to V_reset"


def _norse(  # one row for each class that runs `step`
    names: tuple[str, ...], step: str, kind: str, equation: str, adds: int, muls: int, states: int, **options: Any
) -> None:
    for name in names:
        register_neuron(
            NeuronRow(
                qualified_name=f"norse.torch.module.{name}",
                kind=kind,
                equation=equation,
                adds=adds,
                muls=muls,
                state_variables=states,
                time_axis=None if name.endswith("Cell") else 0,
                returned_states=1,
                requires=(("activation", _named(f"{step}_step", f"{step}_adjoint_step")),),
                **{"compares": 1} | options,
            )
        )


_norse(("iaf.IAFCell", "iaf.IAF"), "iaf_feed_forward", "if", "V <- V + X; S = 1[V > V_th]; reset to V_reset", 1, 0, 1)
_norse(("lif.LIFCell", "lif.LIF"), "lif_feed_forward", "cuba-lif", _NORSE_LIF, 2, 3, 2, variants=(_LEAKS_ELSEWHERE,))
_norse(
    ("lif_box.LIFBoxCell",),
    "lif_box_feed_forward",
    "lif",
    "V <- V + dt/tau_mem (V_leak - V + X); S = 1[V > V_th]; reset",
    1,
    2,
    1,
    variants=(
        _LEAKS_ELSEWHERE,
        Variant(attribute="p.reset_method", test=_named("reset_subtract"), soft_reset_adds=1),
    ),
)
_norse(
    ("lif_refrac.LIFRefracCell",),
    "lif_refrac_feed_forward",
    "lif-refractory",
    f"{_NORSE_LIF}; held while rho > 0; rho <- rho - 1[rho > 0], rho_reset at a spike",
    3,
    3,
    3,
    compares=2,
    variants=(Variant(attribute="p.lif.v_leak", test=_nonzero, adds=1),),
)
_norse(
    ("lsnn.LSNNCell", "lsnn.LSNN"),
    "lsnn_feed_forward",
    "alif",
    "V <- V + dt/tau_mem (V_leak - V + I); I <- I - dt/tau_syn I + X; B <- B + dt/tau_adapt (V_th - B); "
    "S = 1[V > B]; reset to V_reset; B <- B + beta S",
    3,
    4,
    3,
    soft_reset_adds=1,  # beta, for each spike
    variants=(_LEAKS_ELSEWHERE,),
)

# -- Sinabs 3.1.3: sinabs.readthedocs.io, class documentation. Time is on axis 1. -------------------------------------

_SYNAPSE = tuple(  # I <- alpha_syn (I + X); which of the two exists depends on train_alphas
    Variant(attribute=name, test=_given, adds=1, muls=1, state_variables=1) for name in ("tau_syn", "alpha_syn")
)
_NORM_INPUT = Variant(attribute="norm_input", test=_is(True), muls=1)
_FLOOR = Variant(attribute="min_v_mem", test=_given, compares=1)
_MEMBRANE_SUBTRACT = Variant(attribute="reset_fn", test=_named("MembraneSubtract"), soft_reset_adds=1)
_SINABS_REQUIRES = (
    ("spike_fn", _named("SingleSpike", "MultiSpike", "MaxSpike")),
    ("reset_fn", _named("MembraneSubtract", "MembraneReset")),
)
_FIRE = "S = floor(V / threshold), at most 1 or a set number by spike_fn; reset"


def _sinabs(module: str, name: str, equation: str, adds: int, muls: int, states: int, **options: Any) -> None:
    for suffix, time_axis in (("", 1), ("Squeeze", None)):
        register_neuron(
            NeuronRow(
                qualified_name=f"sinabs.layers.{module}.{name}{suffix}",
                kind={"IAF": "if"}.get(name, name.lower()),
                equation=equation,
                adds=adds,
                muls=muls,
                compares=1,
                state_variables=states,
                time_axis=time_axis,
                variants=(*_SYNAPSE, _NORM_INPUT, _FLOOR, _MEMBRANE_SUBTRACT),
                requires=_SINABS_REQUIRES,
                **options,
            )
        )


_sinabs("iaf", "IAF", f"V <- V + I; {_FIRE}", 1, 0, 1)
_sinabs("lif", "LIF", f"V <- alpha V + I, or (1 - alpha) I with norm_input; {_FIRE}", 1, 1, 1)
_sinabs(
    "alif",
    "ALIF",
    "V <- alpha V + I, or (1 - alpha) I with norm_input; B = b0 + scale b; b <- rho b + (1 - rho) S; "
    "S by spike_fn at threshold B; reset",
    2,
    3,
    2,
    soft_reset_adds=1,  # 1 - rho, for each spike
)
