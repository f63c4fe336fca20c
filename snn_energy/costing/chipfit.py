"""Does a network fit on a chip: neurons, axons, weight memory and cores against what the profile says there is.

The layers are laid out one after the other, each on cores of its own, cut into equal tiles (`tiles`). Where the result
says "fits", a placement was found within every limit that the profile states; limits that it lacks are listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snn_energy.costing.chipfit_records import ChipFit, LayerFit
from snn_energy.costing.placing import matched, neurons_stored, weights_stored
from snn_energy.costing.populations import Population, population
from snn_energy.costing.tiles import Room, Tile, best_tile, needs_of_one
from snn_energy.counting.counts import Trace
from snn_energy.errors import TraceError, UsageError
from snn_energy.hardware import LIMITS, Hardware, all_hardware, load_hardware

_EXPECTED = ("cores", "neurons_per_core", "input_axons_per_core", "weight_memory_bits_per_core", "weight_bits")
"""Limits without which the answer is incomplete."""


def fit(trace: Trace, hardware: str | Path | Hardware, *, weight_bits: int | None = None, chips: int = 1) -> ChipFit:
    """Lay a traced network out on a chip.

    Args:
        trace: what ran; only the shapes of its layers are read.
        hardware: name of a profile with limits, path of a TOML file, or a loaded profile.
        weight_bits: bits of a stored weight; without it those of the network, or the chip's widest if that is less.
        chips: how many chips there are; what passes between them is not checked.

    Raises:
        UsageError: the profile states no limits; `weight_bits` or `chips` is below 1.
        TraceError: the trace holds no sample or no layer.
    """
    profile = hardware if isinstance(hardware, Hardware) else load_hardware(hardware)
    _check(trace, profile, weight_bits, chips)
    chip = _Chip(profile, chips)
    reasons: list[str] = []
    found: list[Population] = []
    for layer in trace.layers:
        known = population(layer, trace)
        if isinstance(known, Population):
            found.append(known)
        else:
            reasons.append(f"{layer.name}: {known}")
    bits, assumptions = _bits(found, chip, weight_bits, reasons)
    assumptions += _assumptions(trace, chip)
    _check_neurons(found, chip, reasons)
    _check_totals(found, chip, bits, reasons)
    layers = _place(found, chip, bits, reasons)
    cores = [layer.cores for layer in layers]
    total = None if not cores or None in cores else sum(taken for taken in cores if taken is not None)
    available = None if chip.one("cores") is None else int(chip.one("cores") or 0) * chips
    if total is not None and available is not None and total > available:
        per_chip = available // chips
        reasons.append(
            f"it takes {total:,} cores, and there are {available:,}; {-(-total // per_chip):,} chips have them"
        )
    return ChipFit(
        hardware=profile.name,
        fits=not reasons,
        reasons=tuple(reasons),
        layers=tuple(layers),
        cores=total,
        cores_available=available,
        chips=chips,
        weight_bits=bits,
        assumptions=tuple(assumptions),
        unchecked=tuple(f"{name}: {LIMITS[name]}" for name in _EXPECTED if name not in profile.limits),
    )


@dataclass(frozen=True, slots=True)
class _Chip:
    """The limits of a profile by name."""

    profile: Hardware
    chips: int

    def one(self, name: str) -> int | None:
        """A limit that is one number; the largest where cores differ; None where it is not stated."""
        limit = self.profile.limits.get(name)
        if limit is None:
            return None
        return max(limit.value) if isinstance(limit.value, tuple) else int(limit.value)

    def each(self, name: str, cores: int) -> Sequence[int | None]:
        """A limit for every core."""
        limit = self.profile.limits.get(name)
        value = None if limit is None else limit.value
        return value if isinstance(value, tuple) else [None if value is None else int(value)] * cores

    def has(self, trait: str) -> bool:
        """Whether the profile states this trait."""
        limit = self.profile.limits.get(trait)
        return limit is not None and limit.value is True


def _check(trace: Trace, profile: Hardware, weight_bits: int | None, chips: int) -> None:
    if not profile.limits:
        known = [other.name for other in all_hardware() if other.limits]
        raise UsageError(
            f"fit: {profile.name} states no limits of a chip, so nothing can be checked; profiles that do: "
            f"{', '.join(known)}"
        )
    for name, value in (("weight_bits", weight_bits), ("chips", chips)):
        if value is not None and value < 1:
            raise UsageError(f"fit: {name} must be a whole number >= 1 (got {value})")
    if not trace.samples or not trace.layers:
        raise TraceError("fit: the trace holds no sample or no layer; trace a network with weights first")


def _bits(layers: Sequence[Population], chip: _Chip, asked: int | None, reasons: list[str]) -> tuple[int, list[str]]:
    """Bits of a stored weight, and what had to be assumed to get there."""
    own = max((layer.weight_bits for layer in layers), default=1)
    widest = chip.one("weight_bits")
    if asked is not None:
        if widest is not None and asked > widest:
            reasons.append(f"weights of {asked} bits were asked for, and the chip's widest have {widest}")
        return asked, []
    if widest is not None and own > widest:
        return widest, [f"weights of {own} bits are quantised to {widest}, the widest of the chip"]
    return own, []


def _assumptions(trace: Trace, chip: _Chip) -> list[str]:
    said = ["every output of a projection is a neuron; pooling and normalisation are folded into the weights"]
    if not chip.has("whole_layers"):
        if chip.one("weight_memory_bits_per_core") is not None:
            said.append("weight memory holds weights alone, without the indices of sparse formats")
        if chip.one("output_axons_per_core") is not None:
            said.append(
                "output axons: the mean over a layer's cores, each layer feeding the next one in the order they ran"
            )
    if chip.chips > 1:
        said.append("what passes between chips is not limited")
    real = [layer.name for layer in trace.layers if layer.macs]
    if real:
        said.append(f"real-valued inputs are turned into spikes or currents before these layers: {', '.join(real)}")
    return said


def _check_neurons(layers: Sequence[Population], chip: _Chip, reasons: list[str]) -> None:
    most = chip.one("fan_in_per_neuron")
    for layer in layers:
        if most is not None and layer.fan_in > most:
            reasons.append(f"{layer.name}: a neuron has {layer.fan_in:,} synapses, and {most:,} are possible")


def _check_totals(layers: Sequence[Population], chip: _Chip, bits: int, reasons: list[str]) -> None:
    shared = chip.has("shared_weights")
    totals = {
        "neurons_per_chip": ("neurons", sum(layer.neurons for layer in layers)),
        "synapses_per_chip": (
            "synapses" if shared else "synapses (no sharing of weights is stated)",
            sum(layer.channels * layer.fan_in if shared else layer.synapses for layer in layers),
        ),
        "weight_memory_bits_per_chip": ("bits of weights", sum(layer.weights for layer in layers) * bits),
    }
    for name, (what, needed) in totals.items():
        most = chip.one(name)
        if most is not None and needed > most * chip.chips:
            reasons.append(f"it has {needed:,} {what}, and there is room for {most * chip.chips:,}")


def _place(layers: Sequence[Population], chip: _Chip, bits: int, reasons: list[str]) -> list[LayerFit]:
    if chip.has("whole_layers"):
        return _place_whole(layers, chip, bits, reasons)
    per_core = ("neurons_per_core", "input_axons_per_core", "output_axons_per_core", "weight_memory_bits_per_core")
    if all(chip.one(name) is None for name in per_core):
        return [_facts(layer) for layer in layers]
    room = Room(
        neurons=chip.one("neurons_per_core"),
        input_axons=chip.one("input_axons_per_core"),
        output_axons=chip.one("output_axons_per_core"),
        weight_memory_bits=chip.one("weight_memory_bits_per_core"),
        shared_weights=chip.has("shared_weights"),
        weight_bits=bits,
    )
    placed: list[LayerFit] = []
    troubles: list[str] = []
    targets = 0
    for layer in reversed(layers):  # how many cores a layer must reach is known once the next one is placed
        need = replace(room, targets=targets)
        tile = best_tile(layer, need)
        if tile is None:
            troubles += [
                f"{layer.name}: one neuron needs {needed:,} of {name} ({LIMITS[name]}), and there are {most:,}"
                for name, (needed, most) in needs_of_one(layer, need).items()
                if most is not None and needed > most
            ]
            placed.append(_facts(layer))
            targets = 0
        else:
            placed.append(_on_tiles(layer, tile))
            targets = tile.cores * tile.input_axons
    reasons += reversed(troubles)
    return placed[::-1]


def _place_whole(layers: Sequence[Population], chip: _Chip, bits: int, reasons: list[str]) -> list[LayerFit]:
    """Each layer on one core; a chip's cores differ, so a matching decides."""
    cores = (chip.one("cores") or len(layers)) * chip.chips
    neurons = list(chip.each("neurons_per_core", cores // chip.chips)) * chip.chips
    memory = list(chip.each("weight_memory_bits_per_core", cores // chip.chips)) * chip.chips
    powers = chip.has("power_of_two_addresses")
    allowed: list[list[int]] = []
    placed: list[LayerFit] = []
    for layer in layers:
        need_n = neurons_stored(layer, powers_of_two=powers)
        need_m = weights_stored(layer, powers_of_two=powers) * bits
        fitting = [i for i in range(cores) if _within(need_n, neurons[i]) and _within(need_m, memory[i])]
        if not fitting:
            reasons.append(
                f"{layer.name}: it takes {need_n:,} neurons and {need_m:,} bits of weights of one core, "
                "and no core has both"
            )
        allowed.append(fitting)
        fact = _facts(layer)
        placed.append(replace(fact, cores=1, neurons_per_core=need_n, weight_memory_bits_per_core=need_m))
    if all(allowed) and matched(allowed) is None:
        reasons.append(
            f"{len(layers)} layers need a core each, and no assignment to the {cores} cores gives every layer "
            "enough memory"
        )
    return placed


def _within(needed: int, most: int | None) -> bool:
    return most is None or needed <= most


def _facts(layer: Population) -> LayerFit:
    return LayerFit(name=layer.name, kind=layer.kind, neurons=layer.neurons, fan_in=layer.fan_in, weights=layer.weights)


def _on_tiles(layer: Population, tile: Tile) -> LayerFit:
    return replace(
        _facts(layer),
        cores=tile.cores,
        neurons_per_core=tile.neurons,
        input_axons_per_core=tile.input_axons,
        weight_memory_bits_per_core=tile.weight_memory_bits,
    )
