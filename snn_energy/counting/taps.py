"""Where a neuron may leave its spike counts while the spikes are still in the cache.

A neuron that computes one time step after another can sum each step's spikes for almost nothing; summed later, the
same spikes come from main memory again. Whoever traces sets the tap; a neuron that finds it set appends one 0-dim
tensor for each time step. Neurons that know nothing of it are counted from their output.
"""

from __future__ import annotations

from contextvars import ContextVar

from torch import Tensor

SPIKE_TAP: ContextVar[list[Tensor] | None] = ContextVar("spike_tap", default=None)
EXACT_SPIKES = 1 << 24
"""Spikes of one time step that a single-precision sum holds exactly."""
