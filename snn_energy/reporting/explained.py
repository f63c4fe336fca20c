"""What the published methods say of a network, set beside its report: the key "explanation" of a document.

The value is what `snn-energy explain --json` prints. It is made from counts, which a report does not hold, so it comes
from a file, or right after a run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snn_energy.costing.published_methods.explanation import FORMAT, explain
from snn_energy.counting.counts import Trace
from snn_energy.errors import DataError
from snn_energy.reporting.document import Document
from snn_energy.reporting.forms import misfit

_REMEDY = "write it with: snn-energy explain ... --json"


def explanation_key(trace: Trace) -> dict[str, Any]:
    """One key, "explanation": `trace` priced by every method, each on its publication's own hardware."""
    return {"explanation": explain(trace).to_dict()}


def load_explanation(path: str | Path, document: Document) -> dict[str, Any]:
    """Read the explanation at `path`, of the network and the time steps that `document` is about.

    Its samples may be others: `explain` runs a thousand by default.

    Raises:
        DataError: no such file, no explanation, or one of another network.
    """
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such explanation; {_REMEDY}") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot read this explanation ({problem.strerror}); {_REMEDY}") from None
    except ValueError as problem:
        raise DataError(f"{path}: expected an explanation as JSON (got other text: {problem}); {_REMEDY}") from None
    if not isinstance(value, dict) or not {"format", "methods", "waterfall"} <= value.keys():
        raise DataError(f"{path}: not an explanation (no format, methods and waterfall in it); {_REMEDY}")
    if value["format"] != FORMAT or isinstance(value["format"], bool):
        raise DataError(f"{path}: format must be {FORMAT} (got {value['format']!r}); {_REMEDY}")
    if (wrong := misfit({**document, "explanation": value})) is not None:
        raise DataError(f"{path}: {wrong}; {_REMEDY}")
    for key in ("model", "time_steps"):
        if value.get(key) != document.get(key):
            raise DataError(
                f"{path}: explains another network, {key} {value.get(key)!r} (expected {document.get(key)!r}, that of "
                "the report); explain the network of the report"
            )
    return value
