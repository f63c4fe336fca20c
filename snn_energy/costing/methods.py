"""The methods: named pure functions from a trace and a hardware profile to a report."""

from __future__ import annotations

from collections.abc import Callable

from snn_energy.costing.report import Report
from snn_energy.counting.counts import Trace
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware

Method = Callable[[Trace, Hardware], Report]

METHODS: dict[str, Method] = {}


def method(name: str) -> Callable[[Method], Method]:
    """Register a method; a second one of the same name is refused."""

    def register(function: Method) -> Method:
        if name in METHODS:
            raise UsageError(f"method {name!r} is registered already; give the new one another name")
        METHODS[name] = function
        return function

    return register
