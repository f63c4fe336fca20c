"""What a report says of the uncertainty of its prices; energies then show no more digits than they deserve.

The rounding is that of the "Guide to the expression of uncertainty in measurement" (JCGM 100:2008, 7.2.6): an
uncertainty has at most two significant digits, and the value is rounded to the last of them.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import ENERGY_DECIMALS, energy_unit, fixed, nearest, ratio

DIGITS = 2


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
    decimals = _decimals((spread["high_pj"] - spread["low_pj"]) / unit[1] / 2)
    return _text(Fraction(pj) / unit[1], min(decimals, ENERGY_DECIMALS))


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
    step = _decimals((spread["high_pj"] - spread["low_pj"]) / size / 2)
    texts = [_text(Fraction(spread[key]) / size, step) for key in ("energy_pj", "low_pj", "high_pj")]
    return f"{texts[0]} {unit}", texts[1], f"{texts[2]} {unit}"


def _within(spread: dict[str, Any]) -> str:
    unit, size = energy_unit(spread["energy_pj"])
    step = _decimals((spread["high_pj"] - spread["low_pj"]) / size / 2)
    low, high = (_text(Fraction(spread[key]) / size, step) for key in ("p05_pj", "p95_pj"))
    return f"{low} to {high} {unit}"


def _decimals(half: float) -> int:
    """Decimals that leave two significant digits of half an interval; below 0 for tens and hundreds."""
    return DIGITS - 1 - math.floor(math.log10(half))


def _text(value: Fraction, decimals: int) -> str:
    steps = nearest(value * Fraction(10) ** decimals)
    return fixed(steps, decimals) if decimals >= 0 else fixed(steps * 10**-decimals, 0)


def _bar(bar: dict[str, Any]) -> str:
    unit, size = energy_unit(bar["energy_high_pj"])
    half = (bar["energy_high_pj"] - bar["energy_low_pj"]) / size / 2
    low, high = (_text(Fraction(bar[key]) / size, _decimals(half)) for key in ("energy_low_pj", "energy_high_pj"))
    return f"{bar['price']} ({bar['price_low_pj']:g} to {bar['price_high_pj']:g} pJ): {low} to {high} {unit}"


def _chance(item: dict[str, Any]) -> str:
    against = "the zero-skipping ANN" if "zero-skipping" in item["method"] else "the dense ANN"
    text = f"the SNN needs less than {against} in {100 * item['probability']:.3g} % of the draws"
    if item["ratio_low"] is None:
        return text
    return f"{text}; ratio {ratio(item['ratio_low'])} to {ratio(item['ratio_high'])} in 90 %"
