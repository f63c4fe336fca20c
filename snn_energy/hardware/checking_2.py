"""Rules of format 2: what a price includes, what a chip has room for, units, and the scaling of another profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from snn_energy.hardware.actions import ACTIONS
from snn_energy.hardware.schema import ENERGIES, SCALING, SECTIONS, is_number, is_whole
from snn_energy.hardware.vocabulary import COVERABLE, LIMITS, PER_CORE, SYSTEM_UNITS, TRAITS
from snn_energy.hardware.wording import bare, hint, shown

Document = Mapping[str, Any]
Problems = Iterator[str]


def _check_numbers(document: Document) -> Problems:
    if not any(document.get(section) for section in (*SECTIONS[2], "scaling")):
        yield f"the profile holds no number; fill in one of {', '.join(SECTIONS[2])}, scaling"


def _check_included(document: Document) -> Problems:
    priced = _table(document, "energy_pj")
    known = {**ACTIONS, **COVERABLE}
    for name, within in _table(document, "included").items():
        path = f"included.{bare(name)}"
        if name not in known:
            yield f"unknown action {path}; {hint(name, known, 'names')}"
        if not isinstance(within, str) or within not in priced:
            yield f"{path} must be an action that energy_pj prices (got {shown(within)})"
        for section in ("energy_pj", "unpriced"):
            if name in _table(document, section):
                yield f"{path}: {name} is in {section} as well; remove one of the two"
    if "memory" in _table(document, "included") and _table(document, "memory_pj"):
        yield "included.memory: memory_pj is priced as well; remove one of the two"


def _check_all_in(document: Document) -> Problems:
    entries = [entry for section in ENERGIES for entry in _table(document, section).values()]
    all_in = any(isinstance(entry, dict) and entry.get("scope") == "all-in" for entry in entries)
    if all_in and not _table(document, "included"):
        names = ", ".join([*COVERABLE, "neuron_update"])
        yield f"all-in prices need [included]: what they contain, each with the action ({names})"


def _check_limits(document: Document) -> Problems:
    known = {**LIMITS, **TRAITS}
    cores = _table(_table(document, "limits"), "cores").get("value")
    for name, entry in _table(document, "limits").items():
        path = f"limits.{bare(name)}"
        if name not in known:
            yield f"unknown limit {path}; {hint(name, known, 'limits')}"
            continue
        value = entry.get("value") if isinstance(entry, dict) else None
        if value is None:
            continue  # reported as missing already
        if name in TRAITS:
            if not isinstance(value, bool):
                yield f"{path}.value must be true or false (got {shown(value)})"
        elif isinstance(value, list) and name in PER_CORE:
            if not all(map(is_whole, value)) or (len(value) != cores and (cores is None or is_whole(cores))):
                yield f"{path}.value must be one whole number >= 1 for each of limits.cores (got {shown(value)})"
        elif not is_whole(value):
            yield f"{path}.value must be a whole number >= 1 (got {shown(value)})"


def _check_system(document: Document) -> Problems:
    for name in _table(document, "system"):
        if not name.endswith(tuple(f"_{unit}" for unit in SYSTEM_UNITS)):
            yield f"system.{bare(name)} must end in its unit, one of _{', _'.join(SYSTEM_UNITS)}"


def _check_scaling(document: Document) -> Problems:
    if not isinstance(document.get("scaling"), dict):
        return
    table = document["scaling"]
    sound = True
    for key, rule in SCALING.items():
        if key not in table:
            if rule.required:
                sound = False
                yield f"scaling.{key} is missing; it must be {rule.expected}"
        elif not rule.accepts(table[key]):
            sound = False
            yield f"scaling.{key} must be {rule.expected} (got {shown(table[key])})"
    for key in table:
        if key not in SCALING:
            yield f"unknown field scaling.{bare(key)}; {hint(key, SCALING, 'fields')}"
    for key, unit in (("node_nm", "nm"), ("voltage_v", "V")):
        if key not in document:
            yield f"{key} is missing; a scaled profile must say what it is scaled to, in {unit}"
    node = document.get("node_nm")
    if sound and is_number(node) and f"{node:g}" not in table["coefficients"]:
        nodes = ", ".join(table["coefficients"])
        yield f"node_nm must be a node of scaling.coefficients, one of {nodes} (got {shown(node)})"
    for section in ENERGIES:
        if _table(document, section):
            yield f"{section} is stated beside scaling, which computes the prices; remove one of the two"


RULES_2: tuple[Callable[[Document], Problems], ...] = (
    _check_numbers,
    _check_included,
    _check_all_in,
    _check_limits,
    _check_system,
    _check_scaling,
)


def _table(document: Any, key: str) -> Mapping[str, Any]:
    table = document.get(key) if isinstance(document, Mapping) else None
    return table if isinstance(table, dict) else {}
