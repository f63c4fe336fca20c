"""Chips that take whole layers: each layer gets a core of its own, and the cores differ in what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from snn_energy.costing.populations import Population


def rounded(size: int) -> int:
    """The next power of two: what a size takes where it is addressed by bits of its own."""
    return 1 << (size - 1).bit_length()


def neurons_stored(layer: Population, *, powers_of_two: bool) -> int:
    """Neuron memory a whole layer takes, in neurons; map sizes are rounded up where addresses are bit fields."""
    if not powers_of_two:
        return layer.neurons
    return layer.channels * prod(map(rounded, layer.size))


def weights_stored(layer: Population, *, powers_of_two: bool) -> int:
    """Weights a whole layer takes, in words; kernels and outputs are rounded up where addresses are bit fields."""
    if not powers_of_two:
        return layer.channels * layer.fan_in
    return layer.channels_in // layer.groups * rounded(prod(layer.kernel)) * rounded(layer.channels)


def matched(allowed: Sequence[Sequence[int]]) -> list[int] | None:
    """A core for each layer out of those `allowed` for it, no core twice; None where there is no such choice.

    Augmenting paths (J. E. Hopcroft and R. M. Karp describe the faster variant, SIAM J. Comput. 2(4), 1973, 225-231).
    """
    owner: dict[int, int] = {}

    def settle(layer: int, seen: set[int]) -> bool:
        for core in allowed[layer]:
            if core in seen:
                continue
            seen.add(core)
            if core not in owner or settle(owner[core], seen):
                owner[core] = layer
                return True
        return False

    if not all(settle(layer, set()) for layer in range(len(allowed))):
        return None
    return [core for _, core in sorted((layer, core) for core, layer in owner.items())]
