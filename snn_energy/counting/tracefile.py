"""Trace files: the recorded counts as JSON, to be merged and priced later without torch or the network.

One JSON object, in UTF-8; a name ending in `.gz` compresses it with gzip. Its keys are those of the records:

| key                        | value                                                                           |
|----------------------------|---------------------------------------------------------------------------------|
| format, format_version     | "snn-energy-trace" and 2; a reader refuses any version that it does not know    |
| model, samples, time_steps | as in `Trace`; time_steps may be null                                           |
| layers                     | `LayerCounts`; values and partner_values are `ValueSet`, the latter may be null |
| neurons                    | `NeuronCounts`                                                                  |
| elementwise                | `ElementwiseCounts`                                                             |
| coverage                   | `Coverage`, of `OperatorRecord` in counted, free and uncounted                  |
| per_sample                 | `PerSample`, of `SampleColumn` in columns, or null; the columns add up to the   |
|                            | counts above, hold one value where all samples are equal, and leave out zeros   |

A record is an object that holds all of its fields and no others; a tuple is a list, and the geometry of a layer a list
of [name, [sizes]] or null. Counts are integers >= 0 of any size. Only magnitudes and eps are floats, written with as
many digits as identify them. Equal traces give equal bytes (compressed ones with the same zlib). A file holds data
alone: nothing in it is ever executed.
"""

from __future__ import annotations

import gzip
import io
import json
import reprlib
import sys
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import is_dataclass, replace
from functools import cache
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from snn_energy.counting.counts import (
    ElementwiseCounts,
    LayerCounts,
    NeuronCounts,
    OperatorRecord,
    Trace,
    record_fields,
)
from snn_energy.counting.samples import misfit
from snn_energy.counting.values import REAL, ValueSet
from snn_energy.errors import DataError, TraceError
from snn_energy.files import write_atomic

FORMAT = "snn-energy-trace"
FORMAT_VERSION = 2
MAX_BYTES = 2**28
"""Largest trace file, uncompressed: a small hostile gzip file must not fill the memory."""

_GZIP_MAGIC = b"\x1f\x8b"
_REMEDY = "write it again with: snn-energy profile ... --trace FILE"

_IDENTITY: dict[type, tuple[str, ...]] = {
    LayerCounts: ("name",),
    NeuronCounts: ("name",),
    ElementwiseCounts: ("name", "kind"),
    OperatorRecord: ("name",),
}
"""Fields that tell records of one list apart: merging would lose one of two that agree in them."""


class _MisfitError(Exception):
    """A value does not fit its field; the message names the field."""


def save_trace(trace: Trace, path: str | PathLike[str]) -> None:
    """Write `trace` to `path` in one step, compressed if the name ends in `.gz`.

    Raises:
        TraceError: not a trace, or a record that could not be read back (a NaN, a negative count, a name twice).
        UsageError, DataError: the file cannot be written; an old one is untouched.
    """
    if not isinstance(trace, Trace):
        hint = "pass its .trace" if isinstance(getattr(trace, "trace", None), Trace) else "make one with trace()"
        raise TraceError(f"save_trace: expected a Trace (got {type(trace).__name__}); {hint}")
    content = trace_bytes(trace, "save_trace")
    write_atomic(path, compressed(content) if Path(path).suffix.lower() == ".gz" else content)


def load_trace(path: str | PathLike[str]) -> Trace:
    """Read the trace file at `path`, compressed or not; all of it is checked.

    Raises:
        DataError: no such file, or not a trace file: empty, truncated, not JSON, of another kind.
        TraceError: a trace file of an unknown version, or with a key or value that does not belong there.
    """
    return trace_of_bytes(file_bytes(path), path)


def trace_bytes(trace: Trace, where: str) -> bytes:
    """What a trace file holds, uncompressed: one line of JSON; `where` names the caller in errors.

    Raises:
        TraceError: a record that could not be read back, or more than MAX_BYTES.
    """
    try:
        # Read back at once: what is written can be loaded, and a magnitude given as 1 is written as 1.0.
        fitting = _trace(_plain(trace))
    except _MisfitError as problem:
        raise TraceError(f"{where}: {problem}; correct the record before saving it") from None
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, **_plain(fitting)}
    content = (json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n").encode("ascii")
    if len(content) > MAX_BYTES:
        raise TraceError(f"{where}: expected at most {MAX_BYTES:,} bytes (got {len(content):,}); save parts of it")
    return content


def trace_of_bytes(data: bytes, where: str | PathLike[str]) -> Trace:
    """The trace that `trace_bytes` wrote; `where` names the source in errors, which are those of `load_trace`."""
    document = _parsed(data, Path(where))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        what = "a report" if isinstance(document, dict) and "rows" in document else "other JSON"
        raise DataError(f'{where}: expected a trace file, with "format": "{FORMAT}" (got {what}); {_REMEDY}')
    version = document.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        remedy = f"update snn-energy, or {_REMEDY}" if newer else _REMEDY
        raise TraceError(f"{where}: format_version must be {FORMAT_VERSION} (got {_shown(version)}); {remedy}")
    record = {key: value for key, value in document.items() if key not in ("format", "format_version")}
    try:
        return _trace(record)
    except _MisfitError as problem:
        raise TraceError(f"{where}: {problem}; {_REMEDY}") from None


# -- bytes ---------------------------------------------------------------------------------------------------------


def file_bytes(path: str | PathLike[str]) -> bytes:
    """What a trace file holds, uncompressed; DataError if there is none, or its compression is damaged."""
    path = Path(path)
    return _uncompressed(_content(path), path)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: no such trace file; {_REMEDY}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a trace file (got a directory); name the file itself") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot read this trace file ({problem.strerror}); check its rights") from None
    if not data:
        raise DataError(f"{path}: expected a trace file (got an empty file); {_REMEDY}")
    return data


