"""Sinabs 3.1.3: sinabs.readthedocs.io, class documentation. Time is on axis 1.

The Squeeze classes fold time into the batch axis, so that one call of theirs is one time step here, of as many samples
as there are frames. The recurrent classes multiply the spikes of the last time step too, and drop the product.
"""

from __future__ import annotations

from typing import Any

from snn_energy.counting.neurons import NeuronRow, Variant, holds_weights, register_neuron
from snn_energy.counting.simulators.options import absent, given, is_any, named

LEFT_OUT = {
    "abstract": "sinabs.layers.stateful_layer.StatefulLayer",
    "no neuron: pools, crops, merges or reshapes": (
        "sinabs.layers.channel_shift.ChannelShift sinabs.layers.crop2d.Cropping2dLayer sinabs.layers.merge.Merge "
        "sinabs.layers.pool2d.SpikingMaxPooling2dLayer sinabs.layers.pool2d.SumPool2d "
        "sinabs.layers.reshape.FlattenTime sinabs.layers.reshape.Repeat sinabs.layers.reshape.UnflattenTime"
    ),
    "keeps no state: spikes of numbers, or numbers held to whole ones": (
        "sinabs.layers.neuromorphic_relu.NeuromorphicReLU sinabs.layers.quantize.QuantizeLayer "
        "sinabs.layers.to_spike.Img2SpikeLayer sinabs.layers.to_spike.Sig2SpikeLayer"
    ),
}

_SYNAPSE = tuple(  # I <- alpha_syn (I + X); which of the two exists depends on train_alphas
    Variant(attribute=name, test=given, adds=1, muls=1, state_variables=1) for name in ("tau_syn", "alpha_syn")
)
_NORM_INPUT = Variant(attribute="norm_input", test=is_any(True), muls=1)
_FLOOR = Variant(attribute="min_v_mem", test=given, compares=1)
_MEMBRANE_SUBTRACT = Variant(attribute="reset_fn", test=named("MembraneSubtract"), soft_reset_adds=1)
_SPIKES = (
    ("spike_fn", named("SingleSpike", "MultiSpike", "MaxSpike")),
    ("reset_fn", named("MembraneSubtract", "MembraneReset")),
)
_FIRE = "S = floor(V / threshold), at most 1 or a set number by spike_fn; reset"
_IAF = f"V <- V + I; {_FIRE}"
_LIF = f"V <- alpha V + I, or (1 - alpha) I with norm_input; {_FIRE}"
_ALIF = (
    "V <- alpha V + I, or (1 - alpha) I with norm_input; B = b0 + scale b; b <- rho b + (1 - rho) S; "
    "S by spike_fn at threshold B; reset"
)


def _row(name: str, kind: str, equation: str, adds: int, muls: int, states: int, **options: Any) -> None:
    defaults: dict[str, Any] = {
        "compares": 1,
        "time_axis": None if name.endswith("Squeeze") else 1,
        "variants": (*_SYNAPSE, _NORM_INPUT, _FLOOR, _MEMBRANE_SUBTRACT),
        "requires": _SPIKES,
        "weights": holds_weights,
    }
    register_neuron(
        NeuronRow(
            qualified_name=f"sinabs.layers.{name}",
            kind=kind,
            equation=equation,
            adds=adds,
            muls=muls,
            state_variables=states,
            **defaults | options,
        )
    )


for _name, _kind, _equation, _adds, _muls, _states, _more in (
    ("iaf.IAF", "if", _IAF, 1, 0, 1, {}),
    ("lif.LIF", "lif", _LIF, 1, 1, 1, {}),
    ("alif.ALIF", "alif", _ALIF, 2, 3, 2, {"soft_reset_adds": 1}),  # 1 - rho, for each spike
):
    _row(_name, _kind, _equation, _adds, _muls, _states, **_more)
    _row(
        f"{_name}Recurrent",
        f"recurrent-{_kind}",
        f"{_equation}; I = X + rec_connect(S)",
        _adds + 1,
        _muls,
        _states,
        unused_after_last="rec_connect",
        **_more,
    )
    _row(f"{_name}Squeeze", _kind, _equation, _adds, _muls, _states, **_more)
for _name in ("ExpLeak", "ExpLeakSqueeze"):
    _row(
        f"exp_leak.{_name}",
        "leaky-integrator",
        "V <- alpha V + X, or (1 - alpha) X with norm_input",
        1,
        1,
        1,
        compares=0,
        spiking=False,
        variants=(_NORM_INPUT, _FLOOR),
        requires=(("spike_fn", absent),),
    )
