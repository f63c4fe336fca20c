"""The schema of a hardware profile: one table of fields for the file, one for the entries of each of its sections.

Format 1 has prices of actions alone; format 2 adds what `SECTIONS`, `[included]` and `[scaling]` hold. A sound profile
of format 1 stays sound as it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, get_args

from snn_energy.hardware.records import Confidence, Evidence, IntegerSpikes, MemoryKind
from snn_energy.hardware.scopes import Scope
from snn_energy.hardware.vocabulary import CATEGORIES

FORMATS = (1, 2)
"""The profile formats this version reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a table: what is expected, in words and as a test."""

    expected: str
    accepts: Callable[[Any], bool]
    required: bool = False


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number that a float holds."""
    # bool is an int in Python; NaN fails every comparison, infinity and integers beyond a float fail one.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -sys.float_info.max <= value <= sys.float_info.max
    )


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number >= 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_text(value: Any) -> bool:
    """Whether a value is text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_range(value: Any) -> TypeGuard[list[float]]:
    """Whether a value is `[lowest, highest]`, two numbers >= 0 in rising order."""
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and 0 <= value[0] <= value[1]


def is_coefficients(value: Any) -> bool:
    """Whether a value is a table of nodes in nm, each with the three numbers of a polynomial."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_NODE.fullmatch(node) for node in value)
        and all(isinstance(row, list) and len(row) == 3 and all(map(is_number, row)) for row in value.values())
    )


def _text(*, required: bool = False) -> Field:
    return Field(expected="non-empty text", accepts=is_text, required=required)


def _one_of(choices: Iterable[str], *, required: bool = True) -> Field:
    known = tuple(choices)
    return Field(
        expected=" or ".join(f'"{choice}"' for choice in known),
        accepts=lambda value: isinstance(value, str) and value in known,
        required=required,
    )


def _table(of: str, *, required: bool = False) -> Field:
    return Field(expected=f"a table of {of}", accepts=lambda value: isinstance(value, dict), required=required)


def _quantity(unit: str) -> Field:
    return Field(expected=f"a number >= 0{unit}", accepts=lambda value: is_number(value) and value >= 0, required=True)


def _positive(unit: str, *, required: bool = False) -> Field:
    return Field(
        expected=f"a number > 0 in {unit}", accepts=lambda value: is_number(value) and value > 0, required=required
    )


def _bounds(unit: str) -> Field:
    return Field(expected=f"[lowest, highest], two numbers >= 0{unit} in rising order", accepts=is_range)


def _whole(*, required: bool = False) -> Field:
    return Field(expected="a whole number >= 1", accepts=is_whole, required=required)


_NAME = re.compile("[a-z0-9][a-z0-9.-]*")
_NODE = re.compile(r"[1-9][0-9]*(\.[0-9]+)?")

_EVIDENCE = _one_of(grade for grade in get_args(Evidence) if grade != "scaled")
_SCOPE = _one_of(get_args(Scope))
_CONFIDENCE = _one_of(get_args(Confidence), required=False)
_WHERE: Mapping[str, Field] = {"evidence": _EVIDENCE, "source": _text(required=True), "locator": _text(required=True)}

_PROFILE_1: Mapping[str, Field] = {
    "format": Field(
        expected=" or ".join(map(str, FORMATS)),
        accepts=lambda value: value in FORMATS and type(value) is int,
        required=True,
    ),
    "name": Field(
        expected="lower-case letters, digits, dots and hyphens",
        accepts=lambda value: isinstance(value, str) and _NAME.fullmatch(value) is not None,
        required=True,
    ),
    "title": _text(required=True),
    "integer_spikes": _one_of(get_args(IntegerSpikes)),
    "energy_pj": _table("prices, one per action", required=True),
    "sources": _table("publications", required=True),
    "unpriced": _table("reasons, one per action"),
    "node_nm": _positive("nm"),
    "voltage_v": _positive("V"),
    "datatype": _text(),
    "operand_bits": _whole(),
    "notes": _text(),
}
_PROFILE_2: Mapping[str, Field] = {
    **_PROFILE_1,
    "class": _one_of(CATEGORIES),
    "energy_pj": _table("prices, one per action"),
    "memory_pj": _table("prices of one access, one per memory"),
    "event_pj": _table("prices, one per event that only this hardware has"),
    "timing_ns": _table("times"),
    "limits": _table("limits of one chip"),
    "system": _table("values of whole chips and boards"),
    "included": _table("actions, each with the action whose price contains it"),
    "scaling": _table("the rule that the prices of another profile are scaled by"),
    "latency": _table("the machine whose time is counted"),
}
PROFILE: Mapping[int, Mapping[str, Field]] = {1: _PROFILE_1, 2: _PROFILE_2}
"""Format -> fields of the whole file."""

_PRICE_1: Mapping[str, Field] = {"value": _quantity(" in pJ"), "scope": _SCOPE, **_WHERE, "range": _bounds(" in pJ")}
_PRICE_2: Mapping[str, Field] = {**_PRICE_1, "confidence": _CONFIDENCE}

SECTIONS: Mapping[int, Mapping[str, Mapping[str, Field]]] = {
    1: {"energy_pj": _PRICE_1},
    2: {
        "energy_pj": _PRICE_2,
        "memory_pj": {
            **_PRICE_2,
            "kind": _one_of(get_args(MemoryKind)),
            "access_bits": _whole(required=True),
            "size_bytes": _whole(),
            "access": _one_of(("read", "write"), required=False),
        },
        "event_pj": {**_PRICE_2, "per": _text(required=True)},
        "timing_ns": {
            "value": _quantity(" in ns"),
            "per": _text(required=True),
            **_WHERE,
            "range": _bounds(" in ns"),
            "confidence": _CONFIDENCE,
        },
        "limits": {
            "value": Field(expected="see the limit's name", accepts=lambda _: True, required=True),
            **_WHERE,
            "confidence": _CONFIDENCE,
        },
        "system": {"value": _quantity(""), **_WHERE, "range": _bounds(""), "confidence": _CONFIDENCE},
    },
}
"""Format -> section -> fields of one of its entries."""

ENERGIES = ("energy_pj", "memory_pj", "event_pj")
"""Sections whose entries have a scope."""

SCALING: Mapping[str, Field] = {
    "from": _text(required=True),
    "from_voltage_v": _positive("V", required=True),
    "coefficients": Field(
        expected='a table of nodes in nm, like "45" = [a, b, c]', accepts=is_coefficients, required=True
    ),
    "source": _text(required=True),
    "locator": _text(required=True),
    "confidence": _CONFIDENCE,
}
"""Fields of `[scaling]`."""

SOURCE: Mapping[str, Field] = {"citation": _text(required=True), "url": _text(), "note": _text()}
"""Fields of one entry of `sources`."""
