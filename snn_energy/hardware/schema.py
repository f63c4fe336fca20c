"""The schema of a hardware profile: one table of fields for the file, one for a price, one for a source."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, get_args

from snn_energy.hardware.records import Evidence, IntegerSpikes, Scope

FORMAT = 1
"""The profile format this version reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a table: what is expected, in words and as a test."""

    expected: str
    accepts: Callable[[Any], bool]
    required: bool = False


def _is_number(value: Any) -> bool:
    # bool is an int in Python; NaN fails every comparison, infinity and integers beyond a float fail one.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -sys.float_info.max <= value <= sys.float_info.max
    )


def is_text(value: Any) -> bool:
    """Whether a value is text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_range(value: Any) -> TypeGuard[list[float]]:
    """Whether a value is `[lowest, highest]`, two numbers >= 0 in rising order."""
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and 0 <= value[0] <= value[1]


def _text(*, required: bool = False) -> Field:
    return Field(expected="non-empty text", accepts=is_text, required=required)


def _one_of(choices: Iterable[str]) -> Field:
    known = tuple(choices)
    return Field(
        expected=" or ".join(f'"{choice}"' for choice in known),
        accepts=lambda value: isinstance(value, str) and value in known,
        required=True,
    )


def _table(of: str, *, required: bool = False) -> Field:
    return Field(expected=f"a table of {of}", accepts=lambda value: isinstance(value, dict), required=required)


_NAME = re.compile("[a-z0-9][a-z0-9.-]*")

PROFILE: Mapping[str, Field] = {
    "format": Field(expected=str(FORMAT), accepts=lambda value: value == FORMAT and type(value) is int, required=True),
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
    "node_nm": Field(expected="a number > 0 in nm", accepts=lambda value: _is_number(value) and value > 0),
    "voltage_v": Field(expected="a number > 0 in V", accepts=lambda value: _is_number(value) and value > 0),
    "datatype": _text(),
    "operand_bits": Field(
        expected="a whole number >= 1",
        accepts=lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    ),
    "notes": _text(),
    "latency": _table("one machine, see machine_table"),
}
"""Fields of the whole file."""

PRICE: Mapping[str, Field] = {
    "value": Field(
        expected="a number >= 0 in pJ", accepts=lambda value: _is_number(value) and value >= 0, required=True
    ),
    "scope": _one_of(get_args(Scope)),
    "evidence": _one_of(get_args(Evidence)),
    "source": _text(required=True),
    "locator": _text(required=True),
    "range": Field(expected="[lowest, highest], two numbers >= 0 in pJ in rising order", accepts=is_range),
}
"""Fields of one entry of `energy_pj`."""

SOURCE: Mapping[str, Field] = {"citation": _text(required=True), "url": _text(), "note": _text()}
"""Fields of one entry of `sources`."""
