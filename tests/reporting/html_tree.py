"""HTML read back by the standard library's parser into a tree, strictly: every element must be closed in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"br", "col", "hr", "input", "link", "meta", "wbr"}


@dataclass
class Node:
    tag: str
    attrs: dict[str, str | None]
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str | None = None, **attrs: str):
        """Every element below this one, in order, with this tag and these attributes (`class_` among the classes)."""
        for child in self.children:
            if isinstance(child, Node):
                if (tag is None or child.tag == tag) and all(child.has(key, value) for key, value in attrs.items()):
                    yield child
                yield from child.all(tag, **attrs)

    def has(self, key: str, value: str) -> bool:
        if key == "class_":
            return value in (self.attrs.get("class") or "").split()
        return self.attrs.get(key.rstrip("_").replace("_", "-")) == value

    def one(self, tag: str | None = None, **attrs: str) -> Node:
        (found,) = self.all(tag, **attrs)
        return found


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs))
        assert len(node.attrs) == len(attrs), f"<{tag}> repeats an attribute"
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parsed(text: str) -> Node:
    assert text.startswith("<!doctype html>\n")
    builder = _Builder()
    builder.feed(text)
    builder.close()
    assert builder.open == [builder.root], "elements are left open"
    return builder.root


def cells(table: Node, part: str) -> list[list[str]]:
    """Texts of the rows of `thead`, `tbody` or `tfoot`."""
    return [[cell.text.strip() for cell in row.children if isinstance(cell, Node)] for row in table.one(part).all("tr")]
