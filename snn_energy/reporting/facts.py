"""What a report says below its table: labelled sentences, shared by the terminal and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from snn_energy.costing.published import EVERY_OPERATION_AC
from snn_energy.reporting.document import Document
from snn_energy.reporting.memory_facts import memory_facts
from snn_energy.reporting.numbers import (
    ENERGY_DECIMALS,
    apportion,
    energy,
    energy_unit,
    fixed,
    percent,
    ratio,
)
from snn_energy.reporting.spread_facts import deserved, rounded_energy, sampled_energies, uncertainty_facts
from snn_energy.reporting.timetable import latency_facts
from snn_energy.reporting.verdict import verdict_facts

Fact = tuple[str, str]
"""A label and its sentence."""

COMPONENTS = (
    ("mac", "MACs"), ("ac", "ACs"), ("neuron", "neuron updates"), ("other", "other arithmetic"), ("memory", "memory"),
)  # fmt: skip
"""Parts of the energy and their names; the last one is missing from reports whose method leaves memory out."""
COMPARED = (("arithmetic", "ANN, dense"), ("arithmetic-zero-skipping", "ANN, zero-skipping"))

CONVENTIONS = {
    EVERY_OPERATION_AC: "published claims count like this: each dense operation an accumulate, times its layer's rate; "
    "no count, and no neuron, bias or element-wise arithmetic in it"
}
"""Method -> what to say beside its energy."""

TWIN_NOTE = (
    "the ANN is the network's twin: ReLU in place of every neuron, T = 1, the SNN's weights; an ANN "
    "trained for itself would skip other zeros"
)


def headline(document: Document) -> str:
    """What was run: network, checkpoint, data, time steps."""
    words = [str(document.get("network") or document.get("model") or "network")]
    if document.get("checkpoint"):
        words.append(f"({document['checkpoint']})")
    words.append(f"on {document.get('dataset') or _samples(document['samples'])}")
    steps = document.get("time_steps")
    return " ".join(words) + ("" if steps is None else f", T = {steps}")


def facts(document: Document) -> list[Fact]:
    """Everything but the table, in the order of reading."""
    return [
        *_accuracy(document),
        _energy(document),
        *uncertainty_facts(document),
        *memory_facts(document),
        *_convention(document),
        *_repeated(document),
        *_distribution(document),
        *_stopping(document),
        *_baseline(document),
        *_named_ann(document),
        *verdict_facts(document),
        *_both_countings(document),
        *_second_opinion(document),
        *latency_facts(document),
        _certificate(document),
        *_detected(document),
        *_unpriced(document),
        *_hardware(document),
    ]


def _detected(document: Document) -> list[Fact]:
    names = [row["name"] for row in document["rows"] if row["part"] == "neurons" and row["kind"] == "detected"]
    if not names:
        return []
    return [
        (
            "detected",
            f"{', '.join(names)}: a neuron by its behaviour (state, spikes out); its arithmetic is charged as it ran, "
            "under other; register_neuron tells its equation",
        )
    ]


def legend() -> str:
    """What the columns mean."""
    return (
        "Per inference. nonzero: share of operands that are not 0; rate: spikes per neuron and time step. "
        "A projection's energy includes its bias additions."
    )


def _samples(count: int) -> str:
    return f"{count:,} sample{'' if count == 1 else 's'}"


def _accuracy(document: Document) -> list[Fact]:
    accuracy = document.get("accuracy")
    if not accuracy:
        missing = document.get("accuracy_missing")
        return [("accuracy", f"none: {missing}")] if missing else []
    correct, total = accuracy["correct"], accuracy["total"]
    return [("accuracy", f"{percent(correct, total)} ({correct:,} of {total:,})")]


def _energy(document: Document) -> Fact:
    samples: int = document["samples"]
    parts = [
        sum((Fraction(row.get(f"{key}_pj", 0)) for row in document["rows"]), Fraction()) / samples
        for key, _ in COMPONENTS
    ]
    unit, size = energy_unit(sum(parts, Fraction()))
    printed = apportion([part / size * 10**ENERGY_DECIMALS for part in parts])
    steps = sum(printed)
    split = " + ".join(
        f"{fixed(value, ENERGY_DECIMALS)} {label}"
        for value, (_, label) in zip(printed, COMPONENTS, strict=True)
        if value
    )
    if (rounded := deserved(document)) is not None:
        return "energy", rounded
    text = f"{fixed(steps, ENERGY_DECIMALS)} {unit} per inference"
    return "energy", f"{text} = {split}" if split else text


def _convention(document: Document) -> list[Fact]:
    """What a reader of the energy must know about the method; the counting methods need no word."""
    text = CONVENTIONS.get(str(document.get("method")))
    return [] if text is None else [("convention", text)]


def _repeated(document: Document) -> list[Fact]:
    """Layers that do the same sums again at every time step, and what computing them once would save."""
    found: list[Fact] = []
    samples: int = document["samples"]
    for row in document["rows"]:
        repeated = row.get("repeated_connections", 0)
        if not repeated:
            continue
        every = row["macs"] == row["connections"] > 0  # each is a MAC: repeated ones have a price of their own
        text = (
            f"{_each(repeated, samples)} of {_each(row['connections'], samples)} {'MACs' if every else 'connections'} "
            f"of {row['name']} repeat unchanged input"
        )
        if every:
            unit = energy_unit(document["totals"]["energy_pj"] / samples)
            saved = row["mac_pj"] * repeated / row["connections"] / samples
            text += f" (computed once: {energy(saved, unit)} less)"
        found.append(("direct coding" if not found else "", text))
    return found


def _distribution(document: Document) -> list[Fact]:
    spread = document.get("distribution")
    if not spread:
        return []
    texts = sampled_energies(spread)

    def shown(*names: str) -> str:
        return " to ".join(texts[name] for name in names)

    over = f"over {_samples(spread['samples'])}"
    if spread["sd_pj"] is None:
        return [("distribution", f"energy per inference {shown('mean')}, no interval {over}")]
    return [
        (
            "distribution",
            f"energy per inference {shown('mean')}, 95 % interval {shown('ci95_low', 'ci95_high')} "
            f"({_share(spread['precision'])} of the mean to either side), p95 {shown('p95')} {over}",
        ),
        ("", f"standard deviation {shown('sd')}, median {shown('median')}, smallest to largest {shown('min', 'max')}"),
    ]


def _stopping(document: Document) -> list[Fact]:
    stopping = document.get("stopping")
    if not stopping:
        return []
    used, target = stopping["samples"], _share(stopping["target"])
    reached = "no interval" if stopping["precision"] is None else f"{_share(stopping['precision'])} reached"
    if not stopping["reached"]:
        least = stopping["minimum_samples"]
        few = f" (at least {least} samples are needed)" if used < least else ""
        return [("stopping", f"the data ended before {target} of the mean: {reached} after {_samples(used)}{few}")]
    return [
        (
            "stopping",
            f"sequential, after {_samples(used)}: {reached}, {target} asked for; stopping as soon as the interval is "
            "narrow makes it a little too narrow",
        )
    ]


def _share(value: float) -> str:
    """A share of the mean with three digits: a precision of 0.04 % must not read 0.0 %."""
    return f"{100 * value:.3g} %"


def _baseline(document: Document) -> list[Fact]:
    if "comparison" not in document:
        return []
    if document.get("baseline") is None:
        return [("ANN", f"none: {document.get('baseline_missing') or 'not traced'}")]
    found: list[Fact] = []
    labels = dict(COMPARED)
    unit = energy_unit(document["totals"]["energy_per_inference_pj"])
    missing = without_price(document)
    for item in document["comparison"]:
        label = labels.get(item["method"].partition("+")[0], f"ANN, {item['method']}")
        found.append((label, _against(document, item, unit, missing)))
    found.append(("", TWIN_NOTE))
    return found


def _named_ann(document: Document) -> list[Fact]:
    """The ANN that the user named: its energies, its accuracy, and what fvcore says of its dense MACs."""
    ann = document.get("ann")
    if not ann:
        return []
    unit = energy_unit(document["totals"]["energy_per_inference_pj"])
    sides = [side for side in (document, ann["baseline"]) if side]
    missing = without_price({"unpriced": [item for side in sides for item in side.get("unpriced", ())]})
    found: list[Fact] = []
    for item in ann.get("comparison", ()):
        kind = dict(COMPARED).get(item["method"].partition("+")[0], item["method"]).removeprefix("ANN, ")
        label = "" if found else "named ANN"
        found.append((label, f"{ann['name']}, {kind}: {_against(document, item, unit, missing)}"))
    if ann.get("accuracy"):
        correct, total = ann["accuracy"]["correct"], ann["accuracy"]["total"]
        found.append(("", f"its accuracy: {percent(correct, total)} ({correct:,} of {total:,})"))
    if opinion := ann.get("second_opinion"):
        found.append(("", _opinion(opinion, "its dense MACs")))
    elif ann.get("second_opinion_missing"):
        found.append(("", f"no second opinion: {ann['second_opinion_missing']}"))
    return found


def _both_countings(document: Document) -> list[Fact]:
    """What a published ratio comes down to; only networks of such a claim have these keys."""
    both = document.get("both_countings")
    if not both:
        return []
    unit = energy_unit(both["dense_ann_pj"])

    def side(name: str) -> str:
        value = both[f"{name}_ratio"]
        share = "" if value is None else f" ({ratio(value)} times less than the ANN)"
        return f"{energy(both[f'{name}_pj'], unit)}{share}"

    return [
        (
            "both countings",
            f"synapses alone, against {energy(both['dense_ann_pj'], unit)} of a dense ANN of the same shape: "
            f"{side('strict')} as counted; {side('published')} as the published claim counts (every operation an "
            "accumulate, those on real-valued operands too)",
        )
    ]


def without_price(document: Document) -> list[str]:
    """Synaptic operations of the network or of its baseline that the hardware has no price for."""
    sides = [side for side in (document, document.get("baseline")) if side]
    priceless = {item["action"] for side in sides for item in side.get("unpriced", ())}
    return [action for action in ("mac", "ac") if action in priceless]


def _against(document: Document, item: dict[str, Any], unit: tuple[str, int], missing: list[str]) -> str:
    if missing:
        return f"no ratio: this hardware has no price for {' and '.join(missing)}"
    values = [item[f"{side}_energy_per_inference_pj"] for side in ("ann", "snn")]
    rounded = [rounded_energy(document, value, unit) for value in values]
    ann, snn = (
        energy(value, unit) if text is None else f"{text} {unit[0]}"
        for value, text in zip(values, rounded, strict=True)
    )
    value, low, high = item["ratio"], item["ratio_low"], item["ratio_high"]
    if value is None:
        return f"{ann}; no ratio, the SNN needs no energy"
    if low is not None and high is not None and low != high:
        return f"{ann}, {ratio(low)} to {ratio(high)} times the SNN's {snn} (uncounted work on either side)"
    return f"{ann}, {ratio(value)} times the SNN's {snn}"


def _second_opinion(document: Document) -> list[Fact]:
    if document.get("baseline") is None:
        return []
    opinion = document.get("second_opinion")
    if opinion is None:
        return [("second opinion", f"none: {document.get('second_opinion_missing') or 'not asked for'}")]
    return [("second opinion", _opinion(opinion, "dense MACs of the twin"))]


def _opinion(opinion: dict[str, Any], what: str) -> str:
    if opinion["agrees"]:
        return f"{what} agree with fvcore: {opinion['ours']:,}"
    differ = "; ".join(
        f"{row['family']} {row['ours']:,} here, {row['fvcore']:,} by fvcore ({row['explanation']})"
        for row in opinion["rows"]
        if row["ours"] != row["fvcore"]
    )
    return f"{what} differ from fvcore: {differ}"


def _certificate(document: Document) -> Fact:
    coverage = document["coverage"]
    counted, free, uncounted = (len(coverage[key]) for key in ("counted", "free", "uncounted"))
    numbers = f"{counted} operator{'' if counted == 1 else 's'} counted, {free} free, {uncounted} uncounted"
    text = f"complete: {numbers}"
    if uncounted:
        names = "; ".join(
            f"{record['name']} in {', '.join(record['modules'])}, at most {record['bound']:,} MACs in all samples"
            for record in coverage["uncounted"]
        )
        totals, samples = document["totals"], document["samples"]
        low, high = totals["energy_pj"] / samples, totals["energy_upper_pj"] / samples
        unit = energy_unit(high)
        text = (
            f"INCOMPLETE: {numbers}: {names}; the energy of one inference lies between {energy(low, unit)} "
            f"and {energy(high, unit)}"
        )
    if coverage.get("never_called"):
        text += f"; never called: {', '.join(coverage['never_called'])}"
    return "certificate", text


def _unpriced(document: Document) -> list[Fact]:
    samples: int = document["samples"]
    return [
        (
            "unpriced",
            f"{item['action']}, {_each(item['count'], samples)} per inference, not in the energy: {item['reason']}",
        )
        for item in document.get("unpriced", ())
    ]


def _each(count: int, samples: int) -> str:
    return f"{count // samples:,}" if count % samples == 0 else f"{count / samples:,.1f}"


def _hardware(document: Document) -> list[Fact]:
    hardware = document["hardware"]
    found = [
        (
            "hardware",
            f"{hardware['name']}: {hardware.get('title', '')}; {hardware.get('scope', '')} prices; "
            f"method {document.get('method', '')}",
        )
    ]
    found += _evidence(hardware.get("energy_pj", {}))
    within: dict[str, list[str]] = {}
    for part, action in hardware.get("included", {}).items():
        within.setdefault(action, []).append(part)
    found += [("included", f"the price of {action} contains {', '.join(parts)}") for action, parts in within.items()]
    used = {price["source"] for price in hardware.get("energy_pj", {}).values()}
    for key, source in hardware.get("sources", {}).items():
        if key in used:
            found.append(("source", ", ".join(str(part) for part in (source["citation"], source.get("url")) if part)))
    return found


def _evidence(prices: Mapping[str, Any]) -> list[Fact]:
    """Which prices were measured and which were not, where any was: one total may hold both, and must say so."""
    grades: dict[str, list[str]] = {}
    for action, price in prices.items():
        grades.setdefault(str(price.get("evidence")), []).append(action)
    if "measured" not in grades:
        return []
    return [("prices", "; ".join(f"{grade}: {', '.join(actions)}" for grade, actions in grades.items()))]
