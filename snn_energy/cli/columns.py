"""Plain tables of the commands that compare networks: aligned columns that fit the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

SHORTEST_NAME = 12
GAP = "  "


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, left: int = 1) -> list[str]:
    """Headings and rows as lines; the first `left` columns are aligned to the left, the others to the right.

    Where a line would be longer than `width`, names in the first column lose their front, down to 12 characters.
    """
    columns = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    rest = sum(columns[1:]) + len(GAP) * (len(columns) - 1)
    columns[0] = max(min(columns[0], width - rest), min(columns[0], SHORTEST_NAME))
    return [
        GAP.join(
            f"{cell:<{size}}" if i < left else f"{cell:>{size}}"
            for i, (cell, size) in enumerate(zip([_tail(row[0], columns[0]), *row[1:]], columns, strict=True))
        ).rstrip()
        for row in (headings, *rows)
    ]


def prose(text: str, width: int) -> list[str]:
    """A sentence broken into lines; "T = 4" stays together."""
    whole = textwrap.wrap(text.replace(" = ", "\u00a0=\u00a0"), width, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in whole]


def change_text(now: float | None, before: float | None) -> str:
    """A relative change as a percentage with its sign; "-" where either is unknown."""
    if now is None or not before:
        return "-"
    return f"{_signed(100 * (now / before - 1), 1)} %"


def points_text(now: float | None, before: float | None) -> str:
    """A change of a share in percentage points with its sign; "-" where either is unknown."""
    return "-" if now is None or before is None else _signed(100 * (now - before), 2)


def _signed(value: float, decimals: int) -> str:
    """A number with its sign; what rounds to zero has none."""
    text = f"{value:+.{decimals}f}"
    return text if float(text) else text[1:]


def _tail(text: str, limit: int) -> str:
    return text if len(text) <= limit else "…" + text[len(text) - limit + 1 :]
