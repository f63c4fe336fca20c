"""How an energy was found, in sentences for a paper's section on methods, with what they cite.

Every sentence is read off the report: what it does not know, it does not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import COMPARED, headline, without_price
from snn_energy.reporting.numbers import energy, energy_unit, percent, ratio
from snn_energy.reporting.references import (
    Reference,
    method_sheet,
    price_keys,
    quantised_sheet,
    references,
    timings,
    tool_reference,
    used_prices,
)
from snn_energy.reporting.spread_facts import deserved, rounded_energy
from snn_energy.reporting.timetable import latency_facts
from snn_energy.version import package_version

NAMES_SHOWN = 4
"""Layers that a sentence names; of more it gives the number."""
_ACTIONS = {
    "mac": "MAC", "ac": "AC", "add": "addition", "mul": "multiplication", "compare": "comparison",
    "special": "exponential, division or root", "neuron_update": "neuron update",
}  # fmt: skip
_CAUSES = (
    ("adds", "addition"),
    ("muls", "multiplication"),
    ("compares", "comparison"),
    ("specials", "special function"),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the keys of what it cites."""

    text: str
    keys: tuple[str, ...] = ()


def sentences(document: Document) -> list[Sentence]:
    """The whole section: what ran, what was counted how, at which prices, what is left out, what came out."""
    own = method_sheet(document)
    found = [_run(document)]
    found += _strictly(document) if own is None else [_published(document, own)]
    found += [*_prices(document), *_left_out(document), _coverage(document), _result(document)]
    found += [*_latency(document), *_baselines(document)]
    return found


def methods_text(document: Document) -> str:
    """The section as plain text, citations as numbers, the list of references below; ends in a newline."""
    listed = references(document)
    numbers = {reference.key: number for number, reference in enumerate(listed, start=1)}

    def cited(sentence: Sentence) -> str:
        if not sentence.keys:
            return f"{sentence.text}."
        return f"{sentence.text} [{', '.join(str(numbers[key]) for key in sentence.keys)}]."

    lines = [
        f"[{numbers[each.key]}] {', '.join(part for part in (each.citation, each.url) if part)}" for each in listed
    ]
    return " ".join(map(cited, sentences(document))) + "\n\n" + "\n".join(lines) + "\n"


def _run(document: Document) -> Sentence:
    text = f"Operations were counted from the run itself with snn_energy {package_version()}: {headline(document)}"
    return Sentence(text, (tool_reference().key,))


def _strictly(document: Document) -> Iterator[Sentence]:
    """The rules of our own counting, each with what it means for this network."""
    rows = [row for row in document["rows"] if row["part"] == "synapses"]
    skipping = "zero-skipping" in str(document.get("method") or "")
    real = [row["name"] for row in rows if row["macs"]]
    zeros = "zeros skipped" if skipping else "zeros included"
    yield Sentence(
        f"Counting is strict (method {document.get('method')}): a synapse on a real-valued operand counts as one "
        f"multiply-accumulate (MAC), {zeros}; a synapse on a spike, 0 or plus or minus one constant, counts as one "
        "accumulate (AC) for each operand that is not 0"
    )
    integers = [row["name"] for row in rows if str(row["operand"]).startswith("integer")]
    if integers:
        graded = document["hardware"].get("integer_spikes") == "graded-mac"
        yield Sentence(
            f"A small integer n, as in {_names(integers)}, counts as {'one MAC' if graded else 'n accumulates'}"
        )
    if rows:
        some = f"{len(real)} take{'s' if len(real) == 1 else ''}" if real else "none takes"
        yield Sentence(f"Of {_number(rows, 'projection')}, {some} real-valued operands{_list(real)}")
        kind = str(rows[0]["operand"] or "silent").split(" ")[0]
        yield Sentence(f"The input of the first, {rows[0]['name']}, is {'real-valued' if kind == 'real' else kind}")
    inside, dense = (document["totals"].get(key) for key in ("connections", "dense_macs"))
    if isinstance(inside, int) and isinstance(dense, int) and inside != dense:
        samples = document["samples"]
        yield Sentence(
            "Only synapses inside the image count, taps that meet padding do not: "
            f"{_each(inside, samples)} of {_each(dense, samples)} dense MACs per inference"
        )
    repeated = [row["name"] for row in rows if row.get("repeated_connections")]
    if repeated:
        yield Sentence(f"Sums that repeat unchanged input at later time steps ({_names(repeated)}) count every time")
    yield from _norms(document)
    yield from _neurons(document)


