"""The windowed networks of Yao et al., ACML 2023 (arXiv:2401.10843), and the pieces they are made of."""

from __future__ import annotations

from snn_energy.models.windowed.condense import Condense
from snn_energy.models.windowed.encoders import SpikeEncoder, use_encoder
from snn_energy.models.windowed.grid import WindowGrid
from snn_energy.models.windowed.networks import WindowedCNN, WindowedRNN
from snn_energy.models.windowed.neuron import GroupLIF
from snn_energy.models.windowed.projection import Projection, ProjectionRange, ProjectionWarning, projection_range
from snn_energy.models.windowed.pure import PureCNN

__all__ = [
    "Condense",
    "GroupLIF",
    "Projection",
    "ProjectionRange",
    "ProjectionWarning",
    "PureCNN",
    "SpikeEncoder",
    "WindowGrid",
    "WindowedCNN",
    "WindowedRNN",
    "projection_range",
    "use_encoder",
]
