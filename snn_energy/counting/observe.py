"""One look at an operand: its non-zero mask, and proof of the class its values belong to.

Speed decides the form of this file. A float comparison written into a float buffer, a sum over the leading axis, a
subtraction and an `aminmax` are the vectorised kernels of torch on CPU; `count_nonzero`, sums of booleans and integer
sums cost 5 to 20 times as much for the same tensor. The proof that a tensor lies in {0, a} is exact all the same:
`x - a*[x == a]` is zero everywhere if and only if it does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from snn_energy.counting.channels import ChannelTrack
from snn_energy.counting.values import MAX_LEVEL, REAL, Run, ValueSet
from snn_energy.errors import TraceError

_SAMPLE = 4096
"""Elements looked at first when an operand is no constant times a spike: enough to tell real values from levels."""


@dataclass(slots=True)
class Look:
    """What one look found: `mask` is 1 where the operand is non-zero; `level` is |n| if it is `unit * n`, else None."""

    mask: Tensor
    level: Tensor | None
    unit: float


@dataclass(slots=True)
class Operand:
    """Running class of one operand over all calls.

    `values` may claim a spike that never came (a tensor binary by type): `seen` clears that once spikes are counted.
    """

    where: str
    values: ValueSet = field(default_factory=ValueSet)
    nonzero: Tensor | None = None
    """Non-zero elements so far, where the projection's own map does not tell them: a float64 scalar on the device."""
    track: ChannelTrack = field(default_factory=ChannelTrack)
    _guess: float | None = None
    _proven: float | None = None

    def look(self, x: Tensor, known_scale: float | None = None, channels: int = 0) -> Look:
        """Mask and class of one operand tensor of any shape.

        Args:
            x: the operand.
            known_scale: a spike scale that is already proven.
            channels: how many axes after the first tell input channels apart; 0 where weights cannot take in a scale
                of their own for each channel.
        """
        if known_scale is not None:
            if known_scale != self._proven:
                self._saw([abs(known_scale)], x, positive=known_scale > 0, negative=known_scale < 0)
                self._proven = known_scale
            mask = x if known_scale == 1 and x.dtype in _FLOATS else _mask(x)
            return Look(mask, mask, abs(known_scale))
        if x.dtype is torch.bool:
            mask = x.to(torch.float32)
            self._saw([1.0], x, positive=True, negative=False)  # binary by type
            return Look(mask, mask, 1.0)
        if (self.values.many and not self.track.alive) or x.numel() == 0:
            return Look(_mask(x), None, 1.0)
        if self._guess is not None and (x.is_floating_point() or self._guess == int(self._guess)):
            mask = _equals(x, self._guess)
            if _is_zero(torch.sub(x, mask.to(x.dtype), alpha=_scalar(self._guess, x))):
                return Look(mask, mask, abs(self._guess))
        return self._look_closely(x, channels)

    def _look_closely(self, x: Tensor, channels: int) -> Look:
        low, high = (bound.item() for bound in torch.aminmax(x))
        if not (abs(low) < float("inf") and abs(high) < float("inf")):  # also true of NaN
            raise TraceError(
                f"{self.where}: its operand holds NaN or infinity (got values from {low} to {high}); "
                "check the weights and the input normalisation"
            )
        mask = _mask(x)
        top = max(abs(low), abs(high))
        if top == 0:
            return Look(mask, mask, self.values.unit)
        if _is_zero(torch.sub(x.abs(), mask.to(x.dtype), alpha=_scalar(top, x))):
            self._saw([top], x, positive=high > 0, negative=low < 0)
            if low >= 0 or high <= 0:
                self._guess = high if high > 0 else low
            return Look(mask, mask, top)
        if not channels:
            self.track.alive = False
        self._signs(positive=high > 0, negative=low < 0)
        if self.track.alive:
            self.track.follow(x, channels)
        level = None if self.values.many else self._levels(x.abs(), positive=high > 0, negative=low < 0)
        if level is None:
            self.values = REAL
            return Look(mask, None, 1.0)
        return Look(mask, *level)

    def _levels(self, magnitude: Tensor, *, positive: bool, negative: bool) -> tuple[Tensor, float] | None:
        """|n| of every element and the unit, or None where the values are no small multiples of one unit."""
        flat = magnitude.reshape(-1)
        sample = torch.unique(flat[:: max(1, flat.numel() // _SAMPLE)])
        if sample.numel() > MAX_LEVEL + 1:
            return None
        distinct = torch.unique(flat)
        if distinct.numel() > MAX_LEVEL + 1:
            return None
        members = [value for value in distinct.tolist() if value]
        found = ValueSet.of(members, positive=positive, negative=negative, eps=_eps(magnitude))
        if found.many:
            return None
        self.values |= found
        unit = found.unit
        return (magnitude.double() / unit).round().to(torch.float32), unit

    def tally(self, spikes: Tensor) -> None:
        """Add to `nonzero`."""
        self.nonzero = spikes if self.nonzero is None else self.nonzero + spikes

    @property
    def spikes(self) -> int:
        """Non-zero elements tallied."""
        return 0 if self.nonzero is None else int(self.nonzero.item())

    def seen(self, spikes: int, channels: tuple[Run, ...] = ()) -> ValueSet:
        """The values this operand took, given how many of them were non-zero and what its channels were."""
        if not spikes:
            return ValueSet(channels=channels)
        if self.values.many and channels:
            return ValueSet(many=True, positive=self.track.positive, negative=self.track.negative, channels=channels)
        return replace(self.values, channels=channels) if channels else self.values

    def _signs(self, *, positive: bool, negative: bool) -> None:
        """Remember the signs: a real-valued set forgets its own."""
        self.track.positive |= positive
        self.track.negative |= negative

    def _saw(self, magnitudes: list[float], x: Tensor, *, positive: bool, negative: bool) -> None:
        self._signs(positive=positive, negative=negative)
        seen = ValueSet.of(magnitudes, positive=positive, negative=negative, eps=_eps(x))
        if seen != self.values:
            self.values |= seen


_FLOATS = (torch.float32, torch.float64)


def _mask(x: Tensor) -> Tensor:
    """1.0 where x is non-zero, in a type whose sums stay exact."""
    return torch.ne(x, 0, out=_buffer(x))


def _equals(x: Tensor, value: float) -> Tensor:
    return torch.eq(x, _scalar(value, x), out=_buffer(x))


def _buffer(x: Tensor) -> Tensor:
    return torch.empty_like(x, dtype=x.dtype if x.dtype in _FLOATS else torch.float32)


def _scalar(value: float, x: Tensor) -> float | int:
    return value if x.is_floating_point() else int(value)


def _is_zero(x: Tensor) -> bool:
    low, high = torch.aminmax(x)
    return not (low.item() or high.item())


def _eps(x: Tensor) -> float:
    return torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0


EXACT_ROWS = (1 << 24) // MAX_LEVEL
"""Levels that single precision adds up exactly."""


def row_sum(x: Tensor) -> Tensor:
    """Exact sum over axis 0 of masks or levels; long axes are cut so that no partial sum can pass 2^24."""
    if x.dtype is torch.float64 or x.shape[0] <= EXACT_ROWS:
        return x.sum(0, dtype=x.dtype if x.dtype in _FLOATS else torch.float32)
    return torch.stack([x[i : i + EXACT_ROWS].sum(0).double() for i in range(0, x.shape[0], EXACT_ROWS)]).sum(0)


_PIECE = 1 << 18
"""Weights looked at together: their magnitudes stay in the cache between two kernels."""


def has_zeros(weight: Tensor, where: str) -> bool:
    """True if any weight is zero; TraceError if any is NaN. One pass: the smallest magnitude tells both."""
    if not weight.is_floating_point():
        return bool((weight == 0).any())
    flat = weight.detach().reshape(-1)
    if weight.dim() > 1 and not weight.is_contiguous() and weight.transpose(-1, -2).is_contiguous():
        flat = weight.detach().transpose(-1, -2).reshape(-1)  # a transposed view needs no copy
    scratch = torch.empty(min(_PIECE, flat.numel()), dtype=weight.dtype, device=weight.device)
    smallest = [
        torch.abs(piece, out=scratch[: piece.numel()]).amin().item()
        for piece in flat.split(_PIECE)  # type: ignore[no-untyped-call]
        if piece.numel()
    ]
    if any(math.isnan(value) for value in smallest):
        raise TraceError(f"{where}: its weights hold NaN; check the checkpoint, or train the network again")
    return 0 in smallest
