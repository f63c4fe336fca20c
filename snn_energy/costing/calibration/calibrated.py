"""The hardware profile that a calibration makes: fitted prices marked as measured, all else as the base has it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snn_energy.costing.calibration.fitting import Calibration, Coefficient
from snn_energy.costing.calibration.terms import KEY
from snn_energy.errors import UsageError
from snn_energy.hardware import ACTIONS, Hardware, display_path, locate_hardware, parse_hardware
from snn_energy.hardware.schema import FORMATS, PROFILE
from snn_energy.hardware.writing import profile_text

DIGITS = 6
"""Significant digits of a written price: finer than any measurement, so that the profile repeats the fit."""


def base_document(name: str | None) -> dict[str, Any] | None:
    """The tables of the base profile's file; None without a base.

    Raises:
        UsageError: no such profile, or one that is computed by scaling and has no prices of its own to replace.
    """
    if name is None:
        return None
    path = locate_hardware(name)
    document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    if "scaling" in document:
        raise UsageError(
            f"calibrate: {display_path(path)} is scaled from another profile, and a measured price among scaled ones "
            f"would pass for one of them; start from {document['scaling'].get('from')}, or without --hardware"
        )
    return document


def profile_name(path: Path) -> str:
    """Name of the profile that a file of this name holds.

    Raises:
        UsageError: no profile may be called so, or the file is no TOML file.
    """
    rule = PROFILE[FORMATS[-1]]["name"]
    if path.suffix != ".toml" or not rule.accepts(path.stem):
        raise UsageError(f"{path}: a profile's file must be called NAME.toml, NAME {rule.expected}; give another name")
    return path.stem


def calibrated_profile(
    calibration: Calibration, name: str, bench: Hardware, method: str, base: Mapping[str, Any] | None
) -> str:
    """TOML text of the profile; what it says was checked by the profiles' own schema.

    Args:
        calibration: the fit.
        name: of the profile, as of its file.
        bench: the profile that the counts were read with.
        method: that they were read by; the profile repeats the fit where it is priced by the same.
        base: the base profile's tables; None where there is none.
    """
    document: dict[str, Any] = dict(base) if base is not None else _whole(bench)
    measured = calibration.measurements
    document = {
        "format": FORMATS[-1],
        "name": name,
        "title": f"calibrated on {len(measured.rows)} measurements of {measured.name}",
        **{key: value for key, value in document.items() if key not in ("format", "name", "title")},
    }
    if base is not None:
        document["title"] += f", on {base['name']}"
    document["notes"] = _notes(calibration, method, document.get("notes"))
    for term, found in zip(calibration.terms, calibration.coefficients, strict=True):
        for part in term.names:
            section = "energy_pj" if part in ACTIONS else "memory_pj"
            entry = _entry(calibration, found, bench)
            old = document.get(section, {}).get(part, {})
            kept = {key: old[key] for key in ("kind", "access_bits", "size_bytes", "access") if key in old}
            document[section] = {**document.get(section, {}), part: {**kept, **entry}}
            for other in ("unpriced", "included"):
                document[other] = {key: value for key, value in document.get(other, {}).items() if key != part}
    for optional in ("unpriced", "included"):
        if not document.get(optional):
            document.pop(optional, None)
    document["sources"] = {
        **_used(document),
        KEY: {
            "citation": f"{measured.name}: {len(measured.rows)} measured energies of one inference",
            "note": f"sha256 {measured.sha256}",
        },
    }
    text = profile_text(_in_order(document), f"Written by snn-energy calibrate from {measured.name}.")
    parse_hardware(tomllib.loads(text), stem=name, shown=f"{name}.toml")
    return text


def _whole(bench: Hardware) -> dict[str, Any]:
    document: dict[str, Any] = {
        "class": "calibrated",
        "integer_spikes": bench.integer_spikes,
        "included": dict(bench.included),
    }
    if bench.operand_bits is not None:
        document["operand_bits"] = bench.operand_bits
    if bench.memory_pj:
        document["memory_pj"] = {
            key: {"kind": price.kind, "access_bits": price.access_bits} for key, price in bench.memory_pj.items()
        }
    return document


def _entry(calibration: Calibration, found: Coefficient, bench: Hardware) -> dict[str, Any]:
    value, low, high = (_rounded(x) for x in (found.value_pj, found.low_pj, found.high_pj))
    return {
        "value": value,
        "range": [min(low, value), max(high, value)],
        "scope": bench.scope,
        "evidence": "measured",
        "source": KEY,
        "locator": f"least squares >= 0 over {len(calibration.points)} measurements, term {found.term}, "
        f"weights {calibration.weights}; range: 95 % interval, {calibration.resamples} bootstrap samples, "
        f"seed {calibration.seed}",
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _notes(calibration: Calibration, method: str, before: Any) -> str:
    median, largest = calibration.median_error, calibration.largest_error
    held_out = (
        "Held-out error unknown: no network could be left out"
        if median is None or largest is None
        else f"Held-out error: median {100 * median:.3g} %, largest {100 * largest:.3g} %"
    )
    own = (
        f"Fitted prices hold for the method {method}: {', '.join(term.label for term in calibration.terms)}. "
        f"{held_out}, over {calibration.folds} parts."
    )
    return own if not before else f"{own}\n{str(before).strip()}"


def _used(document: Mapping[str, Any]) -> dict[str, Any]:
    """Sources that a number of the document still names: the schema refuses others."""
    named: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            named.update(v for k, v in value.items() if k == "source" and isinstance(v, str))
            for inner in value.values():
                walk(inner)

    walk({key: value for key, value in document.items() if key != "sources"})
    return {key: value for key, value in document.get("sources", {}).items() if key in named}


_LAST = ("unpriced", "included", "latency", "sources")


def _in_order(document: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers before what is said about them."""
    return {
        **{key: value for key, value in document.items() if key not in _LAST},
        **{key: document[key] for key in _LAST if key in document},
    }
