"""The section on baselines: the SNN beside every ANN that was counted by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import TWIN_NOTE, without_price
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.pieces import Mark, bar, bars, figure, grid, section, strip
from snn_energy.reporting.numbers import energy, energy_unit, ratio

BASELINES = {
    "dense": "dense ANN",
    "zero-skipping": "zero-skipping ANN",
    "quantised-dense": "quantised ANN, dense",
    "quantised-zero-skipping": "quantised ANN, zero-skipping",
    "ann-dense": "named ANN, dense",
    "ann-zero-skipping": "named ANN, zero-skipping",
}
"""Name of a baseline in a report -> what sentences call it."""
_BY_METHOD = {"arithmetic": "dense", "arithmetic-zero-skipping": "zero-skipping"}


def baseline_name(name: str) -> str:
    """What sentences call a baseline; its own name where it is not known here."""
    return BASELINES.get(name, f"ANN, {name}")


def baseline_label(item: Mapping[str, Any]) -> str:
    """What sentences call the ANN of a comparison."""
    method = str(item["method"])
    return baseline_name(str(item.get("baseline") or _BY_METHOD.get(method.partition("+")[0], method)))


def ratio_words(item: Mapping[str, Any]) -> str | None:
    """How the SNN compares, as "4.29 times less than"; None where there is no ratio."""
    value, low, high = item["ratio"], item["ratio_low"], item["ratio_high"]
    if value is None:
        return None
    if low is not None and high is not None and low != high:
        return f"between {ratio(low)} and {ratio(high)} times less than"
    if value >= 1:
        return f"{ratio(value)} times less than" if ratio(value) != "1.00" else "as much as"
    return f"{ratio(1 / value)} times more than" if value else "more than"


def against_section(document: Document) -> Element | None:
    """Pairs of bars on one scale; None for a report that never had a baseline."""
    if "comparison" not in document:
        return None
    items = document["comparison"]
    missing = without_price(document)
    if document.get("baseline") is None or not items or missing:
        reason = (
            f"This hardware has no price for {' and '.join(missing)}, so there is no ratio."
            if missing
            else f"None: {document.get('baseline_missing') or 'not traced'}."
        )
        return section("baselines", "Against an ANN", reason)
    sides = [item[f"{side}_energy_per_inference_pj"] for item in items for side in ("snn", "ann")]
    highest = max(sides)
    unit = energy_unit(document["totals"]["energy_per_inference_pj"])
    return section(
        "baselines",
        "Against an ANN",
        f"By the same rules on the same data; {TWIN_NOTE}.",
        tag(
            "div",
            (_pair(item, highest, unit) for item in items),
            class_="chart pairs",
        ),
        _chances(document),
        _second_opinion(document),
    )


def _pair(item: Mapping[str, Any], highest: float, unit: tuple[str, int]) -> Element:
    label = baseline_label(item)
    rows = []
    for name, style, side in (("SNN", "snn", "snn"), (label, "ann", "ann")):
        pj = item[f"{side}_energy_per_inference_pj"]
        tip = f"{name}: {energy(pj, unit)} per inference"
        mark = [Mark(style=style, start=0.0, size=pj / highest, tip=tip)] if pj else []
        rows.append(bar(name, strip(mark, tip), energy(pj, unit)))
    words = ratio_words(item)
    said = f"The SNN needs {words} the {label}." if words else "No ratio: the SNN needs no energy."
    if item["ratio_low"] != item["ratio_high"]:
        said += " The interval is what uncounted work on either side leaves."
    return tag("div", bars(rows, f"SNN and {label}"), tag("p", said, class_="verdict"))


def _chances(document: Document) -> Element | None:
    """How sure the ratios are under the published ranges of the prices."""
    spread = document.get("uncertainty")
    if not spread or not spread["tornado"] or not spread.get("cheaper"):
        return None
    return grid(
        ("against", "SNN needs less", "ratio, 90 % of draws"),
        (
            (
                baseline_label(item),
                f"in {100 * item['probability']:.3g} % of {spread['draws']:,} draws",
                "" if item["ratio_low"] is None else f"{ratio(item['ratio_low'])} to {ratio(item['ratio_high'])}",
            )
            for item in spread["cheaper"]
        ),
        "Chance that the SNN needs less",
    )


def _second_opinion(document: Document) -> Element | None:
    opinion = document.get("second_opinion")
    if not opinion:
        return None
    agrees = "agree" if opinion["agrees"] else "do not agree"
    return figure(
        "Second opinion",
        f"Dense MACs of the twin for one sample, counted here and by fvcore, {agrees}.",
        grid(
            ("operators", "here", "fvcore", "explanation"),
            (
                *(
                    (row["family"], f"{row['ours']:,}", f"{row['fvcore']:,}", row["explanation"])
                    for row in opinion["rows"]
                ),
                ("all", f"{opinion['ours']:,}", f"{opinion['fvcore']:,}", ""),
            ),
            "Second opinion",
            (1, 2),
        ),
    )
