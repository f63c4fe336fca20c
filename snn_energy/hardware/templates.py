"""A profile to fill in: the structure of another one, its numbers as comments, blanks where facts belong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from snn_energy.errors import UsageError
from snn_energy.hardware.actions import ACTIONS
from snn_energy.hardware.machine_template import machine_template
from snn_energy.hardware.records import Hardware
from snn_energy.hardware.schema import FORMATS, PROFILE
from snn_energy.hardware.vocabulary import CATEGORIES, COVERABLE, LIMITS, TRAITS
from snn_energy.hardware.wording import bare, shown

BLANK = "?"
"""What stands where a fact belongs: no number and no choice, so `snn-energy hardware check` lists every one left."""


def profile_template(name: str, base: Hardware) -> str:
    """TOML text of a profile called `name` with the tables of `base` and none of its facts.

    Every blank breaks the schema until it is filled in, so checking the file lists what is still to do.

    Raises
    ------
    UsageError
        No profile may be called `name`.
    """
    if not PROFILE[FORMATS[-1]]["name"].accepts(name):
        raise UsageError(f"name must be {PROFILE[FORMATS[-1]]['name'].expected} (got {shown(name)})")
    lines = [
        f"# A hardware profile to fill in. To see what is left: snn-energy hardware check {name}.toml",
        "# A number that no publication states stays out: name the action under [unpriced] with the reason instead.",
        f"format = {FORMATS[-1]}",
        f'name = "{name}"  # the file name without .toml',
        'title = " "  # one line: who published it, the node, what it is',
        f'class = "{base.category or BLANK}"  # {_choices(CATEGORIES)}',
        f'integer_spikes = "{base.integer_spikes}"  # accumulate-per-unit: n accumulates; graded-mac: one MAC',
        *_optional(base),
    ]
    for section, entries, unit, meaning in _sections(base):
        for key, entry in entries.items():
            lines += ["", f"[{section}.{bare(key)}]  # {meaning(key)}", *_entry(entry, unit, base.name)]
    if base.latency is not None:
        lines += ["", *machine_template(base.latency, base.name, BLANK)]
    if base.included or base.scope == "all-in":
        lines += ["", "[included]  # what the prices above contain: an action, " + _choices(COVERABLE)]
        lines += [f'{bare(key)} = "{within}"  # so {base.name} has it' for key, within in base.included.items()]
    if base.unpriced:
        lines += ["", "[unpriced]  # actions without a price, each with the reason"]
        lines += [f'{bare(key)} = " "  # why nothing is published' for key in base.unpriced]
    lines += [
        "",
        "[sources.my-source]",
        'citation = " "  # authors, title, where and when it was published',
        '# url = "https://doi.org/..."',
        '# note = "how it was read, and how far to trust it"',
    ]
    return "\n".join(lines) + "\n"


def _optional(base: Hardware) -> Iterator[str]:
    for key in ("node_nm", "voltage_v", "datatype", "operand_bits"):
        yield f"# {key} = {shown(getattr(base, key)) if getattr(base, key) is not None else BLANK}"


def _entry(entry: Any, unit: str, base: str) -> Iterator[str]:
    """Lines of one entry: what it says of itself is kept, what a publication must say is left blank."""
    facts = {field.name: getattr(entry, field.name) for field in fields(entry)}
    value, bounds = facts[f"value{unit}"], facts.get(f"range{unit}")
    said = f"{list(value) if isinstance(value, tuple) else shown(value)}{_UNITS[unit]}"
    yield f'value = "{BLANK}"  # {base}: {said}'
    if bounds is not None:
        yield f"# range = [{bounds[0]:g}, {bounds[1]:g}]  # of {base}: the lowest and the highest published value"
    for key in ("scope", "kind", "access_bits", "size_bytes", "access", "per"):
        if facts.get(key) is not None:
            yield f"{key} = {shown(facts[key])}"
    yield f'evidence = "{BLANK}"  # stated, derived, simulated or measured'
    yield 'source = "my-source"'
    yield 'locator = " "  # table, figure or page, and the arithmetic if derived'
    yield '# confidence = "high"  # high: the primary text read; medium: a copy or one quotation; low: unclear'


def _sections(base: Hardware) -> list[tuple[str, Mapping[str, Any], str, Callable[[str], str]]]:
    known = {**LIMITS, **TRAITS}
    return [
        ("energy_pj", base.energy_pj, "_pj", lambda key: ACTIONS[key]),
        ("memory_pj", base.memory_pj, "_pj", lambda _: "pJ of one access, which moves access_bits bits"),
        ("event_pj", base.event_pj, "_pj", lambda _: "pJ of one"),
        ("timing_ns", base.timing_ns, "_ns", lambda _: "ns of one"),
        ("limits", base.limits, "", lambda key: known[key]),
        ("system", base.system, "", lambda _: "the unit is the end of the name"),
    ]


_UNITS = {"_pj": " pJ", "_ns": " ns", "": ""}


def _choices(words: Mapping[str, str]) -> str:
    return ", ".join(words)
