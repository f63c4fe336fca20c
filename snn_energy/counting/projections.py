"""Accumulators of one trace: what each projection was fed, as small maps on the device until the trace ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snn_energy.counting.counts import LayerCounts
from snn_energy.counting.later import Facts, asks_later
from snn_energy.counting.observe import Look, Operand, has_zeros, smallest_weight
from snn_energy.counting.sights import ROWS, Sight, sight_of
from snn_energy.counting.sums import EXACT_ROWS, Nonzero, over
from snn_energy.counting.tags import Origin, Tag, copied, version_of
from snn_energy.counting.values import ValueSet
from snn_energy.counting.wiring import Wiring
from snn_energy.errors import TraceError

HELD_ELEMENTS = 1 << 19
"""Operand elements that one projection may hold back at most, to look at them together."""


@dataclass(slots=True)
class Maps:
    """Non-zero counts of each input position, kept apart by unit until the joint unit is known; sums stay exact."""

    rows: int = 0
    spikes_by_unit: dict[float, Tensor] = field(default_factory=dict)
    """Calls whose operand was `unit` times 0 or +-1: a non-zero count is a level count as well."""
    levels_by_unit: dict[float, Tensor] = field(default_factory=dict)
    others: Tensor | None = None
    """Non-zero counts of all other calls."""
    held: list[tuple[Sight, torch.Size]] = field(default_factory=list)
    """Calls of the present batch and the shapes of their maps, added up when it is through: small sums are faster one
    behind the other than each behind a layer that took the cache."""
    held_elements: int = 0
    waiting: list[tuple[Sight, torch.Size]] = field(default_factory=list)
    """Likewise those whose class is asked for when the batch is through."""

    def put(self, rows: int, sight: Sight, shape: torch.Size) -> None:
        """Add one call."""
        self.rows += rows
        if isinstance(sight.unit, Facts):
            self.waiting.append((sight, shape))
            return
        self.held.append((sight, shape))
        self.held_elements += shape.numel()
        if self.held_elements > HELD_ELEMENTS:
            self._add_up()

    def settle(self, operand: Operand) -> None:
        """Add up what is held; ask for the class of what is waiting."""
        self._add_up()
        waiting, self.waiting = self.waiting, []
        for sight, shape in waiting:
            mask, level = sight.maps(shape)
            if level is not None and isinstance(sight.unit, Facts):
                self._sort_in(mask, *operand.levels(sight.unit, mask, level))

    def _add_up(self) -> None:
        held, self.held, self.held_elements = self.held, [], 0
        for sight, shape in held:
            self._sort_in(*sight.maps(shape), sight.unit_now)

    def _sort_in(self, mask: Tensor, level: Tensor | None, unit: float) -> None:
        if level is mask:
            self.spikes_by_unit[unit] = self._plus(self.spikes_by_unit.get(unit), mask)
            return
        self.others = self._plus(self.others, mask)
        if level is not None:
            self.levels_by_unit[unit] = self._plus(self.levels_by_unit.get(unit), level)

    def _plus(self, known: Tensor | None, part: Tensor) -> Tensor:
        """Running sum, in double precision as soon as single precision might not hold it."""
        if known is None:
            return part
        return known + (part.double() if self.rows > EXACT_ROWS else part)

    def nonzero(self) -> Tensor:
        """Non-zero counts of all calls: int64 on the CPU."""
        parts = [*self.spikes_by_unit.values(), *([] if self.others is None else [self.others])]
        return _total(part.to("cpu", torch.int64) for part in parts)

    def weighted(self, unit: float, nonzero: Tensor, fan: Tensor) -> int:
        """Levels in the joint unit times the connections they meet; `nonzero` is this map's own count."""
        if len(self.spikes_by_unit) == 1 and self.others is None:  # one height of spike: every level is the same
            return int((nonzero * fan).sum()) * round(next(iter(self.spikes_by_unit)) / unit)
        parts = [*self.spikes_by_unit.items(), *self.levels_by_unit.items()]
        if not parts:  # nothing but empty operands
            return 0
        return int((_total(part.to("cpu", torch.int64) * round(own / unit) for own, part in parts) * fan).sum())


def _total(parts: Iterable[Tensor]) -> Tensor:
    first, *others = parts
    for part in others:
        first = first + part
    return first


