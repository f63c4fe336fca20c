"""What each column of a table holds, by its heading, and in which unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from snn_energy.workflow.linting.quantities import ENERGY_UNITS, SCALES, Interval, quantity
from snn_energy.workflow.linting.reading import PaperTable

ROLES: tuple[tuple[str, str], ...] = (
    ("accuracy", r"\bacc|top ?-?1\b"),
    ("ratio", r"ratio|sav(ing|ed)|reduction|improvement|ann ?(/|over|vs\.?|:) ?snn|times (less|lower|fewer)"),
    ("ann_energy", r"(^|[^a-z])ann.*(energy|power|consum|_[pnum]?j\b)|(energy|power|consum).*[^a-z]ann"),
    ("energy", r"energy(?!\.)|power|consum|e ?snn|^e$|^[fpnum]j$"),
    ("sparsity", r"sparsity"),
    ("rate", r"(spik|fir)[a-z]* *(rate|act)|^rates?\b|\bfr\b|\bsfr\b|activity|nonzero"),
    ("time_steps", r"^#? ?t$|time ?steps?|^steps$|\bt ?\(steps\)"),
    (
        "dense_macs",
        r"dense.*(mac|ops\b|flop|synap|connect)|(^|[^a-z])ann.*(macs?|ops|flops)|(macs?|ops|flops).*[^a-z]ann|op ?ann",
    ),
    ("acs", r"\b#?[kgt]?acs?\b|\badd(s|itions)?\b|[kmgt]?\bs(yn)?ops?\b|[kmgt]sops?|syn\w* ?op|synops|op ?snn"),
    ("macs", r"\b#?[kmgt]?macs?\b|mult"),
    ("flops", r"flops?"),
    ("ops", r"\b[kmgt]?ops?\b|operations"),
    ("params", r"param|#p\b|size"),
    ("bits", r"bits?\b|precision|bit ?-?width"),
    ("kind", r"^(type|kind|class|category)$"),
    ("name", r"model|method|network|arch|work|layer|name|approach|reference"),
)
"""Role -> what its heading looks like, in lower case, underscores as blanks; the first that fits counts."""

_UNIT = re.compile(r"[(\[/,\s_]\s*([fpnuµμmFPNUM]?J)\b|\b([fpnuµμm]j)$")
_SCALE = re.compile(r"[(\[]\s*(?:[×x]\s*)?(?:10\s*\^?\s*\{?(\d+)\}?|([KMGTBkmgtb]))\s*[)\]]")
_GLUED = re.compile(r"(?:^|[\s_#])((?i:[kmgt](?=(?:s?ops?|synops|macs?|flops?)\b)|[kgt](?=acs?\b)))")
_COUNTS = ("acs", "macs", "dense_macs", "flops", "ops", "params")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its role ("" where none fits), and the factor of its numbers."""

    place: int
    heading: str
    role: str
    factor: Fraction | None = None
    """To pJ or to plain counts; None where the heading states none."""
    stated_unit: bool = False


def columns_of(table: PaperTable) -> dict[str, Column]:
    """Role -> its column, the first of those with one role; without a column of names, the first column is it."""
    found: dict[str, Column] = {}
    for place, heading in enumerate(table.headings):
        column = column_of(heading, place)
        if column.role and column.role not in found:
            found[column.role] = column
    if "name" not in found and table.headings and not any(c.place == 0 for c in found.values()):
        found["name"] = Column(place=0, heading=table.headings[0], role="name")
    return found


def column_of(heading: str, place: int = 0) -> Column:
    """The role and unit of one heading."""
    plain = re.sub(r"[\s_]+", " ", heading.replace("µ", "u").replace("μ", "u")).strip().lower()
    role = next((role for role, pattern in ROLES if re.search(pattern, plain)), "")
    column = Column(place=place, heading=heading, role=role)
    if role in ("energy", "ann_energy"):
        unit = _UNIT.search(heading.replace("_", " "))
        word = (unit[1] or unit[2] or "").lower().replace("µ", "u").replace("μ", "u") if unit else ""
        return replace(column, factor=ENERGY_UNITS.get(word), stated_unit=word in ENERGY_UNITS)
    if role in _COUNTS:
        scale, glued = _SCALE.search(heading), _GLUED.search(heading)
        if scale:
            factor = Fraction(10) ** int(scale[1]) if scale[1] else Fraction(SCALES[scale[2].lower()])
            return replace(column, factor=factor, stated_unit=True)
        if glued:
            return replace(column, factor=Fraction(SCALES[glued[1].lower()]), stated_unit=True)
        return replace(column, factor=Fraction(1))
    return column


def energy_pj(cell: str, column: Column) -> Interval | None:
    """An energy in pJ, by the unit in the cell, else in the heading; None without a number or a unit."""
    found = quantity(cell)
    if found is None:
        return None
    factor = ENERGY_UNITS.get(found.word, column.factor)
    return None if factor is None else found.value.times(factor)


def count(cell: str, column: Column) -> Interval | None:
    """A plain count; a prefix in the cell replaces that of the heading."""
    found = quantity(cell)
    if found is None:
        return None
    prefix = found.word[:1] if found.word else ""
    known = prefix in SCALES and prefix and (len(found.word) == 1 or found.word[1:] in _WORDS)
    factor = Fraction(SCALES[prefix]) if known else column.factor or Fraction(1)
    if factor == 1 and found.value.middle.denominator == 1 and not known:
        return Interval(found.value.middle, found.value.middle)  # a count written out is meant exactly
    return found.value.times(factor)


_WORDS = ("acs", "ac", "macs", "mac", "sops", "sop", "ops", "op", "flops", "synops")


def share(cell: str, column: Column) -> Interval | None:
    """A share, 0 to 1: percentages by the sign in the cell or the heading."""
    found = quantity(cell)
    if found is None:
        return None
    return found.value.times(Fraction(1, 100)) if found.word == "%" or "%" in column.heading else found.value


def whole(cell: str) -> int | None:
    """An integer of 1 or more, like time steps; None otherwise."""
    found = re.search(r"(?<!\d)\d{1,9}(?!\d)", cell)
    return int(found[0]) if found and int(found[0]) > 0 else None


COLUMN_NAMES: Mapping[str, str] = {
    "name": "name", "energy": "energy", "ann_energy": "ANN energy", "acs": "ACs", "macs": "MACs", "rate": "rate",
    "time_steps": "T", "dense_macs": "dense MACs", "ratio": "ratio", "accuracy": "accuracy",
}  # fmt: skip
"""Roles as people call them."""
