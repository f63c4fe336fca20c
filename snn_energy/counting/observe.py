"""One look at an operand: its non-zero mask, and proof of the class its values belong to.

Speed decides the form of this file. A float comparison written into a float buffer, a subtraction, `frac`, `amin` and
`amax` are the vectorised kernels of torch on CPU; `count_nonzero`, sums of booleans and integer sums cost 5 to 20 times
as much for the same tensor, sorting a hundred times. Where several of them follow one another they run piece by piece,
in the cache. The proofs are exact all the same: `x - a*[x == a]` is zero everywhere if and only if x lies in {0, a};
the fractions of x/u are, if and only if x is made of multiples of a power of two u.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from snn_energy.counting.channels import ChannelTrack, measure
from snn_energy.counting.later import Facts, asks_later, facts_of
from snn_energy.counting.sums import FLOATS, Magnitudes, Nonzero, Summable, Times, piece_of, sum_type
from snn_energy.counting.values import MAX_LEVEL, REAL, Run, ValueSet
from snn_energy.errors import TraceError

_SAMPLE = 4096
"""Elements looked at first when an operand is no constant times a spike: enough to tell real values from levels."""


@dataclass(slots=True)
class Look:
    """What one look found: `mask` is 1 where the operand is non-zero; `level` is |n| if it is `unit * n`, else None."""

    mask: Summable
    level: Summable | None
    unit: float | Facts
    """Where the class is asked for later: the facts that will tell it, and `level` holds magnitudes."""
    exact: ValueSet | None = None
    """The values of this very tensor; None where they are only known to be among those of the operand."""

    @property
    def unit_now(self) -> float:
        """The unit of a look at once."""
        assert not isinstance(self.unit, Facts)
        return self.unit


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
    _proven: ValueSet | None = None

    def look(
        self,
        x: Tensor,
        known_scale: float | None = None,
        grid: float | None = None,
        top: int | None = None,
        *,
        channels: int = 0,
        now: bool = False,
    ) -> Look:
        """Mask and class of one operand tensor of any shape.

        Args:
            x: the operand.
            known_scale: a spike scale that is already proven.
            grid: a power of two of which every value is a multiple >= 0, proven likewise.
            top: a number of times the grid that no value surpasses, proven likewise.
            channels: how many axes after the first tell input channels apart; 0 where weights cannot take in a scale
                of their own for each channel.
            now: ask for the class even if that means waiting for the device.
        """
        if known_scale is not None:
            return self._look_at_spikes(x, known_scale)
        if x.dtype is torch.bool:
            mask = Nonzero(x)
            values = self._saw([1.0], x, positive=True, negative=False)  # binary by type
            return Look(mask, mask, 1.0, values)
        if x.numel() == 0 or (self.values.many and not self.track.alive):
            return Look(Nonzero(x), None, 1.0)
        if not now and asks_later(x):
            measured = measure(x, channels) if channels and self.track.alive else None
            facts = facts_of(self.where, x, channels, measured)
            return Look(Nonzero(x), Magnitudes(x), facts)
        if not channels and self.track.alive and not _is_zero(x):
            self.track.alive = False
            if self.values.many:
                return Look(Nonzero(x), None, 1.0)
        look = None if grid is None or self.track.alive else self._look_on_grid(x, grid, [], top)
        if look is not None:
            return look
        if self._guess is not None and _are_spikes(x, self._guess):
            spikes = _ones_of(x, self._guess)
            return Look(spikes, spikes, abs(self._guess))
        if not self.track.alive and len(self.values.magnitudes) > 1 and not self.values.negative:
            unit = self.values.unit
            look = self._look_on_grid(x, unit, []) if _all_on_grid(x, unit) else None
        return self._look_closely(x, channels) if look is None else look

    def levels(self, facts: Facts, mask: Tensor, magnitudes: Tensor) -> tuple[Tensor | None, float]:
        """Sums of levels and their unit, now that the class is asked for; `magnitudes` has parts on its first axis."""
        if self.values.many and not self.track.alive:
            return None, 1.0
        read = facts.read()
        if not (abs(read.low) < float("inf") and abs(read.high) < float("inf")):  # also true of NaN
            raise self._not_finite(read.low, read.high)
        if not read.members:
            return mask, self.values.unit
        signs = {"positive": read.high > 0, "negative": read.low < 0}
        if not facts.channels:
            self.track.alive = False
        found = ValueSet.of(read.members, **signs, eps=facts.eps) if not read.overflow else REAL
        self._signs(**signs)
        if self.track.alive and len(read.members) > 1:
            self.track.take(facts.heights if read.alike else None)
        self.join(found)
        if self.values.many:
            return None, 1.0
        if len(read.members) == 1:
            return mask, read.members[0]
        return (magnitudes / found.unit).round().sum(0), found.unit

    def _not_finite(self, low: float, high: float) -> TraceError:
        return TraceError(
            f"{self.where}: its operand holds NaN or infinity (got values from {low} to {high}); "
            "check the weights and the input normalisation"
        )

    def _look_at_spikes(self, x: Tensor, scale: float) -> Look:
        values = self._proven
        if values is None or values.unit != abs(scale) or values.positive != (scale > 0):
            values = self._proven = self._saw([abs(scale)], x, positive=scale > 0, negative=scale < 0)
        mask = _ones_of(x, scale)
        return Look(mask, mask, abs(scale), values)

    def _look_on_grid(self, x: Tensor, grid: float, sample: list[float], bound: int | None = None) -> Look | None:
        """Look at multiples >= 0 of `grid`; None if they are too many or too large for levels.

        `sample` holds values that are known to be in `x`. Which others are is asked one by one, so that nothing has to
        be sorted: after the first calls of a layer there is no new level to ask for. Not even the largest value is
        asked for if no value can surpass `bound` times the grid, and all levels up to there were seen before.
        """
        if bound is not None and bound <= MAX_LEVEL and not self.values.negative:
            seen = self.values.magnitudes
            if all(n * grid in seen for n in range(1, bound + 1)):
                return self._on_grid(x, None)
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
        return self._on_grid(x, found if known <= there else None)

    def _on_grid(self, x: Tensor, exact: ValueSet | None) -> Look:
        """The look at multiples of a power of two that are all known by now."""
        if self.values.many:
            return Look(Nonzero(x), None, 1.0)
        unit = self.values.unit
        if len(self.values.magnitudes) <= 1:
            mask = _ones_of(x, unit)
            return Look(mask, mask, unit, exact)
        if is_dyadic(unit):
            return Look(Nonzero(x), x if unit == 1 and x.dtype in FLOATS else Times(x, 1 / unit), unit, exact)
        return Look(Nonzero(x), (x.to(sum_type(x)) * (1 / unit)).round(), unit, exact)

    def _look_closely(self, x: Tensor, channels: int) -> Look:
        low, high = (bound.item() for bound in torch.aminmax(x))
        if not (abs(low) < float("inf") and abs(high) < float("inf")):  # also true of NaN
            raise self._not_finite(low, high)
        top = max(abs(low), abs(high))
        if top == 0:
            mask = Nonzero(x)
            return Look(mask, mask, self.values.unit, ValueSet())
        magnitude = x if low >= 0 else x.abs()
        sample = _few(magnitude)
        if sample in ([], [top]) and _are_spikes(magnitude, top):  # one height of spike
            mask = Nonzero(x)
            values = self._saw([top], x, positive=high > 0, negative=low < 0)
            if low >= 0 or high <= 0:
                self._guess = high if high > 0 else low
            return Look(mask, mask, top, values)
        self._signs(positive=high > 0, negative=low < 0)
        if self.track.alive:
            self.track.follow(x, channels)
        if self.values.many or len(sample) > MAX_LEVEL:
            self.values = REAL
            return Look(Nonzero(x), None, 1.0)
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
            return Look(Nonzero(x), None, 1.0)
        level = (magnitude.double() / found.unit).round().to(torch.float32)
        return Look(Nonzero(x), level, found.unit, found)

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


def _ones_of(x: Tensor, height: float) -> Summable:
    """The mask of `x`, all of whose values are 0 or `height`."""
    return x if height == 1 and x.dtype in FLOATS else Nonzero(x)


def _are_spikes(x: Tensor, height: float) -> bool:
    """True if every value is 0 or `height`."""
    if not x.is_floating_point() and height != int(height):
        return False

    def are(piece: Tensor) -> bool:
        if height == 1 and piece.dtype in FLOATS:  # x - x*x is zero for 0 and 1 alone, also as it is rounded
            return _is_zero(torch.addcmul(piece, piece, piece, value=-1))
        spikes = _equals(piece, height)
        return _is_zero(torch.sub(piece, spikes, alpha=_scalar(height, x), out=spikes))

    return all(map(are, _pieces(x)))


def _pieces(x: Tensor) -> Iterator[Tensor]:
    """Parts of a large tensor that fit into the cache; in memory order, so that none is copied."""
    if x.numel() <= piece_of(x) or not x.is_contiguous():
        yield x
    else:
        yield from x.view(-1).split(piece_of(x))  # type: ignore[no-untyped-call]


_ASKED = 6
"""Levels that are asked for one by one; more are sorted out together."""


def _few(x: Tensor) -> list[float]:
    """Distinct non-zero values of an even sample; more than MAX_LEVEL of them say that there are many."""
    flat = x.reshape(-1)
    distinct = torch.unique(flat[:: max(1, flat.numel() // _SAMPLE)]).tolist()
    return [value for value in distinct if value]


def _holds(x: Tensor, value: float) -> bool:
    return any(_equals(piece, value).amax().item() for piece in _pieces(x))


def is_dyadic(value: float) -> bool:
    """True for powers of two above zero: multiples of them are exact in every floating type that can hold them."""
    return value > 0 and math.frexp(value)[0] == 0.5


def _all_on_grid(x: Tensor, unit: float) -> bool:
    """True if every value is a multiple >= 0 of a power of two; False where that cannot be told."""
    if not is_dyadic(unit) or not x.is_floating_point():
        return False
    return all(
        (piece.amin() >= 0).item() and not torch.frac(piece if unit == 1 else piece * (1 / unit)).amax().item()
        for piece in _pieces(x)  # NaN is true as well
    )


def _equals(x: Tensor, value: float) -> Tensor:
    """1 where a value is `value`, in the type of `x`."""
    return torch.eq(x, _scalar(value, x), out=torch.empty_like(x))


def _scalar(value: float, x: Tensor) -> float | int:
    return value if x.is_floating_point() else int(value)


def _is_zero(x: Tensor) -> bool:
    return not (x.amax().item() or x.amin().item())  # faster than one aminmax


def _eps(x: Tensor) -> float:
    return torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0


def smallest_weight(weight: Tensor) -> Tensor:
    """Smallest magnitude of all weights, 0-dim: tells in one pass whether any is zero, or NaN."""
    if not weight.numel():
        return torch.ones(())
    if not weight.is_floating_point():
        return (weight != 0).amin()
    flat = weight.detach().reshape(-1)
    if weight.dim() > 1 and not weight.is_contiguous() and weight.transpose(-1, -2).is_contiguous():
        flat = weight.detach().transpose(-1, -2).reshape(-1)  # a transposed view needs no copy
    scratch = torch.empty(min(piece_of(flat), flat.numel()), dtype=weight.dtype, device=weight.device)
    pieces = flat.split(piece_of(flat))  # type: ignore[no-untyped-call]
    return torch.stack([torch.abs(piece, out=scratch[: piece.numel()]).amin() for piece in pieces]).amin()


def has_zeros(smallest: Tensor, where: str) -> bool:
    """True if any weight is zero; TraceError if any is NaN; `smallest` is `smallest_weight` of them."""
    value = smallest.item()
    if math.isnan(value):
        raise TraceError(f"{where}: its weights hold NaN; check the checkpoint, or train the network again")
    return value == 0
