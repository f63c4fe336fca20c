"""Norse 1.1.0: norse.github.io, functional documentation. Cells are one time step; layers hold time on axis 0.

Recurrent cells and layers hold the weights of their input and of their own spikes: both products are projections.
"""

from __future__ import annotations

from typing import Any

from snn_energy.counting.neurons import NeuronRow, Variant, holds_weights, register_neuron
from snn_energy.counting.simulators.options import named, nonzero, one

_HOME = "norse.torch.module"


def _names(*names: str) -> str:
    return " ".join(f"{_HOME}.{name}" for name in names)


LEFT_OUT = {
    "abstract": _names("snn.SNNCell", "snn.SNNRecurrentCell", "snn.SNN", "snn.SNNRecurrent"),
    "its code takes up the input in one of two conductances only, against its equation": _names("coba_lif.CobaLIFCell"),
    "no neuron: a container, a convolution, a filter, a penalty or a decoder": _names(
        "sequential.SequentialState", "sequential.RecurrentSequential", "lift.Lift", "conv.LConv2d",
        "exp_filter.ExpFilter", "receptive_field.SpatialReceptiveField2d",
        "receptive_field.SampledSpatialReceptiveField2d", "receptive_field.ParameterizedSpatialReceptiveField2d",
        "receptive_field.TemporalReceptiveField", "regularization.RegularizationCell",
        "spikes_to_times_decoder.SpikesToTimesDecoder",
    ),
    "learns while it runs": _names("lif_correlation.LIFCorrelation"),
    "an encoder: makes spikes of its input before the network starts": _names(
        "encode.ConstantCurrentLIFEncoder", "encode.PoissonEncoder", "encode.PoissonEncoderStep",
        "encode.PopulationEncoder", "encode.SignedPoissonEncoder", "encode.SignedPoissonEncoderStep",
        "encode.SpikeLatencyLIFEncoder", "encode.SpikeLatencyEncoder",
    ),
}  # fmt: skip


def _row(
    names: str, step: str, kind: str, equation: str, adds: int, muls: int, states: int, *more: Variant, **options: Any
) -> None:
    """One row for each class that runs `step`, plainly or by the adjoint method; "" where it has code of its own."""
    requires = (("activation", named(f"{step}_step", f"{step}_adjoint_step")),) if step else ()
    for name in names.split():
        register_neuron(
            NeuronRow(
                qualified_name=f"{_HOME}.{name}",
                kind=kind,
                equation=equation,
                adds=adds,
                muls=muls,
                state_variables=states,
                time_axis=None if name.endswith("Cell") else 0,
                returned_states=1,
                weights=holds_weights,
                input_weights="input_weights" if "Recurrent" in name or "Linear" in name else "",
                variants=more,
                requires=requires,
                **{"compares": 1} | options,
            )
        )


def _both(
    own: str, recurrent: str, step: str, kind: str, equation: str, adds: int, muls: int, states: int, *more: Variant,
    **options: Any,
) -> None:  # fmt: skip
    """Rows of the plain classes, and of the recurrent ones, which add one term: the product with their own spikes."""
    _row(own, f"{step}_feed_forward", kind, equation, adds, muls, states, *more, **options)
    _row(
        recurrent,
        step,
        f"recurrent-{kind}",
        f"{equation}; X = W X_in + W_rec S",
        adds + 1,
        muls,
        states,
        *more,
        **options,
    )


def _leaks_elsewhere(where: str, adds: int = 1) -> Variant:
    return Variant(attribute=f"{where}.v_leak", test=nonzero, adds=adds)


def _unit_slope(where: str) -> Variant:
    return Variant(attribute=f"{where}.delta_T", test=one, muls=-1)


_LIF = "J = I + X; V <- V + dt/tau_mem (V_leak - V + J); I <- J - dt/tau_syn J; S = 1[V > V_th]; reset to V_reset"
_EX = "V <- V + dt/tau_mem (V_leak - V + delta_T exp((V - V_th)/delta_T) + J"
_RESET = "S = 1[V > V_th]; reset to V_reset"
_LIFEX = f"J = I + X; {_EX}); I <- J - dt/tau_syn J; {_RESET}"
_ADEX = (
    f"J = I + X; {_EX} - A); I <- J - dt/tau_syn J; A <- A + dt/tau_ada (a (V - V_leak) - A); {_RESET}; A <- A + b S"
)
_HELD = "; held while rho > 0; rho <- rho - 1[rho > 0], rho_reset at a spike"

