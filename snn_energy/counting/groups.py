"""Our own group-wise neuron, whose membrane goes from window to window; see `models.windowed.neuron`."""

from __future__ import annotations

from snn_energy.counting.neurons import NeuronRow, register_neuron

register_neuron(
    NeuronRow(
        qualified_name="snn_energy.models.windowed.neuron.GroupLIF",
        kind="lif",
        equation="U <- decay U (1 - S) + I; S = 1[U > threshold]; U goes on to the next window",
        adds=1,
        muls=1,
        compares=1,
        state_variables=1,
        time_axis=0,
        returned_states=1,
        binary_scale=1.0,
    )
)
