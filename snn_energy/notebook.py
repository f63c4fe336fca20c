"""What a notebook shows of a trace or a report: one plain HTML table, coloured by the notebook's own style sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_TEXT = "text-align:left"
_NUMBER = "text-align:right;font-variant-numeric:tabular-nums"


def html_table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int) -> str:
    """Return a table whose first `texts` columns are text, the others numbers; everything is escaped."""
    styles = [_TEXT if column < texts else _NUMBER for column in range(len(headings))]
    head = "".join(f'<th scope="col" style="{style}">{escape(name)}</th>' for name, style in zip(headings, styles))
    body = "\n".join(
        "<tr>" + "".join(f'<td style="{style}">{escape(cell)}</td>' for cell, style in zip(row, styles)) + "</tr>"
        for row in rows
    )
    title = f'<caption style="{_TEXT}">{escape(caption)}</caption>'
    return f"<table>{title}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def certificate(complete: bool, uncounted: Sequence[str]) -> str:
    """The coverage certificate in few words."""
    return "complete: nothing left out" if complete else f"INCOMPLETE, not counted: {', '.join(uncounted)}"


def rate_text(rate: float | None) -> str:
    """A share with four decimals; empty where there is none."""
    return "" if rate is None else f"{rate:.4f}"
