"""One pass of a network over its data: at once, or batch by batch where it may stop early, be resumed, or is shared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.counts import Trace
from snn_energy.counting.ranks import ALONE, Ranks
from snn_energy.counting.skeleton import Graph
from snn_energy.counting.tracing import trace
from snn_energy.errors import MODEL_ERRORS, DataError, TraceError, UsageError, named_line
from snn_energy.reporting.identity import DataDigest
from snn_energy.reporting.outcome import Outcome, Score, outcome_bytes, outcome_of_bytes
from snn_energy.reporting.partial import Keeper

Batch = tuple[Tensor, Tensor | None]
"""Input and labels; labels may be None."""

Batches = Callable[[], Iterable[Batch]]
"""Makes the batches anew for each pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Why a pass goes batch by batch, and is asked after each one."""

    ranks: Ranks = ALONE
    """Processes that share the data: batches are dealt out in turn, and every rank ends with the whole."""
    keeper: Keeper | None = None
    """Keeps the state on disk; only rank 0 writes."""
    identity: Mapping[str, str] | None = None
    """What a state on disk must agree in."""
    enough: Callable[[Trace], bool] | None = None
    """Asked after each batch; True ends the pass."""

    @property
    def needed(self) -> bool:
        """False where nothing asks for steps."""
        return self.ranks.size > 1 or self.keeper is not None or self.enough is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A network about to run over data, and what to keep of it."""

    model: nn.Module | Graph
    name: str
    """In errors."""
    batch_axis: int
    time_axis: int | None
    time_steps: int | None = None
    strict: bool = False
    fold: bool = True
    per_sample: bool = False
    scored: bool = True
    remedy: str = "check the data's shape, --layout and --time-steps"
    progress: Callable[[int], None] | None = None

    def run(self, batches: Iterable[Batch], steps: Steps) -> Outcome:
        """Trace the network on all batches, or on as many as are enough.

        Raises:
            TraceError: the model fails on the data, or cannot be traced.
            DataError, UncountedError: as `trace`; UsageError: a state on disk that belongs to another run.
            RankError: another rank failed.
        """
        return self._stepwise(batches, steps) if steps.needed else self._traced(batches, self.progress)

    def _traced(
        self,
        batches: Iterable[Batch],
        progress: Callable[[int], None] | None,
        tally: _Tally | None = None,
        on_start: Callable[[Callable[[], Trace]], None] | None = None,
    ) -> Outcome:
        tally = tally or _Tally(self.time_axis)
        with failures_named(self.name, tally, self.remedy):
            facts = trace(
                self.model,
                tally.inputs(batches, self.batch_axis if self.per_sample else None),
                time_steps=self.time_steps,
                strict=self.strict,
                batch_axis=self.batch_axis,
                fold=self.fold,
                per_sample=self.per_sample,
                progress=progress,
                on_output=tally if self.scored else None,
                on_start=on_start,
            )
        return Outcome(trace=facts, score=tally.score, batches=tally.batches)

    def _stepwise(self, batches: Iterable[Batch], steps: Steps) -> Outcome:
        source = iter(batches)
        state = self._resumed(source, steps)
        if self.progress is not None and state.done.batches:
            self.progress(state.done.trace.samples)
        try:
            if not (state.done.batches and _is_enough(steps, state.done)):
                (self._alone if steps.ranks.size == 1 else self._shared)(source, steps, state)
        except BaseException:
            _keep(steps, state, now=True)
            raise
        if not state.done.batches:
            raise DataError("assess: the data are empty; pass at least one sample")
        _keep(steps, state, now=True)
        return state.done

    def _alone(self, source: Iterator[Batch], steps: Steps, state: _State) -> None:
        """One trace of all batches that are left: whatever a network keeps from batch to batch stays known as data."""
        first = next(source, None)
        if first is None:
            return
        before, tally = state.done, _Tally(self.time_axis)
        so_far: list[Callable[[], Trace]] = []

        def watched() -> Iterator[Batch]:
            for batch in chain([first], source):
                yield batch
                # Asked for another batch, the tracer is through with this one.
                done = before + Outcome(trace=so_far[0](), score=tally.score, batches=tally.batches)
                random = torch.get_rng_state().numpy().tobytes().hex() if steps.keeper is not None else None
                state.put(done, batch if steps.keeper is not None else None, random)
                _keep(steps, state)
                if _is_enough(steps, done):
                    return

        self._traced(watched(), self.progress, tally, so_far.append)

    def _shared(self, source: Iterator[Batch], steps: Steps, state: _State) -> None:
        """Rounds of one batch for each rank, each batch a trace of its own, added up in the order of the data."""
        while dealt := list(islice(source, steps.ranks.size)):
            for batch, part in zip(dealt, self._round(dealt, steps.ranks), strict=True):
                state.put(state.done + part, batch if steps.keeper is not None else None, None)
                if self.progress is not None:
                    self.progress(part.trace.samples)
                if _is_enough(steps, state.done):
                    return
            _keep(steps, state)

    def _round(self, dealt: list[Batch], ranks: Ranks) -> list[Outcome]:
        """What each of at most one batch per rank gave; in the end every rank knows all."""

        def mine() -> bytes:
            if ranks.rank >= len(dealt):
                return b""
            return outcome_bytes(self._traced([dealt[ranks.rank]], None))

        parts = ranks.gather(mine)[: len(dealt)]
        return [outcome_of_bytes(part, f"rank {rank}")[0] for rank, part in enumerate(parts)]

    def _resumed(self, source: Iterator[Batch], steps: Steps) -> _State:
        """The state on disk, if there is one, with the batches that it holds skipped; else an empty one."""
        keeper, seen = steps.keeper, DataDigest()
        if keeper is None:
            return _State()
        # Only rank 0 need see the file.
        stored = steps.ranks.gather(lambda: keeper.stored() if steps.ranks.rank == 0 else b"")[0]
        done, head = keeper.begin(steps.identity or {}, stored)
        for batch in islice(source, done.batches):
            seen = seen.with_batch(batch)
        if done.batches and seen.text() != head["seen"]:
            raise UsageError(
                f"{keeper.path}: cannot resume, it was made with other data, or with inputs drawn at random without a "
                "seed; give the same data, or leave --resume out to begin anew"
            )
        random = head.get("random")
        if isinstance(random, str) and steps.ranks.size == 1:
            torch.set_rng_state(torch.frombuffer(bytearray.fromhex(random), dtype=torch.uint8))
        return _State(done, seen, random)


