"""The results of a selftest as plain data, and the words of its table.

The document (`format_version` 1) holds `format`, `format_version`, `torch`, `device`, `passed`, `failed`, `seconds`,
and `rows`; each row has

    id, title   strings
    promise     "exact", "honest", "at least" or "refused": what the row asks
    expected    question -> exact answer (integer; a string for the class of an operand); {} where a refusal is expected
    refusal     text that the expected refusal holds, or null
    why         how the answer is worked out
    said        list of {tool, answer, evidence}: what other tools said; `answer` is text or question -> number
    ok          true or false; null where the row was only listed, like the next three
    got         question -> our answer; {} after an error
    note        the error, or what was listed as uncounted and its bound; "" where there is nothing to say
    seconds     time taken

Rows that the device cannot run are not among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from snn_energy.selftest.rows import Answer, Promise, Row
from snn_energy.selftest.running import Result

FORMAT, FORMAT_VERSION = "snn-energy-selftest", 1

_TELLING = ("effective_events", "macs", "events", "connections")
"""The answer to show of a row that has several: the first of these that is there and not 0."""


def as_document(results: Iterable[Result], device: str) -> dict[str, Any]:
    """What ran, as documented above."""
    rows = list(results)
    return {
        **_heading(device),
        "passed": sum(result.ok for result in rows),
        "failed": sum(not result.ok for result in rows),
        "seconds": round(sum(result.seconds for result in rows), 3),
        "rows": [
            {
                **_about(result.row),
                "ok": result.ok,
                "got": dict(result.got),
                "note": result.note,
                "seconds": round(result.seconds, 3),
            }
            for result in rows
        ],
    }


def as_list(rows: Iterable[Row], device: str) -> dict[str, Any]:
    """The same of rows that were not run."""
    unknown: dict[str, Any] = dict.fromkeys(("ok", "got", "note", "seconds"))
    listed = [{**_about(row), **unknown} for row in rows]
    return {**_heading(device), "passed": None, "failed": None, "seconds": None, "rows": listed}


def headline(row: Row, result: Result | None = None) -> tuple[str, str, str]:
    """(Question, exact answer, our answer) that tell most about a row: of a failed one, the first that is wrong."""
    if row.promise is Promise.REFUSED:
        return "refusal", "error", "" if result is None else (result.note.partition(":")[0] or "no error")
    question = next((name for name in _TELLING if row.expect.get(name)), next(iter(row.expect)))
    if question == "effective_events" and row.expect.get("events") == row.expect[question]:
        question = "events"
    if result is None:
        return question, spelled(row.expect[question]), ""
    if result.got:
        question = next((name for name, right in row.expect.items() if result.got[name] != right), question)
    right = spelled(row.expect[question])
    if row.promise is Promise.AT_LEAST:
        right = f">= {right}"
    if not result.got:
        got = "refused" if result.ok else "error"
    elif result.ok and result.note:
        got = "bounded"
    else:
        got = spelled(result.got[question])
    return question, right, got


def spelled(value: Answer) -> str:
    """An answer for people: integers with thousands marked."""
    return value if isinstance(value, str) else f"{value:,}"


def _heading(device: str) -> dict[str, Any]:
    return {"format": FORMAT, "format_version": FORMAT_VERSION, "torch": str(torch.__version__), "device": device}


def _about(row: Row) -> dict[str, Any]:
    def plain(answer: Any) -> Any:
        return answer if isinstance(answer, str) else dict(answer)

    return {
        "id": row.id,
        "title": row.title,
        "promise": row.promise.value,
        "expected": dict(row.expect),
        "refusal": row.refusal or None,
        "why": row.why,
        "said": [{"tool": s.tool, "answer": plain(s.answer), "evidence": s.evidence} for s in row.said],
    }
