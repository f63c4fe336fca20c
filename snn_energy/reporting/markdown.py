"""The report as GitHub Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import facts, headline, legend
from snn_energy.reporting.layout import Line, Section, energy_text, layer_table, share_text
from snn_energy.reporting.timetable import Timetable, timetable

RIGHT, LEFT = "---:", "---"


def markdown(document: Document) -> str:
    """The whole report: one table for each section, then the facts as a list; ends in a newline."""
    table = layer_table(document)
    blocks = [f"# {_escaped(headline(document))}"]
    blocks += [_section(section, table.unit) for section in table.sections]
    blocks.append(f"**Total: {table.total} {table.unit} per inference.** {_escaped(legend())}")
    times = timetable(document)
    if times is not None:
        blocks.append(_times(times))
    blocks.append("\n".join(f"- {_fact(label, text)}" for label, text in facts(document)))
    return "\n\n".join(blocks) + "\n"


def _section(section: Section, unit: str) -> str:
    with_class = bool(section.operand_heading)
    shown = [i for i, heading in enumerate(section.count_headings) if heading]
    headings = [section.title, "kind", *([section.operand_heading] if with_class else [])]
    left = len(headings)
    rated = bool(section.rate_heading)
    headings += [
        *([section.rate_heading] if rated else []),
        *(section.count_headings[i] for i in shown),
        unit,
        "%",
    ]

    def cells(line: Line) -> list[str]:
        first = [
            f"`{line.name}`",
            _escaped(line.kind),
            *([_escaped(line.operand or "")] if with_class else []),
        ]
        numbers = [*([line.rate] if rated else []), *(f"{line.counts[i]:,}" for i in shown)]
        return [*first, *numbers, energy_text(line.energy), share_text(line.share)]

    totals = section.totals
    sums = ["**sum**", *[""] * (left - 1 + rated), *(f"{totals[i]:,}" for i in shown)]
    rows = [
        headings,
        [LEFT] * left + [RIGHT] * (len(headings) - left),
        *map(cells, section.lines),
        [*sums, energy_text(section.energy), share_text(section.share)],
    ]
    return "\n".join(_row(row) for row in rows)


def _times(times: Timetable) -> str:
    between = [RIGHT] * (len(times.headings) - 2)
    rows = [[f"`{name}`", *map(_escaped, cells)] for name, *cells in times.rows]
    total = ["**total**", *map(_escaped, times.total[1:])]
    return "\n".join(_row(row) for row in (times.headings, [LEFT, *between, LEFT], *rows, total))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fact(label: str, text: str) -> str:
    return f"**{label}:** {_escaped(text)}" if label else f"({_escaped(text)})"


def _escaped(text: str) -> str:
    """Keep Markdown from reading table bars, emphasis and tags into plain text."""
    for mark in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(mark, f"\\{mark}")
    return text
