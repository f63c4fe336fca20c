"""What a network's energy and accuracy are sensitive to: thresholds, time steps, rates, precision, layer by layer.

| parameter | how                                                                                                    |
|-----------|--------------------------------------------------------------------------------------------------------|
| threshold | each neuron layer's, and all of them, 10 % lower and higher; the network runs again, counted exactly   |
| time steps| 1 to 2T; the network runs again, counted exactly                                                       |
| rate      | closed form: dE/drate = connections x price of an event, of spikes that fall like those that were seen |
| precision | each layer's weights, and all of them, rounded to a data type; the network runs again for its accuracy |
|           | and counts, and the rounded layer is priced on the profile of that data type, where there is one       |

Everything else stays as it was: a layer whose threshold rises feeds fewer spikes to the next, and that is counted. Of
an integer operand, whose spikes of n cost n accumulates, the rate's slope takes the mean n that was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.costing.pricing import price
from snn_energy.costing.report import Report
from snn_energy.counting.counts import MIXED, Trace
from snn_energy.counting.naming import eager_name
from snn_energy.counting.tracing import trace
from snn_energy.errors import DataError, UsageError
from snn_energy.hardware import Hardware, list_hardware, load_hardware
from snn_energy.tuning.changes import PRECISIONS, at_time_steps, rounded, scaled_thresholds, threshold_of, weights_of

Batches = Callable[[], Iterable[tuple[Tensor, Tensor | None]]]
"""Makes the batches anew for each run: inputs, and labels `n` where there are some."""

ALL = "(all)"
STEP = 0.1
DATATYPES = ("fp16", "int8", "int4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: energy per inference, and samples classified correctly."""

    energy_pj: float | None
    """None where no profile prices what ran."""
    correct: int | None
    """None without labels, or for outputs that are no class scores."""
    samples: int

    @property
    def accuracy(self) -> float | None:
        """Share of correct samples, 0 to 1."""
        return None if self.correct is None else self.correct / self.samples

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"energy_per_inference_pj": self.energy_pj, "correct": self.correct, "samples": self.samples}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """The network with one thing changed."""

    parameter: str
    """threshold, time_steps or precision."""
    layer: str
    """Module path, or ALL."""
    setting: float | int | str
    """Factor of the threshold, time steps, or data type of the weights."""
    measured: Measured
    hardware: str | None = None
    """Of a precision: the profile that the rounded weights are priced on; None where none has their data type."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "parameter": self.parameter,
            "layer": self.layer,
            "setting": self.setting,
            "hardware": self.hardware,
            **self.measured.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSlope:
    """How the energy of one projection follows its rate; per inference."""

    layer: str
    operand: str
    rate: float
    """Non-zero operands per operand and time step."""
    energy_pj: float
    """Accumulates alone, without biases."""
    slope_pj: float
    """dE/drate: the energy if every operand were a spike."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "layer": self.layer,
            "operand": self.operand,
            "rate": self.rate,
            "energy_pj": self.energy_pj,
            "slope_pj": self.slope_pj,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The result of a study."""

    hardware: str
    time_steps: int | None
    base: Measured
    thresholds: tuple[Variation, ...]
    steps: tuple[Variation, ...]
    rates: tuple[RateSlope, ...]
    precisions: tuple[Variation, ...]
    left_out: tuple[str, ...]
    """What could not be varied, and why."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; energies per inference in pJ."""
        return {
            "hardware": self.hardware,
            "time_steps": self.time_steps,
            "base": self.base.to_dict(),
            "thresholds": [v.to_dict() for v in self.thresholds],
            "time_steps_varied": [v.to_dict() for v in self.steps],
            "rates": [r.to_dict() for r in self.rates],
            "precisions": [v.to_dict() for v in self.precisions],
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    parameter: str
    layer: str
    setting: float | int | str
    change: Callable[[], AbstractContextManager[None]] | None
    """None for the network as it is, which has run already."""
    hardware: Hardware | None = None


class Study:
    """A study under way: made, it has run the network once as it is; `run` does the rest.

    Args:
        model: the network, in any mode; it runs in eval mode and is left as it was.
        batches: see `Batches`.
        hardware: name of a shipped profile, path of a TOML file, or a loaded profile.
        batch_axis: axis of the samples.
        step: share by which thresholds fall and rise.
        max_time_steps: largest T to run; None: twice the network's own; 0: leave time alone.
        datatypes: of the weights, see `changes.PRECISIONS`.

    Raises:
        UsageError: a share or a data type out of range.
        DataError: no data.
        TraceError: see `trace`.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        hardware: str | Path | Hardware = "horowitz-45nm-fp32",
        *,
        batch_axis: int = 0,
        step: float = STEP,
        max_time_steps: int | None = None,
        datatypes: Iterable[str] = DATATYPES,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        if isinstance(step, bool) or not isinstance(step, (int, float)) or not 0 < step < 1:
            raise UsageError(f"sensitivity: step must be a share above 0 and below 1, like 0.1 (got {step!r})")
        if max_time_steps is not None and (isinstance(max_time_steps, bool) or max_time_steps < 0):
            raise UsageError(f"sensitivity: max_time_steps must be >= 0 (got {max_time_steps!r})")
        for name in datatypes:
            if name not in PRECISIONS:
                raise UsageError(f"sensitivity: unknown data type {name!r}; expected one of {', '.join(PRECISIONS)}")
        self.model, self.batches, self.batch_axis = model, batches, batch_axis
        self.hardware = hardware if isinstance(hardware, Hardware) else load_hardware(hardware)
        self.left_out: list[str] = []
        self._facts, correct = self._traced(progress)
        self._report = price(self._facts, self.hardware)
        self.base = Measured(
            energy_pj=self._report.energy_per_inference_pj, correct=correct, samples=self._facts.samples
        )
        self._modules = {eager_name(name): module for name, module in model.named_modules()}
        self._runs = [*self._thresholds(step), *self._steps(max_time_steps), *self._precisions(tuple(datatypes))]

    @property
    def runs(self) -> int:
        """How many times `run` will run the data."""
        return len(self._runs)

    def run(self, progress: Callable[[int], None] | None = None) -> Sensitivity:
        """Run every variation; `progress` is called with 1 after each."""
        found: dict[str, list[Variation]] = {"threshold": [], "time_steps": [], "precision": []}
        for run in self._runs:
            found[run.parameter].append(
                Variation(
                    parameter=run.parameter,
                    layer=run.layer,
                    setting=run.setting,
                    hardware=None if run.hardware is None else run.hardware.name,
                    measured=self._measured(run),
                )
            )
            if progress is not None:
                progress(1)
        return Sensitivity(
            hardware=self.hardware.name,
            time_steps=self._facts.time_steps or None,
            base=self.base,
            thresholds=tuple(found["threshold"]),
            steps=tuple(found["time_steps"]),
            rates=tuple(rate_slopes(self._report)),
            precisions=tuple(found["precision"]),
            left_out=tuple(self.left_out),
        )

    # -- what to run -------------------------------------------------------------------------------------------

    def _thresholds(self, step: float) -> Iterator[_Run]:
        layers = [neuron.name for neuron in self._facts.neurons if neuron.spiking]
        fitting = [name for name in layers if name in self._modules and threshold_of(self._modules[name])]
        for name in layers:
            if name not in fitting:
                self.left_out.append(f"threshold of {name}: its module has no number called threshold")
        for name in [*fitting, *([ALL] if len(fitting) > 1 else [])]:
            modules = [self._modules[n] for n in (fitting if name == ALL else [name])]
            for factor in (1 - step, 1 + step):
                yield _Run(
                    parameter="threshold",
                    layer=name,
                    setting=factor,
                    change=partial(scaled_thresholds, modules, factor),
                )

    def _steps(self, most: int | None) -> Iterator[_Run]:
        if most == 0:
            return
        own = getattr(self.model, "time_steps", None)
        if isinstance(own, bool) or not isinstance(own, int):
            self.left_out.append("time steps: the network has no attribute time_steps; they come with its data")
            return
        if self.batch_axis or self._facts.time_steps not in (own, MIXED, None):
            self.left_out.append("time steps: the data have an axis of their own for them")
            return
        for steps in range(1, (2 * own if most is None else most) + 1):
            change = None if steps == own else partial(at_time_steps, self.model, steps)
            yield _Run(parameter="time_steps", layer=ALL, setting=steps, change=change)

    def _precisions(self, datatypes: tuple[str, ...]) -> Iterator[_Run]:
        owners = list(dict.fromkeys(self._owner(layer.name) for layer in self._facts.layers))
        fitting = [name for name in owners if name is not None]
        for name in [*fitting, *([ALL] if len(fitting) > 1 else [])]:
            modules = [self._modules[n] for n in (fitting if name == ALL else [name])]
            for datatype in datatypes:
                yield _Run(
                    parameter="precision",
                    layer=name or "(model)",
                    setting=datatype,
                    change=partial(rounded, modules, datatype),
                    hardware=profile_of(datatype, self.hardware),
                )

    def _owner(self, row: str) -> str | None:
        """The module whose weights a row of the trace multiplies by."""
        name = "" if row == "(model)" else row
        while name not in self._modules or not weights_of(self._modules[name]):
            if not name:
                return None
            name = name.rpartition(".")[0]
        return name

    # -- running and pricing -----------------------------------------------------------------------------------

    def _measured(self, run: _Run) -> Measured:
        if run.change is None:
            return self.base
        with run.change():
            facts, correct = self._traced(None)
        return Measured(energy_pj=self._energy(facts, run), correct=correct, samples=facts.samples)

    def _traced(self, progress: Callable[[int], None] | None) -> tuple[Trace, int | None]:
        labels: list[Tensor | None] = []
        correct: int | None = 0

        def inputs() -> Iterator[tuple[Tensor]]:
            for x, known in self.batches():
                labels.append(known)
                yield (x,)

        def score(output: Any) -> None:
            nonlocal correct
            known = labels.pop()
            fits = isinstance(output, Tensor) and output.dim() == 2 and known is not None
            if not fits or correct is None or len(output) != len(known):  # type: ignore[arg-type]
                correct = None
            else:
                correct += int((output.argmax(1).cpu() == known).sum())

        with torch.random.fork_rng():  # every run draws the same numbers, if any
            facts = trace(self.model, inputs(), batch_axis=self.batch_axis, progress=progress, on_output=score)
        if not facts.samples:
            raise DataError("sensitivity: the data are empty; give at least one sample")
        return facts, correct

    def _energy(self, facts: Trace, run: _Run) -> float | None:
        """Energy per inference; rows of rounded weights on the profile of their data type."""
        report = price(facts, self.hardware)
        if run.parameter != "precision":
            return report.energy_per_inference_pj
        if run.hardware is None:
            return None
        other = price(facts, run.hardware)
        if run.layer == ALL:
            return other.energy_per_inference_pj
        name = "" if run.layer == "(model)" else run.layer
        instead = {row.name: row for row in other.rows if row.part == "synapses"}
        total = 0.0
        for row in report.rows:
            rounded_here = row.part == "synapses" and self._owner(row.name) == name
            total += (instead[row.name] if rounded_here else row).energy_pj
        return total / facts.samples


def sensitivity(
    model: nn.Module, batches: Batches, hardware: str | Path | Hardware = "horowitz-45nm-fp32", **options: Any
) -> Sensitivity:
    """Study a network in one call; arguments and errors as in `Study`."""
    return Study(model, batches, hardware, **options).run()


def rate_slopes(report: Report) -> Iterator[RateSlope]:
    """The closed form of a report's spiking projections: connections x price, at the mean height that was seen."""
    samples = report.trace.samples
    for layer, row in zip(report.trace.layers, report.rows, strict=False):
        if layer.operand.kind == "real":
            continue
        graded = layer.operand.kind == "integer" and report.hardware.integer_spikes == "graded-mac"
        action = "mac" if graded else "ac"
        found = None if report.hardware.covered_by(action) else report.hardware.price(action)
        if found is None:
            continue
        units = layer.unit_events / layer.events if layer.events and not graded else 1.0
        yield RateSlope(
            layer=layer.name,
            operand=str(layer.operand),
            rate=layer.spike_rate,
            energy_pj=(row.mac_pj + row.ac_pj) / samples,
            slope_pj=layer.connections * units * found.value_pj / samples,
        )


def profile_of(datatype: str, like: Hardware) -> Hardware | None:
    """The shipped profile of this data type in the same technology as another; None where there is none."""
    if like.datatype == datatype:
        return like
    for name in list_hardware():
        profile = load_hardware(name)
        same = (profile.node_nm, profile.voltage_v, profile.scope) == (like.node_nm, like.voltage_v, like.scope)
        if profile.datatype == datatype and same:
            return profile
    return None
