"""The report as LaTeX to paste: a table of booktabs, and the section on methods with its citations."""

from __future__ import annotations

import re

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import headline, legend
from snn_energy.reporting.layout import LayerTable, Line, Section, energy_text, layer_table, share_text
from snn_energy.reporting.methods import sentences
from snn_energy.reporting.references import price_keys
from snn_energy.reporting.tex import code, escaped

LONGEST_TABLE = 50
"""Rows that fit on a page; longer tables go on on the next."""


def latex(document: Document) -> str:
    """A table and a paragraph; `bibtex` gives the entries that they cite. Ends in a newline."""
    table = layer_table(document)
    long = sum(len(section.lines) for section in table.sections) > LONGEST_TABLE
    packages = "booktabs,longtable" if long else "booktabs"
    blocks = [
        f"% Preamble: \\usepackage{{{packages}}}. The entries cited: snn-energy report REPORT.json --format bibtex",
        (_long if long else _floating)(table, document),
        _paragraph(document),
    ]
    return "\n\n".join(blocks) + "\n"


def _paragraph(document: Document) -> str:
    return "\n".join(f"{escaped(each.text)}{_cite(each.keys)}." for each in sentences(document))


def _cite(keys: tuple[str, ...] | list[str]) -> str:
    return f"~\\cite{{{','.join(keys)}}}" if keys else ""


def _caption(document: Document) -> str:
    hardware = document["hardware"]
    name = escaped(str(hardware.get("title") or hardware["name"]))
    prices = f"{name}{_cite(price_keys(document))}"
    return f"Energy of {escaped(headline(document))}, at the prices of {prices}. {escaped(legend())}"


def _label(document: Document) -> str:
    name = str(document.get("checkpoint") or document.get("network") or document.get("model") or "network")
    return "tab:energy-" + re.sub(r"[^a-z0-9]+", "-", name.rpartition(".")[0].lower() or name.lower()).strip("-")


def _floating(table: LayerTable, document: Document) -> str:
    return "\n".join([
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_caption(document)}}}",
        rf"  \label{{{_label(document)}}}",
        r"  \smallskip",  # classes leave no room below a caption
        *_size(table),
        rf"  \begin{{tabular}}{{{_columns(table)}}}",
        r"    \toprule",
        *_body(table),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ])  # fmt: skip


def _long(table: LayerTable, document: Document) -> str:
    return "\n".join([
        r"\begingroup",
        *_size(table),
        rf"  \begin{{longtable}}{{{_columns(table)}}}",
        rf"    \caption{{{_caption(document)}}}\label{{{_label(document)}}}\\",
        r"    \toprule",
        r"    \endfirsthead",
        r"    \toprule",
        r"    \endhead",
        r"    \bottomrule",
        r"    \endfoot",
        *_body(table),
        r"  \end{longtable}",
        r"\endgroup",
    ])  # fmt: skip


_SIZES = ((78, "footnotesize", 3), (88, "scriptsize", 2))
"""Characters of a row, and the font and the gap (in points) with which it fits an article's text of one column."""


def _size(table: LayerTable) -> list[str]:
    """Lines that set the font and the gaps."""
    shown = _shown(table)
    rows = [
        [line.name, line.operand or line.kind, line.rate, *_counts(line.counts[:shown]), energy_text(line.energy), ""]
        for section in table.sections
        for line in section.lines
    ]
    characters = sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True))
    name, gap = next(((name, gap) for most, name, gap in _SIZES if characters <= most), ("tiny", 2))
    return [rf"  \{name}", rf"  \setlength{{\tabcolsep}}{{{gap}pt}}"]


def _shown(table: LayerTable) -> int:
    """Columns of counts: the last one is for special functions, which most networks lack, and for bias additions,
    which are in the energies anyway.
    """
    special = any(section.count_headings[-1] == "specials" and any(section.totals[-1:]) for section in table.sections)
    return 4 if special else 3


def _columns(table: LayerTable) -> str:
    return "ll" + "r" * (_shown(table) + 3)


def _body(table: LayerTable) -> list[str]:
    rows: list[str] = []
    shown = _shown(table)
    for section in table.sections:
        if rows:
            rows.append(r"    \addlinespace")
        rows.append(_row(_headings(section, table.unit, shown)))
        rows.append(r"    \midrule")
        rows += [_row(_cells(line, shown)) for line in section.lines]
        if len(section.lines) > 1:
            sums = ["sum", "", "", *_counts(section.totals[:shown])]
            rows += [
                r"    \cmidrule{1-" + str(shown + 5) + "}",
                _row([*sums, energy_text(section.energy), share_text(section.share)]),
            ]
    total = ["total", *[""] * (shown + 2), escaped(table.total), share_text(table.share)]
    return [*rows, r"    \midrule", _row(total)]


def _headings(section: Section, unit: str, shown: int) -> list[str]:
    first = [section.title, section.operand_heading or "kind", section.rate_heading]
    return [*map(escaped, (*first, *section.count_headings[:shown], unit)), r"\%"]


def _cells(line: Line, shown: int) -> list[str]:
    first = [code(line.name), escaped(line.operand or line.kind), line.rate]
    return [*first, *_counts(line.counts[:shown]), energy_text(line.energy), share_text(line.share)]


def _counts(counts: tuple[int | None, ...]) -> list[str]:
    return ["" if count is None else f"{count:,}" for count in counts]


def _row(cells: list[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"
