"""Values of options that hold several, parted by commas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeVar

from snn_energy.errors import UsageError

T = TypeVar("T")

OWN = "own"
WEIGHTS: Mapping[str, str | None] = {
    OWN: None, "16": "fp16", "8": "int8", "4": "int4", "2": "int2",
    **{name: name for name in ("fp16", "int8", "int4", "int2")},
}  # fmt: skip
"""What --bits takes, and the data type it means; None leaves the weights as they are."""


def parsed(text: str | None, option: str, make: Callable[[str], T], expected: str) -> list[T]:
    """The values of an option, in order; [] where it was not given.

    Raises:
        UsageError: an empty part, one that `make` refuses with ValueError or KeyError, or a value given twice.
    """
    if text is None:
        return []
    found: list[T] = []
    for part in (part.strip() for part in text.split(",")):
        try:
            value = make(part)
        except (ValueError, KeyError):
            raise UsageError(f"{option} must be {expected}, parted by commas (got {part!r} in {text!r})") from None
        if value in found:
            raise UsageError(f"{option}: {part} is given twice (got {text!r}); give each value once")
        found.append(value)
    return found


def whole_numbers(text: str | None, option: str) -> list[int]:
    """Integers of 1 or more."""

    def make(part: str) -> int:
        if not part.isdecimal() or int(part) < 1:
            raise ValueError
        return int(part)

    return parsed(text, option, make, "integers >= 1")


def shares(text: str | None, option: str) -> list[float]:
    """Numbers from 0 to below 1."""
    return parsed(text, option, _within(0, 1, low_too=True), "shares from 0 to below 1, like 0.5")


def factors(text: str | None, option: str) -> list[float]:
    """Numbers above 0."""
    return parsed(text, option, _within(0, float("inf"), low_too=False), "factors above 0, like 0.9")


def weights(text: str | None, option: str) -> list[str | None]:
    """Data types of weights; None for their own."""
    return parsed(text, option, WEIGHTS.__getitem__, f"some of {', '.join(WEIGHTS)}")


def _within(low: float, high: float, *, low_too: bool) -> Callable[[str], float]:
    def make(part: str) -> float:
        value = float(part)
        if not (low <= value if low_too else low < value) or not value < high:
            raise ValueError
        return value

    return make


def percentage(text: str, option: str) -> Fraction:
    """A percentage from 0% to 100%, like 1% or 0.5 %, as an exact share.

    Raises:
        UsageError: anything else.
    """
    number = text.strip()
    try:
        share = Fraction(number.removesuffix("%").strip()) / 100
    except (ValueError, ZeroDivisionError):
        share = Fraction(-1)
    if not number.endswith("%") or not 0 <= share <= 1:
        raise UsageError(f"{option} must be a percentage from 0% to 100%, like 1% (got {text!r})")
    return share


def positive(text: str | None, option: str, unit: str) -> Fraction | None:
    """A decimal number above 0, exactly; None where it was not given.

    Raises:
        UsageError: anything else.
    """
    if text is None:
        return None
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction()
    if value <= 0:
        raise UsageError(f"{option} must be a number above 0 in {unit}, like 2.5 (got {text!r})")
    return value
