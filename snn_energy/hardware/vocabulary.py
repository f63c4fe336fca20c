"""Words a profile may use besides the actions: what a price can cover, what a chip limits, units of whole systems."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

COVERABLE: Mapping[str, str] = MappingProxyType(
    {
        "memory": "reads and writes of weights, states and activations",
        "routing": "moving spikes from neuron to neuron",
        "control": "fetching, decoding and scheduling instructions",
        "leakage": "static power over the time of the run",
    }
)
"""What a price may contain although it is no counted action; `[included]` names it beside the actions."""

CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "arithmetic": "single operations of a technology node, without a machine around them",
        "analytic": "the constants of a published energy model or simulator",
        "accelerator": "a machine for dense or sparse networks of real numbers",
        "neuromorphic": "a chip for spiking networks",
        "processor": "a CPU, a GPU or an edge computer",
        "calibrated": "any machine, its prices fitted to energies that were measured on it",
    }
)
"""Value of `class` -> what such a profile describes."""

LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "cores": "cores of one chip",
        "neurons_per_core": "neurons of one core",
        "fan_in_per_neuron": "synapses onto one neuron",
        "input_axons_per_core": "different sources of spikes that one core can receive",
        "output_axons_per_core": "pairs of a neuron in one core and a core that its spikes go to",
        "weight_memory_bits_per_core": "memory for weights in one core, in bits",
        "weight_bits": "bits of the widest weight",
        "neurons_per_chip": "neurons of one chip",
        "synapses_per_chip": "synapses of one chip",
        "weight_memory_bits_per_chip": "memory for weights in one chip, in bits",
    }
)
"""Limit of a chip -> what it counts. All are whole numbers; the `PER_CORE` ones may be a list, one for each core."""

PER_CORE = frozenset({"neurons_per_core", "weight_memory_bits_per_core"})

TRAITS: Mapping[str, str] = MappingProxyType(
    {
        "shared_weights": "a core stores the kernel of a convolution once for all positions of the map",
        "whole_layers": "a layer cannot be cut: each takes one core of its own",
        "power_of_two_addresses": "a memory is addressed by bit fields: each size is rounded up to a power of two",
    }
)
"""Yes-or-no facts among the limits; absent means no."""

SYSTEM_UNITS = ("w", "mw", "uw", "j", "mj", "uj", "nj", "s", "ms", "us", "ghz", "mhz", "per_s")
"""Units that the name of a system value ends in: `static_power_mw`."""
