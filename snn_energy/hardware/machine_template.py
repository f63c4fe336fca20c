"""The [latency] table of a profile to fill in."""

from __future__ import annotations

from collections.abc import Iterator

from snn_energy.hardware.machine_table import GRADES, MEMORY, MODELS, Choice, Rule
from snn_energy.hardware.machines import Machine
from snn_energy.hardware.wording import shown


def machine_template(machine: Machine, base: str, blank: str) -> Iterator[str]:
    """Lines of TOML: the choices of a machine as they are, its numbers as comments and blanks in their place."""
    yield "[latency]  # the machine whose time is counted"
    for key, text in machine.texts.items():
        if key != "notes":
            yield f"{key} = {shown(text)}  # so {base} has it"
    more = {key: rule for key, rule in MODELS[machine.model].items() if key not in machine.as_table()}
    if more:
        yield "# What else such a machine may have; a number is a table like those below."
    if MEMORY.keys() & more.keys():
        yield f"# {next(iter(MEMORY))} to {list(MEMORY)[-1]} time its memory: all of them or none."
    yield from (f"# {key}: {_meaning(rule)}" for key, rule in more.items())
    for key, figure in machine.figures.items():
        plain = figure.as_table()
        yield ""
        yield f"[latency.{key}]"
        yield f"value = {shown(blank)}  # {base}: {shown(plain['value'])}"
        if "range" in plain:
            yield f"# range = {shown(plain['range'])}  # of {base}: the lowest and the highest published value"
        yield f"evidence = {shown(blank)}  # {', '.join(GRADES)}"
        yield 'source = "my-source"'
        yield 'locator = " "  # table, figure or page, and the arithmetic if derived'


def _meaning(rule: Rule) -> str:
    """What a field holds: `expected` in one form for choices and numbers."""
    return rule.expected() if isinstance(rule, Choice) else rule.unit
