"""The hierarchy of memories that a profile prices: SRAM by size, then DRAM.

A tensor lies in the smallest memory that holds it, at that memory's price: a size between two stated ones pays for the
next larger, since no source says what lies between. SRAM of unstated size and registers are no level: nothing says
what fits there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from snn_energy.errors import PriceError
from snn_energy.hardware import Hardware
from snn_energy.hardware.records import MemoryPrice

BITS_PER_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One memory; prices are of ONE access of `access_bits` bits, None where the profile states none."""

    name: str
    kind: str
    size_bytes: int | None
    """None for DRAM, which holds everything."""
    access_bits: int
    read_pj: float | None
    write_pj: float | None
    read_key: str | None = None
    """Key of the price in the profile's [memory_pj]."""
    write_key: str | None = None

    def holds(self, bits: int) -> bool:
        """Whether so many bits fit."""
        return self.size_bytes is None or bits <= self.size_bytes * BITS_PER_BYTE

    def to_dict(self) -> dict[str, Any]:
        """The level as plain values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "size_bytes": self.size_bytes,
            "access_bits": self.access_bits,
            "read_pj": self.read_pj,
            "write_pj": self.write_pj,
        }


def hierarchy(hardware: Hardware, dram: str | None = None) -> tuple[Level, ...]:
    """Memories of a profile from the smallest to DRAM.

    Args:
        hardware: the profile.
        dram: name of the DRAM in [memory_pj], where there are several; None: the first.

    Raises:
        PriceError: the prices contain memory already, the profile prices no memory that a tensor can be put into, or
            it has no DRAM of that name.
    """
    covering = hardware.covered_by("memory")
    if hardware.scope == "all-in" or covering is not None:
        by = "its prices are all-in" if covering is None else f'the price of "{covering}"'
        raise PriceError(
            f'hardware "{hardware.name}": {by}{" and contain" if covering is None else " contains"} memory already; '
            'leave memory out of the sum: use the method "arithmetic"'
        )
    sized = {
        size: _level({n: p for n, p in hardware.memory_pj.items() if p.kind == "sram" and p.size_bytes == size})
        for size in sorted({p.size_bytes for p in hardware.memory_pj.values() if p.kind == "sram" and p.size_bytes})
    }
    drams = [name for name, p in hardware.memory_pj.items() if p.kind == "dram"]
    if dram is not None and dram not in drams:
        known = ", ".join(drams) or "none"
        raise PriceError(f'hardware "{hardware.name}" has no DRAM {dram!r} in [memory_pj]; it has {known}')
    levels = list(sized.values())
    if drams:
        levels.append(_level(_same_dram(hardware, dram or drams[0])))
    if not levels:
        raise PriceError(
            f'hardware "{hardware.name}" prices no memory: expected SRAM with size_bytes, or DRAM, in [memory_pj] (got '
            f"{', '.join(hardware.memory_pj) or 'nothing'}); add it with its source, or choose another profile "
            "(snn-energy hardware list)"
        )
    return tuple(levels)


def level_for(levels: Iterable[Level], bits: int, hardware: Hardware, what: str) -> Level:
    """The smallest memory that holds `bits`; `what` names them in the error.

    Raises:
        PriceError: they fit nowhere.
    """
    listed = tuple(levels)
    found = next((level for level in listed if level.holds(bits)), None)
    if found is None:
        raise PriceError(
            f'hardware "{hardware.name}" has no memory for {what}: {-(-bits // BITS_PER_BYTE):,} bytes, where '
            f"{listed[-1].name} holds {listed[-1].size_bytes:,}; add DRAM to [memory_pj] with its source, or choose "
            "another profile (snn-energy hardware list)"
        )
    return found


def _same_dram(hardware: Hardware, name: str) -> dict[str, MemoryPrice]:
    """The DRAM of this name; where it prices one direction, with the first DRAM that prices the other."""
    own = hardware.memory_pj[name]
    if own.access is None:
        return {name: own}
    others = {n: p for n, p in hardware.memory_pj.items() if p.kind == "dram" and p.access not in (None, own.access)}
    return {name: own, **dict(list(others.items())[:1])}


def _level(prices: dict[str, MemoryPrice]) -> Level:
    """One memory out of its prices: one for both directions, or one for each."""
    keys = {way: next((n for n, p in prices.items() if p.access in (None, way)), None) for way in ("read", "write")}
    first = next(iter(prices.values()))
    if len({price.access_bits for price in prices.values()}) > 1:
        raise PriceError(
            f"memory_pj: {', '.join(prices)} are one memory but differ in access_bits; give them names apart"
        )
    name = next(iter(prices))
    return Level(
        name=name.removesuffix("-read").removesuffix("-write"),
        kind=first.kind,
        size_bytes=first.size_bytes,
        access_bits=first.access_bits,
        read_pj=None if keys["read"] is None else prices[keys["read"]].value_pj,
        write_pj=None if keys["write"] is None else prices[keys["write"]].value_pj,
        read_key=keys["read"],
        write_key=keys["write"],
    )
