"""Recurrent spiking network for event streams such as spoken digits (SHD): 700 channels, T time steps.

    I_t = W x_t + R s_{t-1} + b       input and recurrent current of a hidden layer
    s_t = neuron(I_t)                 LIF or adaptive LIF (see `cells`)
    y_t = decay y_{t-1} + W_o s_t     leaky integrator, no spikes; the logits are its maximum over time

Source: B. Cramer et al., "The Heidelberg spiking data sets for the systematic evaluation of spiking neural networks",
IEEE TNNLS 33(7), 2022, arXiv:1910.07407: recurrent networks with 700 inputs, 20 classes and a maximum over time of a
non-spiking read-out layer. Adaptive neurons: see `cells`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.errors import DataError, UsageError
from snn_energy.models.cells import ALIFCell, LeakyIntegrator, LIFCell
from snn_energy.models.registry import register
from snn_energy.models.suggest import unknown
from snn_energy.models.units import check_sizes

NEURONS: dict[str, type[nn.Module]] = {"lif": LIFCell, "alif": ALIFCell}


class RecurrentLayer(nn.Module):
    """A hidden layer: input weights with bias, recurrent weights, one neuron per unit."""

    def __init__(self, ins: int, width: int, neuron: nn.Module) -> None:
        super().__init__()
        self.input, self.recurrent = nn.Linear(ins, width), nn.Linear(width, width, bias=False)
        self.neuron = neuron

    def step(self, current: Tensor, spikes: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Input current and last spikes `n width` -> (spikes, state of the neuron)."""
        out: tuple[Tensor, Any] = self.neuron(current + self.recurrent(spikes), state)
        return out

    def forward(self, currents: Tensor, carried: tuple[Tensor, Any] | None = None) -> tuple[Tensor, tuple[Tensor, Any]]:
        """Input currents `t n width` -> spikes `t n width`, and what the next time step needs.

        `carried` is what the call before returned for that; None: at rest.
        """
        spikes, state = (self.at_rest(currents[0]), None) if carried is None else carried
        steps = []
        for current in currents.unbind(0):
            spikes, state = self.step(current, spikes, state)
            steps.append(spikes)
        return torch.stack(steps), (spikes, state)

    def at_rest(self, frame: Tensor) -> Tensor:
        """Silence before the first step, `n width`."""
        return frame.new_zeros(frame.shape[0], self.recurrent.in_features)


@register("spiking-recurrent")
class SpikingRecurrent(nn.Module):
    """Recurrent hidden layers of LIF or ALIF neurons and a leaky integrator as read-out.

    Recurrent products run once for each time step whatever is asked for; `stepped` says how the input products run: all
    layers in turn for each step (True), or each layer through all steps, its input product being one call (False). Both
    give the same spikes.

    Args: `inputs` (channels), `classes`, `widths` (units of each hidden layer), `neuron` ("lif" or "alif"),
    `time_steps` (declared for the registry; T always comes from the data), `decay`, `threshold`, `reset` ("hard" or
    "soft"; adaptive neurons are always soft), `adaptation` and `adaptation_decay` (of adaptive neurons, see `cells`),
    `readout_decay`, `surrogate`, `stepped`.

    Shapes: events `t n inputs` -> logits `n classes`. Errors: UsageError, DataError.
    """

    def __init__(
        self,
        inputs: int = 700,
        classes: int = 20,
        widths: Sequence[int] = (128, 128),
        neuron: str = "lif",
        time_steps: int = 100,
        decay: float = 0.9375,
        threshold: float = 1.0,
        reset: str = "hard",
        adaptation: float = 0.5,
        adaptation_decay: float = 0.9375,
        readout_decay: float = 0.9375,
        surrogate: str = "arctan",
        stepped: bool = False,
    ) -> None:
        super().__init__()
        check_sizes("spiking-recurrent", inputs=inputs, classes=classes, time_steps=time_steps)
        check_sizes("spiking-recurrent", **{f"widths[{i}]": width for i, width in enumerate(widths)})
        if not widths:
            raise UsageError("spiking-recurrent: widths is empty; give at least one hidden layer, like widths=(128,)")
        if neuron not in NEURONS:
            raise unknown("neuron", neuron, NEURONS)
        constants: dict[str, Any] = {"decay": decay, "threshold": threshold, "surrogate": surrogate}
        constants |= (
            {"reset": reset} if neuron == "lif" else {"adaptation": adaptation, "adaptation_decay": adaptation_decay}
        )
        self.layers = nn.ModuleList(
            RecurrentLayer(ins, width, NEURONS[neuron](**constants)) for ins, width in zip((inputs, *widths), widths)
        )
        self.head = nn.Linear(widths[-1], classes, bias=False)
        self.readout = LeakyIntegrator(readout_decay)
        self.inputs, self.classes, self.time_steps, self.stepped = inputs, classes, time_steps, stepped
        self._args = {
            "inputs": inputs,
            "classes": classes,
            "widths": list(widths),
            "neuron": neuron,
            "decay": decay,
            "threshold": threshold,
            "reset": reset,
            "adaptation": adaptation,
            "adaptation_decay": adaptation_decay,
            "readout_decay": readout_decay,
            "surrogate": surrogate,
            "stepped": stepped,
        }

    def constructor_args(self) -> dict[str, Any]:
        """Return the arguments, of plain types, that build this network again."""
        return {**self._args, "time_steps": self.time_steps}

    def forward(self, events: Tensor) -> Tensor:
        """Return the logits: `t n inputs -> n classes`."""
        if events.dim() != 3 or events.shape[2] != self.inputs or not events.shape[0]:
            raise DataError(
                f"spiking-recurrent: expected events [T, N, {self.inputs}] with T >= 1 (got {list(events.shape)})"
            )
        values = self.readout(self._step_by_step(events) if self.stepped else self._layer_by_layer(events))
        return torch.amax(values, 0)

    def _layer_by_layer(self, events: Tensor) -> Tensor:
        x = events
        for layer in self.layers:
            assert isinstance(layer, RecurrentLayer)
            x, _ = layer(layer.input(x))
        currents: Tensor = self.head(x)
        return currents

    def _step_by_step(self, events: Tensor) -> Tensor:
        carried: list[Any] = [None] * len(self.layers)
        steps = []
        for x in events.unbind(0):
            for i, layer in enumerate(self.layers):
                assert isinstance(layer, RecurrentLayer)
                spikes, carried[i] = layer(layer.input(x).unsqueeze(0), carried[i])
                x = spikes[0]
            steps.append(self.head(x))
        return torch.stack(steps)
