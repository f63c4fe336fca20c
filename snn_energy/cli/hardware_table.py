"""The table of `snn-energy hardware list`: one line for each profile, 80 columns wide."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from snn_energy.cli.console import print_block
from snn_energy.hardware import Hardware

_WEAKEST_LAST = ("measured", "simulated", "stated", "derived", "scaled")
_SURE_FIRST = ("high", "medium", "low")

_ABILITIES: tuple[tuple[str, Callable[[Hardware], bool]], ...] = (
    ("mac", lambda p: "mac" in p.energy_pj),
    ("ac", lambda p: "ac" in p.energy_pj),
    ("alu", lambda p: {"add", "mul"} <= set(p.energy_pj)),
    ("neuron", lambda p: "neuron_update" in p.energy_pj),
    ("memory", lambda p: bool(p.memory_pj)),
    ("events", lambda p: bool(p.event_pj) and len(p.energy_pj) < 2),
    ("fit", lambda p: bool(p.limits)),
    ("time", lambda p: p.latency is not None),
    ("system", lambda p: bool(p.system) and not p.energy_pj and not p.memory_pj and not p.event_pj),
)
"""Word of the column "holds", and whether a profile has it; own events and system values show where little else is."""


def print_profiles(profiles: Iterable[Hardware]) -> None:
    """Print the table, and under it what its words mean."""
    from rich.table import Table

    table = Table("name", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("nm", justify="right")
    for heading in ("class", "holds", "scope", "evidence"):
        table.add_column(heading)
    for profile in profiles:
        table.add_row(
            profile.name,
            "-" if profile.node_nm is None else f"{profile.node_nm:g}",
            profile.category or "-",
            " ".join(word for word, has in _ABILITIES if has(profile)) or "-",
            profile.scope or "-",
            evidence_of(profile),
        )
    print_block(table)
    print_block(
        "\nholds: prices of mac, ac, alu (add and mul), neuron updates, memory accesses, own events; limits to fit "
        "a network to a chip; time, for its latency; values of whole systems. evidence: the weakest among what is "
        "priced; ? marks a number whose conditions are unclear."
    )


def evidence_of(profile: Hardware) -> str:
    """The weakest evidence among the prices of actions, or among whatever else a profile holds first."""
    sections = (
        profile.energy_pj, profile.memory_pj, profile.event_pj, profile.system, profile.timing_ns, profile.limits
    )  # fmt: skip
    entries: list[Any] = next((list(section.values()) for section in sections if section), [])
    if not entries:
        return "-"
    weakest: str = max((entry.evidence for entry in entries), key=_WEAKEST_LAST.index)
    least_sure = max((entry.confidence or "high" for entry in entries), key=_SURE_FIRST.index)
    return weakest + (" ?" if least_sure == "low" else "")
