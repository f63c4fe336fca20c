"""A grid of changes to one network: each cell runs once, in one of several processes, and is priced on every profile.

The result does not depend on the number of processes, on their order, or on interrupts: each cell runs in one thread
from the same random numbers, and cells are written in the order of the grid. Until the sweep is through, a partial file
beside its output holds the cells that are done:

| key                    | value                                                                                    |
|------------------------|------------------------------------------------------------------------------------------|
| format, format_version | "snn-energy-sweep-partial" and 1                                                         |
| identity               | what the sweep was asked for: digests of network, data and prices, grid, options         |
| cells                  | number of the cell -> its lines, one for each profile                                    |
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snn_energy.counting.tracing import trace
from snn_energy.errors import DataError, RankError
from snn_energy.files import write_atomic
from snn_energy.hardware import Hardware
from snn_energy.reporting.assessment import AXES
from snn_energy.reporting.identity import DataDigest, model_digest
from snn_energy.reporting.partial import ANEW, partial_path, refuse_another
from snn_energy.reporting.subject import DataRequest, Subject, checkpoint_subject, factory_subject
from snn_energy.tuning.variants import Variant, applied, spiking_modules
from snn_energy.workflow.lines import Line, line_of, without_energy
from snn_energy.workflow.running import repriced

FORMAT = 1
"""Version of the JSON form."""
PARTIAL_FORMAT = "snn-energy-sweep-partial"
PARTIAL_VERSION = 1

Cells = dict[int, list[dict[str, Any]]]
"""Number of a cell -> its lines as plain values, one for each profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The values of each axis; None leaves the network as it is."""

    time_steps: tuple[int | None, ...] = (None,)
    weights: tuple[str | None, ...] = (None,)
    sparsity: tuple[float | None, ...] = (None,)
    threshold: tuple[float | None, ...] = (None,)

    def cells(self) -> list[Variant]:
        """All combinations, the last axis fastest."""
        return [
            Variant(time_steps=steps, weights=weights, sparsity=sparsity, threshold=threshold)
            for steps, weights, sparsity, threshold in product(
                self.time_steps, self.weights, self.sparsity, self.threshold
            )
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "time_steps": list(self.time_steps),
            "weights": list(self.weights),
            "sparsity": list(self.sparsity),
            "threshold": list(self.threshold),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything a process needs to run any cell; it travels to the processes as it is."""

    checkpoint: str | None
    data: DataRequest
    hardware: tuple[Hardware, ...]
    axes: Axes
    factory: str | None = None
    """package.module:function that makes the network; `checkpoint` is then a plain state dict."""
    arguments: str | None = None
    method: str = "arithmetic"
    batch_size: int = 250
    baseline: bool = False
    fold: bool = True

    def subject(self) -> Subject:
        """The network with its data, loaded anew.

        Raises:
            UsageError, CheckpointError, DataError: see `checkpoint_subject` and `factory_subject`.
        """
        if self.factory is not None:
            return factory_subject(
                self.factory, self.data, weights=self.checkpoint, arguments=self.arguments, seed=self.data.seed
            )
        assert self.checkpoint is not None
        return checkpoint_subject(self.checkpoint, self.data)


@lru_cache(maxsize=1)
def _ready(job: Job) -> tuple[Subject, tuple[nn.Module, ...]]:
    """The network of this process, and the modules whose thresholds the grid changes."""
    subject = job.subject()
    if job.axes.threshold == (None,):
        return subject, ()
    model = subject.model
    assert isinstance(model, nn.Module)
    first, _ = next(iter(subject.images.part(0, 1).batches(1, subject.spec)))
    facts = trace(model, (first,), batch_axis=AXES[subject.images.layout][0])
    return subject, tuple(spiking_modules(model, facts))


