"""The one line said when a name does not exist: what was asked for, the closest match, and what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from snn_energy.errors import UsageError


def unknown(what: str, name: object, known: Iterable[str]) -> UsageError:
    """Return the error for the unknown `name` of a `what`, with the closest known name as a suggestion."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return UsageError(f"unknown {what} {name!r}: {hint}expected one of {', '.join(names) or '(none)'}")
