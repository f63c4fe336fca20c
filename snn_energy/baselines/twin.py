"""The ANN twin: the same network with ReLU in place of every spiking neuron, at one time step.

An integrator, which never fires, is linear: at one time step it hands its input on. A recurrent neuron has no past at
the one time step of the twin, so that its recurrent weights do nothing there; those of its input stay. That makes the
twin the cheapest ANN of this shape, and no recurrent one: compare a network that needs its recurrence with an RNN.
Neurons that are detected by their behaviour alone are not replaced.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.counts import Trace
from snn_energy.counting.neurons import NEURONS, NeuronRow, neuron_row
from snn_energy.errors import MODEL_ERRORS, TraceError, named_line

TIME_ATTRIBUTES = ("time_steps", "T", "num_steps", "n_steps", "timesteps")
"""Whole numbers under these names are taken for the number of time steps that a module makes by itself."""


UNCOPIED = (*MODEL_ERRORS, copy.Error, pickle.PicklingError)
"""What `copy.deepcopy` raises for a model that holds what cannot be copied."""


class Rectifier(nn.ReLU):
    """ReLU in the place of a neuron: takes and drops its state, returns its output for it, and else answers for it.

    In the place of an integrator it hands its input on as it is.

    The neuron itself is kept out of the modules, so that nothing of it runs, is counted or is trained.
    """

    def __init__(self, neuron: nn.Module, row: NeuronRow) -> None:
        super().__init__()
        self.returned_states = row.returned_states
        self.spiking = row.spiking
        self.returns_steps = row.shaped_by_input
        self.quantiser: Callable[[Tensor], Tensor] | None = None
        """What rectifies instead, see `quantised`."""
        self.input_weights: Tensor | None = getattr(neuron, row.input_weights) if row.input_weights else None
        self.__dict__["neuron"] = neuron

    def forward(self, current: Tensor, *_state: Any) -> Any:
        """Current `...` -> the rectified current `...`, and once more for each state that the neuron returns."""
        if self.input_weights is not None:
            current = nn.functional.linear(current, self.input_weights)
        rectified = self._rectified(current) if self.spiking else current
        if self.returns_steps:  # a list of all time steps, or the last of them
            return rectified[-1] if getattr(self, "decode", None) else list(rectified)
        return (rectified,) * (1 + self.returned_states) if self.returned_states else rectified

    def _rectified(self, current: Tensor) -> Tensor:
        return super().forward(current) if self.quantiser is None else self.quantiser(current)

    def __getattr__(self, name: str) -> Any:
        """What models ask of a neuron in their forward pass: `init_leaky()`, `threshold` and the like."""
        if "neuron" not in self.__dict__ or hasattr(nn.ReLU, name):
            return super().__getattr__(name)
        return getattr(self.__dict__["neuron"], name)


def ann_twin(model: nn.Module) -> nn.Module:
    """Copy `model`, put ReLU in place of every recognised neuron, and set its time steps (TIME_ATTRIBUTES) to 1.

    Integrators hand their input on; see the module's text for recurrent neurons. A module with a method
    `ann_counterpart()` says itself which module stands in its place, with its weights: spike encoders, and units whose
    neurons hand membranes on to each other, which ReLU does not.

    The twin keeps the SNN's weights: its dense counts are those of any ANN of this shape, its zero-skipping counts
    are those of these weights, not of an ANN trained for itself.

    Raises:
        TraceError: no module is a recognised spiking neuron, so nothing could be replaced; or the model holds
            something that cannot be copied.
    """
    twin = _copied(model)
    row = neuron_row(twin)
    if row is not None:
        return Rectifier(twin, row)
    replaced = 0
    for _, parent in twin.named_modules():
        for name, child in parent._modules.items():  # named_children() would skip a neuron that is shared
            counterpart = getattr(type(child), "ann_counterpart", None)
            row = None if child is None else neuron_row(child)
            if child is not None and counterpart is not None:
                parent._modules[name] = counterpart(child)
                replaced += 1
            elif child is not None and row is not None:
                parent._modules[name] = Rectifier(child, row)
                replaced += 1
    if not replaced:
        raise TraceError(
            f"ann_twin: no spiking neuron recognised in {type(model).__name__} (known by name: those of "
            f"{', '.join(sorted({name.partition('.')[0] for name in NEURONS}))}); register yours with "
            "snn_energy.register_neuron, or profile without a baseline"
        )
    for _, module in twin.named_modules():
        for name in TIME_ATTRIBUTES:
            if type(getattr(module, name, None)) is int:
                setattr(module, name, 1)
    return twin.eval()


def steps_kept(facts: Trace, twin: Trace) -> int:
    """Time steps that a twin still makes by itself, above 1 where nothing told `ann_twin` how to stop it.

    `facts` is the network's own trace on the same samples: a neuron updated T times a sample should be rectified once.
    """
    steps = facts.time_steps or 1
    rectified = {record.name: record.compares for record in twin.elementwise if record.kind == "relu"}
    return max(
        (rectified.get(neuron.name, 0) * steps // neuron.updates for neuron in facts.neurons if neuron.updates),
        default=1,
    )


def _copied(model: nn.Module) -> nn.Module:
    """A deep copy; neurons that cannot be copied (Sinabs' recurrent ones) are shared, for they are replaced anyway.

    So are Python modules, which some networks keep as attributes.
    """
    try:
        return copy.deepcopy(model)
    except UNCOPIED:
        pass
    parts = [module for _, module in model.named_modules()]
    shared: list[Any] = [module for module in parts if neuron_row(module) is not None]
    shared += [value for module in parts for value in vars(module).values() if isinstance(value, ModuleType)]
    try:
        return copy.deepcopy(model, {id(each): each for each in shared})
    except UNCOPIED as problem:
        raise TraceError(
            f"ann_twin: {type(model).__name__} cannot be copied ({named_line(problem)}); take what copy.deepcopy "
            "refuses out of it, or profile without a baseline"
        ) from problem


def at_one_step(batch: Any, time_axis: int | None) -> Any:
    """The input of the twin: the mean over time steps, kept as an axis of size 1; unchanged without a time axis."""
    if time_axis is None:
        return batch
    if isinstance(batch, Tensor):
        return torch.mean(batch.float(), dim=time_axis, keepdim=True)
    if isinstance(batch, tuple):
        return (at_one_step(batch[0], time_axis), *batch[1:])
    raise TraceError(f"ann_twin: a batch with a time axis must be a tensor or a tuple (got {type(batch).__name__})")
