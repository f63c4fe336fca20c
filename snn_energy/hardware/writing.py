"""Profiles as TOML text: what the schema admits, and nothing else of TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from snn_energy.hardware.wording import bare


def profile_text(document: Mapping[str, Any], comment: str = "") -> str:
    """A profile as TOML; reading it back gives `document` again.

    Args:
        document: texts, numbers, booleans, lists of them, and tables of all these.
        comment: lines to put above it.
    """
    lines = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*lines, *_table(document, ())]).lstrip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in table.items() if key not in inner}
    if path and (plain or not inner):
        yield ""
        yield f"[{'.'.join(map(bare, path))}]"
    for key, value in plain.items():
        yield f"{bare(key)} = {_value(value)}"
    for key, value in inner.items():
        yield from _table(value, (*path, key))


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        # JSON's escapes are TOML's; only the last control character must be escaped there as well.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return json.dumps(value)  # numbers and booleans: as JSON has them
