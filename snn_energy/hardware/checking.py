"""Checking a profile against the schema: the tables first, then the rules that span several fields.

Every check yields sentences without the file name; `problems_of` collects all of them, so that one run of
`snn-energy hardware check` shows everything there is to mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from snn_energy.hardware.actions import ACTIONS
from snn_energy.hardware.checking_2 import RULES_2
from snn_energy.hardware.machine_table import cited_sources, latency_problems
from snn_energy.hardware.schema import ENERGIES, FORMATS, PROFILE, SECTIONS, SOURCE, Field, is_number, is_range, is_text
from snn_energy.hardware.wording import bare, hint, shown

Document = Mapping[str, Any]
Problems = Iterator[str]


def problems_of(document: Document, stem: str) -> list[str]:
    """Everything that is wrong with a parsed profile from a file called `stem`.toml; empty if all is well."""
    if not document:
        return ["the file is empty; expected a hardware profile (start from snn-energy hardware new NAME)"]
    if "format" in document and not PROFILE[1]["format"].accepts(document["format"]):
        # A file of another format may have any fields: judging them by this schema would only mislead.
        expected, got = PROFILE[1]["format"].expected, shown(document["format"])
        return [f"format must be {expected} (got {got}); this version of snn-energy reads no other format"]
    problems = list(_check_table(document, PROFILE[_format(document)], ""))
    for rule in _RULES:
        problems += rule(document, stem)
    if _format(document) > 1:
        for further in RULES_2:
            problems += further(document)
    return problems


def _format(document: Document) -> int:
    return int(document.get("format", FORMATS[0]))


def _check_table(table: Document, schema: Mapping[str, Field], path: str) -> Problems:
    for key, rule in schema.items():
        if key not in table:
            if rule.required:
                yield f"{path}{key} is missing; it must be {rule.expected}"
        elif not rule.accepts(table[key]):
            yield f"{path}{key} must be {rule.expected} (got {shown(table[key])})"
    for key in table:
        if key in schema:
            continue
        if not path and key in PROFILE[FORMATS[-1]]:
            yield f"{bare(key)} needs format = {FORMATS[-1]} (got format = {_format(table)})"
        else:
            yield f"unknown field {path}{bare(key)}; {hint(key, schema, 'fields')}"


def _check_actions(document: Document, _stem: str) -> Problems:
    for section in ("energy_pj", "unpriced"):
        if section == "energy_pj" and document.get(section) == {} and _format(document) == 1:
            yield "energy_pj is empty; price at least one action"
        for action, _ in items(document, section):
            if action not in ACTIONS:
                yield f"unknown action {section}.{bare(action)}; {hint(action, ACTIONS, 'actions')}"


def _check_entries(document: Document, _stem: str) -> Problems:
    for section, schema in SECTIONS[_format(document)].items():
        for name, entry in items(document, section):
            path = f"{section}.{bare(name)}"
            if isinstance(entry, dict):
                yield from _check_table(entry, schema, f"{path}.")
            else:
                yield f"{path} must be a table with {_names(schema)} (got {shown(entry)})"


def _check_unpriced(document: Document, _stem: str) -> Problems:
    priced = dict(items(document, "energy_pj"))
    for action, reason in items(document, "unpriced"):
        path = f"unpriced.{bare(action)}"
        if not is_text(reason):
            yield f"{path} must be the reason as non-empty text (got {shown(reason)})"
        if action in priced:
            yield f"{bare(action)} is both priced and unpriced; remove energy_pj.{bare(action)} or {path}"


def _check_sources(document: Document, _stem: str) -> Problems:
    for key, source in items(document, "sources"):
        path = f"sources.{bare(key)}"
        if isinstance(source, dict):
            yield from _check_table(source, SOURCE, f"{path}.")
        else:
            yield f"{path} must be a table with {_names(SOURCE)} (got {shown(source)})"


def _check_source_keys(document: Document, _stem: str) -> Problems:
    if not isinstance(document.get("sources"), dict):
        return
    sources = dict(items(document, "sources"))
    citing = dict(_entries(document))
    scaling = document.get("scaling")
    if isinstance(scaling, dict):
        citing["scaling"] = scaling
    used = {path: entry["source"] for path, entry in citing.items() if is_text(entry.get("source"))}
    unsourced = len(used) < len(citing)
    used |= cited_sources(document)
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
    yield from latency_problems(document)


def _check_ranges(document: Document, _stem: str) -> Problems:
    for path, entry in _entries(document):
        value: Any = entry.get("value")
        bounds: Any = entry.get("range")
        if is_number(value) and value >= 0 and is_range(bounds) and not bounds[0] <= value <= bounds[1]:
            yield f"{path}.range must contain {path}.value = {shown(value)} (got {shown(bounds)})"


def _check_one_scope(document: Document, _stem: str) -> Problems:
    by_scope: dict[str, list[str]] = {}
    sections = [section for section in ENERGIES if section in SECTIONS[_format(document)]]
    for section in sections:
        accepts = SECTIONS[_format(document)][section]["scope"].accepts
        for name, entry in items(document, section):
            if isinstance(entry, dict) and accepts(entry.get("scope")):
                shown_name = name if section == "energy_pj" else f"{section}.{name}"
                by_scope.setdefault(entry["scope"], []).append(shown_name)
    if len(by_scope) > 1:
        found = ", ".join(f"{scope}: {' '.join(actions)}" for scope, actions in sorted(by_scope.items()))
        yield (
            "energy_pj mixes scopes, and all-in energies already contain other terms; "
            f"keep one scope per profile (got {found})"
        )


def _check_name(document: Document, stem: str) -> Problems:
    name = document.get("name")
    if PROFILE[1]["name"].accepts(name) and name != stem:
        yield f'name must be the file name without .toml, "{stem}" (got {shown(name)})'


_RULES: tuple[Callable[[Document, str], Problems], ...] = (
    _check_name,
    _check_actions,
    _check_entries,
    _check_unpriced,
    _check_sources,
    _check_source_keys,
    _check_latency,
    _check_ranges,
    _check_one_scope,
)


def items(document: Document, key: str) -> Iterator[tuple[str, Any]]:
    """Entries of a table of the document; none where it is missing or no table."""
    table = document.get(key)
    yield from table.items() if isinstance(table, dict) else ()


def _entries(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and table of every entry of every section."""
    for section in SECTIONS[_format(document)]:
        for name, entry in items(document, section):
            if isinstance(entry, dict):
                yield f"{section}.{bare(name)}", entry


def _names(schema: Mapping[str, Field]) -> str:
    return ", ".join(key for key, rule in schema.items() if rule.required)
