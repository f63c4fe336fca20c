"""Everything one report shows: a network's energy beside that of its ANN twin, with the evidence for both.

The JSON form, format 1, is the report of the SNN (`Report.to_dict`) with these keys added; it names no
folder, no date and no version, so that equal counts give equal bytes on every machine. Energies are in pJ.

| key                    | value                                                                     |
|------------------------|---------------------------------------------------------------------------|
| network                | name of the network: a registered name, or the user's factory             |
| checkpoint             | file name of the weights, or null                                         |
| dataset                | what ran: data set, split, number of samples                              |
| accuracy               | {correct, total}, or null without labels or class scores                  |
| accuracy_missing       | why there is no accuracy, or null                                         |
| baseline               | report of the ANN twin by the same method, without `hardware`, or null    |
| baseline_missing       | why there is no baseline, or null                                         |
| comparison             | for the dense and the zero-skipping ANN: {method,                         |
|                        | snn_energy_per_inference_pj, ann_energy_per_inference_pj, ratio,          |
|                        | ratio_low, ratio_high}; the last two bound the ratio where work is        |
|                        | uncounted; empty without a baseline                                       |
| quantised              | the twin quantised to T + 1 levels, see `rivals`, or null                 |
| quantised_missing      | why there is none, or null                                                |
| ann                    | an ANN that the user names, see `rivals`; missing where none is named     |
| crossover              | spike rates at which SNN and ANN cost the same, {baselines, layers}, see   |
|                        | `baselines.crossover_table`; missing without any ANN                      |
| second_opinion         | fvcore on one sample of the twin: {ours, fvcore, agrees, rows}, or null   |
| second_opinion_missing | why there is none, or null                                                |
| stopping               | of a run that may stop early: {target, precision, reached, samples,       |
|                        | minimum_samples}, precisions as shares of the mean, or null               |
| both_countings         | of the windowed networks only: synaptic energies of one inference,        |
|                        | {strict_pj, published_pj, dense_ann_pj, strict_ratio, published_ratio},   |
|                        | see `costing.published`                                                   |
| memory                 | with a method of memory: its policy, levels, and the traffic of each      |
|                        | tensor, see `costing.memory`; rows then have `memory_pj` as well          |
| uncertainty            | where asked for: see `costing.uncertainty`                                |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from snn_energy.baselines.comparison import Comparison
from snn_energy.baselines.crossover_table import crossover_table
from snn_energy.baselines.second_opinion import SecondOpinion, second_opinion
from snn_energy.baselines.twin import TIME_ATTRIBUTES, ann_twin, at_one_step, steps_kept
from snn_energy.costing.memory.pricing_memory import compared_methods
from snn_energy.costing.pricing import DEFAULT_HARDWARE, DEFAULT_METHOD, price
from snn_energy.costing.published import BothCountings, both_countings
from snn_energy.costing.report import Report
from snn_energy.costing.stopping import Stopper, Stopping, checked_target
from snn_energy.counting.counts import Trace, record_fields
from snn_energy.counting.ranks import ALONE, Ranks
from snn_energy.counting.skeleton import Graph
from snn_energy.counting.tracing import trace
from snn_energy.errors import MODEL_ERRORS, TraceError, UncountedError, UsageError
from snn_energy.hardware import Hardware, load_hardware
from snn_energy.reporting.identity import model_digest
from snn_energy.reporting.partial import Keeper
from snn_energy.reporting.passes import Batch, Batches, Pass, Steps
from snn_energy.reporting.rivals import NamedRival, Priced, QuantisedRival, named_rival, priced_like, quantised_or_why
from snn_energy.reporting.sides import comparison_keys, opinion_keys, without_hardware

DENSE = "arithmetic"
ZERO_SKIPPING = "arithmetic-zero-skipping"

CLAIMED = ("windowed-cnn", "windowed-rnn")
"""Networks of a published energy claim, whose report shows both countings."""

AXES: dict[str, tuple[int, int | None]] = {"N": (0, None), "TN": (1, 0), "NT": (0, 1)}
"""Layout -> the axis of the samples and the axis of the time steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Samples classified correctly, out of how many."""

    correct: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A network, measured: see the module for the JSON form."""

    report: Report
    baseline: Report | None = None
    """The ANN twin by the same method as `report`."""
    baseline_missing: str | None = None
    comparisons: tuple[Comparison, ...] = ()
    """Against the dense twin and against the zero-skipping twin, each by one method on both sides."""
    second_opinion: SecondOpinion | None = None
    second_opinion_missing: str | None = None
    accuracy: Accuracy | None = None
    accuracy_missing: str | None = None
    dataset: str | None = None
    model_name: str | None = None
    checkpoint: str | None = None
    stopping: Stopping | None = None
    """How a run that may stop early ended."""
    both_countings: BothCountings | None = None
    """Counted and as published, for the networks of a published claim."""
    quantised: QuantisedRival | None = None
    """The twin that passes on as many levels as T spikes do."""
    quantised_missing: str | None = None
    ann: NamedRival | None = None
    """An ANN that the user names."""

    @property
    def report_zero_skipping(self) -> Report | None:
        """The SNN where zeros of real-valued operands cost nothing either; None without a baseline."""
        return next((c.report for c in self.comparisons if c.report.method.startswith(ZERO_SKIPPING)), None)

    @property
    def baseline_zero_skipping(self) -> Report | None:
        """The twin where zeros cost nothing; None without a baseline."""
        return next((c.baseline for c in self.comparisons if c.baseline.method.startswith(ZERO_SKIPPING)), None)

    @property
    def against(self) -> Mapping[str, Comparison]:
        """Every comparison by the name of its baseline, see `crossover_table.BASELINES`."""
        found: dict[str, Comparison] = {}
        for prefix, rival in (("", self), ("quantised-", self.quantised), ("ann-", self.ann)):
            for name, comparison in zip(("dense", "zero-skipping"), () if rival is None else rival.comparisons):
                found[f"{prefix}{name}"] = comparison
        return found

    def to_dict(self) -> dict[str, Any]:
        """The assessment as plain values, ready for JSON; the key order is fixed."""
        return {
            **self.report.to_dict(),
            "network": self.model_name,
            "checkpoint": self.checkpoint,
            "dataset": self.dataset,
            "accuracy": None if self.accuracy is None else record_fields(self.accuracy),
            "accuracy_missing": self.accuracy_missing,
            "baseline": None if self.baseline is None else without_hardware(self.baseline),
            "baseline_missing": self.baseline_missing,
            "comparison": [comparison_keys(comparison) for comparison in self.comparisons],
            "second_opinion": None if self.second_opinion is None else opinion_keys(self.second_opinion),
            "second_opinion_missing": self.second_opinion_missing,
            "stopping": None if self.stopping is None else record_fields(self.stopping),
            **({} if self.both_countings is None else {"both_countings": self.both_countings.to_dict()}),
            "quantised": None if self.quantised is None else self.quantised.to_dict(),
            "quantised_missing": self.quantised_missing,
            **({} if self.ann is None else {"ann": self.ann.to_dict()}),
            **({"crossover": crossover_table(self.against)} if self.against else {}),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The assessment as JSON text with a final newline; identical for identical input."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False) + "\n"


def assess(
    model: nn.Module | Graph,
    batches: Batches,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    method: str = DEFAULT_METHOD,
    *,
    layout: str = "N",
    still: Batches | None = None,
    time_steps: int | None = None,
    strict: bool = False,
    baseline: bool = True,
    quantised: bool = True,
    ann: tuple[str, nn.Module] | None = None,
    fold: bool = True,
    dataset: str | None = None,
    model_name: str | None = None,
    checkpoint: str | None = None,
    progress: Callable[[int], None] | None = None,
    per_sample: bool = False,
    until: float | None = None,
    keeper: Keeper | None = None,
    identity: Mapping[str, str] | None = None,
    ranks: Ranks = ALONE,
) -> Assessment:
    """Trace `model` once and each of its baselines once, and set them side by side.

    Args:
        model: the spiking network, or a graph exported from one; it is left as it was.
        batches: makes the batches anew for each pass; inputs `n ...` (layout "N"), `t n ...` ("TN") or
            `n t ...` ("NT"); labels `n` give the accuracy, from the same pass.
        hardware: name of a shipped profile, path of a TOML file, or a loaded profile.
        method: of the report and its baseline; the comparisons are always by both methods, with memory (and its
            options) where this one has it.
        layout: where samples and time steps are.
        still: what the twin is fed in place of the mean of `batches` over time: the images that an encoder made spikes
            of, with a time axis of size 1. The mean of spikes is a small multiple of 1/T, which no ANN is fed.
        time_steps: T, where the neuron layers do not tell it.
        strict: refuse work that is not counted or not priced.
        baseline: False leaves the twin out, and with it the quantised one.
        quantised: False leaves the quantised twin out; it takes two more passes at one time step.
        ann: name and module of an ANN to compare with; it is fed the batches as they are, or `still` without its axis
            of time.
        fold: see `trace`; for the network and its twin.
        dataset: what ran, in words; likewise `model_name`, and `checkpoint`, a file name.
        progress: called after each batch of every pass with the number of its samples.
        per_sample: run the network sample by sample, for the distribution of its energy; the twin runs in batches.
        until: stop after the first batch at which the 95 % interval of the mean energy reaches no further than this
            share of the mean to either side, at 30 samples or more; implies `per_sample`. The twin runs on the same
            batches.
        keeper: keeps the state of the network's own pass on disk, and resumes from it; the twin begins anew.
        identity: what else a state on disk must agree in, in words.
        ranks: processes that share the batches; every one of them returns the same assessment. A network that keeps
            state from batch to batch, or draws random numbers, does not give what one process gives.

    Raises:
        UsageError: unknown layout, hardware or method; `until` is no share; a state on disk of another run.
        RankError: another rank failed.
        TraceError: the model fails on the data, or cannot be traced.
        DataError: no data, or data that the tracer refuses.
        UncountedError: see `strict`.
    """
    if layout not in AXES:
        raise UsageError(f"assess: unknown layout {layout!r}; expected one of {', '.join(AXES)}")
    batch_axis, time_axis = AXES[layout]
    profile = hardware if isinstance(hardware, Hardware) else load_hardware(hardware)
    name = model_name or type(model).__name__
    price(Trace(samples=1), profile, method)  # an unknown method should fail before the network runs

    enough = None if until is None else Stopper(checked_target(until), profile, method)
    per_sample = per_sample or enough is not None
    own: dict[str, Any] = {
        "batch_axis": batch_axis,
        "time_axis": time_axis,
        "strict": strict,
        "fold": fold,
        "progress": progress,
    }
    outcome = Pass(model=model, name=name, time_steps=time_steps, per_sample=per_sample, **own).run(
        batches(),
        Steps(
            ranks=ranks,
            keeper=keeper,
            identity=None if keeper is None else {
                "network": model_digest(model.root if isinstance(model, Graph) else model),
                **(identity or {}),
                "layout": layout,
                "time steps": str(time_steps),
                "folding of batch norms": str(fold),
                "choice of --per-sample": str(per_sample),
                "choice of --until": "none" if until is None else f"{until!r} on {profile.name} by {method}",
            },
            enough=enough,
        ),
    )  # fmt: skip
    facts, score = outcome.trace, outcome.score
    report = price(facts, profile, method)
    if strict:
        _refuse_unpriced(report, name)
    comparable = {"mac", "ac"} <= profile.energy_pj.keys()
    named: dict[str, Any] = {
        "report": report,
        "accuracy": None if score.missing else Accuracy(correct=score.correct, total=score.total),
        "accuracy_missing": score.missing,
        "stopping": None if enough is None else enough.judge(facts),
        "dataset": dataset,
        "model_name": model_name,
        "checkpoint": checkpoint,
        "both_countings": both_countings(facts, profile) if model_name in CLAIMED and comparable else None,
    }
    priced = priced_like(facts.without_samples(), profile, method, compared_methods(method) or (DENSE, ZERO_SKIPPING))
    if ann is not None:
        named["ann"] = _named_ann(ann, batches, still, layout, outcome.batches, priced, own, ranks)
        if strict:
            _refuse_unpriced(named["ann"].baseline, f"the ANN {ann[0]}")
    if not baseline:
        return Assessment(**named, baseline_missing="not asked for", quantised_missing="not asked for")
    named["quantised_missing"] = "there is no ANN twin to quantise"
    if isinstance(model, Graph):
        return Assessment(**named, baseline_missing="an exported graph has no ANN twin: profile the network itself")
    try:
        twin = ann_twin(model)
    except TraceError as problem:
        return Assessment(**named, baseline_missing=str(problem))
    twin_pass = Pass(
        model=twin,
        name=f"the ANN twin of {name}",
        scored=False,
        remedy="profile without a baseline (--no-baseline)",
        **own,
    )

    def twin_batches() -> Iterator[Batch]:
        same_samples = islice((still or batches)(), outcome.batches)
        return ((at_one_step(x, None if still else time_axis), labels) for x, labels in same_samples)

    twin_facts = twin_pass.run(twin_batches(), Steps(ranks=ranks)).trace
    kept = steps_kept(facts, twin_facts)
    if kept > 1:  # an ANN that runs T times is no ANN: its energy would flatter the SNN
        return Assessment(
            **named,
            baseline_missing=f"the network makes {kept} time steps by itself, and so would its twin; give it their "
            f"number as an attribute ({', '.join(TIME_ATTRIBUTES)}), or put time into the data (--layout)",
        )
    twin_report, comparisons = priced(twin_facts)
    if strict:
        _refuse_unpriced(twin_report, f"the ANN twin of {name}")
    opinion, missing = _ask_fvcore(twin, next(_sample(x, batch_axis) for x, _ in twin_batches()), batch_axis)
    named["quantised_missing"] = "not asked for"
    if quantised:
        named["quantised"], named["quantised_missing"] = quantised_or_why(
            model=model, batches=twin_batches, facts=facts, plain=twin_facts, priced=priced, options=own, ranks=ranks
        )
    return Assessment(
        **named,
        baseline=twin_report,
        comparisons=comparisons,
        second_opinion=opinion,
        second_opinion_missing=missing,
    )


def _named_ann(
    ann: tuple[str, nn.Module],
    batches: Batches,
    still: Batches | None,
    layout: str,
    count: int,
    priced: Priced,
    options: dict[str, Any],
    ranks: Ranks,
) -> NamedRival:
    """Run the user's ANN on the first `count` batches as they are, or on the images that an encoder made spikes of."""
    batch_axis, time_axis = AXES[layout]
    if still is not None:
        batch_axis, time_axis = 0, None

    def fed() -> Iterator[Batch]:
        for x, labels in islice((still or batches)(), count):
            yield x if still is None else x.squeeze(AXES[layout][1]), labels  # type: ignore[arg-type]

    name, model = ann
    return named_rival(
        model,
        name,
        fed,
        priced=priced,
        second_opinion=lambda net, x: _ask_fvcore(net, _sample(x, batch_axis), batch_axis, "the ANN"),
        options={**options, "batch_axis": batch_axis, "time_axis": time_axis},
        ranks=ranks,
    )


def _refuse_unpriced(report: Report, name: str) -> None:
    if not report.unpriced:
        return
    listed = ", ".join(f"{item.action} ({item.count:,} times)" for item in report.unpriced)
    raise UncountedError(
        f"strict: {name} did work that {report.hardware.name} does not price: {listed}; expected none; "
        "choose another hardware profile, or profile without --strict to see it named"
    )


def _sample(x: Tensor, batch_axis: int) -> Tensor:
    return x.narrow(batch_axis, 0, 1)


def _ask_fvcore(
    model: nn.Module, sample: Tensor, batch_axis: int, what: str = "the twin"
) -> tuple[SecondOpinion | None, str | None]:
    """Cross-check one sample; a model that fvcore cannot follow costs the second opinion, not the report."""
    try:
        return second_opinion(model, (sample,), trace(model, sample, batch_axis=batch_axis)), None
    except MODEL_ERRORS as problem:
        return None, f"fvcore could not follow {what} ({type(problem).__name__})"
