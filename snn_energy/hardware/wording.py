"""Words shared by the messages: suggestions, keys and values as TOML writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_LONGEST_SHOWN = 60


def hint(name: str, known: Iterable[str], kind: str) -> str:
    """`did you mean "x"?` where a known name is close, else all known names of this `kind`."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    return f'did you mean "{close[0]}"?' if close else f"known {kind}: {', '.join(names)}"


def bare(key: str) -> str:
    """A key as TOML writes it: bare where possible, quoted elsewhere."""
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else json.dumps(key)


def shown(value: Any) -> str:
    """A value on one short line, as TOML writes it."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        text = f"[{', '.join(map(shown, value))}]"
    elif isinstance(value, str | bool):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
