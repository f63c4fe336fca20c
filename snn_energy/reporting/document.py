"""The JSON form of a report, read back and checked, so that nothing right of it needs torch.

`assessment` documents the keys. A plain `Report.to_json()` is a document too: the keys about the baseline,
the accuracy and the data are then missing, and the renderers leave those parts out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snn_energy.errors import DataError
from snn_energy.reporting.forms import misfit

Document = Mapping[str, Any]
"""Plain values, as `Assessment.to_dict` and `Report.to_dict` make them."""

FORMAT = 1
"""The version of the form that is read here; the same number as `costing.report.FORMAT`."""

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
    for key in ("quantised", "ann"):
        if value.get(key) is not None:
            _rival(value[key], f"{where}: {key}")
    hardware = value.get("hardware")
    if not isinstance(hardware, dict) or not isinstance(hardware.get("name"), str):
        raise DataError(f"{where}: hardware must be a hardware profile with a name; {_REMEDY}")
    for key, field in (("energy_pj", "source"), ("sources", "citation")):
        entries = hardware.get(key, {})
        if not isinstance(entries, dict) or not all(
            isinstance(entry, dict) and isinstance(entry.get(field), str) for entry in entries.values()
        ):
            raise DataError(f"{where}: hardware.{key} must hold objects with a text {field}; {_REMEDY}")
    return value


def _rival(value: Mapping[str, Any], where: str) -> None:
    """A baseline that is no plain twin: its report, and what stands beside it, in the forms that a report has."""
    if not isinstance(value.get("baseline"), dict):
        raise DataError(f"{where}.baseline must be a report; {_REMEDY}")
    beside = {key: value[key] for key in ("accuracy", "comparison", "second_opinion") if key in value}
    _report({**value["baseline"], **beside}, where)


def _report(value: object, where: str) -> None:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object (got {type(value).__name__}); {_REMEDY}")
    if (wrong := misfit(value)) is not None:
        raise DataError(f"{where}: {wrong}; {_REMEDY}")
