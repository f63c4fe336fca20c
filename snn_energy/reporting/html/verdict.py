"""The head of the page: the number, how it compares, its interval, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import CONVENTIONS, TWIN_NOTE, without_price
from snn_energy.reporting.html.elements import Element, tag
from snn_energy.reporting.html.pieces import fact_list
from snn_energy.reporting.html.rivals import main_rivals
from snn_energy.reporting.layout import layer_table
from snn_energy.reporting.numbers import energy, energy_unit, percent, ratio
from snn_energy.reporting.spread_facts import deserved, sampled_energies
from snn_energy.reporting.timetable import duration
from snn_energy.reporting.verdict import verdict_facts

Fact = tuple[str, str]

ARITHMETIC = (
    "priced by its arithmetic alone: no memory traffic, control or leakage is in it; read it as a lower bound on a chip"
)
METHODS = {
    "arithmetic": f"every operation that ran is {ARITHMETIC}",
    "arithmetic-zero-skipping": f"every operation whose operands are not 0 is {ARITHMETIC}",
    "arithmetic+memory": "arithmetic, and the memory traffic that the declared reuse leaves; no control, no leakage",
    "arithmetic-zero-skipping+memory": "arithmetic on operands that are not 0, and the memory traffic that the "
    "declared reuse leaves; no control, no leakage",
    **CONVENTIONS,
}
"""Method without its options -> what its number holds."""
COUNTING = (
    "of the run itself, on the data named above: an accumulate for each spike and connection it meets, inside the "
    "image; a multiply-accumulate for each connection of a real-valued operand; neuron updates by the neuron's equation"
)


def verdict(document: Document) -> Element:
    """The title, the number and its assumptions."""
    subject = str(document.get("network") or document.get("model") or "network")
    steps = document.get("time_steps")
    told = [document.get("checkpoint"), document.get("dataset") or _samples(document["samples"])]
    told.append(None if steps is None else f"T = {steps}")
    return tag(
        "header",
        tag("p", "Energy report", class_="over"),
        tag("h1", subject),
        tag("p", " \u00b7 ".join(str(text) for text in told if text), class_="subject"),
        _number(document),
        [tag("p", sentence, class_="interval") for sentence in _intervals(document)],
        tag("p", _sentence(document), class_="verdict"),
        tag("dl", (tag("div", tag("dt", label), tag("dd", text)) for label, text in _cards(document)), class_="cards"),
        tag("h2", "What the number says, and what it rests on"),
        fact_list(_assumptions(document)),
        id_="verdict",
    )


def _number(document: Document) -> Element:
    """The energy, or the least that it can be."""
    table = layer_table(document)
    least = "" if document["coverage"].get("complete", True) and not document.get("unpriced") else "\u2265 "
    return tag(
        "p",
        tag("b", least + table.total, class_="figure"),
        " ",
        tag("span", f"{table.unit} per inference"),
        class_="headline",
    )


def _samples(count: int) -> str:
    return f"{count:,} sample{'' if count == 1 else 's'}"


def _intervals(document: Document) -> Iterator[str]:
    """Every interval that the report knows, each with what it is an interval of."""
    totals, samples = document["totals"], document["samples"]
    if totals["energy_upper_pj"] > totals["energy_pj"]:
        low, high = totals["energy_pj"] / samples, totals["energy_upper_pj"] / samples
        unit = energy_unit(high)
        yield f"{energy(low, unit)} to {energy(high, unit)}: work that is not counted is bounded, not guessed"
    spread = document.get("uncertainty")
    if (known := deserved(document)) is not None:
        yield known.partition(" per inference, ")[2]
    elif spread:
        yield "No interval of the prices: none of those used has a published range"
    sampled = document.get("distribution")
    if sampled and sampled["ci95_low_pj"] is not None and sampled["ci95_high_pj"] is not None:
        texts = sampled_energies(sampled)
        ends = " to ".join(texts[f"ci95_{end}"] for end in ("low", "high"))
        yield f"{ends}: 95 % interval of the mean over {_samples(sampled['samples'])}"


def _sentence(document: Document) -> str:
    """One sentence that may be quoted."""
    named = main_rivals(document)
    if not named:
        if missing := without_price(document):
            return f"No comparison: this hardware has no price for {' and '.join(missing)}."
        if "comparison" not in document:
            return "A report of one network, without a baseline."
        return f"There is no ANN to compare with: {document.get('baseline_missing') or 'not traced'}."
    parts = [f"{rival.words} the {rival.label}" for rival in named if rival.words is not None]
    if not parts:
        return "The network needs no energy, so there is no ratio to an ANN."
    *first, last = parts
    return f"The SNN needs {', '.join(first)}{' and ' if first else ''}{last}."


def _cards(document: Document) -> Iterator[Fact]:
    """A few numbers beside the big one."""
    unit = energy_unit(document["totals"]["energy_per_inference_pj"])
    for rival in main_rivals(document):
        value = rival.comparison["ratio"]
        times = "" if value is None else f" \u00b7 {ratio(value)}\u00d7"
        yield rival.label, energy(rival.comparison["ann_energy_per_inference_pj"], unit) + times
    accuracy = document.get("accuracy")
    if accuracy:
        yield "Accuracy", percent(accuracy["correct"], accuracy["total"])
    latency = document.get("latency")
    if latency and latency["seconds"] is not None:
        yield "Time", duration(latency["seconds"])
    uncounted = len(document["coverage"]["uncounted"])
    yield "Coverage", f"{uncounted} uncounted" if uncounted else "complete"
    yield "Hardware", document["hardware"]["name"]


def _assumptions(document: Document) -> Iterator[Fact]:
    hardware = document["hardware"]
    method = str(document.get("method") or "")
    yield from verdict_facts(document)
    yield "prices", f"{hardware['name']}: {hardware.get('title') or 'no title'}; {hardware.get('scope') or ''} prices"
    yield "method", ": ".join(text for text in (method, METHODS.get(method.partition(":")[0])) if text)
    if method.startswith("arithmetic"):
        yield "counting", COUNTING
    if document.get("baseline") is not None:
        yield "baseline", TWIN_NOTE
    if document.get("unpriced"):
        names = ", ".join(item["action"] for item in document["unpriced"])
        yield "not in it", f"{names}: counted, without a price on this hardware"
    spread = document.get("uncertainty")
    if spread and spread["tornado"]:
        yield (
            "interval",
            ("every price at the low and at the high end of its published range; prices without one keep their values"),
        )
