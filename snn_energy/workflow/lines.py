"""One line of a comparison: what a report says of a network, for one inference, and what it rests on.

Counts are exact rationals: totals over all samples, divided by the samples. The spike rate is that of all spiking
neurons together: spikes / neuron updates, per neuron and time step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from snn_energy.reporting.document import Document

DENSE = "arithmetic"
ZERO_SKIPPING = "arithmetic-zero-skipping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A network on one hardware profile, for one inference."""

    name: str
    network: str | None
    dataset: str | None
    samples: int
    method: str
    hardware: str
    prices: str
    """The prices of `hardware` in this report, as text: profiles change, reports stay."""
    norms: str
    """"folded", "counted", "both", or "none" where no batch norm ran."""
    time_steps: int | None
    weights: str
    """Data type that the weights were rounded to; "own" where they are as they were."""
    sparsity: float | None = None
    """Share of each layer's weights that were set to zero; None where none were."""
    threshold: float | None = None
    """Factor of all thresholds; None where they are as they were."""
    correct: int | None
    total: int | None
    spike_rate: Fraction | None
    """None without a spiking neuron layer."""
    acs: Fraction
    macs: Fraction
    effective_events: Fraction | None
    energy_pj: float | None
    """None where no profile prices these weights."""
    energy_upper_pj: float | None
    """With the bound on uncounted work."""
    ratio: float | None
    """Energy of the dense ANN over this one's; None without a baseline."""
    ratio_zero_skipping: float | None
    cycles: int | None
    seconds: float | None
    unpriced: tuple[str, ...] = ()
    complete: bool = True

    @property
    def accuracy(self) -> Fraction | None:
        """Share of correct samples, 0 to 1."""
        return None if self.correct is None or not self.total else Fraction(self.correct, self.total)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; energies in pJ, counts for one inference."""
        return {
            "name": self.name,
            "network": self.network,
            "dataset": self.dataset,
            "samples": self.samples,
            "method": self.method,
            "hardware": self.hardware,
            "norms": self.norms,
            "time_steps": self.time_steps,
            "weights": self.weights,
            "sparsity": self.sparsity,
            "threshold": self.threshold,
            "correct": self.correct,
            "total": self.total,
            "spike_rate": None if self.spike_rate is None else float(self.spike_rate),
            "acs": float(self.acs),
            "macs": float(self.macs),
            "effective_events": None if self.effective_events is None else float(self.effective_events),
            "energy_per_inference_pj": self.energy_pj,
            "energy_upper_per_inference_pj": self.energy_upper_pj,
            "ratio": self.ratio,
            "ratio_zero_skipping": self.ratio_zero_skipping,
            "latency_cycles": self.cycles,
            "latency_s": self.seconds,
            "unpriced": list(self.unpriced),
            "complete": self.complete,
        }


def line_of(document: Document, name: str, **changes: Any) -> Line:
    """The line of a report; `changes` replace fields, like `weights`."""
    samples: int = document["samples"]
    rows, totals = document["rows"], document["totals"]
    accuracy = document.get("accuracy") or {}
    latency = document.get("latency") or {}
    steps = document.get("time_steps")
    effective = totals.get("effective_events")
    spiking = {one.get("name") for one in document.get("neurons") or () if isinstance(one, dict) and one.get("spiking")}
    neurons = [row for row in rows if row["part"] == "neurons" and row["name"] in spiking]
    updates = sum(row["updates"] for row in neurons)
    fields: dict[str, Any] = {
        "name": name,
        "network": document.get("network") or document.get("model"),
        "dataset": document.get("dataset"),
        "samples": samples,
        "method": str(document.get("method")),
        "hardware": document["hardware"]["name"],
        "prices": _prices(document),
        "norms": _norms(rows),
        "time_steps": steps if isinstance(steps, int) and steps > 0 else None,
        "weights": "own",
        "correct": accuracy.get("correct"),
        "total": accuracy.get("total"),
        "spike_rate": Fraction(sum(row["spikes"] for row in neurons), updates) if updates else None,
        "acs": Fraction(sum(row["acs"] for row in rows), samples),
        "macs": Fraction(sum(row["macs"] for row in rows), samples),
        "effective_events": Fraction(effective, samples) if isinstance(effective, int) else None,
        "energy_pj": totals["energy_per_inference_pj"],
        "energy_upper_pj": totals["energy_upper_pj"] / samples,
        "ratio": _ratio(document, DENSE),
        "ratio_zero_skipping": _ratio(document, ZERO_SKIPPING),
        "cycles": latency.get("cycles"),
        "seconds": latency.get("seconds"),
        "unpriced": tuple(item["action"] for item in document.get("unpriced") or ()),
        "complete": document["coverage"].get("complete", True) is True and not document.get("unpriced"),
    }
    return Line(**(fields | changes))


def without_energy(line: Line) -> Line:
    """The line of weights that no profile prices: priced as they were, they would be another network's energy."""
    return replace(
        line, energy_pj=None, energy_upper_pj=None, ratio=None, ratio_zero_skipping=None, cycles=None, seconds=None
    )


