"""Turning the checked entries of a profile's sections into records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from snn_energy.hardware.records import EventPrice, Limit, MemoryPrice, Price, SystemValue, Timing

Entry = Mapping[str, Any]


def read_entries(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Records of one section by name; none where the profile has no such section."""
    return {name: SECTION_READERS[section](entry) for name, entry in document.get(section, {}).items()}


def _pair(bounds: Any) -> tuple[float, float] | None:
    return None if bounds is None else (float(bounds[0]), float(bounds[1]))


def _quantity(record: Callable[..., Any], unit: str) -> Callable[[Entry], Any]:
    """A reader of entries with `value` and `range`, which become `value_UNIT` and `range_UNIT`."""

    def read(entry: Entry) -> Any:
        rest = {key: value for key, value in entry.items() if key not in ("value", "range")}
        return record(**{f"value{unit}": float(entry["value"]), f"range{unit}": _pair(entry.get("range"))}, **rest)

    return read


def _limit(entry: Entry) -> Limit:
    value = entry["value"]
    return Limit(**{**entry, "value": tuple(value) if isinstance(value, list) else value})


SECTION_READERS: Mapping[str, Callable[[Entry], Any]] = MappingProxyType(
    {
        "energy_pj": _quantity(Price, "_pj"),
        "memory_pj": _quantity(MemoryPrice, "_pj"),
        "event_pj": _quantity(EventPrice, "_pj"),
        "timing_ns": _quantity(Timing, "_ns"),
        "limits": _limit,
        "system": _quantity(SystemValue, ""),
    }
)
"""Section -> what reads one of its entries."""
