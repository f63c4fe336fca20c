"""A machine that was never built: networks with known counts, and the energies that known prices make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from snn_energy.counting.counts import LayerCounts, NeuronCounts, Trace
from snn_energy.counting.tracefile import save_trace
from snn_energy.counting.values import REAL, ValueSet

SPIKES = ValueSet.of([1.0], positive=True, negative=False, eps=1e-7)
SAMPLES = 2

COUNTS = [  # mac, ac, neuron_update, time_step of one inference
    (1000, 5000, 300, 4),
    (4000, 2000, 500, 8),
    (500, 9000, 100, 2),
    (2500, 2500, 2500, 16),
    (8000, 400, 900, 1),
    (100, 700, 4000, 10),
    (3000, 6000, 50, 5),
    (1200, 1100, 1600, 3),
]
NAMES = ("mac", "ac", "neuron_update", "time_step")


def network(mac: int, ac: int, updates: int, steps: int) -> Trace:
    """Counts as given, for each of two samples."""
    return Trace(
        model="made up",
        layers=(
            LayerCounts(
                name="real", kind="linear", values=REAL, dense_macs=mac * SAMPLES, connections=mac * SAMPLES,
                operand_bits=8, weight_bits=8,
            ),
            LayerCounts(
                name="spikes", kind="linear", values=SPIKES, dense_macs=9 * ac * SAMPLES, connections=9 * ac * SAMPLES,
                events=ac * SAMPLES, effective_events=ac * SAMPLES, operand_units=ac * SAMPLES, operand_bits=8,
                weight_bits=8,
            ),
        ),
        neurons=(
            NeuronCounts(
                name="neurons", kind="lif", updates=updates * SAMPLES, update_adds=1, update_muls=2, update_compares=3,
                spikes_per_step=(0,) * steps,
            ),
        ),
        samples=SAMPLES,
        time_steps=steps,
    )  # fmt: skip


def energy(counts: Sequence[int], prices: Mapping[str, float]) -> float:
    """Energy of one inference in pJ."""
    return sum(prices[name] * count for name, count in zip(NAMES, counts, strict=True))


def write(
    folder: Path, energies_pj: Sequence[float], heading: str = "trace,energy_nj", more: Sequence[str] = ()
) -> Path:
    """Trace files 0.json, 1.json ... of COUNTS, and a CSV file of these energies in nJ."""
    lines = [heading]
    for number, pj in enumerate(energies_pj):
        save_trace(network(*COUNTS[number]), folder / f"{number}.json")
        lines.append(",".join([f"{number}.json", repr(pj / 1000), *more[number : number + 1]]))
    path = folder / "measured.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
