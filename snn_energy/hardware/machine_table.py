"""Reading a profile's [latency] table: which fields each kind of machine has, and what they must hold.

[latency]
model = "systolic"                  # or "event-driven", "step-synchronous"
dataflow = "weight-stationary"      # a choice is text; a number is a table with its source
clock_mhz = "system.clock_mhz"      # or the name of a number that the profile has already

[latency.rows]
value = 8
evidence = "stated"
source = "sata-2023"                # a key of [sources]
locator = "Table 1"
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, get_args

from snn_energy.errors import ProfileError
from snn_energy.hardware.machines import (
    Dataflow,
    Engine,
    EventDriven,
    Figure,
    Machine,
    Memory,
    OverTime,
    Schedule,
    StepSynchronous,
    Systolic,
    WeightReads,
)
from snn_energy.hardware.records import Confidence, Evidence
from snn_energy.hardware.wording import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A sourced number of the table."""

    unit: str
    whole: bool = False
    least: int = 0
    above: bool = False
    """Whether `least` itself is too small."""
    required: bool = False

    def expected(self) -> str:
        """What `value` must be, in words."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} {'>' if self.above else '>='} {self.least} ({self.unit})"

    def accepts(self, value: Any) -> bool:
        """Whether `value` is such a number."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return math.isfinite(value) and (value > self.least if self.above else value >= self.least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A decision of the table, as text."""

    of: tuple[str, ...]
    required: bool = False

    def expected(self) -> str:
        """What the text must be."""
        return " or ".join(f'"{each}"' for each in self.of)


Rule = Number | Choice

STATIC: Mapping[str, Rule] = {"static_power_mw": Number(unit="mW of leakage and idle power")}
CLOCK: Mapping[str, Rule] = {"clock_mhz": Number(unit="MHz", above=True)}
MEMORY: Mapping[str, Rule] = {
    "bandwidth_gb_s": Number(unit="10^9 bytes per second", above=True),
    "weight_bits": Number(unit="bits", whole=True, least=1),
    "activation_bits": Number(unit="bits", whole=True, least=1),
    "spike_bits": Number(unit="bits of one binary operand", whole=True, least=1),
    "state_bits": Number(unit="bits of one state variable", whole=True, least=1),
    "weights_read": Choice(of=get_args(WeightReads)),
}
"""All of them or none: a bandwidth says nothing before the bits do."""

MODELS: Mapping[str, Mapping[str, Rule]] = {
    "systolic": {
        "rows": Number(unit="rows of the array", whole=True, least=1, required=True),
        "cols": Number(unit="columns of the array", whole=True, least=1, required=True),
        "dataflow": Choice(of=get_args(Dataflow), required=True),
        "over_time": Choice(of=get_args(OverTime)),
        "updates_per_cycle": Number(unit="neuron updates in one cycle", whole=True, least=1),
        **CLOCK,
        **MEMORY,
        "weights_read": Choice(of=("once-per-inference", "once-per-pass")),
        **STATIC,
    },
    "event-driven": {
        "synops_per_cycle": Number(unit="synaptic operations in one cycle", whole=True, least=1, required=True),
        "updates_per_cycle": Number(unit="neuron updates in one cycle", whole=True, least=1, required=True),
        "barrier_cycles": Number(unit="cycles at the end of each time step", whole=True, required=True),
        "schedule": Choice(of=get_args(Schedule), required=True),
        **CLOCK,
        **MEMORY,
        **STATIC,
    },
    "step-synchronous": {
        "synop_ns": Number(unit="ns of one synaptic operation", required=True),
        "update_ns": Number(unit="ns of one neuron update", required=True),
        "barrier_ns": Number(unit="ns at the end of each time step", required=True),
        "neurons_per_core": Number(unit="neurons", whole=True, least=1),
        **STATIC,
    },
}
"""Fields of the table by its `model`."""

GRADES = tuple(grade for grade in get_args(Evidence) if grade != "scaled")  # which no file may state
_FIGURE = ("value", "evidence", "source", "locator")
_OPTIONAL = ("range", "confidence")
REFERRED = ("timing_ns", "limits", "system")
"""Sections of the profile whose entries a number may be taken from, by name."""


