"""Accelerator simulators run on a network, each in a process of its own, beside our own estimate."""

from __future__ import annotations

from snn_energy.simulating.records import Simulated, SimulatedLayer
from snn_energy.simulating.scalesim_run import simulate_scalesim
from snn_energy.simulating.zigzag_run import simulate_zigzag

__all__ = ["Simulated", "SimulatedLayer", "simulate_scalesim", "simulate_zigzag"]
