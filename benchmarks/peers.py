"""Score other counters on the public trap suite: right, wrong, refuses, cannot run, or not claimed.

    python benchmarks/peers.py [--only NAME ...] [--filter TEXT] [--path NAME=FOLDER ...] [--json] [--markdown FILE]

Every counter of counters.py runs in a child process of its own, on a fresh network for each row. A row that kills the
child is recorded; after any error the next row gets a new child, for some tools leave their patches behind. `--path`
puts a folder in front of one counter's import path: syops 0.0.5 needs an old SpikingJelly, `pip install --no-deps
--target FOLDER syops==0.0.5 spikingjelly==0.0.0.0.14 progress`. A counter that is not installed is listed as such.

    right        every fact that the counter claims and the row asks is the exact number (rounding of rates forgiven)
    wrong        one of them is not, and nothing was said
    refuses      the counter raised an error of its own
    cannot run   anything else went wrong: an exception from below, a crash, a minute without an answer
    not claimed  the row asks nothing that the counter means to give

Multiplications of a dense machine (`dense_macs`) count padding taps, as those counters do. Rows whose answer is a
refusal ask nothing of other tools.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import linecache
import math
import os
import signal
import subprocess
import sys
import traceback
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from snn_energy.errors import MODEL_ERRORS
from snn_energy.selftest import ROWS, Promise, Row, matching, run_row

ADAPTERS = Path(__file__).with_name("counters.py")
VERDICTS = ("right", "wrong", "refuses", "cannot run", "not claimed")
OURS = "snn_energy"
SECONDS = 60


@dataclass(frozen=True)
class Score:
    """What one counter made of one row."""

    counter: str
    row: str
    verdict: str
    said: str
    """Its answers, with the exact number behind a wrong one; or the error."""


def judge(row: Row, claims: Iterable[str], facts: Mapping[str, int | float] | None, problem: str = "") -> Score | None:
    """Verdict on answers (None: an error, told in `problem`); None where the row asks nothing of this counter."""
    asked = [name for name in claims if name in row.expect and row.promise in (Promise.EXACT, Promise.HONEST)]
    if not asked:
        return None
    if facts is None:
        return Score("", row.id, "refuses" if problem.startswith("refuses: ") else "cannot run", problem)
    exact = {name: row.expect[name] for name in asked}
    wrong = [name for name in asked if _whole(facts.get(name)) != exact[name]]
    words = (f"{_number(facts.get(name))} {name}" + (f" ({exact[name]:,})" if name in wrong else "") for name in asked)
    return Score("", row.id, "wrong" if wrong else "right", ", ".join(words))


def _whole(value: float | None) -> float | None:
    """A count that was worked out from rates, to the nearest integer; what is no integer nearly stays as it is."""
    if value is None or not math.isfinite(value):
        return value
    return round(value) if abs(value - round(value)) <= 1e-5 * max(1.0, abs(value)) else value


def _number(value: float | None) -> str:
    if value is None:
        return "no"
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.6g}"


def of_ours(row: Row) -> Score:
    """The same for our own trace, which answers every row."""
    result = run_row(row)
    refused = not result.got and row.promise is not Promise.AT_LEAST
    verdict = "wrong" if not result.ok else "refuses" if refused else "right"
    facts = ", ".join(f"{value:,} {name}" if isinstance(value, int) else value for name, value in result.got.items())
    return Score(OURS, row.id, verdict, "; ".join(part for part in (facts, result.note) if part))


# -- the parent ----------------------------------------------------------------------------------------------------


def scores_of(name: str, rows: Sequence[Row], adapters: Path = ADAPTERS, path: str = "") -> tuple[str, list[Score]]:
    """(Name and version, or why it is not here; a score for every row) of one counter."""
    scores: list[Score] = []
    title, claims = name, ()
    while len(scores) < len(rows):
        left = rows[len(scores) :]
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(p for p in (path, environment.get("PYTHONPATH", "")) if p)
        words = [sys.executable, "-W", "ignore", __file__, "--child", name, "--adapters", str(adapters)]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert child.stdin is not None
        assert child.stdout is not None
        with suppress(BrokenPipeError), child.stdin:
            child.stdin.write(json.dumps([row.id for row in left]))
        done, failed = 0, False
        for line in child.stdout:
            message = json.loads(line)
            if "absent" in message:
                child.wait()
                return message["absent"], []
            if "title" in message:
                title, claims = message["title"], message["claims"]
                continue
            scores.append(_scored(name, left[done], claims, message["facts"], message["problem"]))
            done, failed = done + 1, message["facts"] is None
        status = child.wait()
        if done < len(left) and not failed:  # the child died over this row
            reason = f"killed by signal {-status}" if status < 0 else f"left with status {status}"
            if status == -signal.SIGALRM:
                reason = f"no answer within {SECONDS} s"
            scores.append(_scored(name, left[done], claims, None, reason))
    return title, scores


def _scored(name: str, row: Row, claims: Iterable[str], facts: Mapping[str, int | float] | None, problem: str) -> Score:
    score = judge(row, claims, facts, problem)
    return Score(name, row.id, "not claimed", "") if score is None else Score(name, row.id, score.verdict, score.said)


# -- the child -----------------------------------------------------------------------------------------------------


def child(name: str, adapters: Path) -> None:
    """Count the rows named on standard input; one line of JSON for each."""
    out = os.fdopen(os.dup(1), "w")  # what the tools print must not mix with it
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    import torch

    torch.set_num_threads(1)
    counter = adapters_in(adapters)[name]
    absent = counter.available()
    if absent is not None:
        say(absent=absent)
        return

    def at_import(kind: type[BaseException], error: BaseException, _: Any) -> None:
        say(absent=f"{counter.module} cannot be imported: {kind.__name__}: {error}")

    def at_count(_kind: type[BaseException], error: BaseException, _: Any) -> None:
        say(facts=None, problem=told(error, counter.module))

    # Whatever another tool raises ends this child, and is the result.
    sys.excepthook = at_import
    importlib.import_module(counter.module)
    sys.excepthook = at_count
    say(title=str(counter), claims=counter.claims)
    for row_id in json.load(sys.stdin):
        row = ROWS[row_id]
        signal.alarm(SECONDS)
        facts = counted(counter, row) if judge(row, counter.claims, {}) else {}
        signal.alarm(0)
        say(facts=facts, problem="")


def counted(counter: Any, row: Row) -> dict[str, float]:
    """Totals of one counter over all batches of a row."""
    import torch

    from snn_energy.counting.tracing import batches

    torch.manual_seed(0)
    total: dict[str, float] = {}
    with row.around():
        if row.before is not None:
            build, feed = row.before
            with suppress(StopIteration, *MODEL_ERRORS):  # the row asks what such a failure leaves behind
                counter.count(build().eval(), feed())
        model = row.build().eval()
        for args, kwargs in batches(row.feed()):
            x = kwargs or (args[0] if len(args) == 1 else args)
            for fact, value in counter.count(model, x).items():
                total[fact] = total.get(fact, 0) + value
    return total


def told(error: BaseException, module: str) -> str:
    """An error in one line, marked as a refusal where the counter's own code raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    inside = last is not None and f"/{module.split('.')[0]}/" in last.filename and not _is_torch(last.filename, module)
    line = linecache.getline(last.filename, last.lineno or 0).strip() if last is not None and inside else ""
    words = (str(error).strip().splitlines() or [""])[0][:200]
    kind = f"{type(error).__name__}: {words}"
    return f"refuses: {kind}" if line.startswith(("raise", "assert")) else kind


