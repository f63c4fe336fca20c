"""Several processes share a run: bytes travel between them, and traces merge to the last integer.

Stands on `torch.distributed`, as `torchrun` sets it up. What travels is the content of trace files, as tensors of
bytes: nothing is pickled. `trace` itself knows nothing of ranks and stays local to each process.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

import torch
import torch.distributed as dist

from snn_energy.counting.counts import Trace
from snn_energy.counting.tracefile import trace_bytes, trace_of_bytes
from snn_energy.errors import LostRankError, RankError, SnnEnergyError, TraceError

TIMEOUT_S = 1800.0
"""Seconds that a rank waits for another one that is alive; one that died is noticed at once."""

_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What `torchrun` (and every launcher of its kind) tells each process in its environment."""

_GOOD, _BAD = b"+", b"-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The processes that share this run; a run by itself is rank 0 of 1."""

    rank: int = 0
    size: int = 1

    def gather(self, make: Callable[[], bytes]) -> list[bytes]:
        """Make some bytes on every rank and hand all of them, in the order of ranks, to every rank.

        Raises:
            RankError: `make` raised an error of this package on some rank; every rank raises it, so that none waits. A
                rank that is alone raises the error itself.
        LostRankError: contact to another rank is lost.
        """
        if self.size == 1:
            return [make()]
        try:
            message = _GOOD + make()
        except SnnEnergyError as problem:
            message = _BAD + json.dumps([problem.exit_code, str(problem)]).encode("ascii")
        parts = _exchanged(message, self.size)
        failures = [(rank, *json.loads(part[1:])) for rank, part in enumerate(parts) if part[:1] == _BAD]
        if failures:
            rank, exit_code, text = failures[0]
            everywhere = len(failures) == self.size and all(other == text for _, _, other in failures)
            raise RankError(text if everywhere else f"rank {rank} of {self.size}: {text}", exit_code)
        return [part[1:] for part in parts]

    def agree(self) -> None:
        """Wait until every rank is here."""
        self.gather(lambda: b"")


ALONE = Ranks()
"""A run of one process."""


def merge_across_ranks(trace: Trace) -> Trace:
    """The sum of the traces of all ranks of the default process group, in the order of ranks; every rank gets it.

    Each rank traces its own share of the data and then calls this; one without data passes an empty `Trace()`. Without
    a process group there is one rank, and its trace is returned as it is.

    Raises:
        RankError: a trace that cannot be sent, on some rank.
        LostRankError: contact to another rank is lost.
        TraceError: the traces do not belong together.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return trace
    ranks = Ranks(rank=dist.get_rank(), size=dist.get_world_size())
    if ranks.size == 1:
        return trace
    parts = ranks.gather(lambda: trace_bytes(trace, "merge_across_ranks"))
    return reduce(Trace.__add__, (trace_of_bytes(part, f"rank {i}") for i, part in enumerate(parts)), Trace())


@contextmanager
def launched_ranks(
    device: str = "cpu", environment: Mapping[str, str] = os.environ, timeout_s: float = TIMEOUT_S
) -> Iterator[Ranks]:
    """The ranks that a launcher started, joined in a process group that ends with this context; else one rank.

    `device` "cuda" talks through nccl, each rank on the GPU of its LOCAL_RANK; anything else through gloo. A process
    group that exists already is used and left alone.
    """
    if dist.is_available() and dist.is_initialized():
        yield Ranks(rank=dist.get_rank(), size=dist.get_world_size())
        return
    if any(name not in environment for name in _LAUNCHED) or int(environment["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    if not dist.is_available():
        raise TraceError("ranks: this build of torch has no torch.distributed; run one process, without torchrun")
    if device == "cuda":
        torch.cuda.set_device(local_rank(environment))
    # Imported later, it would keep the group in its functions' default arguments. A group that is kept is not joined
    # when it is destroyed, and one of its threads may then abort the process at its end.
    importlib.import_module("torch.distributed.nn")
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(seconds=timeout_s))
    try:
        yield Ranks(rank=dist.get_rank(), size=dist.get_world_size())
    finally:
        dist.destroy_process_group()


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Number of this process on its machine, which chooses its GPU; 0 without a launcher."""
    return int(environment.get("LOCAL_RANK", "0"))


def _exchanged(message: bytes, size: int) -> list[bytes]:
    """Every rank's message, on every rank: first the lengths, then the bytes, padded to the longest."""
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    try:
        length = torch.tensor([len(message)], dtype=torch.int64, device=device)
        lengths = [torch.zeros_like(length) for _ in range(size)]
        dist.all_gather(lengths, length)
        longest = max(int(each.item()) for each in lengths)
        mine = torch.frombuffer(bytearray(message.ljust(longest, b"\0")), dtype=torch.uint8).to(device)
        parts = [torch.empty_like(mine) for _ in range(size)]
        dist.all_gather(parts, mine)
    except RuntimeError as problem:
        first = (str(problem).splitlines() or [""])[0]
        raise LostRankError(
            f"rank {dist.get_rank()} of {size}: lost contact with another rank ({first}); see its own message"
        ) from problem
    return [part.cpu().numpy().tobytes()[: int(each.item())] for part, each in zip(parts, lengths, strict=True)]
