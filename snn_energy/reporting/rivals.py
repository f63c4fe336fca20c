"""Baselines beside the plain twin: its quantised sibling, and an ANN that the user names.

Their JSON, each energy in pJ:

| key              | value                                                                                           |
|------------------|-------------------------------------------------------------------------------------------------|
| quantised        | {bits, levels, note, accuracy, steps, comparison, baseline}: see `baselines.quantised`;         |
|                  | `steps` lists {name, step, top, lost, positive} of each activation                              |
| ann              | {name, accuracy, accuracy_missing, comparison, second_opinion, second_opinion_missing, baseline} |

`comparison` and `baseline` are as in `assessment`: against the dense and the zero-skipping machine, and the report by
the method of the SNN's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from snn_energy.baselines.comparison import Comparison, compare
from snn_energy.baselines.quantised import QuantisedTwin, multibit, quantised_twin
from snn_energy.baselines.second_opinion import SecondOpinion
from snn_energy.costing.pricing import price
from snn_energy.costing.report import Report
from snn_energy.counting.counts import Trace, record_fields
from snn_energy.counting.ranks import Ranks
from snn_energy.errors import MODEL_ERRORS, TraceError, UncountedError, UsageError, named_line
from snn_energy.hardware import Hardware
from snn_energy.reporting.numbers import percent
from snn_energy.reporting.outcome import Score
from snn_energy.reporting.passes import Batches, Pass, Steps
from snn_energy.reporting.sides import comparison_keys, opinion_keys, without_hardware

Priced = Callable[[Trace], tuple[Report, tuple[Comparison, ...]]]
"""Prices a baseline's trace by the method of the report, and compares it by both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedRival:
    """The quantised twin, counted and priced."""

    twin: QuantisedTwin
    baseline: Report
    comparisons: tuple[Comparison, ...]
    score: Score

    @property
    def note(self) -> str:
        """What its prices stand for, and what it is worth."""
        worth = "" if self.score.missing else f"; never trained for them, it has {accuracy_text(self.score)}"
        return self._prices() + worth

    def _prices(self) -> str:
        hardware, bits = self.baseline.hardware, self.twin.bits
        if bits == 1:
            return "its activations have 1 bit, so that they are spikes by the rules of counting: accumulates"
        memory = self.baseline.memory
        moved = memory is not None and not memory.policy.trace_bits  # which moves values as wide as they ran
        what = "multiply-accumulate and each move" if moved else "multiply-accumulate"
        return (
            f"its operands have {bits} bits; each {what} is priced as {_priced_as(hardware)}, for no price by fewer "
            "bits is known: an upper bound"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, see the module."""
        return {
            "bits": self.twin.bits,
            "levels": self.twin.time_steps + 1,
            "note": self.note,
            "accuracy": accuracy_keys(self.score),
            "steps": [record_fields(step) for step in self.twin.steps],
            "comparison": [comparison_keys(each) for each in self.comparisons],
            "baseline": without_hardware(self.baseline),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRival:
    """An ANN of the user's choice, counted and priced."""

    name: str
    baseline: Report
    comparisons: tuple[Comparison, ...]
    score: Score
    second_opinion: SecondOpinion | None
    second_opinion_missing: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, see the module."""
        score, opinion = self.score, self.second_opinion
        return {
            "name": self.name,
            "accuracy": accuracy_keys(score),
            "accuracy_missing": score.missing,
            "comparison": [comparison_keys(each) for each in self.comparisons],
            "second_opinion": None if opinion is None else opinion_keys(opinion),
            "second_opinion_missing": self.second_opinion_missing,
            "baseline": without_hardware(self.baseline),
        }


def accuracy_keys(score: Score) -> dict[str, int] | None:
    """The accuracy as plain values; None where it is not known."""
    return None if score.missing else {"correct": score.correct, "total": score.total}


def accuracy_text(score: Score) -> str:
    """The accuracy in words."""
    return f"an accuracy of {percent(score.correct, score.total)}"


def priced_like(snn: Trace, hardware: Hardware, method: str, compared: Iterable[str]) -> Priced:
    """How every baseline of a network is priced: by its own method, and by each of `compared` on both sides."""
    own = {each: price(snn, hardware, each) for each in compared}

    def priced(facts: Trace) -> tuple[Report, tuple[Comparison, ...]]:
        return price(facts, hardware, method), tuple(
            compare(report, price(facts, hardware, each)) for each, report in own.items()
        )

    return priced


def quantised_rival(
    model: nn.Module,
    batches: Batches,
    *,
    facts: Trace,
    plain: Trace,
    priced: Priced,
    options: dict[str, Any],
    ranks: Ranks,
) -> QuantisedRival:
    """Calibrate the quantised twin, count it on the same data, and price it.

    Args:
        model: the spiking network.
        batches: makes what the twin is fed, and the labels, anew for each pass.
        facts: trace of the network, which tells T; `plain`: that of its plain twin.
        priced: see `priced_like`.
        options: of `Pass`.
        ranks: processes that share the counting; each calibrates on all data.

    Raises:
        TraceError: no T, no twin, or a twin that does not run with few levels.
    """
    if not facts.time_steps:
        known = "no neuron layer tells it: give --time-steps" if facts.time_steps is None else "layers differ in it"
        raise TraceError(f"the number of time steps is not known ({known})")
    progress: Callable[[int], None] | None = options["progress"]

    def watched() -> Iterator[Tensor]:
        for x, _ in batches():
            yield x
            if progress is not None:
                progress(x.shape[options["batch_axis"]])

    try:
        twin = quantised_twin(model, watched(), facts.time_steps)
    except MODEL_ERRORS as problem:
        raise TraceError(f"its calibration failed ({named_line(problem)})") from problem
    run = Pass(
        model=twin.model,
        name="the quantised twin",
        remedy="profile without it (--no-quantised)",
        **options,
    )
    outcome = run.run(batches(), Steps(ranks=ranks))
    baseline, comparisons = priced(multibit(outcome.trace, plain))
    return QuantisedRival(twin=twin, baseline=baseline, comparisons=comparisons, score=outcome.score)


def quantised_or_why(**arguments: Any) -> tuple[QuantisedRival | None, str | None]:
    """The quantised twin, or the reason why there is none: it costs a baseline, not the report."""
    try:
        return quantised_rival(**arguments), None
    except UncountedError:
        raise  # asked for by strict
    except TraceError as problem:
        return None, str(problem)


def named_rival(
    model: nn.Module,
    name: str,
    batches: Batches,
    *,
    priced: Priced,
    second_opinion: Callable[[nn.Module, Tensor], tuple[SecondOpinion | None, str | None]],
    options: dict[str, Any],
    ranks: Ranks,
) -> NamedRival:
    """Count and price an ANN on the same data.

    Args:
        model: the ANN, fed the batches as they are.
        name: what to call it.
        batches: inputs and labels, anew for each call.
        priced: see `priced_like`.
        second_opinion: asks fvcore about one sample.
        options: of `Pass`.
        ranks: processes that share the data.

    Raises:
        UsageError: it has spiking neurons.
        TraceError: it fails on the data.
    """
    run = Pass(
        model=model,
        name=f"the ANN {name}",
        remedy="it is fed the network's own batches: check the shapes that it takes, or leave --ann out",
        **options,
    )
    outcome = run.run(batches(), Steps(ranks=ranks))
    if outcome.trace.neurons:
        spiking = ", ".join(neuron.name for neuron in outcome.trace.neurons[:3])
        raise UsageError(
            f"--ann {name}: expected a network without spiking neurons (got {spiking}); profile it by itself instead"
        )
    baseline, comparisons = priced(outcome.trace)
    opinion, missing = second_opinion(model, next(x for x, _ in batches()))
    return NamedRival(
        name=name,
        baseline=baseline,
        comparisons=comparisons,
        score=outcome.score,
        second_opinion=opinion,
        second_opinion_missing=missing,
    )


def _priced_as(hardware: Hardware) -> str:
    if hardware.operand_bits is None:
        return f"{hardware.name} has it"
    kind = f"{hardware.datatype} " if hardware.datatype else ""
    return f"{kind}({hardware.operand_bits} bits)"
