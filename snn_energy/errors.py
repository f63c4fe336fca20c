"""Every error the package raises on purpose: one line each, saying what, where, got, expected and what to do next."""

from __future__ import annotations


class SnnEnergyError(Exception):
    """Base of all errors raised on purpose; the command line prints it as one line and exits with `exit_code`."""

    exit_code = 1


class UsageError(SnnEnergyError):
    """The caller named something that does not exist, or combined options that exclude each other."""

    exit_code = 2


class CheckpointError(SnnEnergyError):
    """A checkpoint is missing, damaged, foreign or unsafe to read."""


class DataError(SnnEnergyError):
    """Input data are missing, empty, of the wrong shape or not finite."""


class ProfileError(SnnEnergyError):
    """A hardware profile breaks the schema."""


class PriceError(SnnEnergyError):
    """An action was counted for which the hardware profile has no price."""


class TraceError(SnnEnergyError):
    """A network cannot be traced exactly, or two traces do not belong together."""


class UncountedError(TraceError):
    """Strict mode met work that is not counted or not priced."""


class RankError(SnnEnergyError):
    """One of several processes that share a run failed; all of them raise it, with the exit code of that failure."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class LostRankError(RankError):
    """Another process that shares the run does not answer any more."""


def first_line(problem: BaseException) -> str:
    """The first line of an error's message without its full stop; the name of its class where it has no message."""
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")


def named_line(problem: BaseException) -> str:
    """The class of an error and the first line of its message."""
    return f"{type(problem).__name__}: {(str(problem).splitlines() or ['no message'])[0]}"


MODEL_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)
"""What running or tracing a stranger's network may raise; errors of this package are not among them."""
