"""What a look at a tensor found, kept so that nobody looks again: one pass over each activation serves all it feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import torch
from torch import Tensor

from snn_energy.counting.later import Facts
from snn_energy.counting.observe import Look, Operand, is_dyadic
from snn_energy.counting.sums import EXACT_SUM, Magnitudes, Summable, row_sum, rows_summed
from snn_energy.counting.tags import Sums, Tag, version_of
from snn_energy.counting.values import ValueSet

ROWS = "rows"
"""The common way to sum an operand: over its leading axes."""


@dataclass(slots=True, eq=False)
class StepMaps:
    """Spikes of each time step `t` at each place: sums over the samples. What is asked of them is summed when asked."""

    parts: Sequence[Tensor] | Tensor
    """Whole numbers, one tensor for each time step."""
    samples: int
    """Summed over in each of them."""
    _stacked: Tensor | None = None
    _total: Tensor | None = None

    @classmethod
    def of(cls, steps: Tensor, samples: int) -> StepMaps:
        """Of sums `t ...`."""
        return cls(steps[:1], samples, steps)

    @property
    def shape(self) -> torch.Size:
        """That of one time step."""
        return self.parts[0].shape

    def _steps(self) -> Tensor:
        if self._stacked is None:
            one = len(self.parts) == 1
            self._stacked = self.parts[0].unsqueeze(0) if one else torch.stack(list(self.parts))
            self.parts = self._stacked[:1]  # nothing is kept twice
        return self._stacked

    def total(self) -> Tensor:
        """Their exact sum over time."""
        if self._total is None:
            steps = self._steps()
            small = self.samples * len(steps) < EXACT_SUM
            self._total = (
                steps[0] if len(steps) == 1 else row_sum(steps) if small else steps.sum(0, dtype=torch.float64)
            )
        return self._total

    def spikes(self) -> Tensor:
        """Spikes of each time step, 1-dim; sums in double precision take five times as long."""
        small = self.samples * self.shape.numel() < EXACT_SUM
        steps = self._steps()
        return steps.reshape(len(steps), -1).sum(1, dtype=torch.float32 if small else torch.float64)


@dataclass(frozen=True, slots=True, eq=False)
class LevelSums:
    """Levels of a sum of tensors, in units of `unit`: those of its terms, added up when asked for."""

    terms: tuple[tuple[Tensor | Sums, float], ...]
    """Level sums, and their units."""
    unit: float
    shape: torch.Size

    def total(self) -> Tensor:
        """The level sums: exact in the types of the terms, since no level of the sum surpasses MAX_LEVEL either."""
        parts = (_folded(_total(levels), self.shape) for levels, _ in self.terms)
        factors = (unit / self.unit for _, unit in self.terms)
        scaled = (part if factor == 1 else part * factor for part, factor in zip(parts, factors, strict=True))
        return reduce(torch.add, scaled)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The maps of one tensor and what proves its class, for all projections that are fed the same tensor."""

    version: int
    mask: Tensor | Sums
    level: Tensor | Sums | None
    unit: float | Facts
    values: ValueSet
    exact: bool
    """Whether `values` are those of this tensor; else they contain them."""
    order: str
    """Which elements were summed; see `sight_of`."""

    @property
    def unit_now(self) -> float:
        """The unit of a look at once."""
        assert not isinstance(self.unit, Facts)
        return self.unit

    def serves(self, operand: Operand, version: int, shape: torch.Size, order: str) -> bool:
        """True if this is all that `operand` would find in the tensor."""
        if self.version != version or self.order != order:
            return False
        own = self.mask.shape
        if own != shape:
            period = shape.numel()
            if order != ROWS or not period or own.numel() % period:
                return False
        if isinstance(self.unit, Facts):
            return own == shape
        if operand.track.alive and not (self.exact and len(self.values.magnitudes) <= 1):
            return False  # the operand's channels may have heights of their own: it must look itself
        if self.exact or self.values == operand.values:
            return True
        return self.values.many and operand.values.many

    def tells(self, operand: Operand, channels: int) -> bool:
        """True if facts that are asked for later are all that `operand` would gather with so many axes of channels."""
        if not isinstance(self.unit, Facts) or not operand.track.alive:
            return True
        return self.unit.channels == channels and (not channels or self.unit.heights is not None)

    def maps(self, shape: torch.Size) -> tuple[Tensor, Tensor | None]:
        """Masks and levels, summed into this shape; one map serves both where levels are masks."""
        if isinstance(self.unit, Facts):  # magnitudes have parts on their first axis, and nothing is folded
            return _total(self.mask), None if self.level is None else _total(self.level)
        mask = _folded(_total(self.mask), shape)
        if self.level is None or self.level is self.mask:
            return mask, None if self.level is None else mask
        return mask, _folded(_total(self.level), shape)


