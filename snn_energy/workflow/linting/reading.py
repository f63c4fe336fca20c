"""A table of a paper as one record, from CSV, Markdown, LaTeX or TOML; everything around it is kept as text.

| format | the table                                              | the text                                        |
|--------|--------------------------------------------------------|-------------------------------------------------|
| csv    | the lines; commas, semicolons or tabs                  | lines that begin with #                         |
| md     | the first table of pipes with energies, else the first | everything else                                 |
| tex    | the same of tabular, tabular*, tabularx and array      | everything else, comments too                   |
| toml   | `[[rows]]`, keys are headings                          | other texts; `[assumptions]` states each by key |
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snn_energy.errors import DataError, UsageError

SPANNED = "\0"
"""Stands in a cell that another one to its left reaches over."""
SUFFIXES = (".csv", ".md", ".tex", ".toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """Headings, rows of as many cells, and what is said around them."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: str = ""
    stated: Mapping[str, str] = field(default_factory=dict)
    """Assumptions by key, of TOML files."""


def read_table(path: str | Path, notes: str = "") -> PaperTable:
    """Read the table in a file; `notes` is further text about it, like the paper's section on energy.

    Raises:
        UsageError: another suffix.
        DataError: no such file, or no table in it.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: a table's name must end in {', '.join(SUFFIXES)} (got {path.suffix!r})")
    table = reader(read_text(path), str(path))
    if not table.rows:
        raise DataError(f"{path}: expected a table with headings and at least one row below (got none); check the file")
    return PaperTable(
        name=path.name,
        headings=table.headings,
        rows=table.rows,
        text=f"{table.text}\n{notes}",
        stated=table.stated,
    )


def read_text(path: Path) -> str:
    """The text of a file; DataError where there is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check its name") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected text (got bytes that are no UTF-8); save it as UTF-8") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot read this file ({problem.strerror}); check its rights") from None


def _made(where: str, lines: Sequence[Sequence[str]], text: str) -> PaperTable:
    """A table whose rows all have as many cells as the headings; short ones are filled with empty cells."""
    headings, body = _headings(lines)
    rows = []
    for spanned in body:
        line = ["" if cell == SPANNED else cell for cell in spanned]
        if len(line) > len(headings):
            raise DataError(
                f"{where}: the row {' | '.join(line)[:60]!r} has {len(line)} cells (expected {len(headings)}, as in "
                "the headings); correct it"
            )
        rows.append((*line, *[""] * (len(headings) - len(line))))
    return PaperTable(name=where, headings=headings, rows=tuple(rows), text=text)


def _headings(lines: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], Sequence[Sequence[str]]]:
    """Headings and the rows below; a second line of headings, below ones that reach over several columns, is joined."""
    if not lines:
        return (), []
    first: list[str] = []
    for cell in lines[0]:
        first.append(first[-1] if cell == SPANNED and first else cell)
    if SPANNED not in lines[0] or len(lines) < 2 or any(letter.isdigit() for cell in lines[1] for letter in cell):
        return tuple(first), lines[1:]
    second = [*lines[1], *[""] * (len(first) - len(lines[1]))]
    return tuple(f"{a} {b}".strip() for a, b in zip(first, second, strict=False)), lines[2:]


def _csv(text: str, where: str) -> PaperTable:
    lines = text.splitlines()
    said = [line.lstrip("# ") for line in lines if line.startswith("#")]
    body = [line for line in lines if line.strip() and not line.startswith("#")]
    mark = max(",;\t", key=body[0].count) if body else ","
    cells = [[cell.strip() for cell in row] for row in csv.reader(body, delimiter=mark)]
    return _made(where, cells, "\n".join(said))


_ENERGY = re.compile(r"energy(?!\.)|power|consum|[(\[/ ](p|n|µ|u|m|\\mu\$?)?J\b", re.IGNORECASE)
"""How a table of energies is told from others in one file; without one, the first is taken."""


