"""What laying a network out on a chip says: each layer on its cores, and whether all of it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snn_energy.counting.counts import record_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFit:
    """One layer on the chip; the numbers of a core are those of the fullest one, None where nothing was placed."""

    name: str
    kind: str
    neurons: int
    fan_in: int
    weights: int
    cores: int | None = None
    neurons_per_core: int | None = None
    input_axons_per_core: int | None = None
    weight_memory_bits_per_core: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipFit:
    """Whether a network fits, why not, and what was taken for granted."""

    hardware: str
    fits: bool
    reasons: tuple[str, ...]
    """Why it does not fit; empty where it does."""
    layers: tuple[LayerFit, ...]
    cores: int | None
    """Cores taken; None where the layers were not placed."""
    cores_available: int | None
    chips: int
    weight_bits: int
    assumptions: tuple[str, ...]
    unchecked: tuple[str, ...]
    """Limits that the profile does not state."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; the key order is fixed."""
        plain: dict[str, Any] = record_fields(self)
        listed = {key: list(value) for key, value in plain.items() if isinstance(value, tuple) and key != "layers"}
        return {**plain, **listed, "layers": [record_fields(layer) for layer in self.layers]}
