"""The section on methods: what every published way to count says of this network, and the way from one to another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.html.elements import Child, Element, tag
from snn_energy.reporting.html.pieces import Mark, bar, bars, figure, grid, place, section, strip
from snn_energy.reporting.numbers import ENERGY_DECIMALS, energy_unit, fixed, nearest, ratio, short

COUNTS = (
    ("first_layer", "layer 1"), ("padding", "padding"), ("attention", "attention"), ("neurons", "neurons"),
    ("memory", "memory"),
)  # fmt: skip
"""What methods differ in most: keys of an account's counts, and headings."""
MINUS = "\u2212"


def methods_section(document: Document) -> Element | None:
    """Dots for the methods and bars for the steps between two; None where the report carries no explanation."""
    found = document.get("explanation")
    if not found:
        return None
    priced = [one for one in found["methods"] if one["energy_per_inference_pj"]]
    steps = found["time_steps"]
    ran = f"{found['samples']:,} samples" + (f", T = {steps}" if steps else "")
    return section(
        "methods",
        "What other methods say",
        f"The same run ({ran}), priced the way each publication or tool does, on its own hardware unless one is named.",
        _dots(priced, document) if priced else None,
        tag("details", tag("summary", "What each method counts"), _table(found["methods"])),
        _waterfall(found),
    )


def _dots(priced: Sequence[Mapping[str, Any]], document: Document) -> Element:
    """Energies on a logarithmic axis: they differ by orders of magnitude, and bars would need a zero."""
    same = (str(document.get("method", "")), document["hardware"]["name"])
    own = next((one["method"] for one in priced if (one["method"], one.get("hardware")) == same), None)
    energies = [one["energy_per_inference_pj"] for one in priced]
    low, high = math.floor(math.log10(min(energies))), math.ceil(math.log10(max(energies)))
    width = max(high - low, 1)
    lines = [
        tag("line", class_="axis", x1=place(i / width), x2=place(i / width), y1="0", y2="100%")
        for i in range(width + 1)
    ]

    def row(one: Mapping[str, Any]) -> Element:
        pj = one["energy_per_inference_pj"]
        text = _energy(pj)
        at = place((math.log10(pj) - low) / width)
        partial = f"; without: {one['partial']}" if one["partial"] else ""
        times = one["ratio_to_lowest"]
        tip = (
            f"{one['method']}: {text}" + (f", {ratio(times)} times the lowest complete one" if times else "") + partial
        )
        style = "own" if one["method"] == own else "partial" if one["partial"] else "other-method"
        dot = tag("circle", tag("title", tip), class_=f"mark dot {style}", cx=at, cy="50%", r="5")
        return bar(one["method"] + ("*" if one["partial"] else ""), strip([], tip, lines, dot), text)

    left, right = (f"{10.0**end / size:g} {name}" for end in (low, high) for name, size in [energy_unit(10.0**end)])
    ends = f"{left} at the left edge, {right} at the right, ten times from line to line"
    remarks = ["Filled: this report."] if own else []
    remarks += ["* not complete: see below."] if any(one["partial"] for one in priced) else []
    return figure(
        "Energy of one inference by each method",
        f"Logarithmic: {ends}. {' '.join(remarks)}",
        bars(map(row, priced), "Energy by each method", "dots"),
    )


def _table(methods: Sequence[Mapping[str, Any]]) -> Element:
    def row(one: Mapping[str, Any]) -> list[Child]:
        pj = one["energy_per_inference_pj"]
        remark = one["refused"] or one["partial"] or _measures(one)
        counts = [str(one["counts"].get(key, "")) for key, _ in COUNTS]
        source = ". ".join(str(text).rstrip(".") for text in (one["title"], one["citation"], one["url"]) if text)
        return [one["method"], "" if pj is None else _energy(pj), *counts, remark, tag("small", source)]

    headings = ("method", "energy", *(heading for _, heading in COUNTS), "remark", "source")
    return grid(
        headings, map(row, methods), "What each method counts", (1,), long=(len(headings) - 2, len(headings) - 1)
    )


def _measures(one: Mapping[str, Any]) -> str:
    """Totals of a method that prices nothing."""
    return ", ".join(
        f"{name}: {short(round(value))} bit operations" for name, value in one["measures_per_inference"].items()
    )


def _waterfall(found: Mapping[str, Any]) -> Element | None:
    """From the one end to the other; each printed change is the difference of two printed sums, so they add up."""
    flow = found["waterfall"]
    by_name = {one["method"]: one for one in found["methods"]}
    if flow["from"] is None or flow["to"] is None or not flow["steps"]:
        return None
    start, end = (by_name[flow[key]]["energy_per_inference_pj"] for key in ("from", "to"))
    sums = [start]
    for step in flow["steps"]:
        sums.append(sums[-1] + step["energy_pj"])
    sums[-1] = end  # what floats lose on the way
    unit, size = energy_unit(max(start, end))
    highest = max(*sums, end)
    if highest <= 0:
        return None

    def printed(pj: float) -> int:
        return nearest(Fraction(pj) / size * 10**ENERGY_DECIMALS)

    rows = [_end(flow["from"], start, highest, f"{fixed(printed(start), ENERGY_DECIMALS)} {unit}")]
    for step, before, after in zip(flow["steps"], sums[:-1], sums[1:], strict=True):
        change = printed(after) - printed(before)
        value = f"{MINUS if change < 0 else '+'}{fixed(abs(change), ENERGY_DECIMALS)} {unit}"
        low, high = sorted((max(before, 0.0), max(after, 0.0)))
        rules = step["rule"]
        why = f" ({rules[1] or 'not charged'}; {flow['from']}: {rules[0] or 'not charged'})" if any(rules) else ""
        tip = f"{step['part']}, {_cause(step)}: {value}{why}"
        marks = [
            Mark(style="less" if change < 0 else "more", start=low / highest, size=(high - low) / highest, tip=tip)
        ]
        rows.append(bar(step["part"], strip(marks, tip), value, _cause(step)))
    rows.append(_end(flow["to"], end, highest, f"{fixed(printed(end), ENERGY_DECIMALS)} {unit}"))
    title = f"From {flow['from']} to {flow['to']}"
    return figure(
        title,
        "Each step is what one assumption adds; together they are the whole difference.",
        bars(rows, title, "waterfall"),
        tag("dl", (_rule(step, flow["from"]) for step in _parts(flow["steps"])), class_="facts"),
    )


def _end(name: str, pj: float, highest: float, text: str) -> Element:
    tip = f"{name}: {text}"
    return bar(name, strip([Mark(style="snn", start=0.0, size=pj / highest, tip=tip)] if pj else [], tip), text)


def _cause(step: Mapping[str, Any]) -> str:
    (low, high), prices = step["count"], step["price_pj"]
    if step["cause"] == "price" and None not in prices:
        return f"price {prices[0]:.3g} to {prices[1]:.3g} pJ"
    if step["cause"] == "count":
        return f"count {short(round(low))} to {short(round(high))}"
    return f"{step['cause']}, {short(round(low if step['cause'] == 'left out' else high))}"


def _parts(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({step["part"]: step for step in steps}.values())


def _rule(step: Mapping[str, Any], other: str) -> list[Child]:
    low, high = step["rule"]
    return [tag("dt", step["part"]), tag("dd", f"{high or 'not charged'} ({other}: {low or 'not charged'})")]


def _energy(pj: float) -> str:
    """Four significant digits, more than any of these methods is worth."""
    name, size = energy_unit(pj)
    return f"{format(pj / size, '#.4g').rstrip('.')} {name}"