def machine_of(document: Mapping[str, Any]) -> Machine | None:
    """The record of a profile's [latency] table; None where it has none.

    Args:
        document: the whole profile as TOML gives it.

    Raises:
        ProfileError: the table breaks the rules above; the message has one line for each problem.
    """
    if "latency" not in document:
        return None
    problems = list(latency_problems(document))
    if problems:
        raise ProfileError("\n".join(problems))
    table = _resolved(document)
    model = table["model"]
    figures = {key: _figure(table[key]) for key, rule in MODELS[model].items() if key in table and _is_number(rule)}
    values = _Values(table, figures)
    return Machine(
        model=model,
        engine=_ENGINES[model](values),
        clock_mhz=values.number("clock_mhz"),
        updates_per_cycle=values.whole("updates_per_cycle"),
        static_mw=values.number("static_power_mw"),
        memory=_memory(values),
        figures=figures,
        texts={key: table[key] for key in table if isinstance(table[key], str)},
    )


def _is_number(rule: Rule | None) -> bool:
    return isinstance(rule, Number)


def cited_sources(document: Mapping[str, Any]) -> dict[str, str]:
    """Path of each number that the [latency] table states itself -> the source that it names."""
    table = document.get("latency")
    return {
        f"latency.{key}": entry["source"]
        for key, entry in (table.items() if isinstance(table, Mapping) else ())
        if isinstance(entry, Mapping) and isinstance(entry.get("source"), str)
    }


