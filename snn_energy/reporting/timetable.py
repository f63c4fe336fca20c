"""Latency for people: a table of the layers' times and sentences about the whole, where the hardware states timing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import (
    ENERGY_DECIMALS,
    UNCERTAIN_DIGITS,
    apportion,
    decimals_for,
    energy,
    energy_unit,
    fixed,
    nearest,
    ratio,
    rounded,
)

TIME_UNITS = (("ps", 10**12), ("ns", 10**9), ("µs", 10**6), ("ms", 10**3), ("s", 1))
"""Units of time and how many make a second."""
DECIMALS = 3
EXACT_DIGITS = 4
"""Significant digits of a product of an energy and a time without bounds."""
LABEL = "latency"
HEADINGS = ("time of", "runs", "cycles")

Fact = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Timetable:
    """Cells of the table: a row for each layer and one for the whole."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...]


def time_unit(seconds: float | Fraction) -> tuple[str, int]:
    """The largest unit in which a time is at least 1, and how many make a second; ps for shorter ones."""
    return next((unit for unit in reversed(TIME_UNITS) if seconds * unit[1] >= 1), TIME_UNITS[0])


def duration(seconds: float, half: float | None = None) -> str:
    """A time as text with its unit: `duration(0.0005)` is "500.000 µs".

    Args:
        seconds: the time.
        half: half of its interval in seconds, which leaves no more digits than it deserves; None for none.
    """
    name, size = time_unit(seconds)
    return f"{_time(seconds, size, half)} {name}"


def timetable(document: Document) -> Timetable | None:
    """The table of a report; None without a latency."""
    latency = document.get(LABEL)
    if latency is None:
        return None
    rows = latency["rows"]
    name, size = time_unit(latency["seconds"] or max((row["seconds"] or 0 for row in rows), default=0))
    times = _times(rows, latency, size)
    lines: list[tuple[str, ...]] = [
        (*HEADINGS, name, "bottleneck"),
        *(
            (row["name"], _whole(row["passes"]), _cycles(row), time, row["bottleneck"] or "")
            for row, time in zip(rows, times, strict=True)
        ),
        ("total", "", _cycles(latency), _time(latency["seconds"], size, _half(latency)), latency["bottleneck"] or ""),
    ]
    # A machine without a clock has no cycles, one whose clock is not stated no times.
    shown = [i for i in range(len(lines[0])) if any(cells[i] for cells in lines[1:])]
    headings, *body, total = (tuple(cells[i] for i in shown) for cells in lines)
    return Timetable(headings=headings, rows=tuple(body), total=total)


def latency_facts(document: Document) -> Iterator[Fact]:
    """Sentences about the whole; nothing without a latency."""
    latency = document.get(LABEL)
    if latency is None:
        return
    yield LABEL, _whole_time(latency, document)
    for row in latency["rows"]:
        if row["note"] and row["cycles"] is None and row["seconds"] is None:
            yield "", f"{row['name']}: {row['note']}"
    yield "", f"{latency['model']} machine; {latency['formula']}"
    yield "", f"assumed: {'; '.join(latency['assumptions'])}"
    if latency["static_pj"] is not None:
        yield "static power", f"{_static(latency)} over that time, not in the energy above"
    elif latency["static_missing"]:
        yield "static power", f"none: {latency['static_missing']}"
    if latency["energy_delay_pj_s"] is not None:
        with_static = " (static power included)" if latency["static_pj"] is not None else ""
        least = _least(document)
        yield "energy x delay", f"{least}{_energy_delay(latency)} per inference{with_static}"
    yield from _throughput(document)
    yield from _against_the_twin(latency, document)


def _throughput(document: Document) -> Iterator[Fact]:
    """Several inferences together, where a report was asked for them."""
    found = document.get("throughput")
    if not found:
        return
    text = f"{found['batch']:,} inferences together: "
    if found["cycles"] is None and found["seconds"] is None:
        yield "throughput", f"{text}unknown ({found['missing']})"
        return
    text += " = ".join(
        part
        for part, known in (
            (f"{found['cycles'] or 0:,} cycles", found["cycles"] is not None),
            (duration(found["seconds"] or 0.0), found["seconds"] is not None),
        )
        if known
    )
    if found["inferences_per_second"] is not None:
        rate = found["inferences_per_second"]
        text += f", {rate:,.0f} inferences per second" if rate >= 1000 else f", {rate:.4g} inferences per second"
    if found["gain"] is not None:
        text += f", {ratio(found['gain'])} times one after another"
    yield "throughput", text


