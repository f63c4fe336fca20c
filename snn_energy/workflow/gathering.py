"""Lines of a comparison from reports, traces, graphs, checkpoints and functions: each network runs once per change.

A trace is priced on as many profiles as asked for, without running anything again; a saved report stays on the profile
that it was priced on. torch is loaded only where something runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snn_energy.costing.pricing import price
from snn_energy.counting.tracefile import load_trace
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware
from snn_energy.reporting.document import Document, load_document
from snn_energy.workflow.lines import DENSE, Line, line_of
from snn_energy.workflow.sources import RUNS_ANEW, Kind, kind_of, short_names

if TYPE_CHECKING:
    from snn_energy.reporting.subject import Subject

Change = tuple[int | None, str | None]
"""Time steps, and data type of the weights; None leaves them as they are."""
OWN: Change = (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One word of the command line, read as far as it goes without running anything."""

    word: str
    name: str
    kind: Kind
    document: Document | None = None
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class Factory:
    """The function that makes the network of a user's own, as `--model` and `--model-args` name it."""

    name: str | None = None
    """MODULE:FACTORY; checkpoints are state dicts of its network then."""
    arguments: str | None = None

    def refuse_idle(self, kinds: Sequence[Kind]) -> None:
        """Refuse a function, or arguments, that nothing among these kinds of sources would use.

        Raises:
            UsageError: there is one.
        """
        if self.name is not None and "checkpoint" not in kinds:
            raise UsageError(
                f"--model {self.name} makes the network of state dicts, and none is named (got {', '.join(kinds)}); "
                f"give its weights, or {self.name} itself for weights drawn anew"
            )
        if self.arguments is not None and self.name is None and "factory" not in kinds:
            raise UsageError("--model-args are arguments of a function: give --model MODULE:FACTORY as well")


OWN_FORMAT = Factory()
"""Checkpoints that name their network themselves."""


def sources_of(words: Sequence[str], data: Mapping[str, Any], factory: Factory = OWN_FORMAT) -> list[Source]:
    """Read what the words name; `data` are fields of a `DataRequest`, for what runs.

    Raises:
        UsageError: a word given twice, no such checkpoint, or a `factory` that fails or that nothing needs.
        DataError, CheckpointError, TraceError: a file that cannot be used.
    """
    for word in words:
        if words.count(word) > 1:
            raise UsageError(f"{word}: named twice; name each source once")
    names = short_names(list(words))
    kinds = [kind_of(word) for word in words]
    factory.refuse_idle(kinds)
    found = []
    for word, kind in zip(words, kinds, strict=True):
        document = load_document(word) if kind == "report" else None
        subject = None if kind in ("report", "trace") else subject_of(word, kind, data, factory)
        found.append(Source(word=word, name=names[word], kind=kind, document=document, subject=subject))
    return found


def subject_of(word: str, kind: Kind, data: Mapping[str, Any], factory: Factory = OWN_FORMAT) -> Subject:
    """What runs of a graph, a NIR graph, a checkpoint or a function; `data` are fields of a `DataRequest`.

    Raises:
        UsageError, CheckpointError, DataError, TraceError: see `checkpoint_subject` and `factory_subject`.
    """
    from snn_energy.reporting.subject import (
        DataRequest,
        checkpoint_subject,
        factory_subject,
        graph_subject,
        nir_subject,
    )

    request = DataRequest(**data)
    if kind == "factory":
        return factory_subject(word, request, arguments=factory.arguments)
    if kind == "checkpoint" and factory.name is not None:
        return factory_subject(factory.name, request, weights=word, arguments=factory.arguments)
    if kind == "nir":
        return nir_subject(word, request)
    return graph_subject(word, request) if kind == "graph" else checkpoint_subject(word, request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to compare: each source x each change x each profile."""

    sources: Sequence[Source]
    names: Sequence[str]
    """Of the profiles; those of reports need not be here."""
    hardware: Sequence[Hardware] = ()
    """The profiles themselves, unless all sources are reports."""
    changes: Sequence[Change] = (OWN,)
    """Changes to checkpoints and networks of functions; graphs, traces and reports are as they are."""
    method: str | None = None
    """None: that of the reports among the sources, else "arithmetic"."""
    batch_size: int = 250
    baseline: bool = True
    fold: bool = True

    def runs(self) -> int:
        """Samples that have to run, passes of the ANN twins included."""
        total = 0
        for source in self.sources:
            if source.subject is not None:
                passes = 2 if self.baseline and source.subject.has_twin else 1
                total += len(source.subject.images) * len(self.changes_of(source)) * passes
        return total

    def changes_of(self, source: Source) -> Sequence[Change]:
        """The changes that a source runs with."""
        return self.changes if source.kind in RUNS_ANEW else (OWN,)


def gather(request: Request, progress: Callable[[int], None] | None = None) -> list[list[Line]]:
    """For each hardware profile in the order asked for, the lines of all sources in their order.

    Raises:
        UsageError: a report on other hardware, or by another method, than the comparison is.
        DataError, TraceError: see `assess`.
    """
    method = _common_method(request)
    found: list[list[Line]] = [[] for _ in request.names]
    for source in request.sources:
        for place, line in _lines(source, request, method, progress):
            found[place].append(line)
    return found


def _common_method(request: Request) -> str:
    reports = [source for source in request.sources if source.document is not None]
    methods = {source.name: str(source.document["method"]) for source in reports if source.document is not None}
    chosen = request.method or next(iter(methods.values()), DENSE)
    for name, method in methods.items():
        if method != chosen:
            raise UsageError(
                f"{name}: its energies are by another method (got {method}, expected {chosen}), which no comparison "
                "can bridge; price its trace by one method, or leave it out"
            )
    return chosen


def _lines(
    source: Source, request: Request, method: str, progress: Callable[[int], None] | None
) -> Iterator[tuple[int, Line]]:
    if source.document is not None:
        yield _report_line(source, source.document, request.names)
    elif source.kind == "trace":
        trace = load_trace(source.word).without_samples()
        for place, profile in enumerate(request.hardware):
            yield place, line_of(price(trace, profile, method).to_dict(), source.name)
    else:
        from snn_energy.workflow.running import measured

        for time_steps, weights in request.changes_of(source):
            yield from measured(source, request, method, progress, time_steps=time_steps, weights=weights)


def _report_line(source: Source, document: Document, names: Sequence[str]) -> tuple[int, Line]:
    mine = document["hardware"]["name"]
    if mine not in names:
        raise UsageError(
            f"{source.name}: a report keeps the hardware it was priced on (got {mine}, expected one of "
            f"{', '.join(names)}); give --hardware {mine}, or its trace instead of the report"
        )
    return list(names).index(mine), line_of(document, source.name)
