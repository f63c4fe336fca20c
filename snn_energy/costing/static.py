"""Energy of time steps and inferences themselves: what a measured machine draws whatever happens in them.

Charged only where a profile prices the actions `time_step` and `inference`, as calibrated ones do. The ANN pays as
well: one time step for each of its inferences.
"""

from __future__ import annotations

from snn_energy.counting.counts import MIXED, Trace
from snn_energy.errors import PriceError
from snn_energy.hardware import Hardware

STATIC = "static"
"""Name of the report's rows that hold this energy; their kind is the action."""
STATIC_ACTIONS = ("time_step", "inference")


def static_counts(trace: Trace, hardware: Hardware) -> dict[str, int]:
    """Action -> how often it happened over all samples, for the actions that a profile prices or declares unpriced.

    Raises:
        PriceError: the profile prices a time step, and the time steps differ between layers or samples.
    """
    asked = [name for name in STATIC_ACTIONS if hardware.mentions(name) and not hardware.covered_by(name)]
    if "time_step" in asked and trace.time_steps == MIXED:
        raise PriceError(
            f'hardware "{hardware.name}" prices a time step, but samples or layers differ in time steps; trace inputs '
            "of one length at a time"
        )
    counts = {"time_step": trace.samples * (trace.time_steps or 1), "inference": trace.samples}
    return {name: counts[name] for name in asked}
