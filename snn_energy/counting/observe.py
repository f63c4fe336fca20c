"""One look at an operand: its non-zero mask, and proof of the class its values belong to.

Speed decides the form of this file. A float comparison written into a float buffer, a sum over the leading axis, a
subtraction, `frac`, `amin` and `amax` are the vectorised kernels of torch on CPU; `count_nonzero`, sums of booleans and
integer sums cost 5 to 20 times as much for the same tensor, sorting a hundred times. The proofs are exact all the same:
`x - a*[x == a]` is zero everywhere if and only if x lies in {0, a}; the fractions of x/u are, if and only if x is made
of multiples of a power of two u.
"""

from __future__ import annotations

import math
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from snn_energy.counting.channels import ChannelTrack
from snn_energy.counting.values import MAX_LEVEL, REAL, Run, ValueSet
from snn_energy.errors import TraceError

_SAMPLE = 4096
"""Elements looked at first when an operand is no constant times a spike: enough to tell real values from levels."""


class Scratch:
    """Buffers lent to one look after the other: fresh memory for a large mask costs more than the mask."""

    def __init__(self) -> None:
        self._flat: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def shaped(self, x: Tensor, dtype: torch.dtype, slot: str) -> Tensor:
        """A buffer of the shape of `x`, which the next one of this slot overwrites."""
        key = (slot, dtype, x.device)
        flat = self._flat.get(key)
        if flat is None or flat.numel() < x.numel():
            flat = self._flat[key] = torch.empty(x.numel(), dtype=dtype, device=x.device)
        return flat[: x.numel()].view(x.shape)


SCRATCH: ContextVar[Scratch | None] = ContextVar("scratch", default=None)
"""Set while a look is summed into maps at once, so that nobody holds its mask afterwards."""

_WORTH_IT = 1 << 16
"""Elements from which on a buffer is lent."""


@dataclass(slots=True)
class Look:
    """What one look found: `mask` is 1 where the operand is non-zero; `level` is |n| if it is `unit * n`, else None."""

    mask: Tensor
    level: Tensor | None
    unit: float
    exact: ValueSet | None = None
    """The values of this very tensor; None where they are only known to be among those of the operand."""


