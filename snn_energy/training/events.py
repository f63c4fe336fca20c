"""What the training loop tells its caller while it runs; the command line draws bars from these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStarted:
    """The data are loaded; epochs `first_epoch` (from 1; later than 1 after a resume) to `epochs` follow."""

    first_epoch: int
    epochs: int
    batches: int
    samples: int
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDone:
    """Batch `batch` (from 1) of `batches` in epoch `epoch` (from 1); `loss` is the epoch's mean so far."""

    epoch: int
    batch: int
    batches: int
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """An epoch ended and its state is on disk; `phase` is "train" or "snap"."""

    epoch: int
    epochs: int
    phase: str
    loss: float
    train_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationProgress:
    """`done` of `total` test samples evaluated; `what` is "float" or "snapped"."""

    what: str
    done: int
    total: int


Event = TrainingStarted | BatchDone | EpochDone | EvaluationProgress
