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
    """An epoch ended and its state is on disk; `phase` is "train" or "snap".

    `validation_accuracy` is None where no samples are held out, or none were evaluated in this epoch.
    """

    epoch: int
    epochs: int
    phase: str
    loss: float
    train_accuracy: float
    learning_rate: float
    seconds: float
    validation_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationProgress:
    """`done` of `total` samples evaluated: `what` is "validation", or the test of "float", "snapped", "saved" weights.

    In a training of several processes both numbers are of this process's share.
    """

    what: str
    done: int
    total: int


Event = TrainingStarted | BatchDone | EpochDone | EvaluationProgress
