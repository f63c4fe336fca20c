"""What the deeper reference networks are made of: weights - norm - neuron units, built in one style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.cells import LIFCell
from snn_energy.models.clock import Clock
from snn_energy.models.neurons import LIF


class ConvUnit(nn.Module):
    """conv - norm - neuron, or conv - pool - norm - neuron; the norm is nn.Identity once folded into the conv."""

    pool: nn.Module | None

    def __init__(self, conv: nn.Module, norm: nn.Module, neuron: nn.Module, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = conv
        self.register_module("pool", pool)  # also where there is none: children stand in the order of their use
        self.norm, self.neuron = norm, neuron

    def forward(self, x: Tensor, clock: Clock) -> Tensor:
        """Input `b c h w` -> spikes `b c' h' w'`."""
        current = self.conv(x)
        if self.pool is not None:
            current = self.pool(current)
        return clock.fire(self.neuron, self.norm(current))


class LinearUnit(nn.Module):
    """linear - norm - neuron on tokens; the norm, over channels, is nn.Identity once folded into the linear layer."""

    def __init__(self, linear: nn.Module, norm: nn.Module, neuron: nn.Module) -> None:
        super().__init__()
        self.linear, self.norm, self.neuron = linear, norm, neuron

    def forward(self, x: Tensor, clock: Clock) -> Tensor:
        """Tokens `b l d` -> spikes `b l d'`."""
        current = self.norm(self.linear(x).flatten(0, 1)).unflatten(0, x.shape[:2])
        return clock.fire(self.neuron, current)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What all units of one network share: the neuron's constants, whether norms are folded, how time runs."""

    decay: float = 0.5
    threshold: float = 1.0
    reset: str = "hard"
    surrogate: str = "arctan"
    folded: bool = False
    stepped: bool = False

    def neuron(self, threshold: float | None = None) -> nn.Module:
        """A LIF layer, multi-step or single-step; `threshold` replaces the shared one."""
        kind = LIFCell if self.stepped else LIF
        return kind(self.decay, self.threshold if threshold is None else threshold, self.reset, self.surrogate)

    def conv(self, ins: int, outs: int, kernel: int = 3, stride: int = 1) -> ConvUnit:
        """A convolution unit, padded by half its kernel."""
        conv = nn.Conv2d(ins, outs, kernel, stride, padding=kernel // 2, bias=self.folded)
        return ConvUnit(conv, nn.Identity() if self.folded else nn.BatchNorm2d(outs), self.neuron())

    def pooled_conv(self, ins: int, outs: int) -> ConvUnit:
        """A 3x3 convolution unit whose currents a 2x2 max pool takes before norm and neuron.

        The norm's gain stays 1, so the norm folds past the pool: the largest current stays the largest.
        """
        unit = self.conv(ins, outs)
        unit.pool = nn.MaxPool2d(2)
        if isinstance(unit.norm, nn.BatchNorm2d):
            unit.norm.weight.requires_grad_(False)
        return unit

    def linear(self, ins: int, outs: int) -> LinearUnit:
        """A linear unit."""
        linear = nn.Linear(ins, outs, bias=self.folded)
        return LinearUnit(linear, nn.Identity() if self.folded else nn.BatchNorm1d(outs), self.neuron())


def check_sizes(network: str, **sizes: object) -> None:
    """Raise UsageError for the first of `sizes` that is no integer >= 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise UsageError(f"{network}: {name} must be an integer >= 1 (got {size!r})")


Stages = TypeVar("Stages")


def stages_of(
    network: str, depth: int | None, stages: Stages | None, table: Mapping[int, Stages], usual: int
) -> Stages:
    """Return `stages`, or the published ones of `depth` in `table`; the `usual` depth's where neither is given.

    Errors: UsageError when both are given, or for a depth that is not in the table.
    """
    if stages is not None:
        if depth is not None:
            raise UsageError(f"{network}: expected depth or stages (got depth {depth!r} and stages); give one of them")
        return stages
    wanted = usual if depth is None else depth
    if isinstance(wanted, bool) or wanted not in table:
        known = ", ".join(map(str, sorted(table)))
        raise UsageError(f"{network}: depth must be one of {known} (got {depth!r}); give stages for another network")
    return table[wanted]
