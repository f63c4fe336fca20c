"""The sheet of a method: where it was published, what it counts, and every constant with its source.

A sheet is `sheets/NAME.toml`:

| key           | value                                                                                          |
|---------------|------------------------------------------------------------------------------------------------|
| format        | 1                                                                                              |
| name, title   | the file's name; what it is called in print                                                    |
| citation, url | the publication or code                                                                        |
| hardware      | profile of the publication's own prices; left out where it prices nothing                      |
| missing       | why the method cannot be used at all; then the rest is left out                                |
| partial       | what of it could not be carried over; left out where nothing is missing                        |
| [counts]      | what it counts, in a word or two: the keys of COUNTS                                           |
| [rules]       | why, part by part (keys: PARTS): the words of the waterfall                                    |
| [constants]   | each a table of value, unit, source, locator, evidence (stated, derived, simulated, measured)  |
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from snn_energy.errors import ProfileError

FORMAT = 1
COUNTS = ("first_layer", "padding", "attention", "neurons", "memory")
"""The columns in which methods differ most."""
_TEXTS = ("name", "title", "citation", "url", "hardware", "missing", "partial")
_CONSTANT = {"value", "unit", "source", "locator", "evidence"}
_EVIDENCE = ("stated", "derived", "simulated", "measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One number of a method with the place it was read from."""

    value: float
    unit: str
    source: str
    locator: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Where a method was published, what it counts, and its constants."""

    name: str
    title: str
    citation: str
    url: str | None = None
    hardware: str | None = None
    missing: str | None = None
    partial: str | None = None
    counts: Mapping[str, str] = field(default_factory=dict, hash=False)
    rules: Mapping[str, str] = field(default_factory=dict, hash=False)
    constants: Mapping[str, Constant] = field(default_factory=dict, hash=False)

    def constant(self, name: str) -> Fraction:
        """The exact value of one constant."""
        return Fraction(self.constants[name].value)

    def whole(self, name: str) -> int:
        """A constant that counts something."""
        return int(self.constants[name].value)


def folder() -> Path:
    """Where the sheets lie."""
    return Path(__file__).parent / "sheets"


@cache
def load_sheet(name: str) -> Sheet:
    """The sheet of one method.

    Raises:
        ProfileError: the sheet breaks the format above.
    """
    path = folder() / f"{name}.toml"
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return read_sheet(document, name)


def read_sheet(document: Mapping[str, Any], name: str) -> Sheet:
    """The record of a parsed sheet.

    Raises:
        ProfileError: it breaks the format.
    """

    def wrong(what: str) -> ProfileError:
        return ProfileError(f"sheets/{name}.toml: {what}")

    known = {"format", *_TEXTS, "counts", "rules", "constants"}
    if extra := sorted(set(document) - known):
        raise wrong(f'unknown key "{extra[0]}"; expected {", ".join(sorted(known))}')
    if document.get("format") != FORMAT:
        raise wrong(f"format must be {FORMAT} (got {document.get('format')!r})")
    if document.get("name") != name:
        raise wrong(f"name must be that of the file (got {document.get('name')!r})")
    for key in ("title", "citation"):
        if not isinstance(document.get(key), str):
            raise wrong(f"{key} must be a text (got {document.get(key)!r})")
    counts = document.get("counts", {})
    if "missing" not in document and set(counts) != set(COUNTS):
        raise wrong(f"[counts] must have {', '.join(COUNTS)} (got {', '.join(sorted(counts)) or 'none'})")
    constants = document.get("constants", {})
    for key, entry in constants.items():
        if not isinstance(entry, dict) or set(entry) != _CONSTANT:
            raise wrong(f"constants.{key} must have {', '.join(sorted(_CONSTANT))}")
        if isinstance(entry["value"], bool) or not isinstance(entry["value"], int | float):
            raise wrong(f"constants.{key}.value must be a number (got {entry['value']!r})")
        if entry["evidence"] not in _EVIDENCE:
            raise wrong(f"constants.{key}.evidence must be one of {', '.join(_EVIDENCE)} (got {entry['evidence']!r})")
    return Sheet(
        **{key: document[key] for key in _TEXTS if key in document},
        counts=MappingProxyType(dict(counts)),
        rules=MappingProxyType(dict(document.get("rules", {}))),
        constants=MappingProxyType({key: Constant(**entry) for key, entry in constants.items()}),
    )
