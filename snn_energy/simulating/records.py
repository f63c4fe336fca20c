"""What a simulator says of a network, layer by layer, beside what we say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snn_energy.counting.counts import record_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLayer:
    """One layer, per inference: all its runs (time steps, groups, heads). None where a side has no such number."""

    name: str
    runs: int
    """How often one inference runs what the simulator was given; its cycles and energy are multiplied by this."""
    cycles: int
    """The simulator's cycles, stalls left out."""
    stall_cycles: int
    """The simulator's stalls for memory."""
    energy_pj: float | None
    our_cycles: int | None
    """Our latency model's, for the same array."""
    our_energy_pj: float
    """Our energy of this projection, by the report's method: spikes are used, zeros are skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A simulator's answer for one inference, and ours."""

    simulator: str
    version: str
    machine: str
    """The array that was simulated, in words."""
    hardware: str
    """The profile that our energies come from."""
    layers: tuple[SimulatedLayer, ...]
    remarks: tuple[str, ...]

    @property
    def cycles(self) -> int:
        """The simulator's cycles of one inference, layers one after another."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def our_cycles(self) -> int | None:
        """Ours; None where one layer's are unknown."""
        ours = [layer.our_cycles for layer in self.layers]
        return None if None in ours else sum(one for one in ours if one is not None)

    @property
    def energy_pj(self) -> float | None:
        """The simulator's energy; None where it gives none."""
        parts = [layer.energy_pj for layer in self.layers]
        return None if None in parts else sum(one for one in parts if one is not None)

    @property
    def our_energy_pj(self) -> float:
        """Our energy of the projections."""
        return sum(layer.our_energy_pj for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        totals = {name: getattr(self, name) for name in ("cycles", "our_cycles", "energy_pj", "our_energy_pj")}
        rows = [record_fields(layer) for layer in self.layers]
        return {**record_fields(self), "remarks": list(self.remarks), "layers": rows, **totals}