def _is_torch(filename: str, module: str) -> bool:
    return module.startswith("torch.") and "flop_counter" not in filename


def adapters_in(path: Path) -> Mapping[str, Any]:
    """The counters that a file of adapters registers."""
    spec = importlib.util.spec_from_file_location("adapters", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["adapters"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    counters: Mapping[str, Any] = module.COUNTERS
    return counters


# -- what is printed -----------------------------------------------------------------------------------------------

MARKS = {"right": "ok", "refuses": "refuses", "cannot run": "cannot run", "not claimed": ""}


def summary(titles: Mapping[str, str], scores: Mapping[str, Sequence[Score]]) -> list[tuple[str, ...]]:
    """(Title, rows claimed, then how many of each verdict), one for each counter."""
    table = []
    for name, title in titles.items():
        tally = Tally(score.verdict for score in scores[name])
        claimed = len(scores[name]) - tally["not claimed"]
        table.append((title, str(claimed), *(str(tally[verdict]) for verdict in VERDICTS[:-1])))
    return table


def as_markdown(
    rows: Sequence[Row], titles: Mapping[str, str], scores: Mapping[str, Sequence[Score]], absent: Mapping[str, str]
) -> str:
    """The summary, one line for each row, and what was said where it was not right."""
    lines = ["| counter | rows asked | right | wrong | refuses | cannot run |", "|---|---:|---:|---:|---:|---:|"]
    lines += [f"| {' | '.join(cells)} |" for cells in summary(titles, scores)]
    lines += [f"\nNot here: {name} ({_cell(reason)})" for name, reason in absent.items()]
    names = list(titles)
    lines += ["", f"| row | what | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for index, row in enumerate(rows):
        marks = (_mark(scores[name][index]) for name in names)
        lines.append(f"| {row.id} | {_cell(row.title)} | {' | '.join(marks)} |")
    return "\n".join(lines) + "\n"


def _mark(score: Score) -> str:
    if score.verdict in ("wrong", "refuses") and score.counter != OURS:
        return _cell(f"**{score.said}**" if score.verdict == "wrong" else "refuses")
    return MARKS.get(score.verdict, "**wrong**")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Score, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these counters; default: all")
    parser.add_argument("--filter", default="", metavar="TEXT", help="rows whose id, title or recorded tools hold this")
    parser.add_argument("--path", nargs="*", default=[], metavar="NAME=FOLDER", help="import path of one counter")
    parser.add_argument("--json", action="store_true", help="print JSON: every score with what was said")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here")
    parser.add_argument("--adapters", type=Path, default=ADAPTERS, help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.adapters)
        return
    rows = matching(ROWS.values(), options.filter)
    paths = dict(pair.split("=", 1) for pair in options.path)
    titles, scores, absent = {OURS: "this package"}, {OURS: [of_ours(row) for row in rows]}, {}
    for name in options.only or adapters_in(options.adapters):
        print(f"{name} ...", file=sys.stderr, flush=True)
        title, found = scores_of(name, rows, options.adapters, paths.get(name, ""))
        if len(found) == len(rows):
            titles[name], scores[name] = title, found
        else:
            absent[name] = title
    if options.markdown:
        head = as_markdown_head()
        options.markdown.write_text(head + as_markdown(rows, titles, scores, absent), encoding="utf-8")
    if options.json:
        flat = [asdict(score) for name in scores for score in scores[name]]
        print(json.dumps({"counters": titles, "absent": absent, "scores": flat}, indent=2))
        return
    print(f"{'counter':<36}{'asked':>7}" + "".join(f"{verdict:>12}" for verdict in VERDICTS[:-1]))
    for cells in summary(titles, scores):
        print(f"{cells[0]:<36}{cells[1]:>7}" + "".join(f"{cell:>12}" for cell in cells[2:]))
    for name, reason in absent.items():
        print(f"{name:<36}not here: {reason}")


def as_markdown_head() -> str:
    """What the file says about itself."""
    import platform

    import torch

    return (
        "# Other counters on the trap suite\n\n"
        "Made by `python benchmarks/peers.py --path syops=FOLDER --markdown benchmarks/peers.md` (FOLDER as its help "
        f"says; the others lie on PYTHONPATH) with torch {torch.__version__}, Python {platform.python_version()}. Each "
        "counter is used as its documentation says (see `counters.py`), and asked only what it claims to count; rows "
        "where it claims nothing are blank. `snn-energy selftest --list` derives every answer. A wrong cell says what "
        "the counter answered, with the exact number behind it.\n\n"
    )


if __name__ == "__main__":
    main()
