"""Several processes train one network: each takes its share of every batch, and all make the same step.

Stands on `torch.distributed` as a launcher such as `torchrun` sets it up (nccl on GPUs, gloo on CPUs). The batch is the
recipe's, however many processes share it, and every process draws the random numbers of the whole batch, so the
result is that of one process but for the order of summation. What travels per step: one sum of all gradients, two
numbers for the log, and in batch norms (see `synced_norms`) the sums over the batch.

The gradient of a share is weighted by its part of the batch, so uneven shares add up to the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from snn_energy.errors import LostRankError, RankError, SnnEnergyError

T = TypeVar("T")

LONGEST_MESSAGE = 2000
"""Bytes of an error's message that travel to the other processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The processes that train together and the device of this one; a process by itself is rank 0 of 1."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def share(self, count: int) -> slice:
        """The part of `count` samples that is this process's: consecutive, sizes differ by one at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def total(self, values: list[float]) -> list[float]:
        """The sums of `values` over all processes, in float64."""
        if self.size == 1:
            return values
        # Apple's and other devices without float64 are not trained on in groups; nccl and gloo both take it.
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        self._reduce(sums)
        return [float(value) for value in sums.tolist()]

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes; one that is missing here counts as zero."""
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in trained])
        self._reduce(flat)
        for p, grad in zip(trained, torch.split(flat, [p.numel() for p in trained]), strict=True):
            p.grad = grad.view(p.shape).contiguous(memory_format=torch.preserve_format)

    def copy_from_first(self, model: nn.Module) -> None:
        """Give every process the weights of rank 0."""
        if self.size > 1:
            for value in model.state_dict().values():
                dist.broadcast(value, 0)

    def together(self, work: Callable[[], T]) -> T:
        """Do something on every rank; where it fails on one, it fails on all, so that none waits for another."""
        if self.size == 1:
            return work()
        problem: SnnEnergyError | None = None
        result: list[T] = []
        try:
            result.append(work())
        except SnnEnergyError as raised:
            problem = raised
        (failed,) = self.total([float(problem is not None)])
        if failed:
            self._raise_first(problem)
        return result[0]

    def _raise_first(self, mine: SnnEnergyError | None) -> None:
        """Tell everyone what went wrong where; a rank with an error of its own raises that."""
        text = b"" if mine is None else f"{mine.exit_code} {mine}".encode()[:LONGEST_MESSAGE]
        message = torch.frombuffer(bytearray(text.ljust(LONGEST_MESSAGE, b"\0")), dtype=torch.uint8).to(self.device)
        messages = [torch.empty_like(message) for _ in range(self.size)]
        dist.all_gather(messages, message)
        if mine is not None:
            raise mine
        for rank, each in enumerate(messages):
            code, _, said = each.cpu().numpy().tobytes().rstrip(b"\0").decode(errors="replace").partition(" ")
            if code:
                raise RankError(f"rank {rank} of {self.size}: {said}", int(code))

    def on_first(self, work: Callable[[], None]) -> None:
        """Do something on rank 0 alone; its failure is everyone's."""
        self.together(work if self.rank == 0 else lambda: None)

    def _reduce(self, values: Tensor) -> None:
        try:
            dist.all_reduce(values)
        except RuntimeError as problem:
            first = (str(problem).splitlines() or [""])[0]
            raise LostRankError(
                f"rank {self.rank} of {self.size}: lost contact with another rank ({first}); see its own message, then"
                " resume"
            ) from problem


def this_world(device: torch.device) -> World:
    """The world of the default process group, or a world of one."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return World(rank=dist.get_rank(), size=dist.get_world_size(), device=device)
    return World(device=device)