def _md(text: str, where: str) -> PaperTable:
    lines = text.splitlines()
    bars = [line.lstrip().startswith("|") for line in lines]
    starts = [i for i, bar in enumerate(bars) if bar and not (i and bars[i - 1])]
    if not starts:
        return _made(where, [], text)
    first = next((i for i in starts if _ENERGY.search(lines[i])), starts[0])
    last = next((i for i in range(first, len(lines)) if not bars[i]), len(lines))
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines[first:last]]
    body = [row for row in cells if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    cleaned = [[re.sub(r"\*\*|__|`|\\(?=[|_*])", "", cell) for cell in row] for row in body]
    return _made(where, cleaned, "\n".join([*lines[:first], *lines[last:]]))


_TABULAR = re.compile(r"\\begin\{(tabular[x*]?|array)\}(.*?)\\end\{\1\}", re.DOTALL)
_RULE = re.compile(
    r"\\(toprule|midrule|bottomrule|hline|[ch]?line\{[^}]*\}|cmidrule(\([^)]*\))?\{[^}]*\})(\[[^\]]*\])?"
)
_PLAIN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), into)
    for pattern, into in (
        (r"\\multirow\*?(\[[^\]]*\])?\{[^{}]*\}(\[[^\]]*\])?\{[^{}]*\}", ""),
        (r"\\(textmu|mu|upmu)(\{\})?(?![a-zA-Z])\s?", "µ"),
        (r"\\times(?![a-zA-Z])", "×"),
        (r"\\pm(?![a-zA-Z])", "±"),
        (r"\\(cite|citep|citet|ref|label|footnote|tnote)\*?(\[[^\]]*\])*\{[^{}]*\}", ""),
        (r"\\([%&_#$])", r"\1"),
        (r"\\[,;:! ]", " "),
        (r"\\[a-zA-Z]+\*?", ""),
        (r"[{}$]", ""),
        (r"~", " "),
    )
)


def _tex(text: str, where: str) -> PaperTable:
    tables = list(_TABULAR.finditer(text))
    if not tables:
        return _made(where, [], text)
    found = next((one for one in tables if _ENERGY.search(one[2])), tables[0])
    around = text[: found.start()] + text[found.end() :]
    body = re.sub(r"(?<!\\)%.*", "", _after_columns(found[2]))
    parts = [_RULE.sub("", part).strip() for part in re.split(r"\\\\(?:\[[^\]]*\])?", body)]
    lines = [_tex_cells(part) for part in parts if part]
    return _made(where, lines, latex_words(around))


def _after_columns(body: str) -> str:
    """What follows the arguments of a tabular: its width and its columns."""
    rest = body.lstrip()
    while rest.startswith(("{", "[")):
        rest = rest[_closing(rest) + 1 :].lstrip()
    return rest


def _closing(text: str) -> int:
    """Where the bracket that a text begins with is closed; its last place where it is not."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "{[") - (letter in "}]")
        if not depth:
            return place
    return len(text) - 1


def _tex_cells(part: str) -> list[str]:
    cells: list[str] = []
    for cell in re.split(r"(?<!\\)&", part):
        wide = re.match(r"\s*\\multicolumn\{(\d+)\}\{(?:[^{}]|\{[^{}]*\})*\}(.*)", cell, re.DOTALL)
        cells.append(latex_words(wide[2] if wide else cell))
        cells += [SPANNED] * (int(wide[1]) - 1 if wide else 0)
    return cells


def latex_words(text: str) -> str:
    """LaTeX as plain words, as far as a search for words and numbers needs."""
    for pattern, into in _PLAIN:
        text = pattern.sub(into, text)
    return re.sub(r"[ \t]+", " ", text).strip()


def _toml(text: str, where: str) -> PaperTable:
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise DataError(f"{where}: not TOML ({problem}); correct it") from None
    rows = value.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{where}: rows must be tables, each under [[rows]] (got {type(rows).__name__})")
    stated = value.get("assumptions", {})
    if not isinstance(stated, dict):
        raise DataError(f"{where}: assumptions must be a table, under [assumptions] (got {type(stated).__name__})")
    headings = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_written(row.get(key, "")) for key in headings] for row in rows]
    said = [str(text) for key, text in value.items() if key not in ("rows", "assumptions")]
    made = _made(where, [headings, *cells] if rows else [], "\n".join(said))
    words = {str(key): _written(each) for key, each in stated.items()}
    return PaperTable(name=where, headings=made.headings, rows=made.rows, text=made.text, stated=words)


def _written(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


_READERS: Mapping[str, Callable[[str, str], PaperTable]] = dict(zip(SUFFIXES, (_csv, _md, _tex, _toml), strict=True))