def _norms(document: Document) -> Iterator[Sentence]:
    kinds = {row["kind"] for row in document["rows"] if row["part"] == "other"}
    ran = {record["name"] for record in document["coverage"]["counted"] if "batch_norm" in record["name"]}
    if any(kind == "batch_norm (folded)" for kind in kinds):
        yield Sentence(
            "Batch norms behind a projection are folded into it: their scale is free, their shift an addition"
        )
    if "batch_norm" in kinds:
        yield Sentence("Batch norms that do not fold into a projection are counted as they ran")
    if not ran and not any("batch_norm" in kind for kind in kinds):
        yield Sentence("No batch norm ran: there is none, or it was folded into the weights before")


def _neurons(document: Document) -> Iterator[Sentence]:
    """What an update costs by the equation of each kind of neuron."""
    found: dict[str, None] = {}
    for neuron in document.get("neurons", ()):
        steps = [(neuron.get(f"update_{key}", 0), name) for key, name in _CAUSES]
        cost = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in steps if count)
        found[f"{neuron.get('kind')}: {cost or 'no arithmetic'}"] = None
    if found:
        yield Sentence(f"Each neuron update is charged by the neuron's equation ({'; '.join(found)})")


def _published(document: Document, own: Reference) -> Sentence:
    return Sentence(f"Energies follow the method {document['method']}, as published", (own.key,))


def _prices(document: Document) -> Iterator[Sentence]:
    hardware = document["hardware"]
    prices = [
        f"{_ACTIONS.get(action, action)} {_pj(price.get('value_pj'))}"
        for action, price in used_prices(document).items()
    ]
    title = f" ({hardware['title']})" if hardware.get("title") else ""
    listed = f": {', '.join(prices)}" if prices else ""
    yield Sentence(
        f"Prices are those of the hardware profile {hardware['name']}{title}{listed}", tuple(price_keys(document))
    )


def _left_out(document: Document) -> Iterator[Sentence]:
    """What is in no energy: a reader takes it for included otherwise."""
    hardware = document["hardware"]
    inside = list(hardware.get("included", {}))
    if inside:
        parts = ", ".join(part.replace("_", " ") + "s" * part.endswith("update") for part in inside)
        yield Sentence(f"The prices are all-in: they contain {parts}")
    memory = document.get("memory")
    if memory:
        policy = memory["policy"]
        stays = ", ".join(policy["stays"]) or "nothing"
        yield Sentence(
            f"Memory traffic is included ({_levels(memory)}); kept through each pass of a layer: {stays}; operands "
            f"that skip zeros are stored as {policy['encoding']}"
        )
    missing = [
        text
        for key, text in (("memory", "memory traffic"), ("control", "control"), ("leakage", "leakage"))
        if key not in inside and not (key == "memory" and memory)
    ]
    if missing:
        yield Sentence(f"Not included: {', '.join(missing)}")
    for item in document.get("unpriced", ()):
        name = _ACTIONS.get(item["action"], item["action"])
        count = _each(item["count"], document["samples"])
        yield Sentence(
            f"The profile has no price for {count} operations per inference ({name}), which are not included"
        )


