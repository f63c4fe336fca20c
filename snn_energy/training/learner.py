"""What moves during a training: the network, its optimizer, the average of its weights; and one step of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from snn_energy.errors import MODEL_ERRORS, SnnEnergyError, UsageError, first_line
from snn_energy.models.folding import fold
from snn_energy.models.snapping import snap, snapped_parameters
from snn_energy.training.batches import Batch, forward_seed
from snn_energy.training.distributed import World
from snn_energy.training.ema import make_average
from snn_energy.training.optimizer import make_optimizer
from snn_energy.training.penalty import Penalty
from snn_energy.training.precision import autocast, make_scaler
from snn_energy.training.recipe import Recipe

HALVES = (torch.bfloat16, torch.float16)


class TrainingError(SnnEnergyError):
    """The training diverged."""


@dataclass(slots=True)
class Tally:
    """What an epoch has seen so far, over all processes: summed loss, correct samples, samples, seconds."""

    loss: float = 0.0
    correct: int = 0
    samples: int = 0
    seconds: float = 0.0

    def to_plain(self) -> dict[str, int | float]:
        """Return the fields by name."""
        return asdict(self)


class Learner:
    """One network in training. First phase: as built; second phase: folded, its weights snapped in every pass."""

    def __init__(self, recipe: Recipe, model: nn.Module, world: World, penalty: Penalty | None = None) -> None:
        self.recipe, self.world, self.penalty = recipe, world, penalty
        self.snapping = False
        self.best: dict[str, Any] | None = None
        self._adopt(model)

    def _adopt(self, model: nn.Module) -> None:
        recipe, device = self.recipe, self.world.device
        # Asked to be contiguous, tensors of one channel would change their strides, and convolutions their rounding.
        self.layout = torch.channels_last if recipe.channels_last else torch.preserve_format
        self.model = model.to(device)
        if recipe.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(recipe, self.model)
        self.average = None if self.snapping else make_average(recipe, self.model)
        self.scaler = make_scaler(recipe, device)
        self.unproven = recipe.compile and not self.snapping
        self.forward: Callable[[Tensor], Tensor] = self._snapped_logits if self.snapping else self.model
        if self.unproven:
            self.forward = torch.compile(self.model)  # the module itself stays as it is, and so do its names

    def _snapped_logits(self, x: Tensor) -> Tensor:
        recipe = self.recipe
        assert recipe.snap_bits is not None
        snapped = snapped_parameters(self.model, recipe.snap_bits, recipe.snap_per_channel)
        logits: Tensor = torch.func.functional_call(self.model, snapped, (x,))
        return logits

    def start_snapping(self) -> None:
        """Begin the second phase: fold the network that the first one chose."""
        chosen = self.chosen()
        self.snapping, self.best = True, None
        self._adopt(fold(chosen).requires_grad_(True))

    def present(self) -> nn.Module:
        """The network as it would be used now: averaged where the recipe averages, snapped in the second phase."""
        if self.snapping:
            assert self.recipe.snap_bits is not None
            return snap(self.model, self.recipe.snap_bits, self.recipe.snap_per_channel)
        return self.model if self.average is None else self.average.model

    def chosen(self) -> nn.Module:
        """The network that the training ends with: the present one, or a copy with the best weights."""
        if self.best is None:
            return self.present()
        network = copy.deepcopy(self.present())
        network.load_state_dict(self.best["model"])
        return network

    def judge(self, epoch: int, correct: int) -> None:
        """Remember the present weights where no epoch before `epoch` had as many validation samples right."""
        if self.recipe.keep != "best" or self.snapping or (self.best is not None and correct <= self.best["correct"]):
            return
        weights = {name: value.detach().clone() for name, value in self.present().state_dict().items()}
        self.best = {"epoch": epoch, "correct": correct, "model": weights}

    def step(self, epoch: int, batch: Batch, rate: float, tally: Tally) -> None:
        """Make one optimizer step at learning rate `rate` and add what was seen to `tally`.

        Errors: TrainingError when the loss is not finite, UsageError when the network cannot be compiled.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # What the network draws by itself depends on the batch's number alone, so that no state of it need be kept.
        torch.manual_seed(forward_seed(self.recipe, epoch, batch.number, self.world.rank))
        self.optimizer.zero_grad(set_to_none=True)
        try:
            loss, whole, correct = self._gradients(batch)
        except MODEL_ERRORS as problem:
            if not self.unproven:
                raise
            raise UsageError(
                f"recipe: compile = true, but torch.compile failed on {self.recipe.model}"
                f" ({type(problem).__name__}: {first_line(problem)}); set compile = false"
            ) from problem
        self.unproven = False
        loss, whole, correct = self.world.total([loss, whole, correct])
        if not math.isfinite(whole):
            raise TrainingError(
                f"training: loss {whole / len(batch.x)} in epoch {epoch + 1}, batch {batch.number + 1}: expected a"
                f" finite number; lower learning_rate (it is {self.recipe.learning_rate:g}) and start anew"
            )
        self.world.add_gradients(self.model.parameters())
        if self.recipe.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model)
        tally.loss += loss
        tally.correct += int(correct)
        tally.samples += len(batch.x)

    def _gradients(self, batch: Batch) -> tuple[float, float, float]:
        """Add up the gradients of this process's share; return its summed loss, the same with penalty, and hits."""
        recipe, device, count = self.recipe, self.world.device, len(batch.x)
        loss_sum, whole_sum, correct = 0.0, 0.0, 0
        for number in range(recipe.accumulate):
            start, stop = (count * edge // recipe.accumulate for edge in (number, number + 1))
            mine = self.world.share(stop - start)
            x = batch.x[start:stop][mine].to(device, memory_format=self.layout, non_blocking=True)
            targets = batch.targets[start:stop][mine].to(device, non_blocking=True)
            with autocast(recipe, device):
                logits = self.forward(x)
            logits = logits.float() if logits.dtype in HALVES else logits
            loss = cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
            whole = loss if self.penalty is None else loss + self.penalty.loss(len(x))
            backward(self.scaler.scale(whole * (len(x) / count)))
            labels = targets if targets.dim() == 1 else targets.argmax(1)
            correct += int((logits.detach().argmax(1) == labels).sum())
            loss_sum += loss.item() * len(x)
            whole_sum += whole.item() * len(x)
        return loss_sum, whole_sum, correct

    def state(self) -> dict[str, Any]:
        """Return all that decides the steps to come, for `restore`."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "best": self.best,
        }

    def restore(self, saved: dict[str, Any], *, snapping: bool) -> None:
        """Go on from a saved state, which is that of the folded network in the second phase."""
        if snapping:
            self.start_snapping()
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.best = saved["best"]


def backward(loss: Tensor) -> None:
    """Run the backward pass."""
    loss.backward()  # type: ignore[no-untyped-call]