def latency_problems(document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the [latency] table of a profile, one line for each; nothing where there is none."""
    if isinstance(document.get("latency"), Mapping):
        yield from _problems(_resolved(document), "latency")


def _resolved(document: Mapping[str, Any]) -> dict[str, Any]:
    """The table with names of other entries of the profile replaced by these; unknown names stay as they are."""
    table = document["latency"]
    rules = MODELS.get(table["model"], {}) if isinstance(table.get("model"), str) else {}
    return {key: _referred(value, document) if _is_number(rules.get(key)) else value for key, value in table.items()}


def _referred(value: Any, document: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    section, _, name = value.partition(".")
    entries = document.get(section) if section in REFERRED else None
    entry = entries.get(name) if isinstance(entries, Mapping) else None
    # `per` says in words what a time belongs to; the name of the field here says the same.
    return {k: v for k, v in entry.items() if k != "per"} if isinstance(entry, Mapping) else value


def _problems(table: Mapping[str, Any], where: str) -> Iterator[str]:
    model = table.get("model")
    if not isinstance(model, str) or model not in MODELS:
        yield f"{where}.model must be {' or '.join(map(shown, MODELS))} (got {shown(model)}); name the kind of machine"
        return
    rules = MODELS[model]
    for key, rule in rules.items():
        if key in table:
            yield from _misfits(table[key], rule, f"{where}.{key}")
        elif rule.required:
            yield f"{where}.{key} is missing; model {shown(model)} needs it: {rule.expected()}"
    for key in table:
        if key not in rules and key not in ("model", "notes"):
            close = get_close_matches(key, rules, n=1)
            meant = f"did you mean {shown(close[0])}?" if close else f"known: {', '.join(rules)}"
            yield f"{where}.{key} is no field of model {shown(model)}; {meant}"
    present = [key for key in MEMORY if key in table]
    if present and set(MEMORY) <= set(rules):
        absent = [key for key in MEMORY if key not in table]
        if absent:
            yield f"{where}: {present[0]} is given without {', '.join(absent)}; give all of them or none"
        if "clock_mhz" not in table:
            yield f"{where}.bandwidth_gb_s needs {where}.clock_mhz, without which it is no number of bytes per cycle"


def _misfits(value: Any, rule: Rule, path: str) -> Iterator[str]:
    if isinstance(rule, Choice):
        if value not in rule.of:
            yield f"{path} must be {rule.expected()} (got {shown(value)})"
        return
    if not isinstance(value, Mapping):
        yield (
            f"{path} must be a table with {', '.join(_FIGURE)}, or name an entry of {', '.join(REFERRED)} "
            f"(got {shown(value)}); every number has its source"
        )
        return
    if not rule.accepts(value.get("value")):
        yield f"{path}.value must be {rule.expected()} (got {shown(value.get('value'))})"
    if value.get("evidence") not in GRADES:
        grades = " or ".join(f'"{grade}"' for grade in GRADES)
        yield f"{path}.evidence must be {grades} (got {shown(value.get('evidence'))})"
    for key in ("source", "locator"):
        if not isinstance(value.get(key), str) or not value[key].strip():
            yield f"{path}.{key} must be non-empty text (got {shown(value.get(key))})"
    if value.get("confidence") not in (None, *get_args(Confidence)):
        grades = " or ".join(f'"{grade}"' for grade in get_args(Confidence))
        yield f"{path}.confidence must be {grades} (got {shown(value['confidence'])})"
    bounds = value.get("range")
    if bounds is not None and not _surrounds(bounds, value.get("value"), rule):
        got = shown(bounds)
        yield f"{path}.range must be [lowest, highest] around {path}.value, both {rule.expected()} (got {got})"
    for key in value:
        if key not in (*_FIGURE, *_OPTIONAL):
            yield f"{path}.{key} is no field of a number; known: {', '.join((*_FIGURE, *_OPTIONAL))}"


def _surrounds(bounds: Any, value: Any, rule: Number) -> bool:
    if not isinstance(bounds, list) or len(bounds) != 2 or not all(map(rule.accepts, bounds)):
        return False
    return bool(bounds[0] <= value <= bounds[1]) if rule.accepts(value) else bool(bounds[0] <= bounds[1])


def _figure(entry: Mapping[str, Any]) -> Figure:
    # By its decimal digits: 0.1 in the file is one tenth, not the nearest binary fraction.
    return Figure(
        value=Fraction(str(entry["value"])),
        evidence=entry["evidence"],
        source=entry["source"],
        locator=entry["locator"],
        confidence=entry.get("confidence"),
        range=None if "range" not in entry else (Fraction(str(entry["range"][0])), Fraction(str(entry["range"][1]))),
    )


@dataclass(frozen=True, slots=True)
class _Values:
    table: Mapping[str, Any]
    figures: Mapping[str, Figure]

    def number(self, key: str) -> Fraction | None:
        figure = self.figures.get(key)
        return None if figure is None else figure.value

    def whole(self, key: str) -> int | None:
        value = self.number(key)
        return None if value is None else int(value)


def _systolic(values: _Values) -> Engine:
    figures, table = values.figures, values.table
    return Systolic(
        rows=int(figures["rows"].value),
        cols=int(figures["cols"].value),
        dataflow=table["dataflow"],
        over_time=table.get("over_time", "repeat"),
    )


def _event_driven(values: _Values) -> Engine:
    figures = values.figures
    return EventDriven(
        synops=int(figures["synops_per_cycle"].value),
        updates=int(figures["updates_per_cycle"].value),
        barrier=int(figures["barrier_cycles"].value),
        schedule=values.table["schedule"],
    )


def _step_synchronous(values: _Values) -> Engine:
    figures = values.figures
    return StepSynchronous(
        synop_ns=figures["synop_ns"].value,
        update_ns=figures["update_ns"].value,
        barrier_ns=figures["barrier_ns"].value,
        neurons_per_core=values.whole("neurons_per_core"),
    )


_ENGINES: Mapping[str, Callable[[_Values], Engine]] = {
    "systolic": _systolic,
    "event-driven": _event_driven,
    "step-synchronous": _step_synchronous,
}


def _memory(values: _Values) -> Memory | None:
    bandwidth = values.number("bandwidth_gb_s")
    if bandwidth is None:
        return None
    bits = {key: int(values.figures[key].value) for key in MEMORY if key.endswith("_bits")}
    return Memory(gigabytes_per_second=bandwidth, weights=values.table["weights_read"], **bits)
