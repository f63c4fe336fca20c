"""Names, colours and markers of the ANN baselines, the same in every figure."""

from __future__ import annotations

from dataclasses import dataclass

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import COMPARED
from snn_energy.reporting.style import BLACK, GREEN, GREY, ORANGE, PURPLE, VERMILION


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
"""Name of a baseline in a report -> its look; the name itself where it is none of these."""

_BY_METHOD = {method: look for (method, _), look in zip(COMPARED, LOOKS.values(), strict=False)}


def look_of(item: Document) -> Look:
    """The look of a baseline, by its name, or by its method where the report gives no name."""
    name = item.get("baseline")
    if name is not None:
        return LOOKS.get(name, Look(str(name), GREY, "o"))
    method = str(item["method"])
    return _BY_METHOD.get(method.partition("+")[0], Look(f"ANN, {method}", GREY, "o"))
