"""Tuning: energy as a term of the loss, what it is sensitive to, and the front between accuracy and energy."""

from __future__ import annotations

from snn_energy.tuning.term import EnergyTerm, energy_penalty

__all__ = ["EnergyTerm", "energy_penalty"]
