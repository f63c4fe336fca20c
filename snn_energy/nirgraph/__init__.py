"""NIR, the Neuromorphic Intermediate Representation: its graphs as records, its files, and a network that runs them.

Source: J. E. Pedersen et al., "Neuromorphic intermediate representation: A unified instruction set for interoperable
brain-inspired computing", Nature Communications 15, 8122 (2024), https://doi.org/10.1038/s41467-024-52259-9, and the
format of the package `nir` 1.0 (neuroir.org). A graph holds differential equations and no time step; `conventions`
says how they become time steps.
"""

from __future__ import annotations

from snn_energy.nirgraph.conventions import CONVENTIONS, Convention, find_convention
from snn_energy.nirgraph.hdf5 import graph_bytes, read_graph
from snn_energy.nirgraph.network import NirNetwork, load_nir
from snn_energy.nirgraph.records import NirGraph, NirNode

__all__ = [
    "CONVENTIONS",
    "Convention",
    "NirGraph",
    "NirNetwork",
    "NirNode",
    "find_convention",
    "graph_bytes",
    "load_nir",
    "read_graph",
]
