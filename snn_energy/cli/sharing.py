"""How a command runs in several processes at once, as `torchrun -m snn_energy ...` starts them: it speaks once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import typer

from snn_energy.errors import LostRankError, SnnEnergyError, UsageError

if TYPE_CHECKING:
    from snn_energy.counting.ranks import Ranks

T = TypeVar("T")

DEVICES = ("cpu", "cuda")


@contextmanager
def shared_run(device: str) -> Iterator[Ranks | None]:
    """The processes that share this run; None, without loading torch, where this one is alone.

    An error of ours is printed once, by rank 0; the others wait for that, because a launcher ends all processes as soon
    as one fails. Every process then leaves with the exit code of the error.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield None
        return

    import torch

    from snn_energy.counting.ranks import launched_ranks, local_rank

    # Without a GPU the processes can still talk, to say so once: see `chosen_device`.
    has_gpu = device == "cuda" and local_rank() < torch.cuda.device_count()
    with launched_ranks("cuda" if has_gpu else "cpu") as ranks:
        try:
            yield None if ranks.size == 1 else ranks
        except SnnEnergyError as problem:
            if ranks.size == 1:
                raise
            if ranks.rank == 0 or isinstance(problem, LostRankError):
                typer.echo(f"error: {problem}", err=True)
            with suppress(SnnEnergyError):
                ranks.agree()
            raise typer.Exit(problem.exit_code) from None


def together(ranks: Ranks | None, work: Callable[[], T]) -> T:
    """Do something on every rank; where it fails on one, it fails on all."""
    if ranks is None:
        return work()
    results: list[T] = []

    def done() -> bytes:
        results.append(work())
        return b""

    ranks.gather(done)
    return results[0]


def chosen_device(name: str) -> str | None:
    """The device to run on: None for the CPU; each process of a shared run has a GPU of its own.

    Raises:
        UsageError: no such kind of device, or no GPU for this process.
    """
    if name not in DEVICES:
        raise UsageError(f"--device must be one of {', '.join(DEVICES)} (got {name!r})")
    if name == "cpu":
        return None
    import torch

    from snn_energy.counting.ranks import local_rank

    if local_rank() >= torch.cuda.device_count():
        if os.environ.get("WORLD_SIZE", "1") == "1":
            raise UsageError("--device cuda: torch finds no GPU here (got 0, expected 1); use --device cpu")
        raise UsageError(
            f"--device cuda: process {local_rank()} of this machine needs a GPU of its own "
            f"(got {torch.cuda.device_count()} GPUs); start fewer processes, or use --device cpu"
        )
    return f"cuda:{local_rank()}"