_row("iaf.IAFCell iaf.IAF", "iaf_feed_forward", "if", "V <- V + X; S = 1[V > V_th]; reset to V_reset", 1, 0, 1)
_both(
    "lif.LIFCell lif.LIF", "lif.LIFRecurrentCell lif.LIFRecurrent", "lif", "cuba-lif", _LIF, 2, 3, 2,
    _leaks_elsewhere("p"),
)  # fmt: skip
_row(
    "lif_box.LIFBoxCell",
    "lif_box_feed_forward",
    "lif",
    "V <- V + dt/tau_mem (V_leak - V + X); S = 1[V > V_th]; reset",
    1,
    2,
    1,
    _leaks_elsewhere("p"),
    Variant(attribute="p.reset_method", test=named("reset_subtract"), soft_reset_adds=1),
)
_both(
    "lif_refrac.LIFRefracCell", "lif_refrac.LIFRefracRecurrentCell lif_refrac.LIFRefracRecurrent", "lif_refrac",
    "lif-refractory", _LIF + _HELD, 3, 3, 3, _leaks_elsewhere("p.lif"), compares=2,
)  # fmt: skip
_both(
    "lsnn.LSNNCell lsnn.LSNN", "lsnn.LSNNRecurrentCell lsnn.LSNNRecurrent", "lsnn", "alif",
    "V <- V + dt/tau_mem (V_leak - V + I); I <- I - dt/tau_syn I + X; B <- B + dt/tau_adapt (V_th - B); "
    "S = 1[V > B]; reset to V_reset; B <- B + beta S",
    3, 4, 3, _leaks_elsewhere("p"), soft_reset_adds=1,  # beta, for each spike
)  # fmt: skip
_both(
    "lif_ex.LIFExCell lif_ex.LIFEx", "lif_ex.LIFExRecurrentCell lif_ex.LIFExRecurrent", "lif_ex", "eif",
    _LIFEX, 3, 5, 2, _leaks_elsewhere("p"), _unit_slope("p"), specials=1,
)  # fmt: skip
_both(
    "lif_adex.LIFAdExCell lif_adex.LIFAdEx", "lif_adex.LIFAdExRecurrentCell lif_adex.LIFAdExRecurrent", "lif_adex",
    "adex", _ADEX, 5, 7, 3, _leaks_elsewhere("p", adds=2), _unit_slope("p"), specials=1, soft_reset_adds=1,
)  # fmt: skip
_both(
    "lif_adex_refrac.LIFAdExRefracCell",
    "lif_adex_refrac.LIFAdExRefracRecurrentCell lif_adex_refrac.LIFAdExRefracRecurrent", "lif_adex_refrac",
    "adex-refractory", _ADEX + _HELD, 6, 7, 4, _leaks_elsewhere("p.lif_adex", adds=2), _unit_slope("p.lif_adex"),
    specials=1, soft_reset_adds=1, compares=2,
)  # fmt: skip
_IZHIKEVICH = (
    "V <- V + dt/tau (sq V^2 + mn V + bias - U + X); U <- U + dt/tau a (b V - U); S = 1[V > V_th]; reset to c; "
    "U <- U + d S"
)
_NO_BIAS = Variant(attribute="p.bias", test=lambda bias: not nonzero(bias), adds=-1)
_row(
    "izhikevich.IzhikevichCell izhikevich.Izhikevich", "izhikevich_feed_forward", "izhikevich", _IZHIKEVICH, 5, 5, 2,
    _NO_BIAS, soft_reset_adds=1,
)  # fmt: skip
_row(
    "izhikevich.IzhikevichRecurrentCell izhikevich.IzhikevichRecurrent", "izhikevich_recurrent",
    "recurrent-izhikevich", f"{_IZHIKEVICH}; X = W X_in + W_rec S", 6, 5, 2, _NO_BIAS, soft_reset_adds=1,
)  # fmt: skip
_row(
    "lif_mc.LIFMCRecurrentCell", "", "recurrent-cuba-lif-compartments",
    f"{_LIF}; V <- V + dt G V; X = W X_in + W_rec S", 4, 3, 2, _leaks_elsewhere("p"),
)  # fmt: skip
_row(
    "lif_mc_refrac.LIFMCRefracRecurrentCell", "", "recurrent-lif-refractory-compartments",
    "V <- V + dt/tau_mem (V_leak - V + I) + G V; I <- I - dt/tau_syn I + X; X = W X_in + W_rec S; " + _RESET + _HELD,
    5, 3, 3, _leaks_elsewhere("p.lif"), compares=2,
)  # fmt: skip
_LI = "J = I + X; V <- V + dt/tau_mem (V_leak - V + J); I <- J - dt/tau_syn J"
_row(
    "leaky_integrator.LICell leaky_integrator.LI", "li_feed_forward", "leaky-integrator", _LI, 2, 3, 2,
    _leaks_elsewhere("p"), compares=0, spiking=False,
)  # fmt: skip
_row(
    "leaky_integrator.LILinearCell", "", "leaky-integrator", f"{_LI}; X = W X_in", 2, 3, 2, _leaks_elsewhere("p"),
    compares=0, spiking=False,
)  # fmt: skip
_row(
    "leaky_integrator_box.LIBoxCell", "li_box_feed_forward", "leaky-integrator",
    "V <- V + dt/tau_mem (V_leak - V + X)", 1, 2, 1, _leaks_elsewhere("p"), compares=0, spiking=False,
)  # fmt: skip