def _total(part: Tensor | Sums) -> Tensor:
    return part if isinstance(part, Tensor) else part.total()


def _folded(part: Tensor, shape: torch.Size) -> Tensor:
    if part.shape == shape:
        return part
    if part.numel() == shape.numel():
        return part.reshape(shape)
    return part.reshape(-1, *shape).sum(0, dtype=torch.float64)


def sight_of_spikes(version: int, maps: StepMaps, dtype: torch.dtype) -> Sight:
    """What is to be found in a tensor of 0 and 1, of which the sums over its leading axes are known."""
    return Sight(version, maps, maps, 1.0, _ones(dtype), exact=True, order=ROWS)


@lru_cache
def _ones(dtype: torch.dtype) -> ValueSet:
    return ValueSet.of([1.0], positive=True, negative=False, eps=torch.finfo(dtype).eps)


def sight_of(
    operand: Operand,
    x: Tensor,
    source: Tensor,
    tag: Tag | None,
    shape: torch.Size,
    *,
    channels: int,
    order: str,
) -> Sight:
    """The maps of the operand x[rows, ...]; one look serves all that are fed `source`.

    `x` is `source` (whose tag is `tag`), or a view of it whose leading axis is to be summed; the `channels` axes after
    that one tell input channels apart. `order` says what is summed: ROWS if the map is a period of the elements of
    `source` in their logical order, which reshaping does no harm to; any other name for another way. `shape` is what
    the maps will be summed into.
    """
    version = version_of(source)
    sight = None if tag is None else tag.sight
    axes = channels if tag is not None and tag.scaled else 0
    if isinstance(sight, Sight) and sight.serves(operand, version, shape, order) and sight.tells(operand, axes):
        if isinstance(sight.unit, Facts):
            if operand.values.many and not operand.track.alive:
                return Sight(version, sight.mask, None, 1.0, sight.values, sight.exact, order)
            return sight
        operand.join(sight.values)
        by_channel = tag is None or tag.spike_scale is not None or source.dtype is torch.bool or tag.scaled
        if not by_channel and (sight.values.many or sight.values.magnitudes):
            operand.track.alive = False  # as a look of its own would have found
        return sight
    known = (None, None, None) if tag is None else (tag.spike_scale, tag.grid, tag.top)
    look = operand.look(x, *known, channels=axes)
    terms = () if tag is None or order != ROWS or look.level is None else tag.terms
    if terms and look.level is not look.mask and _add_up_to(terms, look.unit, shape):
        mask: Tensor = _folded(rows_summed(look.mask), shape)
        level: Tensor | Sums | None = LevelSums(terms, look.unit_now, shape)
    else:
        mask, level = _mapped(look, shape)
    values = operand.values if look.exact is None else look.exact
    found = Sight(version, mask, level, look.unit, values, look.exact is not None, order)
    if tag is not None and not source.is_inference():
        tag.sight = found
    return found


def levels_of(tag: Tag | None) -> tuple[tuple[Tensor | Sums, float], ...]:
    """Sums of the levels of a tensor over its leading axes, as terms; none where nobody summed them."""
    if tag is None or tag.terms:
        return () if tag is None else tag.terms
    sight = tag.sight
    if not isinstance(sight, Sight) or sight.version != tag.version or sight.order != ROWS:
        return ()
    return () if sight.level is None or isinstance(sight.unit, Facts) else ((sight.level, sight.unit),)


def _add_up_to(terms: tuple[tuple[Tensor | Sums, float], ...], unit: float | Facts, shape: torch.Size) -> bool:
    """True if the levels of these terms tell those of their sum, in this unit and shape, without rounding."""
    if isinstance(unit, Facts) or not is_dyadic(unit):
        return False
    wanted = shape.numel()
    return wanted > 0 and all(levels.shape.numel() % wanted == 0 and is_dyadic(own) for levels, own in terms)


def _mapped(look: Look, shape: torch.Size) -> tuple[Tensor, Tensor | None]:
    """Sum masks and levels over the leading axis, and on into `shape`, a period of the rest."""

    def summed(x: Summable) -> Tensor:
        rows = rows_summed(x)
        return rows.reshape(-1, *shape) if isinstance(x, Magnitudes) else _folded(rows, shape)

    mask = summed(look.mask)
    return (mask, mask) if look.level is look.mask else (mask, None if look.level is None else summed(look.level))
