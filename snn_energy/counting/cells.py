"""Our own single-step neurons, where one call is one time step and the state comes back behind the spikes; read-out."""

from __future__ import annotations

from dataclasses import replace

from snn_energy.counting.neurons import NEURONS, NeuronRow, register_neuron

for _name in ("LIF", "IF"):
    register_neuron(
        replace(
            NEURONS[f"snn_energy.models.neurons.{_name}"],
            qualified_name=f"snn_energy.models.cells.{_name}Cell",
            time_axis=None,
            returned_states=1,
        )
    )
register_neuron(
    NeuronRow(
        qualified_name="snn_energy.models.cells.ALIFCell",
        kind="alif",
        equation="V <- decay V + I; B = threshold + A; S = 1[V >= B]; V <- V - B S; A <- rho A + adaptation S",
        adds=2,
        muls=2,
        compares=1,
        state_variables=2,
        soft_reset_adds=2,  # B and the adaptation, for each spike
        returned_states=1,
        binary_scale=1.0,
    )
)
register_neuron(
    NeuronRow(
        qualified_name="snn_energy.models.cells.LeakyIntegrator",
        kind="li",
        equation="V <- decay V + I",
        adds=1,
        muls=1,
        compares=0,
        state_variables=1,
        spiking=False,
        time_axis=0,
    )
)
