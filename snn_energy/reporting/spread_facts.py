"""What a report says of the uncertainty of its prices; energies then show no more digits than they deserve.

An interval has two significant digits, see `numbers.UNCERTAIN_DIGITS`, and the value is rounded to the last of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import ENERGY_DECIMALS, decimals_for, energy_unit, ratio, rounded


def deserved(document: Document) -> str | None:
    """The energy of one inference with its interval; None where no interval is asked for or none is known."""
    spread = document.get("uncertainty")
    if not spread or not spread["low_pj"] < spread["high_pj"]:
        return None
    value, low, high = _rounded(spread)
    return f"{value} per inference, {low} to {high} by the published ranges of the prices"


def rounded_energy(document: Document, pj: float | Fraction, unit: tuple[str, int]) -> str | None:
    """An energy in `unit`, without it, with the digits that the interval of the total leaves; None without one.

    Never more than the decimals that energies have without an interval.
    """
    spread = document.get("uncertainty")
    if not spread or not spread["low_pj"] < spread["high_pj"]:
        return None
    decimals = decimals_for((spread["high_pj"] - spread["low_pj"]) / unit[1] / 2)
    return rounded(Fraction(pj) / unit[1], min(decimals, ENERGY_DECIMALS))


def sampled_energies(spread: Mapping[str, Any]) -> dict[str, str]:
    """The key "distribution" of a report as texts with one unit, by name without its `_pj`.

    The mean and its interval have the digits that the interval leaves, the others those that the standard deviation
    leaves: no more than energies have without. An interval that reaches below 0 ends there, for no energy does.
    """
    name, size = energy_unit(spread["mean_pj"])
    low, high, sd = spread["ci95_low_pj"], spread["ci95_high_pj"], spread["sd_pj"]
    found = {}
    for key, value in spread.items():
        if not key.endswith("_pj") or value is None:
            continue
        own = None if low is None or high is None else (high - low) / 2
        half = own if key in _OF_THE_MEAN else sd
        decimals = min(decimals_for(half / size), ENERGY_DECIMALS) if half else ENERGY_DECIMALS
        found[key.removesuffix("_pj")] = f"{rounded(max(Fraction(value), Fraction()) / size, decimals)} {name}"
    return found


_OF_THE_MEAN = ("mean_pj", "ci95_low_pj", "ci95_high_pj")


def uncertainty_facts(document: Document) -> list[tuple[str, str]]:
    """Labelled sentences; none where no uncertainty was asked for."""
    spread = document.get("uncertainty")
    if not spread:
        return []
    known = bool(spread["tornado"])
    found = [
        (
            "uncertainty",
            f"{spread['draws']:,} draws of the prices, each uniform over its range (seed {spread['seed']}): "
            f"{_within(spread)} in 90 % of them"
            if known
            else "no price used here has a published range: no interval",
        )
    ]
    if known:
        found.append(("", "range of " + "; of ".join(_bar(bar) for bar in spread["tornado"])))
    if spread["without_range"]:
        found.append(("", f"at their values, without a published range: {', '.join(spread['without_range'])}"))
    if known:
        found += [("", _chance(item)) for item in spread.get("cheaper", ())]
    return found


def _rounded(spread: dict[str, Any]) -> tuple[str, str, str]:
    unit, size = energy_unit(spread["energy_pj"])
    step = decimals_for((spread["high_pj"] - spread["low_pj"]) / size / 2)
    texts = [rounded(Fraction(spread[key]) / size, step) for key in ("energy_pj", "low_pj", "high_pj")]
    return f"{texts[0]} {unit}", texts[1], f"{texts[2]} {unit}"


def _within(spread: dict[str, Any]) -> str:
    unit, size = energy_unit(spread["energy_pj"])
    step = decimals_for((spread["high_pj"] - spread["low_pj"]) / size / 2)
    low, high = (rounded(Fraction(spread[key]) / size, step) for key in ("p05_pj", "p95_pj"))
    return f"{low} to {high} {unit}"


def _bar(bar: dict[str, Any]) -> str:
    unit, size = energy_unit(bar["energy_high_pj"])
    half = (bar["energy_high_pj"] - bar["energy_low_pj"]) / size / 2
    low, high = (rounded(Fraction(bar[key]) / size, decimals_for(half)) for key in ("energy_low_pj", "energy_high_pj"))
    return f"{bar['price']} ({bar['price_low_pj']:g} to {bar['price_high_pj']:g} pJ): {low} to {high} {unit}"


def _chance(item: dict[str, Any]) -> str:
    against = "the zero-skipping ANN" if "zero-skipping" in item["method"] else "the dense ANN"
    text = f"the SNN needs less than {against} in {100 * item['probability']:.3g} % of the draws"
    if item["ratio_low"] is None:
        return text
    return f"{text}; ratio {ratio(item['ratio_low'])} to {ratio(item['ratio_high'])} in 90 %"
