"""Cutting a layer into equal tiles that each fit into one core.

A tile is a box of map positions times a run of channels. Every way of cutting the axes into equal pieces is tried; the
channels then take as many as the core has room for, and the cut with the fewest cores wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

from snn_energy.costing.populations import Axes, Population


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one core has room for; None where that is not published."""

    neurons: int | None = None
    input_axons: int | None = None
    output_axons: int | None = None
    weight_memory_bits: int | None = None
    shared_weights: bool = False
    weight_bits: int = 1
    targets: int = 0
    """Inputs of all cores of the following layer, which this layer's neurons must reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The largest tile of a layer, and how many cores the layer takes."""

    size: Axes
    channels: int
    cores: int
    neurons: int
    input_axons: int
    weight_memory_bits: int


def best_tile(layer: Population, room: Room) -> Tile | None:
    """The cut of a layer that takes the fewest cores; None where not even one neuron fits into a core.

    Of cuts with equally many cores the one with the fewest inputs for each core is taken.
    """
    tiles = [tile for size in product(*map(_pieces, layer.size)) if (tile := _tile(layer, size, room)) is not None]
    return min(tiles, key=lambda tile: (tile.cores, tile.input_axons), default=None)


def needs_of_one(layer: Population, room: Room) -> Mapping[str, tuple[int, int | None]]:
    """What a single neuron needs and what a core has, by limit: it says why not even one fits."""
    one = tuple(1 for _ in layer.size)
    return {
        "neurons_per_core": (1, room.neurons),
        "input_axons_per_core": (layer.inputs_of(one, 1), room.input_axons),
        "output_axons_per_core": (-(-room.targets // layer.neurons), room.output_axons),
        "weight_memory_bits_per_core": (layer.fan_in * room.weight_bits, room.weight_memory_bits),
    }


def _tile(layer: Population, size: Axes, room: Room) -> Tile | None:
    area = prod(size)
    channels = min(bound(layer, size, room) for bound in _BOUNDS)
    channels = _aligned(channels, layer)
    if channels < 1:
        return None
    pieces = prod(-(-whole // part) for whole, part in zip(layer.size, size))
    stored = channels if room.shared_weights else channels * area
    return Tile(
        size=size,
        channels=channels,
        cores=pieces * -(-layer.channels // channels),
        neurons=channels * area,
        input_axons=layer.inputs_of(size, channels),
        weight_memory_bits=stored * layer.fan_in * room.weight_bits,
    )


def _all(layer: Population, size: Axes, room: Room) -> int:
    del size, room
    return layer.channels


def _by_neurons(layer: Population, size: Axes, room: Room) -> int:
    return layer.channels if room.neurons is None else room.neurons // prod(size)


def _by_memory(layer: Population, size: Axes, room: Room) -> int:
    if room.weight_memory_bits is None:
        return layer.channels
    copies = 1 if room.shared_weights else prod(size)
    return room.weight_memory_bits // (copies * layer.fan_in * room.weight_bits)


def _by_inputs(layer: Population, size: Axes, room: Room) -> int:
    if room.input_axons is None:
        return layer.channels
    groups = room.input_axons // layer.inputs_of(size, 1)  # the channels of one group read the same inputs
    return groups * (layer.channels // layer.groups)


def _by_outputs(layer: Population, size: Axes, room: Room) -> int:
    if room.output_axons is None or not room.targets:
        return layer.channels
    return room.output_axons * layer.neurons // room.targets // prod(size)


_BOUNDS: tuple[Callable[[Population, Axes, Room], int], ...] = (_all, _by_neurons, _by_memory, _by_inputs, _by_outputs)
"""Most channels that a tile of this size may hold, by limit."""


def _aligned(channels: int, layer: Population) -> int:
    """As many channels at most, so that tiles start where groups start: whole groups, or an even part of one."""
    of_group = layer.channels // layer.groups
    if layer.groups == 1 or channels < 1:
        return channels
    if channels >= of_group:
        return channels // of_group * of_group
    return next(part for part in range(channels, 0, -1) if of_group % part == 0)


def _pieces(whole: int) -> Iterator[int]:
    """The lengths of the longest piece when an axis is cut into 1, 2, 3, ... pieces, each length once."""
    length = whole
    while True:
        yield length
        if length == 1:
            return
        count = -(-whole // (length - 1))
        length = -(-whole // count)
