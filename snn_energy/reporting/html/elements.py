"""Trees of HTML elements: text becomes HTML in one place, where it is escaped.

Whatever comes from a report (a module may be called `<script>`) is a child or an attribute of an element, and so cannot
get around it. Only the packaged style sheet and script are `Raw`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

VOID = frozenset({"br", "col", "hr", "input", "link", "meta", "wbr", "circle", "line", "path", "polyline", "rect"})
"""Elements without children; those of SVG are closed with a slash."""
SVG_SHAPES = frozenset({"circle", "line", "path", "polyline", "rect"})
ON_A_LINE = frozenset({
    "body", "details", "div", "dl", "figcaption", "figure", "footer", "h1", "h2", "h3", "head", "header", "li", "link",
    "main", "meta", "nav", "ol", "p", "script", "section", "style", "summary", "table", "tbody", "tfoot", "thead", "tr",
    "ul",
})  # fmt: skip
"""Elements that begin a line of the file, so that two reports can be compared line by line."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no HTML document may hold."""


class Raw(str):
    """Text that is HTML already; never anything that came from a report."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Element:
    """A tag with its attributes and children."""

    name: str
    attributes: tuple[tuple[str, str | bool], ...]
    children: tuple[Element | str, ...]


Child = Element | str | None | Iterable["Child"]
"""What an element may hold: None is nothing, an iterable its items."""


def tag(name: str, *children: Child, **attributes: str | int | bool | None) -> Element:
    """An element: `tag("td", "1,024", class_="number")`.

    A `_` at the end of an attribute's name is dropped, others become hyphens: `aria_label`, `data_part`. Attributes
    that are None or False are left out, True is written without a value.
    """
    written = tuple(
        (key.rstrip("_").replace("_", "-"), value if isinstance(value, bool) else str(value))
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Element(name, written, tuple(_flat(children)))


def to_html(element: Element) -> str:
    """The element as HTML text."""
    parts: list[str] = []
    _write(element, parts)
    return "".join(parts)


def _flat(children: Iterable[Child]) -> Iterator[Element | str]:
    for child in children:
        if isinstance(child, (Element, str)):
            yield child
        elif child is not None:
            yield from _flat(child)


def _write(node: Element | str, parts: list[str]) -> None:
    if isinstance(node, Raw):
        parts.append(node)
        return
    if isinstance(node, str):
        parts.append(_safe(node, quote=False))
        return
    parts.append(f"\n<{node.name}" if node.name in ON_A_LINE else f"<{node.name}")
    for key, value in node.attributes:
        parts.append(f" {key}" if value is True else f' {key}="{_safe(str(value), quote=True)}"')
    if node.name in VOID and not node.children:
        parts.append("/>" if node.name in SVG_SHAPES else ">")
        return
    parts.append(">")
    for child in node.children:
        _write(child, parts)
    parts.append(f"</{node.name}>")


def _safe(text: str, *, quote: bool) -> str:
    return escape(_CONTROL.sub("\ufffd", text), quote=quote)
