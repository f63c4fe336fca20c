"""What it costs: hardware profiles, their schema and their loader. Standard library only."""

from snn_energy.hardware.actions import ACTIONS
from snn_energy.hardware.loading import (
    InvalidProfileError,
    display_path,
    list_hardware,
    load_hardware,
    locate_hardware,
    parse_hardware,
)
from snn_energy.hardware.records import Evidence, Hardware, IntegerSpikes, Price, Scope, Source

__all__ = [
    "ACTIONS",
    "Evidence",
    "Hardware",
    "IntegerSpikes",
    "InvalidProfileError",
    "Price",
    "Scope",
    "Source",
    "display_path",
    "list_hardware",
    "load_hardware",
    "locate_hardware",
    "parse_hardware",
]
