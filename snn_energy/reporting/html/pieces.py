"""What sections are built from: headings, strips of marks that explain themselves, plain tables, lists of facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snn_energy.reporting.html.elements import Child, Element, tag

Fact = tuple[str, str]

LONGEST_UNBROKEN = 16
"""Characters of a name that fit into any column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A piece of a strip: where it begins and how long it is, as shares of the strip's width."""

    style: str
    """CSS class that gives it its colour."""
    start: float
    size: float
    tip: str
    """What it says when it is pointed at, or reached with the arrow keys."""


def section(key: str, title: str, lead: Child, *content: Child) -> Element:
    """A section with a heading and a sentence or two about what it shows."""
    return tag(
        "section",
        tag("h2", title, id_=f"{key}-title"),
        tag("p", lead, class_="lead") if lead else None,
        content,
        id_=key,
        aria_labelledby=f"{key}-title",
    )


def figure(title: str, lead: str | None, *content: Child) -> Element:
    """Part of a section with a heading of its own."""
    return tag("figure", tag("figcaption", tag("h3", title), tag("p", lead) if lead else None), content)


def place(share: float) -> str:
    """A coordinate for an SVG attribute, to a ten-thousandth of the width: `place(0.25)` is "25%"."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"


def strip(marks: Iterable[Mark], label: str, *behind: Child, above: Child = None) -> Element:
    """Marks side by side on one line, as wide as there is room; `label` says the same in words."""
    return tag(
        "svg",
        behind,
        (
            tag(
                "rect", tag("title", mark.tip), class_=f"mark {mark.style}",
                x=place(mark.start), width=place(mark.size), height="100%",
            )
            for mark in marks
        ),
        above,
        class_="strip", role="img", aria_label=label,
    )  # fmt: skip


def stacked(parts: Sequence[tuple[str, float, str]], label: str) -> Element:
    """A strip of parts, each (style, share of the width, tip), that begin where the one before them ends."""
    marks, start = [], 0.0
    for style, size, tip in parts:
        if size:
            marks.append(Mark(style=style, start=start, size=size, tip=tip))
        start += size
    return strip(marks, label)


def path(name: Child) -> Child:
    """A module's path that may be broken behind its dots and underscores, where it is long."""
    if not isinstance(name, str) or len(name) <= LONGEST_UNBROKEN:
        return name
    return [part for piece in re.findall(r"[^._]*[._]|[^._]+", name) for part in (piece, tag("wbr"))][:-1]


def bar(name: str, drawing: Element, value: Child, note: str | None = None) -> Element:
    """One row of a bar chart: name, strip, value; on a narrow screen the name stands above the strip."""
    return tag(
        "li",
        tag("span", path(name), tag("small", " ", note) if note else None, class_="name"),
        drawing,
        tag("span", value, class_="value"),
    )


def bars(rows: Iterable[Element], label: str, style: str = "") -> Element:
    """Rows of a bar chart; the arrow keys go through their marks."""
    return tag("ol", rows, class_=f"bars {style}".strip(), data_chart=label)


def ground() -> Element:
    """What a bar of shares is part of, to be drawn behind its marks."""
    return tag("rect", class_="ground", width="100%", height="100%")


def key(style: str, *text: Child) -> Element:
    """An entry of a colour key."""
    return tag("li", tag("i", class_=f"swatch {style}", aria_hidden="true"), text)


def keys(entries: Iterable[Element]) -> Element:
    """The colours of a chart and what they stand for."""
    return tag("ul", entries, class_="keys")


def grid(
    headings: Sequence[str],
    rows: Iterable[Sequence[Child]],
    label: str,
    numbers: Iterable[int] = (),
    *,
    short: Iterable[int] = (),
    long: Iterable[int] = (),
) -> Element:
    """A plain table that scrolls sideways where it is too wide.

    Columns in `numbers` are right-aligned, those in `short` are never broken into lines, and those in `long` get the
    room for a sentence.
    """
    styles = {**dict.fromkeys(short, "short"), **dict.fromkeys(long, "long"), **dict.fromkeys(numbers, "number")}
    style = styles.get

    return tag(
        "div",
        tag(
            "table",
            tag("thead", tag("tr", (tag("th", text, scope="col", class_=style(i)) for i, text in enumerate(headings)))),
            tag(
                "tbody",
                (
                    tag(
                        "tr",
                        (
                            tag("td", cell, class_=style(i)) if i else tag("th", path(cell), scope="row", class_="name")
                            for i, cell in enumerate(row)
                        ),
                    )
                    for row in rows
                ),
            ),
        ),
        class_="scroll", role="region", aria_label=label, tabindex="0",
    )  # fmt: skip


def fact_list(found: Iterable[Fact]) -> Element:
    """Labelled sentences; one without a label goes on with the label before it."""
    items: list[Element] = []
    for label, text in found:
        if label:
            items.append(tag("dt", label))
        items.append(tag("dd", text, class_="alarm" if text.startswith("INCOMPLETE") else None))
    return tag("dl", items, class_="facts")
