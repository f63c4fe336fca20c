"""Our own energy of each projection, as a report has it."""

from __future__ import annotations

from snn_energy.costing.report import Report


def our_energies(report: Report) -> dict[str, float]:
    """Return the energy of each projection in pJ per inference, by the layer's name: bias and memory with it."""
    samples = report.trace.samples
    return {row.name: row.energy_pj / samples for row in report.rows if row.part == "synapses"}