def _prices(document: Document) -> str:
    listed: Mapping[str, Any] = document["hardware"].get("energy_pj") or {}
    return ", ".join(f"{action} {price.get('value_pj')}" for action, price in sorted(listed.items()))


def _ratio(document: Document, method: str) -> float | None:
    for item in document.get("comparison") or ():
        if item["method"].partition("+")[0] == method:
            found: float | None = item["ratio"]
            return found
    return None


def _norms(rows: Sequence[Mapping[str, Any]]) -> str:
    kinds = {row["kind"] for row in rows if row["part"] == "other" and row["kind"].startswith("batch_norm")}
    if not kinds:
        return "none"
    if len(kinds) > 1:
        return "both"
    return "folded" if "folded" in kinds.pop() else "counted"


ASSUMPTIONS: Mapping[str, Callable[[Line], object]] = {
    "method": lambda line: line.method,
    "data": lambda line: line.dataset,
    "samples": lambda line: line.samples,
    "batch norms": lambda line: None if line.norms == "none" else line.norms,
}
"""What must agree for two energies to be compared; None agrees with everything but is named where data are unknown."""


def differences(lines: Sequence[Line]) -> list[str]:
    """One sentence for each assumption in which the lines differ, naming who has which; empty where all agree."""
    found = []
    for what, value in ASSUMPTIONS.items():
        groups: dict[object, list[str]] = {}
        for line in lines:
            names = groups.setdefault(value(line), [])
            if line.name not in names:
                names.append(line.name)
        if what == "batch norms":
            groups.pop(None, None)  # a network without norms agrees with either
        if len(groups) > 1:
            parts = [f"{'unknown' if key is None else key} ({', '.join(names)})" for key, names in groups.items()]
            found.append(f"{what}: {'; '.join(parts)}")
    for hardware in dict.fromkeys(line.hardware for line in lines):
        lists: dict[str, list[str]] = {}
        for line in lines:
            if line.hardware == hardware:
                lists.setdefault(line.prices, []).append(line.name)
        if len(lists) > 1:
            listed = "; ".join(", ".join(dict.fromkeys(group)) for group in lists.values())
            found.append(f"prices of {hardware}, which changed between reports ({listed})")
    return found


BEST: Mapping[str, tuple[Callable[[Line], Any], bool]] = {
    "accuracy": (lambda line: line.accuracy, True),
    "energy": (lambda line: line.energy_pj if line.complete else None, False),
    "ratio": (lambda line: line.ratio if line.complete else None, True),
    "latency": (lambda line: line.seconds, False),
}
"""Column -> its value, and whether more is better. An energy that leaves work out is never the best one."""


def best(lines: Sequence[Line]) -> dict[str, set[int]]:
    """Of each column in BEST, the places of the best lines; empty where fewer than two differ."""
    marked: dict[str, set[int]] = {}
    for column, (value, more) in BEST.items():
        known = {i: found for i, line in enumerate(lines) if (found := value(line)) is not None}
        if len(set(known.values())) < 2:
            marked[column] = set()
            continue
        top = max(known.values()) if more else min(known.values())
        marked[column] = {i for i, found in known.items() if found == top}
    return marked
