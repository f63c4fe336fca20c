"""What it costs: hardware profiles, their schema and their loader. Standard library only."""

from snn_energy.hardware.actions import ACTIONS
from snn_energy.hardware.loading import (
    InvalidProfileError,
    all_hardware,
    display_path,
    list_hardware,
    load_hardware,
    locate_hardware,
    parse_hardware,
)
from snn_energy.hardware.records import (
    EventPrice,
    Evidence,
    Hardware,
    IntegerSpikes,
    Limit,
    MemoryPrice,
    Price,
    Scaling,
    Source,
    SystemValue,
    Timing,
)
from snn_energy.hardware.scopes import Scope, one_scope, total_pj
from snn_energy.hardware.templates import profile_template
from snn_energy.hardware.vocabulary import CATEGORIES, COVERABLE, LIMITS, TRAITS

__all__ = [
    "ACTIONS",
    "CATEGORIES",
    "COVERABLE",
    "LIMITS",
    "TRAITS",
    "EventPrice",
    "Evidence",
    "Hardware",
    "IntegerSpikes",
    "InvalidProfileError",
    "Limit",
    "MemoryPrice",
    "Price",
    "Scaling",
    "Scope",
    "Source",
    "SystemValue",
    "Timing",
    "all_hardware",
    "display_path",
    "list_hardware",
    "load_hardware",
    "locate_hardware",
    "one_scope",
    "parse_hardware",
    "profile_template",
    "total_pj",
]
