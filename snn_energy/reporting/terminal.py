"""The report as lines of text that fit the terminal: the table never wraps, the sentences below it do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import facts, headline, legend
from snn_energy.reporting.layout import LayerTable, Line, Section, energy_text, layer_table, share_text
from snn_energy.reporting.numbers import short
from snn_energy.reporting.timetable import Timetable, timetable

StyledLine = tuple[str, str]
"""Text and the style it has on a colour terminal ("" for none)."""

WIDE = 100
"""From this width on, tables show all columns."""
SHORTEST_NAME = 12
LONGEST_TAG = 10


@dataclass(frozen=True, slots=True)
class _Grid:
    """How much of the table is shown."""

    wide: bool = False
    compact: bool = False
    gap: int = 2
    name_limit: int | None = None
    tag_limit: int | None = None

    def cells(self, line: Line) -> list[str]:
        name = _tail(line.name, self.name_limit)
        if self.wide:
            row = [name, line.kind, line.operand or ""]
        else:
            # The name of the class alone: its scale has room in wide tables only, and so have several kinds.
            tag = line.operand or ("several" if ", " in line.kind else line.kind)
            row = [name, _head(tag.split(" ")[0].rstrip(","), self.tag_limit)]
        return [*row, line.rate, *self._counts(line.counts), energy_text(line.energy), share_text(line.share)]

    def headings(self, section: Section, unit: str) -> list[str]:
        operand = section.operand_heading
        row = [section.title, "kind", operand] if self.wide else [section.title, operand or "kind"]
        counts = section.count_headings if self.wide else section.count_headings[:-1]
        return [*row, section.rate_heading, *counts, unit, "%"]

    def sums(self, section: Section) -> list[str]:
        row = ["sum", *([""] * self.left), *self._counts(section.totals)]
        return [*row, energy_text(section.energy), share_text(section.share)]

    def total(self, table: LayerTable) -> list[str]:
        row = ["total", *([""] * (7 if self.wide else 5))]
        return [*row, table.total, share_text(table.share)]

    @property
    def left(self) -> int:
        """Number of columns that are aligned to the left."""
        return 3 if self.wide else 2

    def _counts(self, counts: tuple[int | None, ...]) -> list[str]:
        shown = counts if self.wide else counts[:-1]
        return ["" if count is None else short(count) if self.compact else f"{count:,}" for count in shown]


def terminal_lines(document: Document, width: int = 80) -> list[StyledLine]:
    """The whole report as styled lines.

    Table rows are at most `width` wide, down to 76 characters: columns are dropped, counts shortened and
    names cut at the front before a row would wrap.
    """
    # Textwrap does not break at no-break spaces: "T = 4" stays together.
    title = headline(document).replace(" = ", "\u00a0=\u00a0")
    lines: list[StyledLine] = [(text.replace("\u00a0", " "), "bold") for text in textwrap.wrap(title, width)]
    lines.append(("", ""))
    table = layer_table(document)
    rows, grid = _fitted(table, width)
    lines += rows
    times = timetable(document)
    if times is not None:
        lines += [("", ""), *_drawn_times(times, width)]
    lines.append(("", ""))
    note = legend() + (" Counts are shortened: more in a wider terminal or with --format csv." if grid.compact else "")
    lines += [(text, "dim") for text in textwrap.wrap(note, width)]
    lines.append(("", ""))
    found = facts(document)
    indent = max(len(label) for label, _ in found) + 2
    for label, text in found:
        wrapped = textwrap.wrap(text, max(width - indent, 24), break_long_words=False, break_on_hyphens=False)
        for number, part in enumerate(wrapped):
            start = label if number == 0 else ""
            lines.append((f"{start:<{indent}}{part}", "bold red" if text.startswith("INCOMPLETE") else ""))
    return lines


def terminal_text(document: Document, width: int = 80) -> str:
    """The whole report as plain text with a final newline."""
    return "".join(f"{text}\n" for text, _ in terminal_lines(document, width))


def _drawn_times(times: Timetable, width: int) -> list[StyledLine]:
    """The table of latencies; names are cut at the front before a row would wrap."""
    cells = [times.headings, *times.rows, times.total]
    widths = [max(len(row[i]) for row in cells) for i in range(len(times.headings))]
    gaps = 2 * (len(widths) - 1)
    limit = min(widths[0], max(SHORTEST_NAME, width - sum(widths[1:]) - gaps))
    styles = ["bold", *[""] * len(times.rows), "bold"]
    found = []
    for row, style in zip(cells, styles, strict=True):
        middle = [f"{cell:>{size}}" for cell, size in zip(row[1:-1], widths[1:-1], strict=True)]
        found.append(("  ".join([f"{_tail(row[0], limit):<{limit}}", *middle, row[-1]]).rstrip(), style))
    return found


def _fitted(table: LayerTable, width: int) -> tuple[list[StyledLine], _Grid]:
    rows: list[StyledLine] = []
    grid = _Grid()
    for grid in _grids(table, width):
        rows = _drawn(table, grid)
        if all(len(text) <= width for text, _ in rows):
            break
    return rows, grid


def _grids(table: LayerTable, width: int) -> Iterator[_Grid]:
    """From the fullest table to the narrowest."""
    if width >= WIDE:
        yield _Grid(wide=True)
    yield _Grid()
    yield _Grid(gap=1)
    yield _Grid(gap=1, tag_limit=LONGEST_TAG)
    yield _Grid(gap=2, tag_limit=LONGEST_TAG, compact=True)
    yield _Grid(gap=1, tag_limit=LONGEST_TAG, compact=True)
    longest = max((len(line.name) for section in table.sections for line in section.lines), default=0)
    for limit in range(longest - 1, SHORTEST_NAME - 1, -1):
        yield _Grid(gap=1, tag_limit=LONGEST_TAG, compact=True, name_limit=limit)


def _drawn(table: LayerTable, grid: _Grid) -> list[StyledLine]:
    """Align all sections in one grid; a rule above the total."""
    rows: list[tuple[list[str], str]] = []
    for section in table.sections:
        if rows:
            rows.append(([], ""))
        rows.append((grid.headings(section, table.unit), "bold"))
        rows += [(grid.cells(line), "") for line in section.lines]
        if len(section.lines) > 1:
            rows.append((grid.sums(section), "dim"))
    total = grid.total(table)
    rows += [([], ""), (total, "bold")]
    widths = [max(len(cells[i]) for cells, _ in rows if cells) for i in range(len(total))]
    return [(_aligned(cells, widths, grid), style) for cells, style in rows]


def _aligned(cells: list[str], widths: list[int], grid: _Grid) -> str:
    return (
        (" " * grid.gap)
        .join(
            f"{cell:<{width}}" if i < grid.left else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(cells, widths, strict=False))
        )
        .rstrip()
    )


def _tail(text: str, limit: int | None) -> str:
    """Cut a module path at the front: its end tells layers apart."""
    return text if limit is None or len(text) <= limit else "…" + text[len(text) - limit + 1 :]


def _head(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"
