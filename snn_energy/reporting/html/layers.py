"""The section with every layer: one table that sorts by any column and filters by name, kind and part."""

from __future__ import annotations

from collections.abc import Sequence

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import legend
from snn_energy.reporting.html.elements import Child, Element, tag
from snn_energy.reporting.html.entries import PARTS, Entry, entries
from snn_energy.reporting.html.pieces import path, section
from snn_energy.reporting.layout import energy_text, share_text

COUNTS = ("connections", "ACs", "MACs", "updates", "spikes", "other ops")
_PLACES: dict[str, tuple[tuple[int, ...], ...]] = {
    # Which counts of a line of the layer table stand in each column.
    "projection": ((0,), (1,), (2,), (), (), (3,)),
    "neurons": ((), (), (), (0,), (1,), ()),
    "other": ((), (), (), (), (), (0, 1, 2, 3)),
}
TEXTS = ("layer", "part", "kind", "operand")


def layers_section(document: Document) -> Element | None:
    """The table; None for a report without rows."""
    table, found = entries(document)
    if not found:
        return None
    counts = [_counts(entry) for entry in found]
    headings = [*TEXTS, "rate", *COUNTS, table.unit, "%"]
    empty = {len(TEXTS) + 1 + i for i in range(len(COUNTS)) if all(row[i] is None for row in counts)}
    shown = [i for i in range(len(headings)) if i not in empty]
    sums: list[str] = ["total", "", "", "", "", *map(_sum, zip(*counts, strict=True))]
    sums += [table.total, share_text(table.share)]
    return section(
        "layers",
        "Every layer",
        f"{legend()} Other ops: bias additions, and whatever else ran.",
        _controls({entry.part for entry in found}),
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", (_heading(headings[i], i) for i in shown))),
                tag(
                    "tbody",
                    (
                        tag("tr", (_cell(cells[i], i) for i in shown), data_part=entry.part)
                        for entry, row in zip(found, counts, strict=True)
                        for cells in [_cells(entry, row)]
                    ),
                ),
                tag("tfoot", tag("tr", (_cell(sums[i], i) for i in shown))),
                id_="layer-table", class_="sortable", data_unit=table.unit,
            ),
            class_="scroll tall", role="region", aria_label="Every layer", tabindex="0",
        ),
    )  # fmt: skip


def _counts(entry: Entry) -> list[int | None]:
    return [
        sum(entry.line.counts[i] or 0 for i in places) if places else None for places in _PLACES[entry.part]
    ]  # fmt: skip


def _cells(entry: Entry, counts: Sequence[int | None]) -> list[str]:
    line = entry.line
    return [
        line.name, entry.part, line.kind, line.operand or "", line.rate,
        *("" if count is None else f"{count:,}" for count in counts),
        energy_text(line.energy), share_text(line.share),
    ]  # fmt: skip


def _sum(column: Sequence[int | None]) -> str:
    present = [count for count in column if count is not None]
    return f"{sum(present):,}" if present else ""


def _is_number(column: int) -> bool:
    return column >= len(TEXTS)


def _heading(text: str, column: int) -> Element:
    return tag(
        "th", tag("button", text, type_="button"), scope="col", class_="number" if _is_number(column) else None,
        aria_sort="none",
    )  # fmt: skip


def _cell(text: str, column: int) -> Element:
    if column == 0:
        return tag("th", path(text), scope="row", class_="name")
    return tag("td", text, class_="number" if _is_number(column) else None)


def _controls(parts: set[str]) -> Element:
    """Filters; hidden until the script that they need runs."""
    choices: list[Child] = [tag("option", "all parts", value="")]
    choices += [tag("option", part, value=part) for part in PARTS.values() if part in parts]
    return tag(
        "div",
        tag("label", "Filter ", tag("input", id_="layer-filter", type_="search", autocomplete="off", spellcheck="false",
                                    placeholder="name, kind or operand")),
        tag("label", "Part ", tag("select", choices, id_="layer-part")),
        tag("output", id_="layer-count", for_="layer-filter layer-part"),
        class_="controls", hidden=True,
    )  # fmt: skip
