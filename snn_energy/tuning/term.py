"""Energy as a differentiable term of the loss: counted by the rules of the tracer, priced by any hardware profile.

    E = E_constant + sum over spiking projections of price * sum over operands of spike * fan-out   (pJ per inference)

`E_constant` is what no spike decides: real-valued layers, neuron updates, biases, element-wise arithmetic. The second
part is linear in the spikes, so its gradient with respect to one is its fan-out times the price of an event, and from
there on the spike's own surrogate takes over. Fan-outs are exact: borders, strides, dilation and groups as the tracer
counts them. An event meets every existing synapse, whether or not its weight is zero, as in `price`.

The first batch of each epoch is traced once: this tells which operands spike, how high, and the constant. Forward hooks
then count in each training step, one sum over each spiking operand, without a synchronisation. That the hooks find what
the tracer found is checked on the same batch, row by row, before they are relied on.

The loss of the term, dimensionless:

    without a target    weight * E / E_reference
    with a target       weight * max(0, E / E_target - 1)

`E_reference` is, by default, what the network would need if every spiking operand were a spike in every time step, so
that E / E_reference lies between 0 and 1 on any hardware. The target's penalty is a hinge: it pulls while the batch
needs more than the target, and is silent below. Neither changes from step to step; `state_dict` holds what the first
batch of an epoch told, so that a training that was interrupted in the middle of one goes on exactly.

Each process of a training counts its own share of a batch, and logs it; each part of an accumulated batch is counted
by itself. Without a target the parts average to the whole; a hinge is taken of each part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.evaluating import evaluating
from snn_energy.counting.naming import eager_name
from snn_energy.counting.tags import tensors_in
from snn_energy.counting.tracing import trace
from snn_energy.errors import MODEL_ERRORS, TraceError, UsageError, named_line
from snn_energy.hardware import Hardware, load_hardware
from snn_energy.tuning.fans import known, reaches
from snn_energy.tuning.levels import row_sum
from snn_energy.tuning.pairs import PairWatcher
from snn_energy.tuning.survey import Survey, survey

PJ_PER_UJ = 1e6
AGREEMENT = 1e-3
"""Share by which a row counted through hooks may differ from the traced one: a few spikes at the very threshold."""


class EnergyTerm:
    """The energy of one inference as a penalty: see the module for its formula.

    Args:
        hardware: name of a shipped profile, path of a TOML file, or a loaded profile.
        weight: factor of the term; 0 measures and changes nothing.
        target_uj: energy per inference, in microjoules, above which the term pulls; None: always.
        reference_uj: energy that a weight of 1 weighs like a loss of 1; None: see the module. Not with a target.

    Use: `with term.watching(model): ...` around an epoch; in it, after each forward pass, `loss + term.loss(samples)`.
    Passes without gradients are not counted.

    Raises:
        UsageError: a number out of range, an unknown profile, or one that does not price spikes.
    """

    def __init__(
        self,
        hardware: str | Path | Hardware = "horowitz-45nm-fp32",
        *,
        weight: float = 1.0,
        target_uj: float | None = None,
        reference_uj: float | None = None,
    ) -> None:
        _check("weight", weight, least=0.0)
        for name, value in (("target_uj", target_uj), ("reference_uj", reference_uj)):
            if value is not None:
                _check(name, value, above=0.0)
        if target_uj is not None and reference_uj is not None:
            raise UsageError("energy term: a target is a reference itself; leave reference_uj out, or target_uj")
        self.hardware = hardware if isinstance(hardware, Hardware) else load_hardware(hardware)
        self.weight, self.target_uj, self.reference_uj = float(weight), target_uj, reference_uj
        self._watched: _Watched | None = None
        self._resumed: dict[str, Any] = {}
        self._sum: Tensor | None = None
        self._samples = 0

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Count what `model` does inside this context; the model is left as it was.

        Raises:
            UsageError: another model is being watched.
        """
        if self._watched is not None:
            raise UsageError("energy term: it watches a model already; leave that context first, or make another term")
        resumed, self._resumed = self._resumed, {}
        self._sum, self._samples = resumed.get("sum"), resumed.get("samples", 0)
        self._watched = _Watched(model, self.hardware)
        if resumed:
            self._watched.resume(resumed)
        try:
            with self._watched.hooked():
                yield
        finally:
            self._watched = None

    def energy_pj(self, samples: int) -> Tensor:
        """Energy per inference in pJ of the pass since the last call, of `samples` samples; a differentiable scalar."""
        if self._watched is None:
            raise UsageError("energy term: no model is watched; call it inside `with term.watching(model):`")
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
            raise UsageError(f"energy term: samples must be a whole number >= 1 (got {samples!r})")
        energy = self._watched.take(samples)
        measured = energy.detach() * samples
        self._sum = measured if self._sum is None else self._sum + measured
        self._samples += samples
        return energy

    def loss(self, samples: int) -> Tensor:
        """The term of the loss for the pass since the last call, of `samples` samples: see the module.

        Raises:
            UsageError: no model is watched, it did not run, or the target lies below what no spike can save.
            TraceError: spikes meet weights where no hook can see them.
        """
        energy = self.energy_pj(samples)
        assert self._watched is not None
        if not self.weight:
            return energy.detach() * 0.0
        if self.target_uj is None:
            reference = self._watched.ceiling_pj if self.reference_uj is None else self.reference_uj * PJ_PER_UJ
            return self.weight * energy / reference
        target = self.target_uj * PJ_PER_UJ
        floor = self._watched.constant_pj
        if target <= floor:
            raise UsageError(
                f"energy term: the target of {self.target_uj:g} uJ cannot be reached on {self.hardware.name}: "
                f"{floor / PJ_PER_UJ:.6g} uJ are needed without a single spike (real-valued layers, neuron updates, "
                "biases); give a higher target, or a smaller network"
            )
        return self.weight * torch.relu(energy / target - 1)

    def record(self) -> dict[str, Any]:
        """Mean energy of the training passes since `watching` began, for a log; reads it off the device."""
        if self._sum is None:
            return {"energy_uj": None}
        return {"energy_uj": float(self._sum) / self._samples / PJ_PER_UJ}

    def state_dict(self) -> dict[str, Any]:
        """What the epoch under way has learned and summed up so far; empty between epochs."""
        if self._watched is None or self._watched.survey is None:
            return {}
        return {"sum": self._sum, "samples": self._samples, **self._watched.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state, in the next context of `watching`."""
        self._resumed = dict(state)

    def to_plain(self) -> dict[str, Any]:
        """The settings as plain values, for a checkpoint's record."""
        return {
            "hardware": self.hardware.name,
            "weight": self.weight,
            "target_uj": self.target_uj,
            "reference_uj": self.reference_uj,
        }


def energy_penalty(
    hardware: str | Path | Hardware, weight: float | None = None, target_uj: float | None = None
) -> EnergyTerm | None:
    """The term that a user's options ask for; None where they ask for none. A target alone has weight 1."""
    if weight is None and target_uj is None:
        return None
    return EnergyTerm(hardware, weight=1.0 if weight is None else weight, target_uj=target_uj)


def _check(name: str, value: object, *, least: float | None = None, above: float | None = None) -> None:
    fits = not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
    if fits and isinstance(value, (int, float)):
        fits = (least is None or value >= least) and (above is None or value > above)
    if not fits:
        bound = f">= {least:g}" if least is not None else f"> {above:g}"
        raise UsageError(f"energy term: {name} must be a finite number {bound} (got {value!r})")


class _Watched:
    """One model under watch: its hooks, its survey, and what the pass under way has left."""

    def __init__(self, model: nn.Module, hardware: Hardware) -> None:
        self.model, self.hardware = model, hardware
        self.survey: Survey | None = None
        self.constant_pj = self.ceiling_pj = 0.0
        self._samples: int | None = None
        self._quiet = False
        self._checking: dict[str, Tensor] | None = None
        self._parts: list[Tensor] = []
        self._ran = False
        self._path: list[str] = []
        self._pairs: PairWatcher | None = None
        self._open = ExitStack()

    def state(self) -> dict[str, Any]:
        """What the surveyed batch told, as plain values."""
        assert self.survey is not None
        return {"survey": self.survey.to_plain(), "surveyed": self._samples}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over what an earlier process was told."""
        self._learn(Survey.from_plain(state["survey"]))
        if state["surveyed"] is not None:
            self._settle(state["surveyed"])

    def _learn(self, found: Survey) -> None:
        self.survey = found
        if any(rule.partner is not None for rule in found.synapses.values()):
            self._pairs = PairWatcher(found.synapses, lambda: self._path[-1] if self._path else "", self._pair)

    def _settle(self, samples: int) -> None:
        """The surveyed batch had this number of samples."""
        assert self.survey is not None
        self._samples = samples
        self.constant_pj = self.survey.constant_pj / samples
        self.ceiling_pj = self.survey.ceiling_pj / samples

    @contextmanager
    def hooked(self) -> Iterator[None]:
        with ExitStack() as restore:
            restore.callback(self._open.close)
            for name, module in self.model.named_modules():
                path = eager_name(name)
                handles = [
                    module.register_forward_pre_hook(self._entering(path)),
                    module.register_forward_hook(self._leaving, always_call=True),
                    module.register_forward_hook(self._counting(path), with_kwargs=True),
                ]
                for handle in handles:
                    restore.callback(handle.remove)
            first = self.model.register_forward_pre_hook(self._starting, with_kwargs=True, prepend=True)
            restore.callback(first.remove)
            last = self.model.register_forward_hook(self._ending, always_call=True)
            restore.callback(last.remove)
            yield

    def take(self, samples: int) -> Tensor:
        """Energy per inference of the pass that ran; its parts are used up."""
        if self.survey is None or not self._ran:
            raise UsageError(
                "energy term: the model did not run with gradients since the last call; run it first, inside "
                "`with term.watching(model):`"
            )
        if self._samples is None:  # the batch that was traced
            self._settle(samples)
        parts, self._parts, self._ran = self._parts, [], False
        if not parts:
            device = next((p.device for p in self.model.parameters()), None)
            return torch.tensor(self.constant_pj, device=device)
        return torch.stack(parts).sum() / samples + self.constant_pj

    # -- hooks -------------------------------------------------------------------------------------------------

    @property
    def _counts(self) -> bool:
        return not self._quiet and (self._checking is not None or torch.is_grad_enabled())

    def _starting(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        del module
        if self._quiet or not self._counts:
            return
        if self.survey is None:
            self._survey(args, kwargs)
        if self._pairs is not None:
            self._open.enter_context(self._pairs)

    def _ending(self, module: nn.Module, args: Any, output: Any) -> None:
        del module, args
        self._open.close()
        if self._counts and output is not None:
            self._ran = True

    def _entering(self, path: str) -> Callable[..., None]:
        def enter(module: nn.Module, args: Any) -> None:
            del module, args
            self._path.append(path)

        return enter

    def _leaving(self, module: nn.Module, args: Any, output: Any) -> None:
        del module, args, output
        if self._path:
            self._path.pop()

    def _counting(self, path: str) -> Callable[..., None]:
        def count(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
            if not self._counts or self.survey is None:
                return
            if known(module):
                self._synapses(path, module, next(tensors_in((args, kwargs)), None))
            elif path in self.survey.neurons:
                spikes = next(tensors_in(output), None)
                if spikes is not None:
                    self._put(path, spikes.sum(dtype=torch.float32), self.survey.neurons[path].pj)

        return count

    def _synapses(self, path: str, module: nn.Module, x: Tensor | None) -> None:
        assert self.survey is not None
        if x is None:
            return
        for reach in reaches(module, x):
            rule = self.survey.synapses.get(f"{path}{reach.row}" or "(model)")
            if rule is not None:
                count = row_sum(reach.operand, reach.summed, rule.values, units=rule.units) * reach.fan
                self._put(f"{path}{reach.row}" or "(model)", count.sum(), rule.pj)

    def _pair(self, name: str, count: Tensor) -> None:
        assert self.survey is not None
        self._put(name, count, self.survey.synapses[name].pj)

    def _put(self, name: str, count: Tensor, pj: float) -> None:
        if self._checking is None:
            self._parts.append(count * pj)
        else:
            found = self._checking.get(name)
            self._checking[name] = count.double() if found is None else found + count.double()

    # -- the first batch ---------------------------------------------------------------------------------------

    def _survey(self, args: Any, kwargs: dict[str, Any]) -> None:
        """Trace the batch, then count it through the hooks as well and compare; no random number is used up."""
        device = next((x.device for x in tensors_in((args, kwargs))), torch.device("cpu"))
        path = self._path.copy()
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            state = torch.get_rng_state()
            self._quiet = True
            try:
                with torch.autocast(device.type, enabled=False):
                    facts = trace(self.model, kwargs if kwargs else args)
            finally:
                self._quiet = False
            found = survey(facts, self.hardware)
            self._learn(found)
            torch.set_rng_state(state)
            self._checking = {}
            try:
                with evaluating(self.model), torch.no_grad(), torch.autocast(device.type, enabled=False):
                    self.model(*args, **kwargs)
                self._compare(found, self._checking)
            except MODEL_ERRORS as problem:
                self.survey = None
                raise TraceError(
                    f"energy term: the model failed when it was run a second time on its batch ({named_line(problem)})"
                ) from problem
            except TraceError:
                self.survey = None
                raise
            finally:
                self._checking = None
                self._ran = False
                self._path = path

    def _compare(self, found: Survey, counted: dict[str, Tensor]) -> None:
        expected = {name: rule.counted for name, rule in found.synapses.items()}
        expected |= {name: rule.counted for name, rule in found.neurons.items()}
        for name, traced in expected.items():
            ours = float(counted.get(name, torch.zeros(())))
            if abs(ours - traced) > AGREEMENT * max(traced, 1):
                raise TraceError(
                    f"energy term: {name}: hooks found {ours:,.0f} events where the trace counted {traced:,}; "
                    "its product runs where no hook sees it, or on other values: use nn.Linear, nn.Conv, "
                    "nn.ConvTranspose, nn.LSTM or a plain matrix product (@, torch.matmul, torch.bmm)"
                )
