"""Bits of operands stored without their zeros: closed forms in what the trace counts.

With E elements, S non-zero ones, F frames (one pass of the layer for one sample each), and p bits for the value of a
non-zero element (0 for binary spikes, whose scale folds into the weights; 1 for the sign of ternary ones; else a
whole value):

| encoding | bits                                                                                    |
|----------|-----------------------------------------------------------------------------------------|
| bitmap   | E + S p                                                                                 |
| aer      | S (ceil(log2(E / F)) + p): the address of each event; frames are told apart by the machine |
| csr      | F (rows + 1) ceil(log2(E / F + 1)) + S (ceil(log2(columns)) + p): row pointers, columns |

CSR takes the channels of a map for rows and its positions for columns, or the rows and features of a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from snn_energy.costing.memory.policy import Encoding

PAYLOAD: Mapping[str, int] = {"silent": 0, "binary": 0, "ternary": 1}
"""Operand class -> bits that tell one non-zero value from another; other classes need whole values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One pass of a layer for one sample, as a matrix."""

    rows: int
    columns: int

    @property
    def elements(self) -> int:
        """Elements of the matrix."""
        return self.rows * self.columns


def address_bits(count: int) -> int:
    """Bits that tell `count` things apart: ceil(log2(count)), 0 for a single one."""
    return max(0, count - 1).bit_length()


def _bitmap(_frame: Frame, _frames: int, elements: int, nonzero: int, payload: int) -> int:
    return elements + nonzero * payload


def _aer(frame: Frame, _frames: int, _elements: int, nonzero: int, payload: int) -> int:
    return nonzero * (address_bits(frame.elements) + payload)


def _csr(frame: Frame, frames: int, _elements: int, nonzero: int, payload: int) -> int:
    pointers = frames * (frame.rows + 1) * address_bits(frame.elements + 1)
    return pointers + nonzero * (address_bits(frame.columns) + payload)


_ENCODINGS: Mapping[Encoding, Callable[[Frame, int, int, int, int], int]] = {
    "bitmap": _bitmap,
    "aer": _aer,
    "csr": _csr,
}


def encoded_bits(encoding: Encoding, frame: Frame, *, frames: int, elements: int, nonzero: int, payload: int) -> int:
    """Bits of `frames` frames that hold `elements` elements together, `nonzero` of them not 0.

    Args:
        encoding: see the module.
        frame: shape of one frame.
        frames: how many.
        elements: elements read; more than the frames hold where each is read several times.
        nonzero: non-zero elements read, likewise.
        payload: bits of the value of a non-zero element.
    """
    return _ENCODINGS[encoding](frame, frames, elements, nonzero, payload)
