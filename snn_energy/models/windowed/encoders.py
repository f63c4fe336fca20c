"""Spike encoders: real-valued features become spikes at the entrance of every window unit.

    bernoulli:     s = 1[x > xi],  xi ~ U(0, 1), drawn afresh for each element and time step
    deterministic: s = 1[x > 1/2]

No gradient passes. The paper's network draws in evaluation as well; what it costs and what it answers then changes from
run to run. So an encoder has one form for training and one for evaluation, deterministic unless asked otherwise.

Source: Yao et al., ACML 2023, arXiv:2401.10843 (bernoulli); the deterministic form is ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown

ENCODERS: dict[str, Callable[[Tensor], Tensor]] = {
    "bernoulli": lambda x: x > torch.rand_like(x),
    "deterministic": lambda x: x > 0.5,
}


class SpikeEncoder(nn.Module):
    """Encodes by `training_form` in training mode and by `evaluation_form` in eval mode.

    Errors: UsageError for a form that is not in `ENCODERS`.
    """

    def __init__(self, training_form: str = "bernoulli", evaluation_form: str = "deterministic") -> None:
        super().__init__()
        for form in (training_form, evaluation_form):
            if form not in ENCODERS:
                raise unknown("encoder", form, ENCODERS)
        self.training_form, self.evaluation_form = training_form, evaluation_form

    def forward(self, x: Tensor) -> Tensor:
        """Features `...` -> spikes `...`, exactly 0 or 1, in the dtype of the features."""
        features = x.detach()
        return ENCODERS[self.training_form if self.training else self.evaluation_form](features).to(x.dtype)

    def ann_counterpart(self) -> nn.Module:
        """In an ANN the features themselves go on."""
        return nn.Identity()

    def extra_repr(self) -> str:
        """Show both forms in the printed model."""
        return f"training={self.training_form}, evaluation={self.evaluation_form}"


def use_encoder(model: nn.Module, evaluation_form: str) -> int:
    """Set what every `SpikeEncoder` of `model` does in eval mode, in place; returns how many there are.

    Errors: UsageError for an unknown form, or for a model without encoders.
    """
    if evaluation_form not in ENCODERS:
        raise unknown("encoder", evaluation_form, ENCODERS)
    encoders = [module for module in model.modules() if isinstance(module, SpikeEncoder)]
    if not encoders:
        raise UsageError(f"use_encoder: {type(model).__name__} has no spike encoder; only windowed networks have them")
    for encoder in encoders:
        encoder.evaluation_form = evaluation_form
    return len(encoders)