@dataclass(slots=True)
class Operand:
    """Running class of one operand over all calls.

    `values` may claim a spike that never came (a tensor binary by type): `seen` clears that once spikes are counted.
    """

    where: str
    scratch: Scratch | None = None
    values: ValueSet = field(default_factory=ValueSet)
    nonzero: Tensor | None = None
    """Non-zero elements so far, where the projection's own map does not tell them: a float64 scalar on the device."""
    track: ChannelTrack = field(default_factory=ChannelTrack)
    _guess: float | None = None
    _proven: ValueSet | None = None

    def look(
        self, x: Tensor, known_scale: float | None = None, grid: float | None = None, *, channels: int = 0
    ) -> Look:
        """Mask and class of one operand tensor of any shape.

        Args:
            x: the operand.
            known_scale: a spike scale that is already proven.
            grid: a power of two of which every value is a multiple >= 0, proven likewise.
            channels: how many axes after the first tell input channels apart; 0 where weights cannot take in a scale
                of their own for each channel.
        """
        if known_scale is not None:
            return self._look_at_spikes(x, known_scale)
        if x.dtype is torch.bool:
            mask = x.to(torch.float32)
            values = self._saw([1.0], x, positive=True, negative=False)  # binary by type
            return Look(mask, mask, 1.0, values)
        if x.numel() == 0 or (self.values.many and not self.track.alive):
            return Look(_mask(x), None, 1.0)
        if not channels and self.track.alive and x.any():
            self.track.alive = False
            if self.values.many:
                return Look(_mask(x), None, 1.0)
        look = None if grid is None or self.track.alive else self._look_on_grid(x, grid, [])
        if look is not None:
            return look
        if self._guess is not None:
            spikes = _spikes_of(x, self._guess)
            if spikes is not None:
                return Look(spikes, spikes, abs(self._guess))
        if not self.track.alive and len(self.values.magnitudes) > 1 and not self.values.negative:
            unit = self.values.unit
            look = self._look_on_grid(x, unit, []) if _all_on_grid(x, unit) else None
        return self._look_closely(x, channels) if look is None else look

    def _look_at_spikes(self, x: Tensor, scale: float) -> Look:
        values = self._proven
        if values is None or values.unit != abs(scale) or values.positive != (scale > 0):
            values = self._proven = self._saw([abs(scale)], x, positive=scale > 0, negative=scale < 0)
        mask = x if scale == 1 and x.dtype in _FLOATS else _mask(x)
        return Look(mask, mask, abs(scale), values)

    def _look_on_grid(self, x: Tensor, grid: float, sample: list[float]) -> Look | None:
        """Look at multiples >= 0 of `grid`; None if they are too many or too large for levels.

        `sample` holds values that are known to be in `x`. Which others are is asked one by one, so that nothing has to
        be sorted: after the first calls of a layer there is no new level to ask for.
        """
        top = float(x.amax().item())
        if top > MAX_LEVEL * grid or math.isnan(top):
            return None
        tallest = round(top / grid)
        known = {n for n in range(1, tallest + 1) if n * grid in self.values.magnitudes and not self.values.negative}
        there = {round(value / grid) for value in sample}
        fresh = [n for n in range(1, tallest + 1) if n not in known | there]
        if len(fresh) > _ASKED:
            there |= {round(value / grid) for value in _few(x)}
            fresh = [n for n in fresh if n not in there]
        if len(fresh) > _ASKED:
            return None
        there |= {n for n in fresh if _holds(x, n * grid)}
        found = self._saw([n * grid for n in there], x, positive=True, negative=False)
        exact = found if known <= there else None
        if self.values.many:
            return Look(_mask(x), None, 1.0)
        unit, as_it_is = self.values.unit, x.dtype in _FLOATS
        if len(self.values.magnitudes) <= 1:
            mask = x if unit == 1 and as_it_is else _mask(x)
            return Look(mask, mask, unit, exact)
        level = x if unit == 1 and as_it_is else x.to(_sum_type(x)) * (1 / unit)
        return Look(_mask(x), level if is_dyadic(unit) else level.round(), unit, exact)

    def _look_closely(self, x: Tensor, channels: int) -> Look:
        low, high = (bound.item() for bound in torch.aminmax(x))
        if not (abs(low) < float("inf") and abs(high) < float("inf")):  # also true of NaN
            raise TraceError(
                f"{self.where}: its operand holds NaN or infinity (got values from {low} to {high}); "
                "check the weights and the input normalisation"
            )
        top = max(abs(low), abs(high))
        if top == 0:
            mask = _mask(x)
            return Look(mask, mask, self.values.unit, ValueSet())
        magnitude = x if low >= 0 else x.abs()
        sample = _few(magnitude)
        if sample in ([], [top]):  # perhaps one height of spike
            mask = _mask(x)
            if _is_zero(torch.sub(magnitude, mask.to(x.dtype), alpha=_scalar(top, x))):
                values = self._saw([top], x, positive=high > 0, negative=low < 0)
                if low >= 0 or high <= 0:
                    self._guess = high if high > 0 else low
                return Look(mask, mask, top, values)
        self._signs(positive=high > 0, negative=low < 0)
        if self.track.alive:
            self.track.follow(x, channels)
        if self.values.many or len(sample) > MAX_LEVEL:
            self.values = REAL
            return Look(_mask(x), None, 1.0)
        return self._look_at_levels(x, magnitude, sample, positive=high > 0, negative=low < 0)

    def _look_at_levels(
        self, x: Tensor, magnitude: Tensor, sample: list[float], *, positive: bool, negative: bool
    ) -> Look:
        """|n| of every element and the unit, or REAL where the values are no small multiples of one unit."""
        guess = ValueSet.of(sample, positive=True, negative=False, eps=_eps(x))
        if not (guess.many or negative or self.track.alive) and _all_on_grid(x, guess.unit):
            look = self._look_on_grid(x, guess.unit, sample)
            if look is not None:
                return look
        distinct = torch.unique(magnitude)
        members = [value for value in distinct.tolist() if value] if distinct.numel() <= MAX_LEVEL + 1 else []
        found = ValueSet.of(members, positive=positive, negative=negative, eps=_eps(x)) if members else REAL
        self.values |= found
        if self.values.many:
            return Look(_mask(x), None, 1.0)
        level = (magnitude.double() / found.unit).round().to(torch.float32)
        return Look(_mask(x), level, found.unit, found)

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

    def _saw(self, magnitudes: list[float], x: Tensor, *, positive: bool, negative: bool) -> ValueSet:
        """Join these magnitudes to the running values; returns them as a set of their own."""
        self._signs(positive=positive, negative=negative)
        seen = ValueSet.of(magnitudes, positive=positive, negative=negative, eps=_eps(x))
        self.join(seen)
        return seen

    def join(self, values: ValueSet) -> None:
        """Add values that were seen to the running ones."""
        if values != self.values:
            self.values |= values


