"""Checking a profile against the schema: the tables first, then the rules that span several fields.

Every check yields sentences without the file name; `problems_of` collects all of them, so that one run of
`snn-energy hardware check` shows everything there is to mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from snn_energy.hardware.actions import ACTIONS
from snn_energy.hardware.machine_table import cited_sources, table_problems
from snn_energy.hardware.schema import FORMAT, PRICE, PROFILE, SOURCE, Field, is_range, is_text
from snn_energy.hardware.wording import bare, hint, shown

Document = Mapping[str, Any]
Problems = Iterator[str]


def problems_of(document: Document, stem: str) -> list[str]:
    """Everything that is wrong with a parsed profile from a file called `stem`.toml; empty if all is well."""
    if not document:
        return ["the file is empty; expected a hardware profile (start from a copy of a shipped one)"]
    if "format" in document and not PROFILE["format"].accepts(document["format"]):
        # A file of another format may have any fields: judging them by this schema would only mislead.
        got = shown(document["format"])
        return [f"format must be {FORMAT} (got {got}); this version of snn-energy reads no other format"]
    problems = list(_check_table(document, PROFILE, ""))
    for rule in _RULES:
        problems += rule(document, stem)
    return problems


def _check_table(table: Document, schema: Mapping[str, Field], path: str) -> Problems:
    for key, rule in schema.items():
        if key not in table:
            if rule.required:
                yield f"{path}{key} is missing; it must be {rule.expected}"
        elif not rule.accepts(table[key]):
            yield f"{path}{key} must be {rule.expected} (got {shown(table[key])})"
    for key in table:
        if key not in schema:
            yield f"unknown field {path}{bare(key)}; {hint(key, schema, 'fields')}"


def _check_prices(document: Document, _stem: str) -> Problems:
    if document.get("energy_pj") == {}:
        yield "energy_pj is empty; price at least one action"
    for action, price in _items(document, "energy_pj"):
        path = f"energy_pj.{bare(action)}"
        if action not in ACTIONS:
            yield f"unknown action {path}; {hint(action, ACTIONS, 'actions')}"
        if isinstance(price, dict):
            yield from _check_table(price, PRICE, f"{path}.")
        else:
            yield f"{path} must be a table with {_names(PRICE)} (got {shown(price)})"


def _check_unpriced(document: Document, _stem: str) -> Problems:
    priced = dict(_items(document, "energy_pj"))
    for action, reason in _items(document, "unpriced"):
        path = f"unpriced.{bare(action)}"
        if action not in ACTIONS:
            yield f"unknown action {path}; {hint(action, ACTIONS, 'actions')}"
        if not is_text(reason):
            yield f"{path} must be the reason as non-empty text (got {shown(reason)})"
        if action in priced:
            yield f"{bare(action)} is both priced and unpriced; remove energy_pj.{bare(action)} or {path}"


def _check_sources(document: Document, _stem: str) -> Problems:
    for key, source in _items(document, "sources"):
        path = f"sources.{bare(key)}"
        if isinstance(source, dict):
            yield from _check_table(source, SOURCE, f"{path}.")
        else:
            yield f"{path} must be a table with {_names(SOURCE)} (got {shown(source)})"


def _check_source_keys(document: Document, _stem: str) -> Problems:
    if not isinstance(document.get("sources"), dict):
        return
    sources = dict(_items(document, "sources"))
    prices = dict(_prices(document))
    used = {f"energy_pj.{bare(name)}": each["source"] for name, each in prices.items() if is_text(each.get("source"))}
    unsourced = len(used) < len(prices)
    used |= cited_sources(dict(_items(document, "latency")))
    for path, key in used.items():
        if key not in sources:
            advice = hint(key, sources, "sources") if sources else f"add [sources.{bare(key)}]"
            yield f"{path}.source names no entry of sources (got {shown(key)}); {advice}"
    if unsourced:
        return  # a price without a source is reported already; once it has one, unused sources will show
    for key in sources:
        if key not in used.values():
            yield f"sources.{bare(key)} is used by no price; remove it, or name it as the source of a price"


def _check_latency(document: Document, _stem: str) -> Problems:
    table = document.get("latency")
    yield from table_problems(table) if isinstance(table, dict) else ()


def _check_ranges(document: Document, _stem: str) -> Problems:
    for action, price in _prices(document):
        value: Any = price.get("value")
        bounds: Any = price.get("range")
        if PRICE["value"].accepts(value) and is_range(bounds) and not bounds[0] <= value <= bounds[1]:
            path = f"energy_pj.{bare(action)}"
            yield f"{path}.range must contain {path}.value = {shown(value)} (got {shown(bounds)})"


def _check_one_scope(document: Document, _stem: str) -> Problems:
    by_scope: dict[str, list[str]] = {}
    for action, price in _prices(document):
        if PRICE["scope"].accepts(price.get("scope")):
            by_scope.setdefault(price["scope"], []).append(action)
    if len(by_scope) > 1:
        found = ", ".join(f"{scope}: {' '.join(actions)}" for scope, actions in sorted(by_scope.items()))
        yield (
            "energy_pj mixes scopes, and all-in energies already contain other terms; "
            f"keep one scope per profile (got {found})"
        )


def _check_name(document: Document, stem: str) -> Problems:
    name = document.get("name")
    if PROFILE["name"].accepts(name) and name != stem:
        yield f'name must be the file name without .toml, "{stem}" (got {shown(name)})'


_RULES: tuple[Callable[[Document, str], Problems], ...] = (
    _check_name,
    _check_prices,
    _check_unpriced,
    _check_sources,
    _check_source_keys,
    _check_latency,
    _check_ranges,
    _check_one_scope,
)


def _items(document: Document, key: str) -> Iterator[tuple[str, Any]]:
    table = document.get(key)
    yield from table.items() if isinstance(table, dict) else ()


def _prices(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for action, price in _items(document, "energy_pj"):
        if isinstance(price, dict):
            yield action, price


def _names(schema: Mapping[str, Field]) -> str:
    return ", ".join(key for key, rule in schema.items() if rule.required)
