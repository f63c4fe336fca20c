"""The claims of a table: its rows as numbers, the prices it goes by, and what its words say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from snn_energy.hardware import Hardware, list_hardware, load_hardware
from snn_energy.workflow.linting.columns import Column, columns_of, count, energy_pj, share, whole
from snn_energy.workflow.linting.quantities import ENERGY_UNITS, Interval, exact, quantity
from snn_energy.workflow.linting.reading import PaperTable

USUAL_HARDWARE = "horowitz-45nm-fp32"
"""Whose prices are tried where a table names none: those of most tables."""

_ANN = re.compile(r"(?<![a-z])(ann|cnn|dnn|anns)(?![a-z])", re.IGNORECASE)
_SNN = re.compile(r"snn|spik", re.IGNORECASE)
_SUM = re.compile(r"^\s*(total|sum|all( layers)?|overall)\b", re.IGNORECASE)
_IN_NAME = re.compile(r"\bT\s*=\s*(\d+)")

_PER = r"(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>[fpn]j)"
_PRICES = {
    "mac": (
        rf"(?:e\s*_?\s*mac|\bmacs?\b|multiply[- ]accumulates?)[^.\d\n]{{0,25}}?{_PER}",
        rf"{_PER}\s*(?:per|/|for (?:a|an|each|one|every))?\s*(?:macs?\b|multiply)",
    ),
    "ac": (
        rf"(?:e\s*_?\s*ac\b|\bacs?\b|\bsops?\b|accumulates?|synaptic operations?)[^.\d\n]{{0,25}}?{_PER}",
        rf"{_PER}\s*(?:per|/|for (?:a|an|each|one|every))?\s*(?:acs?\b|sops?\b|accumulat|addition|synaptic)",
    ),
}
"""Action -> how a text states its price; the number behind the word comes first: "4.6 pJ per MAC and 0.9 pJ per AC"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One row of the table."""

    number: int
    """From 1, headings not counted."""
    name: str
    is_ann: bool
    is_sum: bool
    energy_pj: Interval | None = None
    ann_energy_pj: Interval | None = None
    acs: Interval | None = None
    macs: Interval | None = None
    dense_macs: Interval | None = None
    rate: Interval | None = None
    time_steps: int | None = None
    ratio: Interval | None = None

    @property
    def where(self) -> str:
        """The row in words."""
        return f"row {self.number}, {self.name}" if self.name else f"row {self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a MAC and an AC cost in pJ, and where that comes from."""

    mac: Fraction
    ac: Fraction
    source: str
    stated: bool
    """False where the table names no prices, and the usual ones are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """A table as a whole."""

    table: PaperTable
    columns: dict[str, Column]
    rows: tuple[Claim, ...]
    prices: Prices
    words: str
    """Headings, text and stated assumptions in lower case, for searching."""
    cells: str
    """The rows, likewise: names of methods in them state no assumption."""
    hardware: Hardware | None
    """A shipped profile that the table names."""

    def says(self, pattern: str, *, cells: bool = False) -> bool:
        """Whether the words match, or the rows if asked for."""
        return any(re.search(pattern, text) for text in (self.words, *([self.cells] if cells else [])))

    def states(self, *keys: str) -> bool:
        """Whether a TOML file states one of these assumptions."""
        return any(self.table.stated.get(key, "").strip() for key in keys)

    @property
    def spiking(self) -> list[Claim]:
        """Rows of SNNs, sums left out."""
        return [row for row in self.rows if not row.is_ann and not row.is_sum]

    @property
    def anns(self) -> list[Claim]:
        """Rows of ANNs."""
        return [row for row in self.rows if row.is_ann]


def claims_of(table: PaperTable) -> Claims:
    """Read the numbers of a table."""
    columns = columns_of(table)
    stated = "\n".join(f"{key}: {value}" for key, value in table.stated.items())
    cells = "\n".join(" | ".join(row) for row in table.rows)
    words = "\n".join([" | ".join(table.headings), table.text, stated]).lower()
    hardware = _named_hardware(table, words)
    return Claims(
        table=table,
        columns=columns,
        rows=tuple(_claim(number, row, columns, table) for number, row in enumerate(table.rows, 1)),
        prices=_prices(f"{' | '.join(table.headings)}\n{table.text}\n{stated}", table, hardware),
        words=words,
        cells=cells.lower(),
        hardware=hardware,
    )


def _named_hardware(table: PaperTable, words: str) -> Hardware | None:
    named = table.stated.get("hardware")
    if named is not None and (named in list_hardware() or named.endswith(".toml")):
        return load_hardware(named)
    return next((load_hardware(name) for name in list_hardware() if name in words and "-" in name), None)


def _claim(number: int, row: Sequence[str], columns: dict[str, Column], table: PaperTable) -> Claim:
    def cell(role: str) -> str:
        return row[columns[role].place] if role in columns else ""

    name = cell("name")
    kind = f"{cell('kind')} {name}"
    is_ann = bool(_ANN.search(kind)) and not _SNN.search(cell("kind") or name)
    ops = "acs" if "acs" in columns else "ops"
    steps = whole(cell("time_steps"))
    if steps is None and (found := _IN_NAME.search(name)):
        steps = whole(found[1])
    if steps is None:
        steps = _stated_steps(table)
    plain_macs = cell("macs") or (cell("flops") if is_ann else "")
    macs_column = columns.get("macs" if cell("macs") else "flops")
    return Claim(
        number=number,
        name=name,
        is_ann=is_ann,
        is_sum=bool(_SUM.search(name)),
        energy_pj=energy_pj(cell("energy"), columns["energy"]) if "energy" in columns else None,
        ann_energy_pj=energy_pj(cell("ann_energy"), columns["ann_energy"]) if "ann_energy" in columns else None,
        acs=count(cell(ops), columns[ops]) if ops in columns and (ops == "acs" or not is_ann) else None,
        macs=count(plain_macs, macs_column) if macs_column is not None else None,
        dense_macs=count(cell("dense_macs"), columns["dense_macs"]) if "dense_macs" in columns else None,
        rate=_rate(cell("rate"), cell("sparsity"), columns),
        time_steps=steps,
        ratio=read.value if (read := quantity(cell("ratio"))) and read.word != "%" else None,
    )


def _stated_steps(table: PaperTable) -> int | None:
    for key in ("time_steps", "T", "t"):
        if (steps := whole(table.stated.get(key, ""))) is not None:
            return steps
    found = {whole(number) for number in re.findall(r"\bT\s*=\s*(\d+)", table.text)}
    return found.pop() if len(found) == 1 else None


def _rate(rate: str, sparsity: str, columns: dict[str, Column]) -> Interval | None:
    if "rate" in columns and (found := share(rate, columns["rate"])) is not None:
        return found
    if "sparsity" in columns and (left := share(sparsity, columns["sparsity"])) is not None and left.high <= 1:
        return Interval(1 - left.high, 1 - left.low)
    return None


def _prices(text: str, table: PaperTable, hardware: Hardware | None) -> Prices:
    found = dict(_stated_prices(text))
    usual = load_hardware(USUAL_HARDWARE)
    base = hardware if hardware is not None and {"mac", "ac"} <= set(hardware.energy_pj) else usual
    by_key = {action: table.stated.get(f"{action}_pj") for action in ("mac", "ac")}
    for action, value in by_key.items():
        if value is not None and (read := quantity(value)) is not None:
            found[action] = read.value.middle
    own = {action: Fraction(str(base.energy_pj[action].value_pj)) for action in ("mac", "ac")}
    stated = {"mac", "ac"} <= set(found) or base is hardware
    source = "the table's own" if found else base.name
    return Prices(mac=found.get("mac", own["mac"]), ac=found.get("ac", own["ac"]), source=source, stated=stated)


def _stated_prices(text: str) -> Iterator[tuple[str, Fraction]]:
    """Prices that a text states; a number right before the word wins over one behind it."""
    for action, (behind, before) in _PRICES.items():
        match = re.search(before, text, re.IGNORECASE) or re.search(behind, text, re.IGNORECASE)
        if match is not None:
            yield action, Fraction(match["value"]) * ENERGY_UNITS[match["unit"].lower()]


def priced(row: Claim, prices: Prices) -> Interval:
    """ACs and MACs of a row at these prices, in pJ; what the row does not have counts as none."""
    none = exact(0)
    return (row.acs or none).times(prices.ac) + (row.macs or none).times(prices.mac)