def _uncompressed(data: bytes, path: Path) -> bytes:
    """Undo gzip by content, not by name: files get renamed."""
    if data.startswith(_GZIP_MAGIC):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(MAX_BYTES + 1)
        except (EOFError, OSError, zlib.error) as problem:
            raise DataError(
                f"{path}: expected a whole gzip file (got a truncated or damaged one: {problem}); "
                f"copy it again, or {_REMEDY}"
            ) from None
    if len(data) > MAX_BYTES:
        raise DataError(f"{path}: expected at most {MAX_BYTES:,} bytes, uncompressed (got more); {_REMEDY}")
    return data


def compressed(content: bytes) -> bytes:
    """The content as gzip, without name or date, so that equal content gives equal bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:  # no name, no date
        file.write(content)
    return buffer.getvalue()


def _parsed(data: bytes, path: Path) -> object:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_each_key_once)
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected a trace file (got bytes that are no UTF-8 text); {_REMEDY}") from None
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{path}: expected a trace file (got text that is no JSON: {problem}); {_REMEDY}") from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {_shown(next(key for key in keys if keys.count(key) > 1))} twice in one object")
    return found


# -- records -------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A record as what JSON holds."""
    if is_dataclass(value):
        return {key: _plain(item) for key, item in record_fields(value).items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _trace(value: object) -> Trace:
    trace: Trace = _value(Trace, value, "")
    problem = misfit(trace)
    if problem is not None:
        raise _MisfitError(problem)
    return trace


def _value(hint: Any, value: object, where: str) -> Any:
    """The value of a field declared as `hint`, from what JSON holds; `where` is its place, "" for the whole."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:  # X | None is the only union that records use
        return None if value is None else _value(inner[0], value, where)
    if origin is tuple:
        return _tuple(inner, value, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint, value, where)
    fits, expected, made = _PLAIN[hint]
    if not fits(value):
        raise _MisfitError(f"{where} must be {expected} (got {_shown(value)})")
    return made(value)


def _tuple(inner: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    """`tuple[X, ...]` is a list of any length, `tuple[X, Y]` one of two."""
    if not isinstance(value, list):
        raise _MisfitError(f"{where} must be a list (got {_shown(value)})")
    if inner == (int, ...) and all(map(_is_count, value)):  # columns of samples are long
        return tuple(value)
    if inner[-1] is ...:
        inner = inner[:1] * len(value)
        _refuse_twins(inner, value, where)
    elif len(value) != len(inner):
        raise _MisfitError(f"{where} must be a list of {len(inner)} (got {len(value)})")
    return tuple(_value(hint, item, f"{where}[{i}]") for i, (hint, item) in enumerate(zip(inner, value, strict=True)))


def _refuse_twins(inner: tuple[Any, ...], value: list[Any], where: str) -> None:
    names = _IDENTITY.get(inner[0], ()) if inner else ()
    if not names:
        return
    first: dict[str, int] = {}
    for i, item in enumerate(value):
        key = json.dumps([item.get(name) for name in names]) if isinstance(item, dict) else f"{i}"
        if first.setdefault(key, i) != i:
            raise _MisfitError(
                f"{where}[{i}] must differ from {where}[{first[key]}] in its {' or '.join(names)} (got {_shown(key)})"
            )


def _record(kind: Any, value: object, where: str) -> Any:
    place = where or "the trace"
    if not isinstance(value, dict):
        raise _MisfitError(f"{place} must be an object (got {_shown(value)})")
    hints = _hints(kind)
    for what, keys in (("has no key", hints.keys() - value.keys()), ("has the unknown key", value.keys() - hints)):
        if keys:
            raise _MisfitError(f"{place} {what} {_shown(min(keys))} (expected {', '.join(hints)})")
    inside = f"{where}." if where else ""
    made = kind(**{name: _value(hint, value[name], f"{inside}{name}") for name, hint in hints.items()})
    if isinstance(made, ValueSet) and replace(made, channels=()) != _canonical(made):
        raise _MisfitError(
            f"{place} must hold ascending magnitudes that are small multiples of one unit and at least one sign, "
            f"or nothing, or many alone (got {_shown(list(made.magnitudes))})"
        )
    return made


def _canonical(values: ValueSet) -> ValueSet | None:
    """The set that the tracer would have built; None where there is none: classes are read off canonical sets only."""
    if any(length < 1 or seen > 2 for length, _, seen, _ in values.channels):
        return None
    if values.many:
        return replace(REAL, positive=values.positive, negative=values.negative) if values.channels else REAL
    if values.magnitudes and (min(values.magnitudes) == 0 or not (values.positive or values.negative)):
        return None
    return ValueSet.of(values.magnitudes, positive=values.positive, negative=values.negative, eps=values.eps)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _shown(value: object) -> str:
    """A value on one line, shortened."""
    return reprlib.repr(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_size(value: object) -> bool:
    # NaN fails both comparisons; so does an integer too large to become a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def _is_text(value: object) -> bool:
    # Names are printed: no line ends, no terminal control sequences, no halves of surrogate pairs.
    return isinstance(value, str) and (
        value.isprintable() or not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value)
    )


_PLAIN: dict[type, tuple[Callable[[Any], bool], str, Callable[[Any], Any]]] = {
    int: (_is_count, "an integer >= 0", int),
    float: (_is_size, "a finite number >= 0", float),
    bool: (lambda value: isinstance(value, bool), "true or false", bool),
    str: (_is_text, "text without control characters", str),
}
"""Plain type of a field -> whether a value fits, what is expected, and how it is made."""