def _levels(memory: Document) -> str:
    """The memories and what an access costs."""
    found = []
    for level in memory["levels"]:
        prices = dict.fromkeys(_pj(level[key]) for key in ("read_pj", "write_pj") if level[key] is not None)
        found.append(f"{level['name']} {' or '.join(prices) or 'unknown'} for {level['access_bits']} bits")
    return ", ".join(found)


def _latency(document: Document) -> Iterator[Sentence]:
    sources = {entry["source"] for entry in timings(document).values()}
    found = next(iter(latency_facts(document)), None)
    if found is not None:
        keys = tuple(each.key for each in references(document) if each.source in sources)
        yield Sentence(f"Latency: {found[1]}", keys)


def _coverage(document: Document) -> Sentence:
    coverage = document["coverage"]
    if not coverage["uncounted"]:
        return Sentence("Every operator that ran is counted or free of arithmetic")
    names = ", ".join(record["name"] for record in coverage["uncounted"])
    bound = sum(record["bound"] for record in coverage["uncounted"])
    return Sentence(f"Not counted: {names}, at most {_each(bound, document['samples'])} MACs per inference")


def _result(document: Document) -> Sentence:
    own = document["totals"]["energy_per_inference_pj"]
    text = deserved(document) or f"{energy(own)} per inference"
    accuracy = document.get("accuracy")
    if accuracy:
        text += f" at an accuracy of {percent(accuracy['correct'], accuracy['total'])}"
    return Sentence(f"The network needs {text}")


def _baselines(document: Document) -> Iterator[Sentence]:
    if without_price(document):
        return
    twin = _compared(document, document)
    if document.get("baseline") is not None and twin:
        yield Sentence(
            "The ANN baseline is the same network with ReLU in place of every neuron and T = 1, with the SNN's "
            f"weights, counted and priced likewise: {twin}"
        )
    quantised, own = document.get("quantised") or {}, quantised_sheet(document)
    compared = _compared(document, quantised)
    if compared and own is not None:
        levels, bits = quantised.get("levels"), quantised.get("bits")
        note = f"; {quantised['note']}" if quantised.get("note") else ""
        yield Sentence(
            f"The same ANN with activations of {levels} levels ({bits} bits), as many as an SNN tells apart in its "
            f"time steps: {compared}{note}",
            (own.key,),
        )
    named = document.get("ann") or {}
    compared = _compared(document, named)
    if compared:
        yield Sentence(f"The ANN {named.get('name')} on the same data, counted and priced likewise: {compared}")


def _compared(document: Document, side: Document) -> str:
    """Energies of a baseline by each rule, and their ratios to the SNN's."""
    unit = energy_unit(document["totals"]["energy_per_inference_pj"])
    labels = dict(COMPARED)
    parts = []
    for item in side.get("comparison", ()):
        label = labels.get(item["method"].partition("+")[0])
        if label is None or item["ratio"] is None:
            continue
        pj = item["ann_energy_per_inference_pj"]
        rounded = rounded_energy(document, pj, unit)
        shown = energy(pj, unit) if rounded is None else f"{rounded} {unit[0]}"
        parts.append(f"{label.removeprefix('ANN, ')} {shown} ({ratio(item['ratio'])} times the SNN's by the same rule)")
    return "; ".join(parts)


def _names(names: Sequence[str]) -> str:
    if len(names) <= NAMES_SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[:NAMES_SHOWN])} and {len(names) - NAMES_SHOWN} more"


def _list(names: Sequence[str]) -> str:
    return f": {_names(names)}" if names else ""


def _number(rows: Sequence[object], what: str) -> str:
    return f"{len(rows)} {what}{'' if len(rows) == 1 else 's'}"


def _each(count: int, samples: int) -> str:
    share = Fraction(count, samples)
    return f"{share.numerator:,}" if share.denominator == 1 else f"{float(share):,.1f}"


def _pj(value: object) -> str:
    return f"{value:g} pJ" if isinstance(value, (int, float)) else "unknown"
