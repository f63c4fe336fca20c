"""The table of a comparison: cells for people, best ones marked, and what a reader must know beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from snn_energy.reporting.numbers import energy_unit, fixed, nearest, ratio, short
from snn_energy.workflow.grids import Grid
from snn_energy.workflow.lines import Line, best, differences

TIME_UNITS = (("s", 1), ("ms", 10**3), ("µs", 10**6), ("ns", 10**9))
MISSING = "-"

Cell = Callable[[Line], str]


def grid_of(lines: Sequence[Line]) -> Grid:
    """Columns that say nothing here are left out: weights that are nobody's change, rates and times nobody has."""
    energies = [line.energy_pj for line in lines if line.energy_pj is not None]
    unit, size = energy_unit(max(energies, default=0.0))
    decimals = _needed_decimals([Fraction(energy) / size for energy in energies])
    slow = max((line.seconds for line in lines if line.seconds is not None), default=None)
    time_unit, time_size = _time_unit(slow)

    columns: list[tuple[str, str | None, bool, Cell]] = [
        ("source", None, len({line.name for line in lines}) > 1 or len(lines) == 1, lambda line: line.name),
        ("T", None, True, lambda line: MISSING if line.time_steps is None else str(line.time_steps)),
        ("weights", None, any(line.weights != "own" for line in lines), lambda line: line.weights),
        ("sparsity", None, any(line.sparsity is not None for line in lines), lambda line: _plain(line.sparsity)),
        ("thr.", None, any(line.threshold is not None for line in lines), lambda line: _plain(line.threshold)),
        ("acc. %", "accuracy", any(line.accuracy is not None for line in lines), _accuracy),
        ("rate", None, any(line.spike_rate is not None for line in lines), _rate),
        ("ACs", None, True, lambda line: short(nearest(line.acs))),
        ("MACs", None, True, lambda line: short(nearest(line.macs))),
        (unit, "energy", True, lambda line: _energy(line, size, decimals)),
        ("ratio", "ratio", any(line.ratio is not None for line in lines), _ratio),
        (time_unit, "latency", slow is not None, lambda line: _seconds(line, time_size)),
    ]  # fmt: skip
    columns = [column for column in columns if column[2]]
    marked = {} if differences(lines) else best(lines)
    return Grid(
        headings=[heading for heading, *_ in columns],
        rows=[[cell(line) for *_, cell in columns] for line in lines],
        best=frozenset(
            (row, k) for k, (_, name, _, _) in enumerate(columns) if name is not None for row in marked.get(name, ())
        ),
    )


def remarks(lines: Sequence[Line], hardware: str) -> list[str]:
    """What a reader must know: the marks, unlike assumptions, work without a price, profiles of other data types."""
    unlike = differences(lines)
    said = ["Per inference; rate: spikes per neuron and time step."]
    if any(line.ratio is not None for line in lines):
        said.append("ratio: energy of the dense ANN twin over this one's.")
    if len(lines) > 1:
        said.append(
            f"Nothing is called best, because these differ in {'; '.join(unlike)}."
            if unlike
            else "*: best of its column."
        )
    for line in _once(lines, lambda line: (line.weights, line.hardware)):
        if line.weights != "own" and line.energy_pj is None:
            said.append(f"{line.weights}: no profile of this data type is like {hardware}, so there is no energy.")
        elif line.weights != "own" and line.hardware != hardware:
            said.append(f"{line.weights}: priced on {line.hardware}.")
    for line in _once(lines, lambda line: (line.name, line.unpriced)):
        if line.unpriced:
            said.append(f"{line.name}: {', '.join(line.unpriced)} unpriced on {line.hardware}, not in its energy.")
    for line in _once(lines, lambda line: line.name):
        if line.energy_upper_pj is not None and line.energy_pj is not None and line.energy_upper_pj > line.energy_pj:
            said.append(f"{line.name}: uncounted work could make its energy {_in_unit(line.energy_upper_pj)}.")
    return said


def _once(lines: Sequence[Line], key: Callable[[Line], object]) -> list[Line]:
    """The first line of each kind."""
    found: dict[object, Line] = {}
    for line in lines:
        found.setdefault(key(line), line)
    return list(found.values())


def _needed_decimals(values: Sequence[Fraction]) -> int:
    """Decimals at which the smallest of these, unless it is 0, shows three digits; 3 to 6."""
    smallest = min((value for value in values if value), default=Fraction(1))
    return next((decimals for decimals in range(3, 6) if smallest * 10**decimals >= 100), 6)


def _time_unit(slowest: float | None) -> tuple[str, int]:
    found = [unit for unit in TIME_UNITS if slowest is not None and slowest * unit[1] >= 1]
    return found[0] if found else TIME_UNITS[-1]


def _in_unit(pj: float) -> str:
    unit, size = energy_unit(pj)
    return f"{_decimals(Fraction(pj) / size)} {unit}"


def _plain(value: float | None) -> str:
    return MISSING if value is None else f"{value:g}"


def _accuracy(line: Line) -> str:
    return MISSING if line.accuracy is None else fixed(nearest(line.accuracy * 10**4), 2)


def _rate(line: Line) -> str:
    return MISSING if line.spike_rate is None else fixed(nearest(line.spike_rate * 10**4), 4)


def _energy(line: Line, size: int, decimals: int) -> str:
    return MISSING if line.energy_pj is None else _decimals(Fraction(line.energy_pj) / size, decimals)


def _decimals(value: Fraction, decimals: int = 3) -> str:
    return fixed(nearest(value * 10**decimals), decimals)


def _ratio(line: Line) -> str:
    return MISSING if line.ratio is None else ratio(line.ratio)


def _seconds(line: Line, size: int) -> str:
    return MISSING if line.seconds is None else _decimals(Fraction(line.seconds) * size)