def _against_the_twin(latency: dict[str, Any], document: Document) -> Iterator[Fact]:
    other = (document.get("baseline") or {}).get(LABEL)
    if other is None:
        return
    # A chip that has no price for what an ANN is made of was not built to run one: its time would mean nothing.
    strange = [item["action"] for item in document["baseline"].get("unpriced", ()) if item["action"] in ("mac", "ac")]
    if strange:
        yield "ANN, latency", f"not compared: this hardware has no price for {', '.join(strange)}"
        return
    text = _shown(other)
    if other["seconds"] is not None and latency["seconds"]:
        text += f", {ratio(other['seconds'] / latency['seconds'])} times the SNN's"
    elif other["cycles"] is not None and latency["cycles"]:
        text += f", {ratio(other['cycles'] / latency['cycles'])} times the SNN's"
    if other["energy_delay_pj_s"] is not None:
        text += f"; energy x delay {_least(document['baseline'])}{_energy_delay(other)}"
    yield "ANN, latency", text


def _least(report: Document) -> str:
    """Work that is not counted or not priced is not in the energy."""
    return "" if report.get("complete") else "at least "


def _whole_time(latency: dict[str, Any], document: Document) -> str:
    text = _shown(latency)
    clock = document["hardware"].get(LABEL, {}).get("clock_mhz")
    if latency["seconds"] is None and latency["cycles"] is None:
        return text
    text += " per inference"
    if latency["seconds"] is not None and clock:
        text += f" at {clock['value']:,} MHz"
    text += _ends(latency)
    if latency["seconds"] is None:
        text += f"; no seconds: {latency['seconds_missing']}"
    return text + (f"; bottleneck: {latency['bottleneck']}" if latency["bottleneck"] else "")


def _ends(latency: dict[str, Any]) -> str:
    """The bounds, where they are not the number itself."""
    key = "cycles" if latency["cycles"] is not None else "seconds"
    low, high = latency[f"{key}_low"], latency[f"{key}_high"]
    half = _half(latency)

    def show(bound: Any) -> str:
        return f"{bound:,}" if key == "cycles" else duration(bound, half)

    if high is None:
        return f", at least {show(low)}, without an upper bound"
    return "" if low == high else f", between {show(low)} and {show(high)} for any spread of events"


def _half(latency: dict[str, Any]) -> float | None:
    """How far, in seconds, a time that has no cycles is from the nearer of its bounds; None where they are the time."""
    if latency["cycles"] is not None or latency["seconds"] is None or latency["seconds_high"] is None:
        return None
    away = (latency["seconds"] - latency["seconds_low"], latency["seconds_high"] - latency["seconds"])
    return min((each for each in away if each > latency["seconds"] * 1e-12), default=None)


def _static(latency: dict[str, Any]) -> str:
    """Energy of the static power: as uncertain as the time that it is drawn for."""
    pj, half = latency["static_pj"], _half(latency)
    if half is None or not pj:
        return energy(pj)
    name, size = energy_unit(pj)
    decimals = min(decimals_for(pj / size * half / latency["seconds"]), ENERGY_DECIMALS)
    return f"{rounded(Fraction(pj) / size, decimals)} {name}"


def _energy_delay(latency: dict[str, Any]) -> str:
    digits = EXACT_DIGITS if _half(latency) is None else UNCERTAIN_DIGITS
    return f"{latency['energy_delay_pj_s'] * 1e-12:.{digits}g} J s"


def _shown(latency: dict[str, Any]) -> str:
    cycles, seconds = latency["cycles"], latency["seconds"]
    parts = [] if cycles is None else [f"{cycles:,} cycles"]
    parts += [] if seconds is None else [duration(seconds, _half(latency))]
    if parts:
        return " = ".join(parts)
    least = "" if latency["cycles_low"] is None else f", at least {latency['cycles_low']:,} cycles"
    return f"unknown ({latency['cycles_missing'] or latency['seconds_missing']}){least}"


def _times(rows: list[dict[str, Any]], latency: dict[str, Any], size: int) -> list[str]:
    """Times of the rows, rounded so that they add up to the total where the rows do."""
    seconds = [row["seconds"] for row in rows]
    exact = [row["cycles"] for row in rows]
    if None in seconds or None in exact or sum(exact) != latency["cycles"]:
        return [_time(each, size) for each in seconds]
    steps = [Fraction(each) * size * 10**DECIMALS for each in seconds]
    total = nearest(Fraction(latency["seconds"]) * size * 10**DECIMALS)
    return [fixed(each, DECIMALS) for each in apportion(steps, total)]


def _time(seconds: float | None, size: int, half: float | None = None) -> str:
    if seconds is None:
        return ""
    return rounded(Fraction(seconds) * size, DECIMALS if half is None else min(decimals_for(half * size), DECIMALS))


def _whole(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _cycles(record: dict[str, Any]) -> str:
    if record["cycles"] is not None:
        return f"{record['cycles']:,}"
    return "" if record["cycles_low"] is None else f">= {record['cycles_low']:,}"
