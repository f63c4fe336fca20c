"""Tuning: energy as a term of the loss, what it is sensitive to, and the front between accuracy and energy."""

from __future__ import annotations

from snn_energy.tuning.front import Placed, Point, pareto_front
from snn_energy.tuning.study import Sensitivity, Study, sensitivity
from snn_energy.tuning.term import EnergyTerm, energy_penalty

__all__ = [
    "EnergyTerm",
    "Placed",
    "Point",
    "Sensitivity",
    "Study",
    "energy_penalty",
    "pareto_front",
    "sensitivity",
]
