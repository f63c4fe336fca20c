"""One sentence on who wins: the SNN against each baseline, by how much, and up to which spike rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snn_energy.baselines.crossover_table import BASELINES
from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import percent, ratio

SHOWN = ("dense", "zero-skipping", "quantised-zero-skipping", "ann-dense", "ann-zero-skipping")
"""Baselines that the sentence names, in this order; the quantised twin where it costs least."""


def verdict_facts(document: Document) -> list[tuple[str, str]]:
    """The sentence, labelled; none where nothing is compared."""
    crossover = document.get("crossover")
    known = {item["baseline"]: item for item in crossover["baselines"]} if crossover else {}
    shown = [known[name] for name in SHOWN if name in known]
    if not shown:
        return []
    chances = _chances(document)
    parts = [
        f"{_side(item)} than the {baseline_name(document, item['baseline'])} ({_how(document, item, chances)})"
        for item in shown
    ]
    rate = shown[0]["mean_rate"]
    where = "" if rate is None else f"at a mean spike rate of {rate:.3f} "
    return [("verdict", f"{where}the SNN needs {', '.join(parts)}")]


def baseline_name(document: Document, name: str) -> str:
    """What to call a baseline of a report: its bits, or the user's name for it, where the report tells."""
    made, _, machine = name.partition("-")
    if made == "quantised" and document.get("quantised"):
        return f"{document['quantised']['bits']}-bit quantised twin, {machine}"
    if made == "ann" and document.get("ann"):
        return f"ANN {document['ann']['name']}, {machine}"
    return BASELINES.get(name, name)


def _side(item: Mapping[str, Any]) -> str:
    if item["snn_energy_pj"] == item["ann_energy_pj"]:
        return "as much"
    return "less" if item["snn_energy_pj"] < item["ann_energy_pj"] else "more"


def _how(document: Document, item: Mapping[str, Any], chances: Mapping[str, float]) -> str:
    """By how much, up to which rate, how sure, and what a baseline is worth that nobody trained."""
    own, other = item["snn_energy_pj"], item["ann_energy_pj"]
    less, more = sorted((own, other))
    parts = [f"{ratio(more / less)} times" if less else "it needs none"]
    parts.append(_BOUNDS[item["outcome"]](item, "would lose above" if own < other else "would win below"))
    if item["baseline"] in chances:
        parts.append(f"less in {100 * chances[item['baseline']]:.3g} % of the draws")
    right = (document.get("quantised") or {}).get("accuracy")
    if right and item["baseline"].startswith("quantised"):
        parts.append(f"untrained, its accuracy is {percent(right['correct'], right['total'])}")
    return "; ".join(filter(None, parts))


def _below(item: Mapping[str, Any], words: str) -> str:
    rate = item["crossover_mean_rate"]
    return "" if rate is None else f"{words} {rate:.3f}"


_BOUNDS: Mapping[str, Callable[[Mapping[str, Any], str], str]] = {
    "below": _below,
    "always": lambda _item, _words: "at any rate",
    "never": lambda _item, _words: "even without a spike",
    "unrelated": lambda _item, _words: "whatever the rate",
    "unknown": lambda _item, _words: "",
}


def _chances(document: Document) -> Mapping[str, float]:
    """Baseline -> share of the draws in which the SNN needs less; empty where no price has a range."""
    spread = document.get("uncertainty")
    if not spread or not spread["tornado"]:
        return {}
    return {item["baseline"]: item["probability"] for item in spread.get("against", ())}
