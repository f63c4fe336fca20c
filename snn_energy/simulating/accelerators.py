"""ZigZag's array from a hardware profile: what its multipliers and memories cost."""

from __future__ import annotations

from snn_energy.errors import PriceError
from snn_energy.exporting.simulators.zigzag import Accelerator, Level
from snn_energy.hardware import Hardware, MemoryPrice

LARGE_BITS = 10**10
"""Size given to a DRAM: larger than any network, since no price depends on it."""


def accelerator_of(hardware: Hardware, *, rows: int, cols: int) -> Accelerator:
    """Return an array of `rows` x `cols` units with a register, the largest SRAM and the DRAM of a profile.

    Without a price of registers there are none: sums and weights then come from the SRAM each time.

    Errors: PriceError, where the profile prices no multiply-accumulate, no SRAM of a known size or no DRAM.
    """
    mac = hardware.energy_pj.get("mac")
    if mac is None:
        raise _missing(hardware, "mac", "a multiply-accumulate")
    srams = [name for name, price in hardware.memory_pj.items() if price.kind == "sram" and price.size_bytes]
    drams = [name for name, price in hardware.memory_pj.items() if price.kind == "dram"]
    registers = [name for name, price in hardware.memory_pj.items() if price.kind == "register"]
    if not srams:
        raise _missing(hardware, "sram", "an SRAM of a known size")
    if not drams:
        raise _missing(hardware, "dram", "a DRAM")
    largest = max(srams, key=lambda name: (hardware.memory_pj[name].size_bytes or 0, name))
    if hardware.operand_bits is None:
        raise _missing(hardware, "operand_bits", "operands of a stated width")
    levels = [_level(hardware, name) for name in (*registers[:1], largest, drams[0])]
    return Accelerator(
        name=f"{rows} x {cols} units, {hardware.name}",
        rows=rows,
        cols=cols,
        operand_bits=hardware.operand_bits,
        mac_pj=mac.value_pj,
        levels=tuple(levels),
    )


def _level(hardware: Hardware, name: str) -> Level:
    price = hardware.memory_pj[name]
    read, write = _of_both(hardware, price, "read"), _of_both(hardware, price, "write")
    return Level(
        name=price.kind if price.kind != "sram" else f"sram_{price.size_bytes}",
        kind=price.kind,
        size_bits=LARGE_BITS if price.kind == "dram" else 8 * (price.size_bytes or 0),
        access_bits=price.access_bits,
        read_pj=read,
        write_pj=write,
    )


def _of_both(hardware: Hardware, price: MemoryPrice, access: str) -> float:
    """The price of a read or of a write, where the source tells them apart."""
    if price.access in (None, access):
        return price.value_pj
    same = (price.kind, price.size_bytes, price.access_bits)
    for other in hardware.memory_pj.values():
        if (other.kind, other.size_bytes, other.access_bits) == same and other.access == access:
            return other.value_pj
    raise _missing(hardware, f"{price.kind} {access}", f"a {access} of its {price.kind}")


def _missing(hardware: Hardware, key: str, what: str) -> PriceError:
    return PriceError(
        f"{hardware.name}: the profile states no {key} ({what}), which ZigZag's accelerator needs; choose one that"
        " does, like han-45nm-int32"
    )
