"""Running a network once for each change, and pricing what was counted on every profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from snn_energy.baselines.comparison import compare
from snn_energy.costing.memory.pricing_memory import compared_methods
from snn_energy.costing.pricing import price
from snn_energy.hardware import Hardware
from snn_energy.reporting.assessment import DENSE, ZERO_SKIPPING, Assessment
from snn_energy.tuning.variants import Variant, applied
from snn_energy.workflow.gathering import Request, Source
from snn_energy.workflow.lines import Line, line_of, without_energy


def measured(
    source: Source,
    request: Request,
    method: str,
    progress: Callable[[int], None] | None,
    *,
    time_steps: int | None,
    weights: str | None,
) -> Iterator[tuple[int, Line]]:
    """The lines of a checkpoint or graph with these changes: place of the profile, and line."""
    variant = Variant(time_steps=time_steps, weights=weights)
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