def _spikes_of(x: Tensor, height: float) -> Tensor | None:
    """The mask of `x` if every value is 0 or `height`; None if one is not."""
    if is_dyadic(height) and x.is_floating_point():
        if not (x.amax() <= height).item() or not _all_on_grid(x, height):
            return None
        return x if height == 1 and x.dtype in _FLOATS else _mask(x)
    if not x.is_floating_point() and height != int(height):
        return None
    mask = _equals(x, height)
    return mask if _is_zero(torch.sub(x, mask.to(x.dtype), alpha=_scalar(height, x))) else None


_ASKED = 6
"""Levels that are asked for one by one; more are sorted out together."""


def _few(x: Tensor) -> list[float]:
    """Distinct non-zero values of an even sample; more than MAX_LEVEL of them say that there are many."""
    flat = x.reshape(-1)
    distinct = torch.unique(flat[:: max(1, flat.numel() // _SAMPLE)]).tolist()
    return [value for value in distinct if value]


def _holds(x: Tensor, value: float) -> bool:
    return bool(_equals(x, value, "proof").amax().item())


def is_dyadic(value: float) -> bool:
    """True for powers of two above zero: multiples of them are exact in every floating type that can hold them."""
    return value > 0 and math.frexp(value)[0] == 0.5


def _all_on_grid(x: Tensor, unit: float) -> bool:
    """True if every value is a multiple >= 0 of a power of two; False where that cannot be told."""
    if not is_dyadic(unit) or not x.is_floating_point() or not (x.amin() >= 0).item():
        return False
    scaled = x if unit == 1 else x * (1 / unit)
    if x.dtype not in _FLOATS:  # a fraction is not cast into a buffer of another type
        return not torch.frac(scaled).amax().item()  # NaN is true as well
    return not torch.frac(scaled, out=_buffer(x, "proof")).amax().item()


def _sum_type(x: Tensor) -> torch.dtype:
    return x.dtype if x.dtype in _FLOATS else torch.float32


_FLOATS = (torch.float32, torch.float64)


def _mask(x: Tensor) -> Tensor:
    """1.0 where x is non-zero, in a type whose sums stay exact."""
    return torch.ne(x, 0, out=_buffer(x))


def _equals(x: Tensor, value: float, slot: str = "mask") -> Tensor:
    return torch.eq(x, _scalar(value, x), out=_buffer(x, slot))


def _buffer(x: Tensor, slot: str = "mask") -> Tensor:
    dtype, scratch = _sum_type(x), SCRATCH.get()
    if scratch is None or x.numel() < _WORTH_IT or not x.is_contiguous():
        return torch.empty_like(x, dtype=dtype)
    return scratch.shaped(x, dtype, slot)


def _scalar(value: float, x: Tensor) -> float | int:
    return value if x.is_floating_point() else int(value)


def _is_zero(x: Tensor) -> bool:
    return not (x.amax().item() or x.amin().item())  # faster than one aminmax


def _eps(x: Tensor) -> float:
    return torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0


EXACT_ROWS = (1 << 24) // MAX_LEVEL
"""Levels that single precision adds up exactly."""


def row_sum(x: Tensor) -> Tensor:
    """Exact sum over axis 0 of masks or levels; long axes are cut so that no partial sum can pass 2^24."""
    if x.dtype is torch.float64 or x.shape[0] <= EXACT_ROWS:
        return x.sum(0, dtype=_sum_type(x))
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
