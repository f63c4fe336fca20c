"""The methods: named pure functions from a trace and a hardware profile to a report."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from snn_energy.costing.report import Report
from snn_energy.counting.counts import Trace
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware

Method = Callable[[Trace, Hardware], Report]
Family = Callable[[str], Method]

METHODS: dict[str, Method] = {}
FAMILIES: dict[str, Family] = {}
"""Methods with options: `name`, or `name:options`."""


def method(name: str) -> Callable[[Method], Method]:
    """Register a method; a second one of the same name is refused."""

    def register(function: Method) -> Method:
        _refuse_second(name)
        METHODS[name] = function
        return function

    return register


def family(name: str) -> Callable[[Family], Family]:
    """Register what makes a method out of the options behind `name:`; a second one of the same name is refused."""

    def register(function: Family) -> Family:
        _refuse_second(name)
        FAMILIES[name] = function
        return function

    return register


def find_method(name: str) -> Method:
    """The method of this name, with the options behind a colon where it takes any.

    Raises:
        UsageError: unknown method, options it does not know, or options for a method that takes none.
    """
    base, colon, options = name.partition(":")
    if base in FAMILIES:
        return FAMILIES[base](options)
    if base in METHODS and colon:
        raise UsageError(f"price: method {base!r} takes no options (got {options!r}); leave them out")
    if base in METHODS:
        return METHODS[base]
    known = sorted({*METHODS, *FAMILIES})
    close = get_close_matches(base, known, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    raise UsageError(f"price: unknown method {name!r}; {meant}known: {', '.join(known)}")


def _refuse_second(name: str) -> None:
    if name in METHODS or name in FAMILIES:
        raise UsageError(f"method {name!r} is registered already; give the new one another name")
