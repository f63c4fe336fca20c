"""The section on baselines: the SNN beside every ANN that was counted by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import TWIN_NOTE, without_price
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.pieces import Mark, bar, bars, fact_list, figure, grid, section, strip
from snn_energy.reporting.html.rivals import Rival, rivals
from snn_energy.reporting.numbers import energy, energy_unit, percent, ratio
from snn_energy.reporting.verdict import baseline_name

TITLE = "Against an ANN"


def against_section(document: Document) -> Element | None:
    """Pairs of bars on one scale; None for a report that never had a baseline."""
    found = rivals(document)
    if not found:
        reason = _reason(document)
        return None if reason is None else section("baselines", TITLE, reason)
    sides = [rival.comparison[f"{side}_energy_per_inference_pj"] for rival in found for side in ("snn", "ann")]
    unit = energy_unit(document["totals"]["energy_per_inference_pj"])
    return section(
        "baselines",
        TITLE,
        "By the same rules on the same data. Zero-skipping: zeros of real-valued operands cost nothing, on both sides.",
        tag("div", (_pair(rival, max(sides), unit) for rival in found), class_="pairs"),
        _chances(document),
        fact_list(_notes(document)),
        _second_opinion(document.get("second_opinion"), "twin"),
        _second_opinion((document.get("ann") or {}).get("second_opinion"), "named ANN"),
    )


def _reason(document: Document) -> str | None:
    """Why there is nothing to compare with; None for a report that nobody asked for a comparison."""
    if missing := without_price(document):
        return f"This hardware has no price for {' and '.join(missing)}, so there is no ratio."
    if "comparison" not in document:
        return None
    return f"None: {document.get('baseline_missing') or 'not traced'}."


def _pair(rival: Rival, highest: float, unit: tuple[str, int]) -> Element:
    rows = []
    for name, style, side in (("SNN", "snn", "snn"), (rival.label, "ann", "ann")):
        pj = rival.comparison[f"{side}_energy_per_inference_pj"]
        tip = f"{name}: {energy(pj, unit)} per inference"
        mark = [Mark(style=style, start=0.0, size=pj / highest, tip=tip)] if pj else []
        rows.append(bar(name, strip(mark, tip), energy(pj, unit)))
    said = f"The SNN needs {rival.words} the {rival.label}." if rival.words else "No ratio: the SNN needs no energy."
    if rival.comparison["ratio_low"] != rival.comparison["ratio_high"]:
        said += " The interval is what uncounted work on either side leaves."
    return tag("div", bars(rows, f"SNN and {rival.label}"), tag("p", said))


def _notes(document: Document) -> list[tuple[str, str]]:
    """What the ANNs are."""
    notes = [("twin", TWIN_NOTE)] if document.get("baseline") is not None else []
    if quantised := document.get("quantised"):
        notes.append(
            ("quantised", f"the twin with {quantised['levels']} levels of activation, as many as T spikes tell apart; "
             f"{quantised['note']}")
        )  # fmt: skip
    elif document.get("quantised_missing"):
        notes.append(("quantised", f"none: {document['quantised_missing']}"))
    if ann := document.get("ann"):
        scored = ann.get("accuracy")
        how = f"accuracy {percent(scored['correct'], scored['total'])}" if scored else "no accuracy"
        notes.append(("named ANN", f"{ann['name']}, {how}"))
    return notes


def _chances(document: Document) -> Element | None:
    """How sure the ratios are under the published ranges of the prices."""
    spread = document.get("uncertainty")
    chances = (spread.get("against") or spread.get("cheaper")) if spread and spread["tornado"] else None
    if not spread or not chances:
        return None
    return grid(
        ("against", "SNN needs less", "ratio, 90 % of draws"),
        (
            (
                baseline_name(document, str(item.get("baseline") or item["method"])),
                f"in {100 * item['probability']:.3g} % of {spread['draws']:,} draws",
                "" if item["ratio_low"] is None else f"{ratio(item['ratio_low'])} to {ratio(item['ratio_high'])}",
            )
            for item in chances
        ),
        "Chance that the SNN needs less",
    )


def _second_opinion(opinion: Mapping[str, Any] | None, whose: str) -> Element | None:
    if not opinion:
        return None
    agrees = "agree" if opinion["agrees"] else "do not agree"
    rows = [
        (row["family"], f"{row['ours']:,}", f"{row['fvcore']:,}", row["explanation"])
        for row in (*opinion["rows"], {"family": "all", "explanation": "", **opinion})
    ]
    return figure(
        f"Second opinion on the {whose}",
        f"Dense MACs for one sample, counted here and by fvcore, {agrees}.",
        grid(("operators", "here", "fvcore", "explanation"), rows, "Second opinion", (1, 2)),
    )
