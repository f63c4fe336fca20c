"""Run rows against this installation and say which hold."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.counts import Trace
from snn_energy.counting.tracing import trace
from snn_energy.errors import MODEL_ERRORS, SnnEnergyError, UsageError, first_line
from snn_energy.selftest.questions import answer
from snn_energy.selftest.rows import Answer, Promise, Row

FAILURES = (SnnEnergyError, NotImplementedError, *MODEL_ERRORS)


@dataclass(frozen=True, slots=True)
class Result:
    """What happened to one row."""

    row: Row
    ok: bool
    got: Mapping[str, Answer]
    """Our answers; empty after an error."""
    note: str
    """The error, or what was listed as uncounted; empty where there is nothing to say."""
    seconds: float


def matching(rows: Iterable[Row], text: str) -> list[Row]:
    """Rows whose id, title or recorded tools hold `text`, in any case; all of them for an empty text."""
    wanted = text.casefold()

    def words(row: Row) -> str:
        return " ".join((row.id, row.title, *(said.tool for said in row.said))).casefold()

    return [row for row in rows if wanted in words(row)]


def find_device(name: str) -> torch.device:
    """The device of that name; UsageError if this torch cannot use it."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as problem:  # a build without CUDA asserts
        reason = first_line(problem)
        raise UsageError(f'device "{name}" cannot be used: {reason}; choose cpu, or mend the installation') from None
    return device


def run_rows(
    rows: Iterable[Row], device: str = "cpu", on_result: Callable[[Result], None] | None = None
) -> list[Result]:
    """Run rows one after the other, those that the device can run; `on_result` is called after each."""
    place = find_device(device)
    results = []
    with _one_thread():
        for row in rows:
            if row.cpu_only and place.type != "cpu":
                continue
            results.append(run_row(row, place))
            if on_result is not None:
                on_result(results[-1])
    return results


def run_row(row: Row, device: torch.device | str = "cpu") -> Result:
    """Build, trace and judge one row; whatever goes wrong is its result."""
    start = time.perf_counter()
    got: dict[str, Answer] = {}
    error, uncounted, complete, bound = "", "", False, 0
    with warnings.catch_warnings(), _own_random_numbers(torch.device(device)):
        warnings.simplefilter("ignore")  # deprecations of torch, prototypes: not what is asked here
        try:
            with row.around():
                traced = _traced(row, torch.device(device))
            got = {question: answer(traced, question) for question in row.expect}
            complete, bound = traced.coverage.complete, traced.coverage.bound
            uncounted = ", ".join(record.name for record in traced.coverage.uncounted)
        except FAILURES as problem:
            error = f"{type(problem).__name__}: {problem}"
            refused = isinstance(problem, SnnEnergyError) and "\n" not in str(problem)
        else:
            refused = False
    exact = not error and all(got[question] == right for question, right in row.expect.items())
    ok = {
        Promise.EXACT: exact and complete,
        Promise.HONEST: refused or (exact and complete) or (not complete and not error and _holds(row, got, bound)),
        Promise.AT_LEAST: not error and _holds(row, got, 0),
        Promise.REFUSED: bool(error) and row.refusal in error,
    }[row.promise]
    note = error or (f"uncounted: {uncounted}, at most {bound:,} MACs" if uncounted else "")
    return Result(row, ok, got, note, time.perf_counter() - start)


def _holds(row: Row, got: Mapping[str, Answer], bound: int) -> bool:
    """Whether no answer is above, and each plus the bound not below, the right one (AT_LEAST: only the latter)."""
    pairs = [(got[question], right) for question, right in row.expect.items()]
    over = row.promise is Promise.HONEST and any(isinstance(a, int) and isinstance(b, int) and a > b for a, b in pairs)
    return not over and all(isinstance(a, int) and isinstance(b, int) and a + bound >= b for a, b in pairs)


def _traced(row: Row, device: torch.device) -> Trace:
    if row.before is not None:
        build, feed = row.before
        with suppress(*FAILURES):  # the row asks what such a failure leaves behind
            trace(placed(build(), device), moved(feed(), device))
    return trace(placed(row.build(), device), moved(row.feed(), device), **row.options)


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Seed 0 inside; the caller's generators go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on a device; one without values stays where it is."""
    return model if any(parameter.is_meta for parameter in model.parameters()) else model.to(device)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The tensors are tiny: more threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def moved(data: Any, device: torch.device) -> Any:
    """The same data on a device; generators stay lazy."""
    if isinstance(data, Tensor):
        return data if data.is_meta else data.to(device)
    if isinstance(data, tuple):
        return tuple(moved(item, device) for item in data)
    if isinstance(data, list):
        return [moved(item, device) for item in data]
    if isinstance(data, Mapping):
        return {name: moved(item, device) for name, item in data.items()}
    if isinstance(data, Iterator):
        return (moved(item, device) for item in data)
    return data
