"""The ANN baselines of a report in figures: names, colours and markers, the same in every figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snn_energy.reporting.document import Document
from snn_energy.reporting.style import BLACK, GREEN, GREY, ORANGE, PURPLE, VERMILION

RULES = {"arithmetic": "dense", "arithmetic-zero-skipping": "zero-skipping"}
"""Method of a comparison -> which zeros the ANN skips."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a baseline is called in a figure, and what it looks like."""

    label: str
    colour: str
    marker: str


LOOKS = {
    "dense": Look("ANN, dense", ORANGE, "D"),
    "zero-skipping": Look("ANN, zero-skipping", VERMILION, "s"),
    "quantised-dense": Look("quantised ANN, dense", PURPLE, "^"),
    "quantised-zero-skipping": Look("quantised ANN, zero-skipping", GREY, "v"),
    "ann-dense": Look("named ANN, dense", GREEN, "P"),
    "ann-zero-skipping": Look("named ANN, zero-skipping", BLACK, "X"),
}
"""Name of a baseline in a report -> its look."""


def look_of(document: Document, name: str) -> Look:
    """The look of a baseline; its bits, or the user's name for it, where the report tells."""
    known = LOOKS.get(name, Look(f"ANN, {name}", GREY, "o"))
    made, _, rule = name.partition("-")
    quantised, named = document.get("quantised"), document.get("ann")
    if made == "quantised" and quantised and quantised.get("bits"):
        return Look(f"{quantised['bits']}-bit ANN, {rule}", known.colour, known.marker)
    if made == "ann" and named and named.get("name"):
        return Look(f"{named['name']}, {rule}", known.colour, known.marker)
    return known


def compared(document: Document) -> Iterator[tuple[str, Document]]:
    """Every baseline's name and its comparison with the network, in the order of LOOKS."""
    sides = {"": document, "quantised-": document.get("quantised"), "ann-": document.get("ann")}
    for made, side in sides.items():
        for item in (side or {}).get("comparison", ()):
            method = str(item["method"]).partition("+")[0]
            yield made + RULES.get(method, method), item
