"""Rockpool 3.1.0: rockpool.ai, class documentation of the Torch back end. Time is on axis 1."""

from __future__ import annotations

from typing import Any

from snn_energy.counting.neurons import NeuronRow, Variant, register_neuron
from snn_energy.counting.simulators.options import is_any, nonzero

_HOME = "rockpool.nn.modules.torch"

LEFT_OUT = {
    "abstract": f"{_HOME}.torch_module.TorchModule {_HOME}.lif_torch.LIFBaseTorch",
    "a rate neuron: returns an activation function of its user's": f"{_HOME}.rate_torch.RateTorch",
    "an encoder: makes spikes of the changes of its input": f"{_HOME}.updown_torch.UpDownTorch",
    "no neuron: a switch, weights or dropout": (
        f"{_HOME}.bool_state.BooleanState {_HOME}.linear_torch.LinearTorch "
        f"{_HOME}.dropout.TimeStepDropout {_HOME}.dropout.UnitDropout"
    ),
    "deprecated": f"{_HOME}.lowpass.LowPass",
}

_FIRE = "S = floor(V / threshold), at most a set number; V <- V - threshold S"
_BIAS = Variant(attribute="bias", test=nonzero, adds=1)
_SECOND_SYNAPSE = Variant(attribute="n_synapses", test=is_any(2), adds=2, muls=1, state_variables=1)
_NO_NOISE = ("noise_std", lambda value: not nonzero(value))


def _recurrent(module: Any) -> bool:
    return bool(module._has_rec)


_RECURRENCES = (
    Variant(attribute="", test=_recurrent, adds=1),
    Variant(attribute="", test=lambda module: _recurrent(module) and module.n_synapses == 2, adds=1),
)


def _row(name: str, kind: str, equation: str, adds: int, muls: int, states: int, **options: Any) -> None:
    defaults: dict[str, Any] = {"compares": 1, "time_axis": 1, "requires": (_NO_NOISE,)}
    register_neuron(
        NeuronRow(
            qualified_name=f"{_HOME}.{name}",
            kind=kind,
            equation=equation,
            adds=adds,
            muls=muls,
            state_variables=states,
            **defaults | options,
        )
    )


_LIF = f"I <- beta (I + X), for each synapse; V <- alpha V + sum I + bias; {_FIRE}"
_SYNAPSES = ("n_synapses", is_any(1, 2))
for _name in ("lif_torch.LIFTorch", "lif_bitshift_torch.LIFBitshiftTorch"):
    _row(
        _name,
        "cuba-lif",
        _LIF,
        2,
        2,
        2,
        soft_reset_adds=1,
        variants=(_BIAS, _SECOND_SYNAPSE, *_RECURRENCES),
        requires=(_NO_NOISE, _SYNAPSES),
        weights=_recurrent,
    )
_row(
    "ahp_lif_torch.aLIFTorch",
    "cuba-lif-adaptive",
    f"I <- beta (I + X), for each synapse; A <- gamma (A + w S); V <- alpha V + sum I + A + bias; {_FIRE}",
    3,
    3,
    3,
    soft_reset_adds=2,  # and w, for each spike of the last time step
    variants=(_BIAS, _SECOND_SYNAPSE, *_RECURRENCES),
    requires=(_NO_NOISE, _SYNAPSES),
    weights=_recurrent,
)
_row(
    "lif_neuron_torch.LIFNeuronTorch",
    "lif",
    f"V <- alpha V + X + bias; {_FIRE}",
    1,
    1,
    1,
    soft_reset_adds=1,
    variants=(_BIAS,),
)
_row(
    "exp_syn_torch.ExpSynTorch",
    "leaky-integrator",
    "I <- beta (I + X)",
    1,
    1,
    1,
    compares=0,
    spiking=False,
)
