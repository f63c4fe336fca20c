"""What the parts of a report document must hold, as tables: whoever renders one reads these keys without asking."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """A test of one value, and what it asks for, in words."""

    fits: Callable[[Any], bool]
    expected: str


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


TEXT = Kind(lambda value: isinstance(value, str), "text")
TEXTS = Kind(lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value), "a list of texts")
FLAG = Kind(lambda value: isinstance(value, bool), "true or false")
WHOLE = Kind(_is_whole, "an integer >= 0")
WHOLES = Kind(lambda value: isinstance(value, (list, tuple)) and all(map(_is_whole, value)), "a list of integers >= 0")
COUNT = Kind(lambda value: _is_whole(value) and value > 0, "an integer >= 1")
SHARE = Kind(lambda value: _is_number(value) and value >= 0, "a number >= 0")
ENERGY = Kind(SHARE.fits, "a number >= 0 in pJ")


def _or_null(kind: Kind) -> Kind:
    return Kind(lambda value: value is None or kind.fits(value), f"{kind.expected} or null")


BOUND = _or_null(Kind(_is_number, "a number in pJ"))
"""End of an interval: that of a mean of few samples may reach below 0."""

Fields = Mapping[str, Kind]

PARTS = ("synapses", "neurons", "other")

ROW: Fields = {
    "name": TEXT,
    "kind": TEXT,
    "part": Kind(lambda value: value in PARTS, f"one of {', '.join(PARTS)}"),
    "operand": _or_null(TEXT),
    "spike_rate": _or_null(SHARE),
    **dict.fromkeys(("spikes", "connections", "repeated_connections", "macs", "acs", "updates"), WHOLE),
    **dict.fromkeys(("adds", "muls", "compares", "specials"), WHOLE),
    **dict.fromkeys(("mac_pj", "ac_pj", "neuron_pj", "other_pj", "energy_pj"), ENERGY),
}
NEURON: Fields = {"name": TEXT, "updates": WHOLE, "spikes_per_step": WHOLES}
TOTALS: Fields = {"energy_pj": ENERGY, "energy_upper_pj": ENERGY, "energy_per_inference_pj": ENERGY}
DISTRIBUTION: Fields = {
    "samples": COUNT,
    "mean_pj": ENERGY,
    "sd_pj": _or_null(ENERGY),
    "ci95_low_pj": BOUND,
    "ci95_high_pj": BOUND,
    "precision": _or_null(SHARE),
    "median_pj": ENERGY,
    "p95_pj": ENERGY,
    "min_pj": ENERGY,
    "max_pj": ENERGY,
}
STOPPING: Fields = {
    "target": SHARE,
    "precision": _or_null(SHARE),
    "reached": FLAG,
    "samples": COUNT,
    "minimum_samples": WHOLE,
}
ACCURACY: Fields = {"correct": WHOLE, "total": COUNT}
SCORE = _or_null(
    Kind(
        lambda value: isinstance(value, dict) and all(kind.fits(value.get(key)) for key, kind in ACCURACY.items()),
        "{correct, total}",
    )
)
OPINION: Fields = {"agrees": FLAG, "ours": WHOLE, "fvcore": WHOLE}
OPINION_ROW: Fields = {"family": TEXT, "ours": WHOLE, "fvcore": WHOLE, "explanation": TEXT}
COMPARISON: Fields = {
    "method": TEXT,
    "snn_energy_per_inference_pj": ENERGY,
    "ann_energy_per_inference_pj": ENERGY,
    "ratio": _or_null(SHARE),
    "ratio_low": _or_null(SHARE),
    "ratio_high": _or_null(SHARE),
}
BOTH_COUNTINGS: Fields = {
    **dict.fromkeys(("strict_pj", "published_pj", "dense_ann_pj"), ENERGY),
    **dict.fromkeys(("strict_ratio", "published_ratio"), _or_null(SHARE)),
}
UNPRICED: Fields = {"action": TEXT, "count": WHOLE, "reason": TEXT}
OPERATOR: Fields = {"name": TEXT}
UNCOUNTED: Fields = {"name": TEXT, "modules": TEXTS, "bound": WHOLE}

TIMES: Fields = {
    **dict.fromkeys(("cycles", "cycles_low", "cycles_high"), _or_null(WHOLE)),
    **dict.fromkeys(("seconds", "seconds_low", "seconds_high"), _or_null(SHARE)),
    "bottleneck": _or_null(TEXT),
}
LATENCY: Fields = {
    **TIMES,
    **dict.fromkeys(("model", "formula"), TEXT),
    **dict.fromkeys(("cycles_missing", "seconds_missing", "static_missing"), _or_null(TEXT)),
    **dict.fromkeys(("static_pj", "energy_delay_pj_s"), _or_null(SHARE)),
    "assumptions": TEXTS,
}
LATENCY_ROW: Fields = {**TIMES, "name": TEXT, "passes": _or_null(WHOLE), "note": _or_null(TEXT)}
THROUGHPUT: Fields = {
    "batch": COUNT,
    "cycles": _or_null(WHOLE),
    **dict.fromkeys(("seconds", "inferences_per_second", "gain"), _or_null(SHARE)),
    "missing": _or_null(TEXT),
}

MEMORY: Fields = {"assumptions": TEXTS}
MEMORY_ROW: Fields = {
    **dict.fromkeys(("name", "part", "tensor", "level"), TEXT),
    **dict.fromkeys(("footprint_bits", "read_bits", "write_bits"), WHOLE),
    "energy_pj": ENERGY,
}
MEMORY_LEVEL: Fields = {
    "name": TEXT,
    "size_bytes": _or_null(COUNT),
    "access_bits": COUNT,
    "read_pj": _or_null(ENERGY),
    "write_pj": _or_null(ENERGY),
}
UNCERTAINTY: Fields = {
    **dict.fromkeys(("energy_pj", "low_pj", "high_pj", "mean_pj", "sd_pj", "p05_pj", "p95_pj"), ENERGY),
    "draws": COUNT,
    "seed": WHOLE,
    "without_range": TEXTS,
}
TORNADO: Fields = {
    "price": TEXT,
    **dict.fromkeys(("price_pj", "price_low_pj", "price_high_pj", "energy_low_pj", "energy_high_pj"), ENERGY),
}
CHEAPER: Fields = {
    "method": TEXT,
    "probability": SHARE,
    **dict.fromkeys(("ratio_low", "ratio_high"), _or_null(SHARE)),
}


def _are_steps(value: object) -> bool:
    """Steps of `costing.published_methods.waterfall`, as `Explanation.to_dict` writes them."""
    pairs = {"count": _is_number, "price_pj": _or_null(SHARE).fits, "rule": _or_null(TEXT).fits}
    return isinstance(value, list) and all(
        isinstance(step, dict)
        and isinstance(step.get("part"), str)
        and isinstance(step.get("cause"), str)
        and _is_number(step.get("energy_pj"))
        and all(
            isinstance(step.get(key), list) and len(step[key]) == 2 and all(map(fits, step[key]))
            for key, fits in pairs.items()
        )
        for step in value
    )


def _is_waterfall(value: object) -> bool:
    ends = _or_null(TEXT).fits
    return (
        isinstance(value, dict) and ends(value.get("from")) and ends(value.get("to")) and _are_steps(value.get("steps"))
    )


def _are_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


EXPLANATION: Fields = {
    "samples": COUNT,
    "time_steps": _or_null(COUNT),
    "waterfall": Kind(_is_waterfall, "an object of from, to and steps"),
}
EXPLAINED: Fields = {
    **dict.fromkeys(("method", "title", "citation"), TEXT),
    **dict.fromkeys(("url", "partial", "refused"), _or_null(TEXT)),
    "energy_per_inference_pj": _or_null(ENERGY),
    "ratio_to_lowest": _or_null(SHARE),
    "counts": Kind(lambda value: isinstance(value, dict), "an object"),
    "measures_per_inference": Kind(_are_numbers, "an object of numbers"),
}

QUANTISED: Fields = {"bits": COUNT, "levels": COUNT, "note": TEXT, "accuracy": SCORE}
STEP: Fields = {"name": TEXT, "step": SHARE, "top": SHARE, "lost": SHARE, "positive": WHOLE}
ANN: Fields = {"name": TEXT}
OUTCOME = Kind(
    lambda value: value in ("below", "always", "never", "unrelated", "unknown"),
    "one of below, always, never, unrelated, unknown",
)
CROSSED: Fields = {"baseline": TEXT, "outcome": OUTCOME, "note": _or_null(TEXT), "snn_energy_pj": ENERGY}
CROSSOVER: Fields = {
    **CROSSED,
    "ann_energy_pj": ENERGY,
    **dict.fromkeys(("ratio", "scale", "mean_rate", "crossover_mean_rate"), _or_null(SHARE)),
}
CROSSOVER_LAYER: Fields = {
    **CROSSED,
    **dict.fromkeys(("layer", "operand"), TEXT),
    "neuron": _or_null(TEXT),
    "rate": SHARE,
    "ann_energy_pj": _or_null(ENERGY),
    **dict.fromkeys(("crossover_rate", "margin"), _or_null(SHARE)),
    "curve_pj": Kind(
        lambda value: isinstance(value, list) and len(value) == 3 and all(ENERGY.fits(each) for each in value),
        "three numbers >= 0 in pJ",
    ),
}

OPTIONAL: Mapping[str, Fields] = {
    "explanation": EXPLANATION,
    "memory": MEMORY,
    "uncertainty": UNCERTAINTY,
    "latency": LATENCY,
    "throughput": THROUGHPUT,
    "distribution": DISTRIBUTION,
    "stopping": STOPPING,
    "accuracy": ACCURACY,
    "second_opinion": OPINION,
    "both_countings": BOTH_COUNTINGS,
    "quantised": QUANTISED,
    "ann": ANN,
    "crossover": {},
}
"""Objects that may be null or missing."""

LISTS: Mapping[tuple[str, ...], Fields] = {
    ("neurons",): NEURON,
    ("explanation", "methods"): EXPLAINED,
    ("unpriced",): UNPRICED,
    ("comparison",): COMPARISON,
    ("latency", "rows"): LATENCY_ROW,
    ("memory", "rows"): MEMORY_ROW,
    ("memory", "levels"): MEMORY_LEVEL,
    ("uncertainty", "tornado"): TORNADO,
    ("uncertainty", "cheaper"): CHEAPER,
    ("uncertainty", "against"): {**CHEAPER, "baseline": TEXT},
    ("second_opinion", "rows"): OPINION_ROW,
    ("quantised", "steps"): STEP,
    ("crossover", "baselines"): CROSSOVER,
    ("crossover", "layers"): CROSSOVER_LAYER,
    ("coverage", "counted"): OPERATOR,
    ("coverage", "free"): OPERATOR,
    ("coverage", "uncounted"): UNCOUNTED,
}
"""Lists of objects, by the keys that lead to them; a list right in the document may be missing."""
MAY_BE_MISSING = (("uncertainty", "against"),)
"""Lists inside an object that older reports lack."""


def misfit(document: Mapping[str, Any]) -> str | None:
    """The first value that does not fit, as "key must be ... (got ...)"; None where all fit."""
    return next(_misfits(document), None)


def _misfits(document: Mapping[str, Any]) -> Iterator[str]:
    """Misfits in order; each part relies on those before it."""
    yield from _wrong(document, {"samples": COUNT}, "")
    rows = document.get("rows")
    yield from _wrong_items(rows, ROW, "rows")
    for number, row in enumerate(rows or ()):
        if "memory_pj" in row:
            yield from _wrong(row, {"memory_pj": ENERGY}, f"rows[{number}].")
        if set(row) != set(document["rows"][0]):  # they are the columns of a CSV file
            yield f"rows[{number}] must have the keys of rows[0]"
    for key in ("totals", "coverage"):
        if not isinstance(document.get(key), dict):
            yield f"{key} must be an object"
    for key, fields in {"totals": TOTALS, **OPTIONAL}.items():
        inner = document.get(key)
        if inner is not None and not isinstance(inner, dict):
            yield f"{key} must be null or an object (got {inner!r})"
        elif inner is not None:
            yield from _wrong(inner, fields, f"{key}.")
    for path, fields in LISTS.items():
        holder = document if len(path) == 1 else document.get(path[0])
        required = len(path) > 1 and path not in MAY_BE_MISSING
        if holder is not None and (required or path[-1] in holder):
            yield from _wrong_items(holder.get(path[-1]), fields, ".".join(path))
    yield from _wrong({"never_called": [], **document["coverage"]}, {"never_called": TEXTS}, "coverage.")


def _wrong(value: Mapping[str, Any], fields: Fields, where: str) -> Iterator[str]:
    for key, kind in fields.items():
        if key not in value or not kind.fits(value[key]):
            yield f"{where}{key} must be {kind.expected} (got {repr(value[key]) if key in value else 'nothing'})"


def _wrong_items(items: object, fields: Fields, where: str) -> Iterator[str]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        yield f"{where} must be a list of objects"
        return
    for number, item in enumerate(items):
        yield from _wrong(item, fields, f"{where}[{number}].")
