"""Inputs of accelerator simulators, one file for each; what a simulator cannot hold is refused by name."""

from __future__ import annotations

from snn_energy.exporting.simulators.folder import SIDE_CAR, Written
from snn_energy.exporting.simulators.loas import export_loas
from snn_energy.exporting.simulators.prosperity import export_prosperity
from snn_energy.exporting.simulators.sanafe import Chip, export_sanafe
from snn_energy.exporting.simulators.sata import export_sata
from snn_energy.exporting.simulators.scalesim import Array, export_scalesim
from snn_energy.exporting.simulators.timeloop import export_timeloop
from snn_energy.exporting.simulators.zigzag import Accelerator, Level, export_zigzag

__all__ = [
    "SIDE_CAR",
    "Accelerator",
    "Array",
    "Chip",
    "Level",
    "Written",
    "export_loas",
    "export_prosperity",
    "export_sanafe",
    "export_sata",
    "export_scalesim",
    "export_timeloop",
    "export_zigzag",
]
