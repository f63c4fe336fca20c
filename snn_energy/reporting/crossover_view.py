"""The crossovers of a report as tables: for each baseline its layers' measured rates, crossover rates and margins."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from snn_energy.errors import DataError
from snn_energy.reporting.document import Document
from snn_energy.reporting.numbers import ENERGY_DECIMALS, energy_unit, fixed, nearest, ratio
from snn_energy.reporting.verdict import baseline_name

StyledLine = tuple[str, str]
Cells = tuple[str, ...]

SHORTEST_NAME = 12
GAP = 2
LEFT = 2
"""Columns that are aligned to the left."""

ENERGIES = ("snn_energy_pj", "ann_energy_pj")

LEGEND = (
    "Per inference. rate: share of operands that are not 0; crossover: the rate below which the SNN's layer, with the "
    "neurons behind it, needs less than the ANN's layer with its activation, all else as measured; margin: crossover "
    "over rate. any: the SNN needs less at any rate; none: not even without a spike; -: no rate decides (a real-valued "
    "operand has none). network: mean rate, and the mean at which all rates, scaled alike, cost as much as the ANN; "
    "what no layer holds (pooling, other neurons) is in it."
)
OTHER_SHAPE = "An ANN of another shape has none of these layers: only the network is compared with it."
MISSING = "no crossover in this report: it needs an ANN to compare with, and prices for what both sides do"


def crossover_lines(document: Document, width: int = 80) -> list[StyledLine]:
    """One table for each baseline, and what its words mean, as styled lines of at most `width` columns.

    Raises:
        DataError: the report holds no crossover.
    """
    lines: list[StyledLine] = []
    for title, cells in _tables(document):
        headings = cells[0]
        sizes = [max(len(row[i]) for row in cells) for i in range(len(headings))]
        room = width - sum(sizes[1:]) - GAP * (len(sizes) - 1)
        sizes[0] = max(min(sizes[0], room), min(sizes[0], max(SHORTEST_NAME, len(headings[0]))))
        lines += [("", ""), (title, "bold")]
        for number, row in enumerate(cells):
            lines.append((_aligned(row, sizes), "bold" if number in (0, len(cells) - 1) else ""))
    lines.append(("", ""))
    for note in _notes(document):
        lines += [(text, "dim") for text in textwrap.wrap(note, width)]
    return lines


def crossover_markdown(document: Document) -> str:
    """The same as Markdown.

    Raises:
        DataError: the report holds no crossover.
    """
    blocks = []
    for title, (headings, *rows) in _tables(document):
        rule = tuple("---" if i < LEFT else "---:" for i in range(len(headings)))
        named = ((f"`{row[0]}`", *row[1:]) for row in rows)
        blocks.append(f"## Crossover {title}")
        blocks.append("\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *named)))
    return "\n\n".join([*blocks, *_notes(document)]) + "\n"


def _notes(document: Document) -> list[str]:
    """What the words mean, what an ANN of another shape leaves empty, and what the quantised twin is."""
    found = [LEGEND]
    if any(item["ann_energy_pj"] is None for item in document["crossover"]["layers"]):
        found.append(OTHER_SHAPE)
    quantised = document.get("quantised")
    if not quantised:
        return found
    told = (
        f"{quantised['bits']}-bit quantised twin: {quantised['levels']} levels in place of every neuron, as many as T "
        f"spikes tell apart; steps from the same data, with the SNN's weights; {quantised['note']}."
    )
    return [*found, told]


def _tables(document: Document) -> Iterator[tuple[str, list[Cells]]]:
    """A title, and a table whose last row is the whole network."""
    crossover = document.get("crossover")
    if not crossover or not crossover["baselines"]:
        raise DataError(f"{MISSING}; profile without --no-baseline, on hardware that prices mac and ac")
    for whole in crossover["baselines"]:
        layers = [item for item in crossover["layers"] if item["baseline"] == whole["baseline"]]
        unit = energy_unit(max([each[key] or 0 for each in layers for key in ENERGIES], default=whole[ENERGIES[0]]))
        yield (
            f"against the {baseline_name(document, whole['baseline'])}",
            [
                ("layer", "operand", "rate", "crossover", "margin", f"SNN {unit[0]}", f"ANN {unit[0]}"),
                *(_row(item, unit[1]) for item in layers),
                _network(whole, unit[1]),
            ],
        )


def _row(item: dict[str, Any], size: int) -> Cells:
    return (
        item["layer"],
        item["operand"].split(" ")[0],
        f"{item['rate']:.4f}",
        _crossover(item["outcome"], item["crossover_rate"]),
        "" if item["margin"] is None else ratio(item["margin"]),
        _energy(item["snn_energy_pj"], size),
        "" if item["ann_energy_pj"] is None else _energy(item["ann_energy_pj"], size),
    )


def _network(item: dict[str, Any], size: int) -> Cells:
    return (
        "network",
        "",
        "" if item["mean_rate"] is None else f"{item['mean_rate']:.4f}",
        _crossover(item["outcome"], item["crossover_mean_rate"]),
        "" if item["scale"] is None else ratio(item["scale"]),
        _energy(item["snn_energy_pj"], size),
        _energy(item["ann_energy_pj"], size),
    )


def _crossover(outcome: str, rate: float | None) -> str:
    if outcome == "below" and rate is not None:
        return f"{rate:.4f}"
    return {"always": "any", "never": "none"}.get(outcome, "-")


def _energy(pj: float, size: int) -> str:
    return fixed(nearest(Fraction(pj) / size * 10**ENERGY_DECIMALS), ENERGY_DECIMALS)


def _aligned(cells: Sequence[str], sizes: Sequence[int]) -> str:
    first, limit = cells[0], sizes[0]
    name = first if len(first) <= limit else "…" + first[len(first) - limit + 1 :]
    shown = [name, *cells[1:]]
    texts = (f"{cell:<{size}}" if i < LEFT else f"{cell:>{size}}" for i, (cell, size) in enumerate(zip(shown, sizes)))
    return (" " * GAP).join(texts).rstrip()
