"""Scaling the energy of logic from one technology node to another.

The rule is that of A. Stillmaker and B. Baas, "Scaling equations for the accurate prediction of CMOS device performance
from 180 nm to 7 nm", Integration 58, 2017, 74-81: E_to = E_from * f_to(V_to) / f_from(V_from) with one polynomial
f(V) = a V^2 + b V + c for each node. The coefficients stand in the profile that uses them. It holds for logic only:
SRAM and DRAM shrink far less, so nothing but arithmetic is ever scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snn_energy.hardware.records import Hardware, Price, Scaling

Coefficients = Mapping[str, tuple[float, float, float]]

LOGIC = ("mac", "ac", "add", "mul", "compare")
"""The actions that are logic alone."""


def relative_energy(coefficients: Coefficients, node: str, voltage_v: float) -> float:
    """f(V) of one node, in the units of the coefficients."""
    a, b, c = coefficients[node]
    return a * voltage_v**2 + b * voltage_v + c


def scaling_of(entry: Mapping[str, Any], node_nm: float, voltage_v: float, base: Hardware) -> Scaling:
    """The rule that a profile's `[scaling]` table describes, applied to the node and supply of its base."""
    table = {node: (float(a), float(b), float(c)) for node, (a, b, c) in entry["coefficients"].items()}
    from_v = float(entry["from_voltage_v"])
    assert base.node_nm is not None  # checked with the profile
    to, origin = node_name(node_nm), node_name(base.node_nm)
    return Scaling(
        base=base.name,
        from_node_nm=base.node_nm,
        from_voltage_v=from_v,
        node_nm=node_nm,
        voltage_v=voltage_v,
        factor=relative_energy(table, to, voltage_v) / relative_energy(table, origin, from_v),
        coefficients=table,
        source=entry["source"],
        locator=entry["locator"],
        confidence=entry.get("confidence"),
    )


def scaled_prices(base: Hardware, rule: Scaling) -> dict[str, Price]:
    """The logic prices of `base` times the factor of `rule`, each marked as scaled."""
    return {action: _scaled(base, action, rule) for action in LOGIC if action in base.energy_pj}


def _scaled(base: Hardware, action: str, rule: Scaling) -> Price:
    price = base.energy_pj[action]
    bounds = price.range_pj
    return replace(
        price,
        value_pj=price.value_pj * rule.factor,
        range_pj=None if bounds is None else (bounds[0] * rule.factor, bounds[1] * rule.factor),
        evidence="scaled",
        source=rule.source,
        locator=f"{price.value_pj:g} pJ ({base.name}) x {rule.factor:.3g}",
        confidence=rule.confidence,
    )


def node_name(node_nm: float) -> str:
    """A node as the coefficients' keys write it: 45 for 45.0."""
    return f"{node_nm:g}"
