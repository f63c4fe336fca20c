"""The section on hardware: every price with its range, evidence and locator, and the sources behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.elements import Child, Element, tag
from snn_energy.reporting.html.pieces import grid, section


def machine_section(document: Document) -> Element:
    """The profile as the report carries it."""
    hardware = document["hardware"]
    facts = [
        f"{label} {hardware[key]}{unit}"
        for key, label, unit in (
            ("scope", "prices:", ""), ("node_nm", "node", " nm"), ("voltage_v", "at", " V"), ("datatype", "type", ""),
        )
        if isinstance(hardware.get(key), (str, int, float)) and hardware[key]
    ]  # fmt: skip
    unpriced = hardware.get("unpriced")
    included = hardware.get("included")
    notes = hardware.get("notes")
    return section(
        "hardware",
        "Hardware and sources",
        [tag("b", hardware["name"]), f": {hardware.get('title') or 'no title'}", *(f"; {fact}" for fact in facts), "."],
        grid(
            ("action", "pJ", "range", "evidence", "source", "where"),
            _prices(hardware),
            "Prices",
            (1, 2),
            short=(3, 4),
            long=(5,),
        ),
        _pairs("Without a price", unpriced),
        _pairs("Contained in another price", included),
        [tag("p", line) for line in str(notes).splitlines()] if notes else None,
        tag("h3", "Sources"),
        tag("ul", (_source(key, source) for key, source in hardware.get("sources", {}).items()), class_="sources"),
    )


def _prices(hardware: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for action, price in hardware.get("energy_pj", {}).items():
        ends = price.get("range_pj")
        spread = (
            f"{_number(ends[0])} to {_number(ends[1])}"
            if isinstance(ends, (list, tuple)) and len(ends) == 2
            else "none known"
        )
        yield (
            action, _number(price.get("value_pj")), spread, str(price.get("evidence") or ""), price["source"],
            str(price.get("locator") or ""),
        )  # fmt: skip


def _number(value: object) -> str:
    return f"{value:,.6g}" if isinstance(value, (int, float)) else "?"


def _pairs(title: str, entries: object) -> Child:
    if not isinstance(entries, Mapping) or not entries:
        return None
    listed = ([tag("dt", str(name)), tag("dd", str(text))] for name, text in entries.items())
    return [tag("h3", title), tag("dl", listed, class_="facts")]


def _source(key: str, source: Mapping[str, Any]) -> Element:
    url, note = source.get("url"), source.get("note")
    return tag(
        "li",
        tag("code", key), " ", source["citation"], " ",
        _link(str(url)) if url else None,
        tag("p", tag("small", str(note))) if note else None,
    )  # fmt: skip


def _link(url: str) -> Element | str:
    """The address as text, to be read on paper too; it can be followed if it is one of the web."""
    return tag("a", url, href=url, rel="noreferrer") if url.startswith(("https://", "http://")) else url
