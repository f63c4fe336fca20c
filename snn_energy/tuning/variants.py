"""A network changed in several ways at once: time steps, sparsity, precision and thresholds; taken back afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from snn_energy.counting.counts import Trace
from snn_energy.counting.naming import eager_name
from snn_energy.errors import UsageError
from snn_energy.hardware import Hardware
from snn_energy.tuning.changes import PRECISIONS, at_time_steps, pruned, rounded, scaled_thresholds, threshold_of
from snn_energy.tuning.study import profile_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What to change; None leaves it as it is."""

    time_steps: int | None = None
    weights: str | None = None
    """Data type that the weights are rounded to, see `changes.PRECISIONS`."""
    sparsity: float | None = None
    """Share of each layer's weights, the smallest ones, that is set to zero before rounding."""
    threshold: float | None = None
    """Factor of all thresholds."""

    def __post_init__(self) -> None:
        if self.time_steps is not None and self.time_steps < 1:
            raise UsageError(f"time steps must be >= 1 (got {self.time_steps})")
        if self.weights is not None and self.weights not in PRECISIONS:
            raise UsageError(f"unknown data type {self.weights!r} of weights; expected one of {', '.join(PRECISIONS)}")
        if self.sparsity is not None and not 0 <= self.sparsity < 1:
            raise UsageError(f"sparsity must be a share from 0 to below 1, like 0.5 (got {self.sparsity:g})")
        if self.threshold is not None and not self.threshold > 0:
            raise UsageError(f"the factor of the thresholds must be above 0, like 0.9 (got {self.threshold:g})")

    def priced_on(self, hardware: Hardware) -> Hardware | None:
        """The profile that the weights' data type is priced on; None where there is none."""
        return hardware if self.weights is None else profile_of(self.weights, hardware)


def spiking_modules(model: nn.Module, facts: Trace) -> list[nn.Module]:
    """The modules of the trace's spiking neuron layers, all of which have a threshold to scale.

    Raises:
        UsageError: a layer has no number called threshold.
    """
    modules = {eager_name(name): module for name, module in model.named_modules()}
    found = []
    for neuron in facts.neurons:
        if not neuron.spiking:
            continue
        module = modules.get(neuron.name)
        if module is None or threshold_of(module) is None:
            raise UsageError(
                f"thresholds cannot be scaled: the module of {neuron.name} has no number called threshold; leave "
                "--threshold out"
            )
        found.append(module)
    return found


@contextmanager
def applied(model: Any, variant: Variant, neurons: Sequence[nn.Module] = ()) -> Iterator[None]:
    """Change the network inside; `neurons` are the modules whose thresholds are scaled.

    Raises:
        UsageError: the network keeps no `time_steps` to change.
    """
    with ExitStack() as stack:
        steps = variant.time_steps
        if steps is not None:
            own = getattr(model, "time_steps", None)
            if isinstance(own, bool) or not isinstance(own, int):
                raise UsageError(
                    f"time steps: {type(model).__name__} has no attribute time_steps to set; they come with its data"
                )
            stack.enter_context(at_time_steps(model, steps))
        if variant.sparsity:
            stack.enter_context(pruned(list(model.modules()), variant.sparsity))
        if variant.weights is not None:
            stack.enter_context(rounded(list(model.modules()), variant.weights))
        if variant.threshold is not None and variant.threshold != 1:
            stack.enter_context(scaled_thresholds(neurons, variant.threshold))
        yield
