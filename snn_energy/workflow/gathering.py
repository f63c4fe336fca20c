"""Lines of a comparison from reports, traces, exported graphs and checkpoints: each network runs once for each change.

A trace is priced on as many profiles as asked for, without running anything again; a saved report stays on the profile
that it was priced on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from snn_energy.baselines.comparison import compare
from snn_energy.costing.memory.pricing_memory import compared_methods
from snn_energy.costing.pricing import price
from snn_energy.counting.tracefile import load_trace
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware
from snn_energy.reporting.assessment import DENSE, ZERO_SKIPPING, Assessment
from snn_energy.reporting.document import Document, load_document
from snn_energy.reporting.subject import DataRequest, Subject, checkpoint_subject, graph_subject
from snn_energy.tuning.variants import Variant, applied
from snn_energy.workflow.lines import Line, line_of, without_energy
from snn_energy.workflow.sources import Kind, kind_of, short_names

OWN = Variant()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One word of the command line, read as far as it goes without running anything."""

    word: str
    name: str
    kind: Kind
    document: Document | None = None
    subject: Subject | None = None


def sources_of(words: Sequence[str], data: DataRequest) -> list[Source]:
    """Read what the words name.

    Raises:
        UsageError: a word given twice, or no such checkpoint.
        DataError, CheckpointError, TraceError: a file that cannot be used.
    """
    for word in words:
        if words.count(word) > 1:
            raise UsageError(f"{word}: named twice; name each source once")
    names = short_names(list(words))
    found = []
    for word in words:
        kind = kind_of(word)
        document = subject = None
        if kind == "report":
            document = load_document(word)
        elif kind == "graph":
            subject = graph_subject(word, data)
        elif kind == "checkpoint":
            subject = checkpoint_subject(word, data)
        found.append(Source(word=word, name=names[word], kind=kind, document=document, subject=subject))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to compare: each source x each variant x each profile."""

    sources: Sequence[Source]
    names: Sequence[str]
    """Of the profiles; those of reports need not be here."""
    hardware: Sequence[Hardware] = ()
    """The profiles themselves, unless all sources are reports."""
    variants: Sequence[Variant] = (OWN,)
    """Changes to checkpoints; graphs, traces and reports are as they are."""
    method: str | None = None
    """None: that of the reports among the sources, else "arithmetic"."""
    batch_size: int = 250
    baseline: bool = True
    fold: bool = True

    def runs(self) -> int:
        """Samples that have to run, passes of the ANN twins included."""
        return sum(
            len(source.subject.images) * len(self._variants(source)) * (1 + (self.baseline and source.subject.has_twin))
            for source in self.sources
            if source.subject is not None
        )

    def _variants(self, source: Source) -> Sequence[Variant]:
        return self.variants if source.kind == "checkpoint" else (OWN,)


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
        for variant in request._variants(source):
            yield from _measured(source, variant, request, method, progress)


def _report_line(source: Source, document: Document, names: Sequence[str]) -> tuple[int, Line]:
    mine = document["hardware"]["name"]
    if mine not in names:
        raise UsageError(
            f"{source.name}: a report keeps the hardware it was priced on (got {mine}, expected one of "
            f"{', '.join(names)}); give --hardware {mine}, or its trace instead of the report"
        )
    return list(names).index(mine), line_of(document, source.name)


def _measured(
    source: Source, variant: Variant, request: Request, method: str, progress: Callable[[int], None] | None
) -> Iterator[tuple[int, Line]]:
    subject = source.subject
    assert subject is not None
    profiles = {place: variant.priced_on(profile) for place, profile in enumerate(request.hardware)}
    first = next((profile for profile in profiles.values() if profile is not None), request.hardware[0])
    with applied(subject.model, variant):
        assessment = subject.assess(
            batch_size=request.batch_size,
            hardware=first,
            method=method,
            baseline=request.baseline,
            fold=request.fold,
            progress=progress,
        )
    for place, profile in profiles.items():
        here = profile or request.hardware[place]
        document = repriced(assessment, here, method).to_dict()
        line = line_of(document, source.name, weights=variant.weights or "own")
        if profile is None:
            line = without_energy(line)
        yield place, line


def repriced(assessment: Assessment, hardware: Hardware, method: str) -> Assessment:
    """The same counts on other hardware; nothing runs."""
    if assessment.report.hardware == hardware and assessment.report.method == method:
        return assessment
    facts = assessment.report.trace
    report = price(facts, hardware, method)
    if assessment.baseline is None:
        return replace(assessment, report=report, both_countings=None)
    twin = assessment.baseline.trace
    totals = facts.without_samples()
    return replace(
        assessment,
        report=report,
        baseline=price(twin, hardware, method),
        comparisons=tuple(
            compare(price(totals, hardware, each), price(twin, hardware, each))
            for each in compared_methods(method) or (DENSE, ZERO_SKIPPING)
        ),
        both_countings=None,
    )