@dataclass(slots=True)
class Held:
    """Copies of small operands of one kind, not looked at yet: a hundred small looks cost more than one large one."""

    wiring: Wiring
    scale: float | None
    """Spike scale that is already proven of all of them; likewise the grid, and whether constants scaled them."""
    grid: float | None
    scaled: bool
    map_shape: torch.Size | None
    operands: list[Tensor] = field(default_factory=list)
    elements: int = 0


@dataclass(slots=True)
class WeightProjection:
    """One weight of one module: operands against fixed weights."""

    name: str
    kind: str
    key: tuple[object, ...]
    operand: Operand
    weight: Tensor
    """As the wiring reads it; kept for the place of its zeros, which is asked for at the end."""
    source: Tensor
    """The tensor that the operator was given: tells when an unnamed weight changes."""
    unique_weights: int
    recipe: tuple[object, ...] | None = None
    """How `source` was computed, where that is known."""
    owners: tuple[Tensor, ...] = ()
    """The parameters whose memory the weight is; empty for one that is computed."""
    partner: Operand | None = None
    calls: int = 0
    bias_adds: int = 0
    operand_bits: int = 0
    weight_bits: int = 0
    maps: dict[Wiring, Maps] = field(default_factory=dict)
    held: Held | None = None
    settled: list[tuple[Wiring, Maps, int]] = field(default_factory=list)
    """Maps fed while the weights had other values, with their effective events."""
    repeated: dict[Wiring, int] = field(default_factory=dict)
    """Rows known to repeat an earlier one of their batch."""
    stale: bool = False
    folded: object = None
    """The batch norm folded into these weights: they can take in one only."""
    version: int = field(init=False)
    """Write counter of the owners."""
    smallest: Tensor = field(init=False)
    """Smallest magnitude of the weights, found before the product runs, which then finds them in the cache."""
    known_pruned: bool | None = field(init=False)

    def __post_init__(self) -> None:
        self.renew(self.weight, self.source, self.recipe)

    def settle(self) -> None:
        """Close the books on the present weight values, which are about to change."""
        self.look_at_held()
        self.ask()
        self.settled.extend(self._with_effective_events())
        self.maps = {}
        self.stale = True

    def renew(self, weight: Tensor, source: Tensor, recipe: tuple[object, ...] | None = None) -> None:
        """Take new weight values from here on."""
        self.weight = weight.detach()  # keeps these values, should `parameter.data = ...` put others in their place
        self.source, self.recipe, self.stale = source, recipe, False
        self.version = self._version()
        self.smallest, self.known_pruned = smallest_weight(weight), None
        if not asks_later(weight):
            self.ask()

    @property
    def pruned(self) -> bool:
        """Whether any weight is zero."""
        if self.known_pruned is None:
            self.known_pruned = has_zeros(self.smallest, self.operand.where)
        return self.known_pruned

    def ask(self) -> None:
        """Ask for all that was not asked for while the model ran; TraceError if weights or operands are not finite."""
        _ = self.pruned
        for maps in self.maps.values():
            if maps.held or maps.waiting:
                maps.settle(self.operand)

    def _version(self) -> int:
        return sum(map(version_of, self.owners))

    def check(self) -> None:
        """Make sure that nobody wrote the weights behind the trace's back: nothing keeps the values they had.

        Raises:
            TraceError: they were written outside of the model's run, and zeros among them make a difference.
        """
        version = self._version()
        if self.stale or version == self.version:
            return
        if self.pruned or has_zeros(smallest_weight(self.weight), self.operand.where):
            raise TraceError(
                f"{self.operand.where}: its weights, some of them zero, were written while the model was not running "
                "(by the data or a callback); expected the same weights in all batches; trace each state of the "
                "weights on its own and add the traces"
            )
        self.version = version

    @property
    def channels_out(self) -> int | None:
        """Output channels of the newest call."""
        return next(reversed(self.maps)).channels_out if self.maps else None

    def _with_effective_events(self) -> list[tuple[Wiring, Maps, int]]:
        self.check()
        return [
            (wiring, maps, int((maps.nonzero() * fan).sum()))
            for wiring, maps in self.maps.items()
            for fan in (wiring.effective_fan_out(self.weight) if self.pruned else wiring.fan_out(),)
        ]

    def maps_of(self, wiring: Wiring) -> Maps:
        """What calls of this wiring add up to."""
        maps = self.maps.get(wiring)
        if maps is None:
            maps = self.maps[wiring] = Maps()
        return maps

    def feed(self, wiring: Wiring, rows: int, sight: Sight, shape: torch.Size, *, bias: bool) -> None:
        """Add one call: what was seen of its operand, to be summed into `shape`."""
        self.calls += 1
        self.maps_of(wiring).put(rows, sight, shape)
        if bias:
            self.bias_adds += rows * wiring.outputs_per_row

    def hold(self, wiring: Wiring, x: Tensor, tag: Tag, map_shape: torch.Size | None) -> None:
        """Add one call with an operand to be looked at later, as rows of `map_shape`; a copy is kept until then."""
        held = self.held
        if (
            held is None
            or held.wiring is not wiring
            or (held.scale, held.grid, held.scaled) != (tag.spike_scale, tag.grid, tag.scaled)
            or held.operands[0].dtype is not x.dtype
            or held.elements > HELD_ELEMENTS
        ):
            self.look_at_held()
            held = self.held = Held(wiring, tag.spike_scale, tag.grid, tag.scaled, map_shape)
        copy = copied(x, tag)
        held.operands.append(copy)
        held.elements += copy.numel()
        self.calls += 1

    def look_at_held(self) -> None:
        """Look at what was held back, all together."""
        held, self.held = self.held, None
        if held is None:
            return
        operands = held.operands
        if held.map_shape is not None:
            operands = [x if x.dim() == 2 else x.reshape(-1, x.shape[-1]) for x in operands]
        if held.scale is None and asks_later(operands[0]):
            for x in operands:
                self._look_at(held, x)
            return
        try:
            self._look_at(held, torch.cat(operands))
        except TraceError:  # NaN: it passes behind real values, so the order matters
            for x in operands:
                self._look_at(held, x)

    def _look_at(self, held: Held, x: Tensor) -> None:
        shape = x.shape[1:] if held.map_shape is None else held.map_shape
        tag = Tag(None, Origin.DATA, spike_scale=held.scale, grid=held.grid, scaled=held.scaled)
        sight = sight_of(self.operand, x, x, tag, shape, channels=1, order=ROWS)
        self.maps_of(held.wiring).put(x.shape[0], sight, shape)

    def _values(self, spikes: int, parts: list[tuple[Wiring, Maps, int]], counts: list[Tensor]) -> ValueSet:
        """The values of the operand, given the non-zero counts of each part."""
        if self.partner is not None:
            return self.operand.seen(self.operand.spikes)
        channels = self.operand.track.runs(
            (
                wiring.by_channel(own),
                maps.rows * (own.numel() // max(1, wiring.by_channel(own).numel())),
                {
                    height: wiring.by_channel(own if maps.others is None and len(maps.spikes_by_unit) == 1 else part)
                    for height, part in maps.spikes_by_unit.items()
                },
            )
            for own, (wiring, maps, _) in zip(counts, parts, strict=True)
        )
        return self.operand.seen(spikes, channels)

    def finish(self) -> LayerCounts:
        """Apply the fan-out maps, once for each geometry and state of the weights."""
        self.look_at_held()
        self.ask()
        parts = [*self.settled, *self._with_effective_events()]
        shared = max(1, self.weight.numel() // max(1, self.unique_weights))
        counts = [maps.nonzero() for _, maps, _ in parts]
        spikes = sum(int(own.sum()) for own in counts)
        values = self._values(spikes, parts, counts)
        partner = None if self.partner is None else self.partner.seen(self.partner.spikes)
        real = values.many or (partner is not None and partner.many)
        unit = values.unit * (1.0 if partner is None else partner.unit)
        events = units = connections = dense = outputs = elements = 0
        for own, (wiring, maps, _) in zip(counts, parts, strict=True):
            fan = wiring.fan_out()
            events += int((own * fan).sum())
            units += 0 if real else maps.weighted(unit, own, fan)
            connections += maps.rows * wiring.connections_per_row
            dense += maps.rows * wiring.dense_per_row
            outputs += maps.rows * wiring.outputs_per_row
            elements += maps.rows * wiring.elements_per_row
        geometries = {wiring.geometry for wiring, _, _ in parts}
        return LayerCounts(
            name=self.name,
            kind=self.kind,
            calls=self.calls,
            values=values,
            partner_values=partner,
            elements=elements,
            spikes=spikes,
            dense_macs=dense,
            connections=connections,
            repeated_connections=sum(rows * wiring.connections_per_row for wiring, rows in self.repeated.items()),
            events=events,
            effective_events=sum(effective for _, _, effective in parts),
            operand_units=units,
            bias_adds=self.bias_adds,
            outputs=outputs,
            weights=self.unique_weights,
            zero_weights=(self.weight.numel() - Nonzero(self.weight).count()) // shared if self.pruned else 0,
            operand_bits=self.operand_bits,
            weight_bits=self.weight_bits,
            geometry=geometries.pop() if len(geometries) == 1 else None,
        )


@dataclass(slots=True)
class PairProjection:
    """A product of two activations: an event needs both factors to be non-zero."""

    name: str
    kind: str
    first: Operand
    second: Operand
    calls: int = 0
    bias_adds: int = 0
    elements: int = 0
    macs: int = 0
    outputs: int = 0
    operand_bits: int = 0
    totals: dict[tuple[str, float], Tensor] = field(default_factory=dict)
    """Sums by what they count ("events", "first", "second") and unit: float64 scalars on the device."""
    sizes: set[tuple[int, int, int]] = field(default_factory=set)
    """Sizes m, n, k of the products seen."""
    waiting: list[tuple[str, Tensor, Tensor, Tensor, Facts]] = field(default_factory=list)
    """Of the present batch: what to sum, masks and magnitudes of one factor, masks of the other, and facts."""

    def feed(self, a: Tensor, b: Tensor, look_a: Look, look_b: Look) -> None:
        """Add one product a[batch, m, k] @ b[batch, k, n]; the looks hold masks and levels of the same shapes."""
        batch, m, k = a.shape
        n = b.shape[2]
        self.calls += 1
        self.elements += a.numel() + b.numel()
        self.macs += batch * m * k * n
        self.outputs += batch * m * n
        if batch * m * n * k:  # an empty product runs nowhere
            self.sizes.add((m, n, k))
        left, right = over(look_a.mask, 1), over(look_b.mask, 2)
        self._add("events", 1.0, (left * right).sum())
        self.first.tally(left.sum())
        self.second.tally(right.sum())
        self._weigh("first", look_a, 1, left, right)
        self._weigh("second", look_b, 2, right, left)

    def _weigh(self, what: str, look: Look, dim: int, own: Tensor, other: Tensor) -> None:
        """Sum the levels of one factor over the non-zero elements of the other that they meet."""
        if look.level is None:
            return
        weighted = own if look.level is look.mask else over(look.level, dim)
        if isinstance(look.unit, Facts):
            self.waiting.append((what, own, weighted, other, look.unit))
        else:
            self._add(what, look.unit, (weighted * other).sum())

    def ask(self) -> None:
        """Ask for the class of what is waiting."""
        waiting, self.waiting = self.waiting, []
        for what, own, magnitudes, other, facts in waiting:
            operand = self.first if what == "first" else self.second
            level, unit = operand.levels(facts, own, magnitudes)
            if level is not None:
                self._add(what, unit, (level * other).sum())

    def _add(self, what: str, unit: float, value: Tensor) -> None:
        known = self.totals.get((what, unit))
        self.totals[what, unit] = value if known is None else known + value

    def _total(self, what: str, unit: float = 1.0) -> int:
        return sum(int(value.item()) * round(own / unit) for (name, own), value in self.totals.items() if name == what)

    def finish(self) -> LayerCounts:
        """Read the sums off the device."""
        self.ask()
        events = self._total("events")
        first, second = self.first.seen(self.first.spikes), self.second.seen(self.second.spikes)
        return LayerCounts(
            name=self.name,
            kind=self.kind,
            calls=self.calls,
            values=first,
            partner_values=second,
            elements=self.elements,
            spikes=self.first.spikes + self.second.spikes,
            dense_macs=self.macs,
            connections=self.macs,
            events=events,
            effective_events=events,
            operand_units=0 if first.many else self._total("first", first.unit),
            partner_units=0 if second.many else self._total("second", second.unit),
            bias_adds=self.bias_adds,
            outputs=self.outputs,
            operand_bits=self.operand_bits,
            weight_bits=self.operand_bits,
            geometry=self._geometry(),
        )

    def _geometry(self) -> tuple[tuple[str, tuple[int, ...]], ...] | None:
        """Sizes of one product [m k] x [k n]; how many of them ran follows from the MACs. None where calls differ."""
        if len(self.sizes) != 1:
            return None
        return tuple((name, (size,)) for name, size in zip(("m", "n", "k"), *self.sizes, strict=True))