class _State:
    """How far a pass is: replaced as a whole, so that an interrupt between two assignments cannot tear it."""

    def __init__(self, done: Outcome | None = None, seen: DataDigest | None = None, random: str | None = None) -> None:
        self._now = done or Outcome(), seen or DataDigest(), random

    @property
    def done(self) -> Outcome:
        """What the batches that are through gave."""
        return self._now[0]

    def put(self, done: Outcome, batch: Batch | None, random: str | None) -> None:
        """Note that one more batch is through; it goes into the digest of the data if it is given."""
        seen = self._now[1]
        self._now = done, seen if batch is None else seen.with_batch(batch), random

    def parts(self) -> tuple[Outcome, DataDigest, str | None]:
        """What was done, a digest of the data that it was done on, and the random numbers after it."""
        return self._now


def _is_enough(steps: Steps, done: Outcome) -> bool:
    return steps.enough is not None and steps.enough(done.trace)


def _keep(steps: Steps, state: _State, *, now: bool = False) -> None:
    done, seen, random = state.parts()
    if steps.keeper is not None and steps.ranks.rank == 0 and done.batches:
        steps.keeper.note(done, seen.text(), random, now=now)


class _Tally:
    """Hands inputs to the tracer, keeps their labels, and counts correct outputs in the same pass."""

    def __init__(self, time_axis: int | None) -> None:
        self.time_axis = time_axis
        self.labels: Tensor | None = None
        self.shape: list[int] | None = None
        self.batches = 0
        self.score = Score()

    def inputs(self, batches: Iterable[Batch], cut: int | None) -> Iterator[Tensor]:
        """The inputs, cut into samples along the axis `cut`, if any."""
        for x, labels in batches:
            self.batches += 1
            for index in [None] if cut is None else range(x.shape[cut]):
                one, self.labels = x, labels
                if cut is not None and index is not None:
                    one = x.narrow(cut, index, 1)
                    self.labels = None if labels is None else labels[index : index + 1]
                self.shape = list(one.shape)
                yield one

    def __call__(self, output: Any) -> None:
        """Compare one batch of class scores, `n classes` or summed over time, with its labels."""
        if isinstance(output, (tuple, list)) and output:
            output = output[0]
        if isinstance(output, Tensor) and output.dim() == 3 and self.time_axis is not None:
            output = output.sum(self.time_axis)
        labels = self.labels
        if labels is None:
            self.score += Score(missing="the data have no labels")
        elif not isinstance(output, Tensor) or output.dim() != 2 or len(output) != len(labels):
            got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
            self.score += Score(missing=f"the outputs are no class scores [N, classes] (got {got})")
        else:
            correct = int((output.argmax(1).cpu() == labels.cpu()).sum())
            self.score += Score(correct=correct, total=len(labels))


@contextmanager
def failures_named(name: str, tally: _Tally, remedy: str) -> Iterator[None]:
    """Turn an error from inside the network into one line that says what it was fed."""
    try:
        yield
    except MODEL_ERRORS as problem:
        raise TraceError(
            f"{name} failed on an input of shape {tally.shape} ({named_line(problem)}); {remedy}"
        ) from problem
