"""The publications that a report stands on, each with a key that is stable and unique: what a paper has to cite."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from string import ascii_lowercase

from snn_energy.reporting.document import Document
from snn_energy.version import package_version

TOOL = "snn-energy"
QUANTISED = "yan-2024"
"""Sheet of the publication whose baseline the quantised twin is."""
OURS = ("arithmetic", "arithmetic-zero-skipping", "every-operation-ac")
"""Methods that no publication stands behind; with `+memory` and options as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One publication, as the profile or the method's sheet cites it."""

    key: str
    """Key for citing: letters, digits and hyphens."""
    citation: str
    source: str | None = None
    """Key of the source in the profile; None for what is no source of a price."""
    url: str | None = None
    note: str | None = None
    """How it was read and how far to trust it."""
    locators: tuple[str, ...] = ()
    """Where in it the numbers stand that this report uses, with what they are for."""


def references(document: Document) -> tuple[Reference, ...]:
    """This package, the sources of the prices, the publications of the method and of a baseline, in this order.

    Prices that the hardware has but no count meets are left out with their sources.
    """
    found = [tool_reference(), *_of_prices(document)]
    found += [each for each in (method_sheet(document), quantised_sheet(document)) if each is not None]
    return tuple(_unique(dict.fromkeys(found)))


def tool_reference() -> Reference:
    """This package, with its version."""
    return Reference(
        key=TOOL, citation=f"snn_energy, exact energy reports for spiking neural networks, version {package_version()}"
    )


def price_keys(document: Document) -> list[str]:
    """Keys of the sources of the prices, in the order of the profile."""
    sources = {price["source"] for price in used_prices(document).values()}
    if document.get("memory"):
        sources |= set(document["hardware"].get("sources", {}))
    return [each.key for each in references(document) if each.source in sources]


def method_sheet(document: Document) -> Reference | None:
    """The publication of the report's method; None for a method of ours."""
    name = str(document.get("method") or "").partition(":")[0]
    return None if not name or name.partition("+")[0] in OURS else _sheet(name)


def quantised_sheet(document: Document) -> Reference | None:
    """The publication that compares with a quantised ANN of equal capacity; None where the report does not."""
    return _sheet(QUANTISED) if document.get("quantised") else None


def _sheet(name: str) -> Reference | None:
    from snn_energy.costing.published_methods.sheets import folder, load_sheet

    if not (folder() / f"{name}.toml").is_file():
        return None
    sheet = load_sheet(name)
    return Reference(key=f"method-{_plain(name)}", citation=sheet.citation, url=sheet.url)


def used_prices(document: Document) -> dict[str, Document]:
    """Actions that were counted, and their prices; all prices where the method has a price list of its own."""
    prices = document["hardware"].get("energy_pj", {})
    if method_sheet(document) is not None:
        return dict(prices)
    rows, neurons = document["rows"], document.get("neurons", ())
    baseline = document.get("baseline") or {"rows": (), "neurons": ()}
    every = [*rows, *baseline["rows"]]
    counted = {
        "mac": any(row["macs"] for row in every),
        "ac": any(row["acs"] for row in every),
        "neuron_update": any(row["updates"] for row in every),
    }
    for action, column, field in (
        ("add", "adds", "adds"), ("mul", "muls", "muls"), ("compare", "compares", "compares"),
        ("special", "specials", "specials"),
    ):  # fmt: skip
        by_neurons = any(neuron.get(f"update_{field}") or neuron.get(f"spike_{field}") for neuron in neurons)
        counted[action] = any(row[column] for row in every) or by_neurons
    if "neuron_update" not in prices:
        counted["neuron_update"] = False
    return {action: price for action, price in prices.items() if counted.get(action, True)}


def timings(document: Document) -> dict[str, Document]:
    """What the latency is computed from, where the report has one: entries with a source."""
    if not document.get("latency"):
        return {}
    entries = document["hardware"].get("latency") or {}
    return {
        key: entry for key, entry in entries.items() if isinstance(entry, dict) and isinstance(entry.get("source"), str)
    }


def _of_prices(document: Document) -> Iterable[Reference]:
    places: dict[str, dict[str, list[str]]] = {}
    for action, price in {**used_prices(document), **timings(document)}.items():
        places.setdefault(price["source"], {}).setdefault(str(price.get("locator") or ""), []).append(action)
    if document.get("memory"):  # reports do not tell which source a memory's price is from: all that there are
        for key in document["hardware"].get("sources", {}):
            places.setdefault(key, {}).setdefault("see the profile", []).append("memory")
    for key, source in document["hardware"].get("sources", {}).items():
        if key in places:
            yield Reference(
                key=_plain(key),
                source=key,
                citation=source["citation"],
                url=str(source["url"]) if source.get("url") else None,
                note=str(source["note"]) if source.get("note") else None,
                locators=tuple(f"{', '.join(actions)}: {where}" for where, actions in places[key].items()),
            )


def _plain(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", key).strip("-") or "source"


def _unique(found: Iterable[Reference]) -> Iterable[Reference]:
    """Keys that have become equal get a letter."""
    taken: set[str] = set()
    for each in found:
        key = each.key
        if key in taken:
            key = next(name for letter in ascii_lowercase if (name := f"{each.key}-{letter}") not in taken)
        taken.add(key)
        yield replace(each, key=key)
