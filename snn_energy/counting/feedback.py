"""Recurrent layers that run all time steps by themselves, counted from what they return.

    I_t = x_t + R s_{t-1};  s_t = neuron(I_t);  s_{-1} = 0

The output s tells everything: it is the neuron's, and the operand of R is s one step later. So such a layer runs
without the dispatch mode, and its hundreds of small products are looked at as one: the same counts, under the same
names, as if every step had been seen.

Called step by step, with what the step before returned, it is counted as a whole likewise, from the second step on: the
first one has shown what its parts do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.modules import HELD_INPUT, ProductSite
from snn_energy.counting.ops.products import linear_layer
from snn_energy.counting.recorder import Charge, Recorder
from snn_energy.counting.sights import Sight
from snn_energy.counting.tags import Origin, Tag, copied, tensors_in


@dataclass(frozen=True, slots=True)
class FeedbackLayer:
    """Names of a layer's two children: a single-step neuron, and the linear layer R, without bias."""

    neuron: str
    weights: str


FEEDBACK_LAYERS = {
    "snn_energy.models.spiking_recurrent.RecurrentLayer": FeedbackLayer("neuron", "recurrent"),
}
"""By qualified name: exact classes, whose `forward` takes currents `t n width` and returns spikes of that shape first.

A second argument says that a call does not begin at rest.
"""


def feedback_layer(recorder: Recorder, module: nn.Module) -> FeedbackLayer | None:
    """The row of a module, if nothing stands between it and what the row says; None if its steps must be seen."""
    row = FEEDBACK_LAYERS.get(f"{type(module).__module__}.{type(module).__qualname__}")
    if row is None or "forward" in module.__dict__:
        return None
    neuron, weights = getattr(module, row.neuron), getattr(module, row.weights)
    known = recorder.neuron_rows.get(id(neuron))
    plain = type(weights) is nn.Linear and weights.bias is None and type(weights._parameters["weight"]) is nn.Parameter
    if known is None or known.time_axis is not None or id(neuron) in recorder.mixed or not plain:
        return None
    return None if any(part._forward_hooks or part._forward_pre_hooks for part in (neuron, weights)) else row


def count_feedback(recorder: Recorder, module: nn.Module, row: FeedbackLayer, result: Any) -> None:
    """Count one call of the running module from its spikes `t n width`; None after an exception."""
    if result is None:
        return
    output: Tensor = result[0]
    neuron, weights = getattr(module, row.neuron), getattr(module, row.weights)
    scale = recorder.neuron_rows[id(neuron)].binary_scale
    steps = len(output)
    recorder.enter(weights)
    fed_back = torch.cat((torch.zeros_like(output[:1]), output[:-1]))
    recorder.mark(fed_back, Tag(recorder.token, Origin.DATA, spike_scale=scale, scaled=True))
    feed = linear_layer(recorder, "mm", fed_back, weights.weight, biased=False)
    feed(fed_back.new_empty(0))
    feed.projection.calls += steps - 1
    recorder.note("counted", "mm", calls=steps - 1)
    recorder.leave()
    recorder.arithmetic("add", adds=output.numel(), calls=steps)
    recorder.note("counted", "add", calls=steps)
    recorder.enter(neuron)
    recorder.neuron_steps(neuron, output)
    recorder.leave()
    for state in tensors_in(result):
        recorder.is_data(state)
    recorder.is_spikes(output, scale)


@dataclass(slots=True)
class FeedbackStep:
    """A layer that is called for one time step after another: I_t, (s_{t-1}, state) -> s_t, what the next one needs."""

    module: nn.Module
    neuron: nn.Module
    weights: nn.Module
    elements: int = 0
    """Of one step."""
    charges: list[Charge] = field(default_factory=list)
    """What the sum of both currents charged in the last step that was charged at once."""
    steps: int = 0
    """Not charged yet."""

    def count(self, recorder: Recorder, args: tuple[Any, ...]) -> Callable[[Any], None] | None:
        """Look at the operands of one step; returns what counts its result, None if its parts must be seen."""
        current, carried = args
        if not isinstance(carried, tuple) or len(carried) != 2 or type(current) is not Tensor:
            return None
        spikes, site = carried[0], recorder.sites.get(id(self.weights))
        if type(spikes) is not Tensor or current.shape != spikes.shape or not isinstance(site, ProductSite):
            return None
        tag, width = recorder.tag(spikes), current.shape[-1]
        if tag is None or tag.origin is not Origin.DATA or not site.small or not site.fits(spikes, tag):
            return None
        if site.weight.shape[0] != width or recorder.origin(current) is not Origin.DATA:
            return None
        if current.dtype is not spikes.dtype:
            return None
        if torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled(spikes.device.type):
            return None
        return partial(self._finish, recorder, site, spikes, tag, site.look(recorder, spikes, tag))

    def _finish(
        self, recorder: Recorder, site: ProductSite, spikes: Tensor, tag: Tag, sight: Sight | None, result: Any
    ) -> None:
        if result is None:
            return
        site.add(recorder, spikes, tag, sight)
        output: Tensor = result[0]
        elements = output.numel()
        if elements != self.elements:
            self._sum(recorder, elements)
        else:
            if not self.steps:
                recorder.uncharged.append(self)
            self.steps += 1
        tag = recorder.is_spikes(output, recorder.neuron_rows[id(self.neuron)].binary_scale)
        recorder.neuron(self.neuron, output, copy=partial(copied, output, tag) if elements <= HELD_INPUT else None)
        recorder.are_data(result[1])

    def charge(self) -> None:
        """Charge the sums of all steps since the last time."""
        steps, self.steps = self.steps, 0
        for charge in self.charges:
            charge(steps)

    def _sum(self, recorder: Recorder, elements: int) -> None:
        """Charge the first sum of so many elements."""

        def charge() -> None:
            recorder.arithmetic("add", adds=elements)
            recorder.note("counted", "add")

        self.charge()
        recorder.journal = []
        try:
            recorder.at(recorder.paths[id(self.module)], [self.module], charge)
            self.elements, self.charges = elements, recorder.journal
        finally:
            recorder.journal = None


def feedback_step(module: nn.Module, row: FeedbackLayer) -> FeedbackStep:
    """What counts a layer step by step."""
    return FeedbackStep(module, getattr(module, row.neuron), getattr(module, row.weights))
