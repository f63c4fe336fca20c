"""Profiles with a [latency] table for the tests: numbers of no hardware, all from one source called "paper"."""

from __future__ import annotations

from typing import Any

from snn_energy.hardware import Hardware, parse_hardware

PRICES = {"mac": 4.6, "ac": 0.9, "add": 0.9, "mul": 3.7, "compare": 0.9, "special": 1.0}


def number(value: Any, **more: Any) -> dict[str, Any]:
    return {"value": value, "evidence": "stated", "source": "paper", "locator": "Table 1", **more}


def document(latency: dict[str, Any], scope: str = "per-term") -> dict[str, Any]:
    """A profile; numbers of the table may be given bare."""
    table = {key: value if isinstance(value, str | dict) else number(value) for key, value in latency.items()}
    return {
        "format": 2,
        "name": "x",
        "title": "A machine",
        "class": "analytic",
        "integer_spikes": "graded-mac",
        "energy_pj": {key: number(value, scope=scope) for key, value in PRICES.items()},
        "sources": {"paper": {"citation": "A. Author, 2020"}},
        "latency": table,
    }


def hardware(latency: dict[str, Any]) -> Hardware:
    return parse_hardware(document(latency), stem="x", shown="x.toml")


SYSTOLIC = {"model": "systolic", "dataflow": "output-stationary", "rows": 4, "cols": 4}
EVENTS = {
    "model": "event-driven",
    "schedule": "sequential",
    "synops_per_cycle": 4,
    "updates_per_cycle": 2,
    "barrier_cycles": 3,
}
STEPS = {"model": "step-synchronous", "synop_ns": 2.5, "update_ns": 4, "barrier_ns": 100}
MEMORY = {
    "clock_mhz": 200,
    "bandwidth_gb_s": 0.4,  # 2 bytes a cycle
    "weight_bits": 8,
    "activation_bits": 8,
    "spike_bits": 1,
    "state_bits": 16,
    "weights_read": "once-per-inference",
}
