"""Where a neuron may leave its spike counts while the spikes are still in the cache.

A neuron that computes one time step after another can sum each step's spikes for almost nothing; summed later, the
same spikes come from main memory again. Whoever traces sets the tap; a neuron that finds it set appends for each time
step its spikes `n ...` summed over n. That is the map which a projection behind the neuron needs, and its own sum is
the number of spikes. Neurons that know nothing of it are counted from their output.
"""

from __future__ import annotations

from contextvars import ContextVar

from torch import Tensor

from snn_energy.counting.sums import row_sum

__all__ = ["SPIKE_TAP", "row_sum"]

SPIKE_TAP: ContextVar[list[Tensor] | None] = ContextVar("spike_tap", default=None)