@contextmanager
def _same_everywhere(seed: int) -> Iterator[None]:
    """One thread and the same random numbers inside, so that a cell gives the same bytes in any process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def prepare(job: Job) -> Subject:
    """Load the network once and refuse a grid that does not fit it, before anything runs.

    Raises:
        UsageError: the network has no time steps, or no thresholds, to change.
    """
    _ready.cache_clear()  # the files may have changed since an earlier sweep of this process
    with _same_everywhere(job.data.seed):
        subject, neurons = _ready(job)
        for steps in job.axes.time_steps:
            with applied(subject.model, Variant(time_steps=steps), neurons):
                pass
    return subject


def run_cell(job: Job, variant: Variant) -> list[dict[str, Any]]:
    """Run one cell and return its lines, one for each profile."""
    with _same_everywhere(job.data.seed):
        subject, neurons = _ready(job)
        profiles = [variant.priced_on(profile) for profile in job.hardware]
        first = next((profile for profile in profiles if profile is not None), job.hardware[0])
        with applied(subject.model, variant, neurons):
            assessment = subject.assess(
                batch_size=job.batch_size,
                hardware=first,
                method=job.method,
                baseline=job.baseline,
                fold=job.fold,
            )
    name = subject.checkpoint or subject.name
    changes = {
        "weights": variant.weights or "own",
        "sparsity": variant.sparsity,
        "threshold": variant.threshold,
    }
    lines = []
    for asked, profile in zip(job.hardware, profiles, strict=True):
        document = repriced(assessment, profile or asked, job.method).to_dict()
        line = line_of(document, name, **changes)
        lines.append((line if profile is not None else without_energy(line)).to_dict())
    return lines


def identity_of(job: Job, subject: Subject) -> dict[str, str]:
    """What must agree for a partial file to be gone on with, in words."""
    assert isinstance(subject.model, nn.Module)
    seen = DataDigest()
    for batch in subject.images.batches(job.batch_size, subject.spec):
        seen = seen.with_batch(batch)
    prices = json.dumps([profile.as_dict() for profile in job.hardware], sort_keys=True)
    return {
        "network": model_digest(subject.model),
        "data set": subject.dataset,
        "data": seen.text(),
        "hardware": ", ".join(profile.name for profile in job.hardware),
        "prices": hashlib.blake2b(prices.encode(), digest_size=16).hexdigest(),
        "grid": json.dumps(job.axes.to_dict()),
        "method": job.method,
        "batch size": str(job.batch_size),
        "baseline": str(job.baseline),
        "folding of batch norms": str(job.fold),
        "seed": str(job.data.seed),
    }


class Partial:
    """The cells that are done, on disk beside the output."""

    def __init__(self, output: Path, identity: Mapping[str, str]) -> None:
        self.path = partial_path(output)
        self.identity = dict(identity)

    def read(self) -> Cells:
        """The cells of an earlier run; {} where there is none.

        Raises:
            DataError: the file is no partial sweep.
            UsageError: it was made of another network, other data or other options.
        """
        try:
            value = json.loads(self.path.read_text(encoding="utf-8"))
            fits = value["format"] == PARTIAL_FORMAT and value["format_version"] == PARTIAL_VERSION
            known = dict(value["identity"])
            cells = {int(number): list(lines) for number, lines in value["cells"].items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError):
            fits, known, cells = False, {}, {}
        if not fits:
            raise DataError(f"{self.path}: expected a partial sweep of version {PARTIAL_VERSION}; {ANEW}")
        refuse_another(self.path, known, self.identity)
        return cells

    def write(self, cells: Cells) -> None:
        """Replace the file by one that holds these cells."""
        value = {
            "format": PARTIAL_FORMAT,
            "format_version": PARTIAL_VERSION,
            "identity": self.identity,
            "cells": {str(number): cells[number] for number in sorted(cells)},
        }
        write_atomic(self.path, json.dumps(value, allow_nan=False) + "\n")

    def remove(self) -> None:
        """Delete the file: the output is written."""
        self.path.unlink(missing_ok=True)


def run_cells(job: Job, done: Cells, jobs: int, on_done: Callable[[int], None]) -> None:
    """Run the cells that `done` lacks, in `jobs` processes, and put them there; `on_done` is called after each.

    Raises:
        RankError: a process ended without an answer.
    """
    cells = job.axes.cells()
    todo = [number for number in range(len(cells)) if number not in done]
    if min(jobs, len(todo)) <= 1:
        for number in todo:
            done[number] = run_cell(job, cells[number])
            on_done(number)
        return
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(jobs, len(todo)), mp_context=multiprocessing.get_context("spawn"), initializer=_in_a_process
    )
    try:
        futures = {pool.submit(run_cell, job, cells[number]): number for number in todo}
        for future in as_completed(futures):
            done[futures[future]] = future.result()
            on_done(futures[future])
    except BaseException as problem:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        if isinstance(problem, BrokenProcessPool):
            raise RankError(
                "sweep: a process ended without an answer (out of memory, perhaps); go on with --resume, fewer --jobs"
            ) from None
        raise
    pool.shutdown()


def _in_a_process() -> None:
    """Leave interrupts to the parent, and end with it, even if it is killed: nobody would take the results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def document_of(job: Job, subject: Subject, done: Cells) -> dict[str, Any]:
    """The JSON form of a sweep; equal for equal input, however it was run."""
    return {
        "format": FORMAT,
        "network": subject.name,
        "checkpoint": subject.checkpoint,
        "dataset": subject.dataset,
        "method": job.method,
        "hardware": [profile.name for profile in job.hardware],
        "axes": job.axes.to_dict(),
        "cells": [
            {
                "asked": {
                    "time_steps": cell.time_steps,
                    "weights": cell.weights,
                    "sparsity": cell.sparsity,
                    "threshold": cell.threshold,
                },
                "lines": done[number],
            }
            for number, cell in enumerate(job.axes.cells())
        ],
    }


def lines_of(document: Mapping[str, Any]) -> list[list[Line]]:
    """For each profile of a sweep, its lines."""

    def line(plain: Mapping[str, Any]) -> Line:
        rate, effective = plain["spike_rate"], plain["effective_events"]
        renamed = {
            "energy_pj": plain["energy_per_inference_pj"],
            "energy_upper_pj": plain["energy_upper_per_inference_pj"],
            "cycles": plain["latency_cycles"],
            "seconds": plain["latency_s"],
            "spike_rate": None if rate is None else Fraction(rate),
            "effective_events": None if effective is None else Fraction(effective),
            "prices": "",
            "acs": Fraction(plain["acs"]),
            "macs": Fraction(plain["macs"]),
            "unpriced": tuple(plain["unpriced"]),
        }
        kept = {name: value for name, value in plain.items() if name in Line.__dataclass_fields__}
        return Line(**(kept | renamed))

    profiles: Sequence[str] = document["hardware"]
    return [[line(cell["lines"][place]) for cell in document["cells"]] for place in range(len(profiles))]
