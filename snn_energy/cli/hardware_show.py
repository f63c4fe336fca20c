"""What `snn-energy hardware show` prints of one profile: every number with its evidence and its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snn_energy.cli.console import print_block, print_line
from snn_energy.cli.hardware_latency import print_machine
from snn_energy.hardware import Hardware


def print_profile(profile: Hardware) -> None:
    """Print all there is to say of one profile, 80 columns wide where no name forces more."""
    print_line(profile.name, style="bold")
    print_line(profile.title)
    print_line(_facts(profile))
    if profile.notes:
        print_block(profile.notes.strip())
    for heading, entries, key, unit in _sections(profile):
        _print_numbers(heading, entries, key, unit)
    if profile.latency is not None:
        print_machine(profile.latency)
    if profile.scaling is not None:
        rule = profile.scaling
        print_line("\nScaling", style="bold")
        print_block(
            f"From {rule.base}, {rule.from_node_nm:g} nm at {rule.from_voltage_v:g} V, to {rule.node_nm:g} nm at "
            f"{rule.voltage_v:g} V: energy x {rule.factor:.3g}, with f(V) = a V^2 + b V + c of each node "
            f"({rule.source}, {rule.locator}). Logic only."
        )
    print_entries("Included", ((part, f"in the price of {action}") for part, action in profile.included.items()))
    print_entries("Unpriced", profile.unpriced.items())
    sources = (
        (key, "\n".join(part for part in (source.citation, source.url, source.note) if part))
        for key, source in profile.sources.items()
    )
    print_entries("Sources", sources)


def print_entries(heading: str, entries: Iterable[tuple[str, str]]) -> None:
    """Print a heading, and keys with a text indented under each; nothing where there are none."""
    from rich.padding import Padding

    rows = list(entries)
    if not rows:
        return
    print_line(f"\n{heading}", style="bold")
    for key, text in rows:
        print_line(f"  {key}")
        print_block(Padding(text, (0, 0, 0, 4)))


def number(value: float) -> str:
    """A number as the profile states it, to 12 digits."""
    return f"{value:.12g}"


def _three_digits(value: float) -> str:
    return f"{value:.3g}"


def _sections(profile: Hardware) -> list[tuple[str, Mapping[str, Any], str, str]]:
    return [
        ("action", profile.energy_pj, "_pj", "pJ"),
        ("memory access", profile.memory_pj, "_pj", "pJ"),
        ("own event", profile.event_pj, "_pj", "pJ"),
        ("time", profile.timing_ns, "_ns", "ns"),
        ("limit", profile.limits, "", "value"),
        ("system", profile.system, "", "value"),
    ]


def _print_numbers(heading: str, entries: Mapping[str, Any], key: str, unit: str) -> None:
    from rich.table import Table

    if not entries:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(heading, no_wrap=True)
    table.add_column(unit, justify="right", max_width=20)
    table.add_column("evidence", max_width=11)
    table.add_column("source", overflow="fold")
    for name, entry in entries.items():
        table.add_row(name, _value(entry, key), _evidence(entry), _where(entry))
    print_line("")
    print_block(table)


def _value(entry: Any, key: str) -> str:
    value = getattr(entry, f"value{key}")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(number, value))
    bounds = getattr(entry, f"range{key}", None)
    write = _three_digits if entry.evidence == "scaled" else number  # a rule of thumb deserves no more
    return write(value) + ("" if bounds is None else f" ({' to '.join(map(write, bounds))})")


def _evidence(entry: Any) -> str:
    return str(entry.evidence) + (", low" if entry.confidence == "low" else "")


def _where(entry: Any) -> str:
    """Where the number stands, behind what it is a number of."""
    facts = []
    if hasattr(entry, "access_bits"):
        facts.append(f"{entry.access_bits}-bit {entry.access or 'access'}")
    if hasattr(entry, "per"):
        facts.append(f"per {entry.per}")
    told = f"{', '.join(facts)}; " if facts else ""
    return f"{told}{entry.source}, {entry.locator}"


def _facts(profile: Hardware) -> str:
    facts = (
        ("class", profile.category, ""),
        ("node", profile.node_nm, " nm"),
        ("supply", profile.voltage_v, " V"),
        ("data type", profile.datatype, ""),
        ("operand", profile.operand_bits, " bits"),
        ("scope", profile.scope, ""),
        ("integer spikes", profile.integer_spikes, ""),
    )
    return "\n".join(
        f"  {label:<16}{value if isinstance(value, str) else number(value)}{unit}"
        for label, value, unit in facts
        if value is not None
    )
