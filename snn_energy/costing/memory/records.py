"""What a report says of memory: each tensor's place, traffic and energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snn_energy.costing.memory.levels import Level
from snn_energy.costing.memory.policy import Policy
from snn_energy.counting.counts import record_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """One tensor of one layer; traffic and energy are totals over all samples."""

    name: str
    part: str
    """As in the report's rows: synapses or neurons."""
    tensor: str
    level: str
    """The memory it lies in."""
    footprint_bits: int
    read_bits: int
    write_bits: int
    energy_pj: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """All tensors, the memories there are, and what was declared or taken for granted."""

    policy: Policy
    levels: tuple[Level, ...]
    rows: tuple[MemoryRow, ...]
    assumptions: tuple[str, ...]

    @property
    def energy_pj(self) -> float:
        """Energy of all traffic, over all samples."""
        return sum(row.energy_pj for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "policy": self.policy.to_dict(),
            "levels": [level.to_dict() for level in self.levels],
            "rows": [record_fields(row) for row in self.rows],
            "assumptions": list(self.assumptions),
        }
