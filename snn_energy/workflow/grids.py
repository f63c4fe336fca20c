"""Plain tables as text: Markdown, LaTeX (booktabs) and CSV; what is best stands out in the first two."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snn_energy.reporting.tex import escaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Headings and rows of text cells; the first `left` columns are aligned to the left."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: frozenset[tuple[int, int]] = frozenset()
    """Row and column of the cells to mark."""
    left: int = 1

    def marked(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows as plain text: best cells end in an asterisk, the others of their column in a blank."""
        starred = {k for _, k in self.best}
        headings = [f"{heading} " if k in starred else heading for k, heading in enumerate(self.headings)]
        rows = [
            [f"{cell}{'*' if (i, k) in self.best else ' '}" if k in starred else cell for k, cell in enumerate(row)]
            for i, row in enumerate(self.rows)
        ]
        return headings, rows


def markdown_grid(grid: Grid) -> str:
    """The table as GitHub Markdown, best cells in bold."""
    align = ["---" if k < grid.left else "---:" for k in range(len(grid.headings))]
    body = [
        [f"**{markdown_text(cell)}**" if (i, k) in grid.best else markdown_text(cell) for k, cell in enumerate(row)]
        for i, row in enumerate(grid.rows)
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in ([markdown_text(h) for h in grid.headings], align, *body))


def markdown_text(text: str) -> str:
    """Text with Markdown's own marks escaped."""
    for mark in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(mark, f"\\{mark}")
    return text


def latex_grid(grid: Grid) -> str:
    """The table as a LaTeX tabular for booktabs, best cells in bold."""
    align = "".join("l" if k < grid.left else "r" for k in range(len(grid.headings)))
    body = [
        [rf"\textbf{{{escaped(cell)}}}" if (i, k) in grid.best else escaped(cell) for k, cell in enumerate(row)]
        for i, row in enumerate(grid.rows)
    ]
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", _latex_row(map(escaped, grid.headings)), r"\midrule"]
    lines += [_latex_row(row) for row in body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def csv_grid(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows of plain values as CSV; floats read back exactly, None is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return out.getvalue()
