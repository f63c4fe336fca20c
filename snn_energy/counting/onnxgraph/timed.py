"""How a file of ours lays out time, and how one inference is run on it.

A step form has its state among its inputs; given its data alone it is run for all time steps, from rest, and its
outputs are read out. A sequence form takes frames; given images, it is shown them at every time step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snn_energy.errors import DataError, TraceError

READOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda steps: steps.mean(0),
    "max": lambda steps: steps.amax(0),
    "sum": lambda steps: steps.sum(0),
    "last": lambda steps: steps[-1],
    "stack": lambda steps: steps,
}
"""How the outputs of all time steps, `t n ...`, become the network's output."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What the file's properties say; `states` are (input, output, value at rest, shape)."""

    form: str
    time_steps: int | None
    readout: str
    states: tuple[tuple[str, str, float, tuple[int | str, ...]], ...]

    @classmethod
    def read(cls, properties: Mapping[str, str], name: str) -> Timed:
        """Errors: TraceError for properties of ours that somebody damaged."""
        try:
            states = tuple(
                (str(entry["input"]), str(entry["output"]), float(entry["rest"]), tuple(entry["shape"]))
                for entry in json.loads(properties.get("snn_energy.states", "[]"))
            )
            steps = properties.get("snn_energy.time_steps")
            readout = properties.get("snn_energy.readout", "stack")
            if readout not in READOUTS:
                raise ValueError(f"readout {readout!r}")
            return cls(properties.get("snn_energy.form", ""), None if steps is None else int(steps), readout, states)
        except (ValueError, TypeError, KeyError) as problem:
            raise TraceError(
                f"{name}: its properties of time (snn_energy.states, .readout, .time_steps) are damaged ({problem!r});"
                " export the network again"
            ) from None

    def needs_state(self, given: Mapping[str, Any]) -> bool:
        """Whether the state is left to us: a step form that is given its data alone."""
        return self.form == "step" and not any(state[0] in given for state in self.states)

    def frames(self, x: Tensor, rank: int, name: str) -> Tensor:
        """The data as frames `t n ...`: as they are with one axis more than a frame, at every step otherwise."""
        if x.dim() == rank + 1:
            return x
        if x.dim() != rank:
            raise DataError(
                f"{name}: expected frames of {rank} axes, or {rank + 1} with time in front (got {list(x.shape)});"
                " check the data's shape"
            )
        if self.time_steps is None:
            raise DataError(
                f"{name}: does not say how many time steps an inference has; give the data as frames [T, N, ...]"
            )
        return x.expand(self.time_steps, *x.shape)

    def at_rest(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        """Every state before the first time step, by the name of its input."""
        return {
            name: torch.full([batch if isinstance(n, str) else n for n in shape], rest, dtype=like.dtype)
            for name, _, rest, shape in self.states
        }
