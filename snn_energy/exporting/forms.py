"""The three forms of an ONNX file: how time is laid out in it, and the function of torch that each is made from.

| form     | inputs                                            | outputs                                         |
|----------|---------------------------------------------------|-------------------------------------------------|
| unrolled | images `n ...` or frames `t n ...`, T fixed       | logits; the state starts from rest inside       |
| step     | frame `n ...`, every state tensor                 | logits of this step, every state tensor after it |
| sequence | frames `t n ...`, T free                          | logits; the step is the body of one Scan        |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.onnxgraph.timed import READOUTS
from snn_energy.errors import MODEL_ERRORS, UsageError
from snn_energy.exporting.carrying import State, copied, moving_attributes, snapshot, steps_of
from snn_energy.exporting.failures import ExportError, first_line
from snn_energy.exporting.graph import BATCH

FORMS = ("unrolled", "step", "sequence")
IMAGES, FRAME, FRAMES, LOGITS, NEXT = "images", "frame", "frames", "logits", ".next"


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of a network that is to become a graph: arguments, free axes, names of what goes in and out."""

    network: nn.Module
    args: tuple[Any, ...]
    sizes: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    batch_axis: int
    states: tuple[State, ...] = ()
    carried: frozenset[str] = frozenset()
    """Modules whose time axis of length 1 is theirs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How a network takes its time steps.

    `inside`: one call is a whole inference, from rest; else one call is one time step, `steps` calls are an inference
    and `readout` makes one output of theirs. `framed`: its input is frames `t n ...`, not images `n ...`.
    """

    inside: bool
    framed: bool
    steps: int
    readout: str

    @property
    def batch_axis(self) -> int:
        """Axis of the samples in the network's input."""
        return 1 if self.framed else 0

    def frame_of(self, batch: Tensor) -> Tensor:
        """One time step's input, `n ...`."""
        return batch[0] if self.framed else batch

    def whole(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """A function from the network's input to its output, from rest in every call; it takes the network over."""
        before = snapshot(network)

        def from_rest(x: Tensor) -> Tensor:
            try:
                return self._all_steps(network, x)
            finally:
                moving_attributes(network, before)

        return from_rest

    def _all_steps(self, network: nn.Module, x: Tensor) -> Tensor:
        if self.inside:
            output: Tensor = network(x)
            return output
        outputs, state = [], None
        for frame in x.unbind(0) if self.framed else (x for _ in range(self.steps)):
            output = network(frame) if state is None else network(frame, state)
            if isinstance(output, tuple):
                output, state = output
            outputs.append(output)
        return READOUTS[self.readout](torch.stack(outputs))


def unrolled(model: nn.Module, batch: Tensor, timing: Timing) -> Call:
    """All time steps in one straight graph. Shapes: batch as the network takes it."""
    network = copied(model)
    keeps = timing.inside and not timing.framed
    if not keeps:
        own = network.forward
        before = snapshot(network)
        run(network, timing, batch)
        slots = moving_attributes(network, before)

        def forward(x: Tensor) -> Any:
            network.__dict__["forward"] = own
            try:
                return timing._all_steps(network, x)
            finally:
                network.__dict__["forward"] = forward
                for slot in slots:
                    slot.restore()

        network.__dict__["forward"] = forward
    axis = timing.batch_axis
    return Call(
        network=network,
        args=(batch,),
        sizes=({axis: torch.export.Dim(BATCH)},),
        inputs=(FRAMES if timing.framed else IMAGES,),
        outputs=(LOGITS,),
        batch_axis=axis,
    )


def one_step(model: nn.Module, frame: Tensor, time_steps: int, *, frames: bool) -> Call:
    """One time step, the state in and out. Shapes: frame `n ...`."""
    steps = steps_of(model, frame, time_steps, frames=frames)
    network, own = steps.network, steps.network.forward
    free = torch.export.Dim(BATCH)

    def forward(x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        network.__dict__["forward"] = own
        try:
            output, after = steps(x, states)
        finally:
            network.__dict__["forward"] = forward
        return (output, *after)

    network.__dict__["forward"] = forward
    sizes = tuple({} if state.batch_axis is None else {state.batch_axis: free} for state in steps.states)
    names = [state.name for state in steps.states]
    return Call(
        network=network,
        args=(frame, tuple(steps.at_rest(len(frame), frame))),
        sizes=({0: free}, sizes),
        inputs=(FRAME, *names),
        outputs=(LOGITS, *(name + NEXT for name in names)),
        batch_axis=0,
        states=steps.states,
        carried=frozenset(path for path, row in steps.rows.items() if row.time_axis is not None) & steps.carried,
    )


def two_samples(batch: Tensor, axis: int) -> Tensor:
    """The batch with at least two samples: torch takes a size of 1 for a constant."""
    batch = batch.detach().cpu()
    return torch.cat([batch, batch], axis) if batch.shape[axis] == 1 else batch


def run(network: nn.Module, timing: Timing, batch: Tensor) -> Any:
    """Run all time steps once. Errors: ExportError for an example that the network does not take."""
    name = type(network).__qualname__
    try:
        with torch.no_grad():
            output = timing._all_steps(network, batch)
    except MODEL_ERRORS as problem:
        raise ExportError(
            f"{name}: cannot run on an example of shape {list(batch.shape)}: {first_line(problem)}; give an example"
            " that the network takes"
        ) from problem
    return output


def check_form(form: str) -> str:
    """The form, if there is such; UsageError, with a suggestion, otherwise."""
    if form in FORMS:
        return form
    import difflib

    close = difflib.get_close_matches(str(form), FORMS, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(f"export_onnx: form must be one of {', '.join(FORMS)} (got {form!r}){hint}")
