"""The JSON form of a report, read back and checked, so that nothing right of it needs torch.

`assessment` documents the keys. A plain `Report.to_json()` is a document too: the keys about the baseline,
the accuracy and the data are then missing, and the renderers leave those parts out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from snn_energy.errors import DataError

Document = Mapping[str, Any]
"""Plain values, as `Assessment.to_dict` and `Report.to_dict` make them."""

FORMAT = 1
"""The version of the form that is read here; the same number as `costing.report.FORMAT`."""

PARTS = ("synapses", "neurons", "other")
_WHOLE = (
    "spikes", "connections", "macs", "acs", "updates", "adds", "muls", "compares", "specials",
)  # fmt: skip
_ENERGIES = ("mac_pj", "ac_pj", "neuron_pj", "other_pj", "energy_pj")
_SPREAD = (
    "samples", "mean_pj", "sd_pj", "ci95_low_pj", "ci95_high_pj", "precision", "median_pj", "p95_pj", "min_pj",
    "max_pj",
)  # fmt: skip
_STOPPING = ("target", "precision", "samples", "minimum_samples")
_REMEDY = "write it again with: snn-energy profile ... --output report.json"


def load_document(path: str | Path) -> Document:
    """Read the JSON report at `path`.

    Raises:
        DataError: no such file, not JSON, or not a report of this format.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: no such report; {_REMEDY}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a JSON report (got a directory); name the file itself") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected a JSON report (got bytes that are no UTF-8 text); {_REMEDY}") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot read this report ({problem.strerror}); check its rights") from None
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise DataError(f"{path}: expected a JSON report (got text that is no JSON: {problem}); {_REMEDY}") from None
    return checked(value, str(path))


def checked(value: object, where: str) -> Document:
    """Return `value` if it is a report document.

    Raises:
        DataError: it is not; the message names `where` and the first key that does not fit.
    """
    if not isinstance(value, dict) or "format" not in value or "rows" not in value:
        raise DataError(f"{where}: not a report of this package (no format and rows in it); {_REMEDY}")
    if value["format"] != FORMAT or isinstance(value["format"], bool):
        raise DataError(f"{where}: format must be {FORMAT} (got {value['format']!r}); {_REMEDY}")
    _report(value, where)
    if value.get("baseline") is not None:
        _report(value["baseline"], f"{where}: baseline")
    if not isinstance(value.get("hardware"), dict) or not isinstance(value["hardware"].get("name"), str):
        raise DataError(f"{where}: hardware must be a hardware profile with a name; {_REMEDY}")
    return value


def _report(value: object, where: str) -> None:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object (got {type(value).__name__}); {_REMEDY}")
    samples = value.get("samples")
    if not _whole(samples) or not samples:
        raise DataError(f"{where}: samples must be an integer >= 1 (got {samples!r}); {_REMEDY}")
    rows = value.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{where}: rows must be a list of objects; {_REMEDY}")
    for number, row in enumerate(rows):
        for key, fits, expected in _ROW:
            if not fits(row.get(key)):
                raise DataError(f"{where}: rows[{number}].{key} must be {expected} (got {row.get(key)!r}); {_REMEDY}")
    for key, fields in (("distribution", _SPREAD), ("stopping", _STOPPING)):
        inner = value.get(key)
        if inner is not None and not (isinstance(inner, dict) and all(_number(inner.get(f)) for f in fields)):
            raise DataError(f"{where}: {key} must be null or an object of the numbers {', '.join(fields)}; {_REMEDY}")
    for key in ("totals", "coverage"):
        if not isinstance(value.get(key), dict):
            raise DataError(f"{where}: {key} must be an object; {_REMEDY}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _energy(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _number(value: object) -> bool:
    """A number, or null where one sample tells too little."""
    return value is None or _energy(value)


_ROW: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("name", lambda value: isinstance(value, str), "text"),
    ("kind", lambda value: isinstance(value, str), "text"),
    ("part", lambda value: value in PARTS, f"one of {', '.join(PARTS)}"),
    ("spike_rate", lambda value: value is None or _energy(value), "a number >= 0 or null"),
    *((key, _whole, "an integer >= 0") for key in _WHOLE),
    *((key, _energy, "a number >= 0 in pJ") for key in _ENERGIES),
)
